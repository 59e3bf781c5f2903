"""The service's part in holds: what comes in and fits is linked, bytes made later are held, and an overdue review is told.

Each run is a slice; where it stands follows from the catalogue (what is not linked, not held, or held for nothing), so that a
crash costs nothing. None of it is needed for a hold to count: :func:`retention.holds.held` asks the descriptions themselves.

Source: RULES R27; docs/holds.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from catalogue import Catalogue
from catalogue.holds import HELD, HOLD
from catalogue.matters import MatterFilter, MatterRow
from catalogue.references import BytesGoError
from evidence.clock import Clock
from evidence.errors import StateConflictError
from evidence.time_line import Belief, judge
from matters.desk import MatterDesk
from matters.turn import Asked, NewLink
from retention.holds import TAKE_IN, described_holds, described_of

#: Recordings, or bytes, in one transaction.
_AT_ONCE: Final = 200
_SLICE_S: Final = 40.0
_OVERDUE_MAX: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a slice did.

    Attributes:
        linked: Recordings that came under a hold by its description.
        bytes_held: Bytes that came under a hold.
        bytes_let_go: Bytes whose hold is over.
        overdue: Holds whose review date has passed.
    """

    linked: int = 0
    bytes_held: int = 0
    bytes_let_go: int = 0
    overdue: tuple[MatterRow, ...] = ()


class HoldKeeping:
    """The duty.

    Args:
        catalogue: Where holds stand.
        desk: Links recordings to them.
        clock: Injected time.
        tell: Told the overdue holds at every run, none included.
        slice_s: How long one run may take.
    """

    def __init__(
        self, catalogue: Catalogue, *, desk: MatterDesk, clock: Clock,
        tell: Callable[[tuple[MatterRow, ...]], None] = lambda _overdue: None, slice_s: float = _SLICE_S,
    ) -> None:  # fmt: skip
        self._catalogue = catalogue
        self._desk = desk
        self._clock = clock
        self._tell = tell
        self._slice_s = slice_s

    def run(self) -> Kept:
        """A slice."""
        until = time.monotonic() + self._slice_s
        linked = self._link(until)
        held = self._hold_bytes(until)
        gone = self._let_go(until)
        overdue = self._overdue()
        self._tell(overdue)
        return Kept(linked=linked, bytes_held=held, bytes_let_go=gone, overdue=overdue)

    def _link(self, until: float) -> int:
        with self._catalogue.read() as uow:
            holds = list(described_holds(uow))
        linked = 0
        for hold in holds:
            while time.monotonic() < until:
                found = self._link_some(hold)
                linked += found
                if found < _AT_ONCE:
                    break
        return linked

    def _link_some(self, hold: MatterRow) -> int:
        with self._catalogue.read() as uow:
            fits = uow.holds.fitting_unlinked(described_of(uow, hold), matter=hold.id, limit=_AT_ONCE)
        if not fits:
            return 0
        links = [NewLink(role=HELD, target=one, facts={"by": "description"}) for one in sorted(fits)]
        try:
            self._desk.act_as_service(hold.id, TAKE_IN, Asked(links=links))
        except StateConflictError:  # released meanwhile
            return 0
        return len(fits)

    def _hold_bytes(self, until: float) -> int:
        held = 0
        while time.monotonic() < until:
            with self._catalogue.read() as uow:  # an idle service takes no lock
                if not uow.holds.lacking(limit=1):
                    break
            with self._catalogue.begin() as uow:
                done = 0
                for matter, sha256 in sorted(uow.holds.lacking(limit=_AT_ONCE), key=lambda one: one[1].hex):
                    try:
                        uow.references.add_hold(sha256, str(matter), self._clock.now().wall)
                    except BytesGoError:  # another recording's removal of shared bytes: told by the removal
                        continue
                    uow.copy_locks.look_again(sha256)
                    done += 1
            held += done
            if done < _AT_ONCE:
                break
        return held

    def _let_go(self, until: float) -> int:
        gone = 0
        while time.monotonic() < until:
            with self._catalogue.read() as uow:
                if not uow.holds.surplus(limit=1):
                    break
            with self._catalogue.begin() as uow:
                found = sorted(uow.holds.surplus(limit=_AT_ONCE), key=lambda one: one[1].hex)
                for reference, sha256 in found:
                    uow.references.drop_hold(sha256, reference)
                    uow.copy_locks.look_again(sha256)
            gone += len(found)
            if len(found) < _AT_ONCE:
                break
        return gone

    def _overdue(self) -> tuple[MatterRow, ...]:
        """Holds that should have been looked at again; none while the clock is not believed."""
        now = self._clock.now()
        with self._catalogue.read() as uow:
            if judge(now, uow.clock_marks.highest()) is not Belief.BELIEVED:
                return ()
            wanted = MatterFilter(kinds=(HOLD,), open=True, due_before=now.wall)
            return tuple(uow.matters.find(wanted, limit=_OVERDUE_MAX))
