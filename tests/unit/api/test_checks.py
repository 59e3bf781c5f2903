"""The check of the whole home in the background: one at a time, and however it ends, it is told as ended."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from api.checks import Checks, Verification
from assurance.report import VerifyReport
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


def checks_with(act: Callable[[], VerifyReport]) -> Checks:
    return Checks(Auditor(act), authoriser=Gate(), clock=TickingClock(), health_parts=lambda: None)  # type: ignore[arg-type]


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
def test_a_check_that_broke_is_no_running_one_and_no_verdict(error: Exception, code: str) -> None:
    def broken() -> VerifyReport:
        raise error

    checks = checks_with(broken)
    checks.start_verification(ACTOR)
    last = ended(checks)
    assert (last.running, last.verdict, last.code) == (False, "unknown", code)
    assert "foresaw" not in last.error
    checks.start_verification(ACTOR)  # it can be tried again


def test_only_one_check_runs_at_a_time_and_until_it_ends_nothing_is_known() -> None:
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
