"""The latest time a local store has seen, kept on its own disk: no copy goes by a clock that contradicts it.

A disk may come to a machine whose clock is wrong, or stay while that clock is set ahead so that dates seem to have passed. The
mark rises with every order about a blob (at most every ten minutes) and is looked at before a blob with a date is removed.
A time that contradicts the mark but goes on evenly for a day of looks is believed after all (:mod:`evidence.time_line`).

It does not resist who can write to the disk. A disk that cannot be written to keeps the mark it has.

Source: docs/formats/store.md; docs/invariants.md 9.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from evidence import canonical
from evidence.clock import Clock, TimeReading, from_text, to_text
from evidence.durable import publish
from evidence.errors import (
    ClockJumpedError,
    ClockWentBackError,
    EvidenceError,
    IntegrityError,
    NotDurableError,
    StoreError,
)
from evidence.time_line import Belief, Trial, judge, prolong
from storage.tree import StoreTree, os_errors

NAME: Final = "clock.json"
_BYTES_MAX: Final = 4096
#: The mark is not written more often than this.
_STEP: Final = timedelta(minutes=10)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Mark:
    """What the file says: the latest time believed, and how one that contradicts it has gone on."""

    at: datetime | None = None
    trial: Trial | None = None


class ClockMark:
    """The mark of one store.

    Args:
        tree: The store's folder.
        clock: The machine's clock.
    """

    def __init__(self, tree: StoreTree, clock: Clock) -> None:
        self._tree = tree
        self._clock = clock
        self._guard = threading.Lock()

    def see(self) -> None:
        """Remember the time, if it can be believed. Never an error of the caller's act: an old mark only says less."""
        try:
            self._look(self._clock.now())
        except NotDurableError:
            raise
        except (EvidenceError, OSError) as error:
            _log.warning("store %s does not remember the time: %s", self._tree.name, error)

    def require_believed(self) -> None:
        """Return when the machine's clock does not contradict what this store has seen.

        Raises:
            ClockWentBackError, ClockJumpedError: It does. IntegrityError: the mark cannot be understood.
            StoreError: It cannot be read.
        """
        reading = self._clock.now()
        belief, mark = self._look(reading)
        if belief is Belief.BELIEVED:
            return
        seen = to_text(mark) if mark is not None else "nothing"
        what = f"the clock says {to_text(reading.wall)}, store {self._tree.name} has seen {seen}"
        kept, todo = "Nothing was removed.", "Set the clock right. A time that goes on evenly for a day is believed."
        raise (ClockWentBackError if belief is Belief.WENT_BACK else ClockJumpedError)(what, kept=kept, todo=todo)

    def _look(self, reading: TimeReading) -> tuple[Belief, datetime | None]:
        with self._guard:
            mark = self._read()
            belief = judge(reading, mark.at)
            if belief is Belief.BELIEVED:
                if mark.at is None or reading.wall > mark.at + _STEP or mark.trial is not None:
                    self._write(_Mark(max(reading.wall, mark.at or reading.wall)))
                return belief, mark.at
            trial = prolong(mark.trial, reading)
            if trial.passed:  # the mark was the wrong one
                self._write(_Mark(reading.wall))
                return Belief.BELIEVED, reading.wall
            self._write(_Mark(mark.at, trial))
            return belief, mark.at

    def _read(self) -> _Mark:
        path = self._tree.root / NAME
        with os_errors("read the store's clock mark"):
            try:
                with path.open("rb") as file:
                    untrusted = file.read(_BYTES_MAX)
            except FileNotFoundError:
                return _Mark()
        try:
            told = canonical.loads(untrusted)
            trial = told["trial"]
            return _Mark(
                from_text(told["at"]), Trial(from_text(trial[0]), int(trial[1]), int(trial[2])) if trial else None
            )
        except (EvidenceError, KeyError, TypeError, ValueError, IndexError) as error:
            raise IntegrityError(
                f"the clock mark of store {self._tree.name} is not one of ours",
                kept="Nothing was removed.",
                todo=f"Find out who changed {NAME} at the root of the store; without it the store begins anew.",
            ) from error

    def _write(self, mark: _Mark) -> None:
        if mark.at is None:
            return
        trial = mark.trial
        told = [to_text(trial.wall), str(trial.monotonic_ns), str(trial.lasted_ns)] if trial is not None else []
        try:
            publish(self._tree.root / NAME, canonical.dumps({"at": to_text(mark.at), "trial": told}))
        except NotDurableError:
            raise
        except (StoreError, OSError) as error:
            _log.warning("store %s cannot keep its clock mark: %s", self._tree.name, error)
