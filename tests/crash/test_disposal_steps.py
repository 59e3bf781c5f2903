"""A process that dies at any step of a clearing: the next one goes on, nothing is lost or cleared twice, verify is good."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from catalogue.references import References
from catalogue.rules import RecordingRules
from evidence.events import RecordingDisposed, RecordingDisposing
from matters.desk import MatterDesk
from matters.papers import PaperDesk
from storage.local import LocalStore
from support.assured_home import make_home
from support.clearing import ClearingHome

#: Where it dies: the class, its method, at which call, before or after it took effect.
STEPS = [
    (MatterDesk, "act_as_service", 1, "before"),  # the batch begins to be executed
    (RecordingRules, "put", 1, "after"),  # inside of the transaction with the point of no return
    (RecordingRules, "put", 2, "before"),
    (LocalStore, "delete", 1, "before"),  # past it, nothing removed yet
    (LocalStore, "delete", 1, "after"),
    (LocalStore, "delete", 2, "before"),
    (LocalStore, "delete", 2, "after"),
    (LocalStore, "delete", 3, "after"),  # between the original and what was made of it
    (LocalStore, "delete", 4, "after"),
    (References, "drop_removal", 1, "before"),  # the bytes are gone, their entry is not made
    (References, "drop_removal", 2, "after"),
    (RecordingRules, "put", 3, "before"),  # everything is gone, the tombstone is not entered
    (RecordingRules, "put", 3, "after"),
    (MatterDesk, "act_within", 1, "before"),  # all cleared, the batch does not say so
    (MatterDesk, "act_within", 1, "after"),
    (PaperDesk, "file_made", 1, "before"),  # no certificate
    (PaperDesk, "file_made", 2, "before"),  # half of one
    (PaperDesk, "file_made", 2, "after"),
    (MatterDesk, "act_as_service", 2, "before"),  # certified, not closed
]


class Killed(BaseException):
    """The process is gone; nothing catches it."""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[ClearingHome]:
    made = make_home(tmp_path / "home")
    yield ClearingHome(made)
    made.close()


def dying(real: Callable[..., Any], at: int, when: str) -> Callable[..., Any]:
    calls = 0

    def step(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at and when == "before":
            raise Killed
        answer = real(*args, **kwargs)
        if calls == at:
            raise Killed
        return answer

    return step


@pytest.mark.parametrize(("part", "name", "at", "when"), STEPS)
def test_r10_a_crash_at_every_step_of_a_clearing_is_carried_on_from(
    here: ClearingHome, monkeypatch: pytest.MonkeyPatch, part: type, name: str, at: int, when: str
) -> None:
    rows = here.footage(2)
    here.due()
    batch = here.approved(*rows)
    here.later(days=31)
    died = False
    with monkeypatch.context() as patch:
        patch.setattr(part, name, dying(getattr(part, name), at, when))
        for _ in range(4):
            try:
                here.duty.run()
                here.home.seal()
            except Killed:
                died = True
                break
    assert died, "the step was never reached"
    for row in rows:  # at no moment is anything called cleared that is still there, or gone without an order
        assert not (here.cleared(row) and here.in_stores(row))
        assert here.going(row) or here.in_stores(row) == ["primary", "second"]
    here.home.seal()
    halfway = here.home.verify()
    assert halfway.verdict == "good", halfway.findings
    here.duty = here.make_duty()  # the next process
    here.run(4)
    assert here.batch(batch.id).state == "cleared"
    assert [here.in_stores(row) for row in rows] == [[], []]
    for row in rows:
        with here.home.catalogue.read() as uow:
            told = [one.event_type for one in uow.timeline(row.id)]
        assert told.count(RecordingDisposing.TYPE) == told.count(RecordingDisposed.TYPE) == 1
    with here.home.catalogue.read() as uow:
        assert len(uow.matters.documents(batch.id, role="certificate")) == 1
    report = here.home.verify()
    assert report.verdict == "good", report.findings
