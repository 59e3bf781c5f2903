"""What ends by time about use of footage: grants, requests nobody decided, delegations, viewings never held. A regular duty.

The gate does not wait for it: a grant counts for nothing from its last moment on. This only writes down that it is over, so that
lists, the holder and the register say so.

Source: RULES R17.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import structlog

from cases import access_delegation, access_grant, access_loan, access_request, access_supervised
from catalogue import Catalogue
from catalogue.matters import MatterFilter, MatterRow
from evidence.clock import Clock
from evidence.errors import PolicyUnmetError, StateConflictError
from evidence.lock_dates import believed_now
from matters import delegations, use_grants
from matters.desk import MatterDesk

_log = structlog.get_logger(__name__)
#: A slice.
_AT_ONCE: Final = 200
#: Kind -> states that end by time -> act of the service.
_ENDS: Final[Mapping[str, Mapping[str, str]]] = {
    use_grants.KIND: {use_grants.VALID: access_grant.EXPIRE},
    access_request.KIND: {access_request.ASKED: access_request.LAPSE, access_request.CHECKED: access_request.LAPSE},
    delegations.KIND: {"proposed": access_delegation.EXPIRE, delegations.VALID: access_delegation.EXPIRE},
    access_supervised.KIND: {"prepared": access_supervised.LAPSE, "approved": access_supervised.LAPSE},
    access_loan.KIND: {"asked": access_loan.LAPSE, "approved": access_loan.LAPSE},
}


class UseDuty:
    """Ends what is over. Does a slice; the rest comes the next time.

    Args:
        catalogue: Where matters stand.
        desk: Acts on them.
        clock: The time; while it is not believed nothing is ended.
    """

    def __init__(self, catalogue: Catalogue, desk: MatterDesk, *, clock: Clock) -> None:
        self._catalogue = catalogue
        self._desk = desk
        self._clock = clock

    def run(self) -> int:
        """End what ran out; tells how many. What somebody acts on meanwhile is left to the next time."""
        with self._catalogue.read() as uow:
            now = believed_now(self._clock.now(), uow.clock_marks.highest())
            if now is None:
                return 0
            over: list[tuple[MatterRow, str]] = []
            for kind, acts in _ENDS.items():
                wanted = MatterFilter(kinds=(kind,), states=tuple(acts), due_before=now)
                over += [(row, acts[row.state]) for row in uow.matters.find(wanted, limit=_AT_ONCE)]
        done = 0
        for row, act in over:
            try:
                self._desk.act_as_service(row.id, act)
                done += 1
            except (StateConflictError, PolicyUnmetError) as error:
                _log.info("left_for_the_next_time", matter=row.number, what=error.what)
        return done
