"""The check of the whole home in the background: one at a time, and however it ends, it is told as ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.checks import Checks
from api.verification import LastVerification, Verification, of_report
from assurance.report import Finding, VerifyReport
from catalogue import Catalogue
from evidence.errors import CatalogueUnavailableError, StateConflictError
from evidence.ids import AgentId
from evidence.model import Actor
from support.custody import TickingClock

ACTOR = Actor(AgentId.new(1), "审计", "web")


class Auditor:
    """Verifies as it is told to."""

    def __init__(self, act: Callable[[], VerifyReport]) -> None:
        self.act = act

    def verify(self, actor: Actor, *, progress: object) -> VerifyReport:
        return self.act()


class Gate:
    def require(self, *_: object, **__: object) -> None:
        """Everybody may."""


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    opened = Catalogue.open(f"sqlite:///{tmp_path / 'app.db'}", migrate=True)
    yield opened
    opened.close()


@pytest.fixture
def checks_with(catalogue: Catalogue) -> Callable[[Callable[[], VerifyReport]], Checks]:
    def made(act: Callable[[], VerifyReport]) -> Checks:
        return Checks(
            Auditor(act), authoriser=Gate(), clock=TickingClock(), health_parts=lambda: None,  # type: ignore[arg-type]
            kept=LastVerification(catalogue),
        )  # fmt: skip

    return made


def ended(checks: Checks) -> Verification:
    for thread in threading.enumerate():
        if thread.name == "verify":
            thread.join(10)
    last = checks.last_verification()
    assert last is not None
    return last


@pytest.mark.parametrize(
    ("error", "code"),
    [(CatalogueUnavailableError("away"), "catalogue-unavailable"), (RuntimeError("nobody foresaw this"), "evidence")],
)
def test_a_check_that_broke_is_no_running_one_and_no_verdict(checks_with, error: Exception, code: str) -> None:
    def broken() -> VerifyReport:
        raise error

    checks = checks_with(broken)
    checks.start_verification(ACTOR)
    last = ended(checks)
    assert (last.running, last.verdict, last.code) == (False, "unknown", code)
    assert "foresaw" not in last.error
    checks.start_verification(ACTOR)  # it can be tried again


def test_only_one_check_runs_at_a_time_and_until_it_ends_nothing_is_known(checks_with) -> None:
    go = threading.Event()

    def slow() -> VerifyReport:
        go.wait(10)
        return VerifyReport(entries=1, recordings=2, copies=4, findings=())

    checks = checks_with(slow)
    assert checks.last_verification() is None
    checks.start_verification(ACTOR)
    running = checks.last_verification()
    assert running is not None
    assert (running.running, running.verdict) == (True, "unknown")
    with pytest.raises(StateConflictError):
        checks.start_verification(ACTOR)
    go.set()
    assert (ended(checks).verdict, ended(checks).copies) == ("good", 4)


def report(*kinds: str) -> VerifyReport:
    return VerifyReport(entries=3, recordings=2, copies=4, findings=tuple(Finding(kind=kind) for kind in kinds))


def test_how_it_ended_is_known_after_a_restart_and_notes_are_no_findings(checks_with) -> None:
    checks = checks_with(lambda: report("copy-damaged", "orphan-blob"))
    checks.start_verification(ACTOR)
    before = ended(checks)
    assert (before.verdict, before.findings) == ("tampered", 1)
    assert checks_with(report).last_verification() == before


def test_a_good_check_is_not_shown_when_a_bad_one_came_in_while_it_ran(checks_with, catalogue: Catalogue) -> None:
    def overtaken() -> VerifyReport:
        beside = LastVerification(catalogue)
        beside.keep(of_report(report("copy-damaged"), at=TickingClock().now().wall), since=beside.begin())
        return report()

    checks = checks_with(overtaken)
    checks.start_verification(ACTOR)
    assert ended(checks).verdict == "tampered"
    again = checks_with(report)  # what was damaged has been repaired meanwhile
    again.start_verification(ACTOR)
    assert ended(again).verdict == "good"


def test_a_bad_check_is_shown_whatever_came_in_while_it_ran(checks_with, catalogue: Catalogue) -> None:
    def overtaking() -> VerifyReport:
        beside = LastVerification(catalogue)
        beside.keep(of_report(report(), at=TickingClock().now().wall), since=beside.begin())
        return report("copy-missing")

    checks = checks_with(overtaking)
    checks.start_verification(ACTOR)
    assert ended(checks).verdict == "tampered"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"at": 1}', '{"at": "2026-01-01T00:00:00.000Z", "colour": 1}', "[" * 9999]
)
def test_what_was_kept_and_cannot_be_read_is_nothing_known(catalogue: Catalogue, text: str) -> None:
    with catalogue.begin() as uow:
        uow.settings.put("verification.last", text)
    assert LastVerification(catalogue).get() is None


def test_a_result_that_cannot_be_kept_is_shown_all_the_same(checks_with, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise CatalogueUnavailableError("away")

    monkeypatch.setattr(LastVerification, "keep", away)
    checks = checks_with(lambda: report("copy-damaged"))
    checks.start_verification(ACTOR)
    assert ended(checks).verdict == "tampered"
