"""Which footage of a case is fixed in writing: what closing a case asks (R16).

A recording is fixed when a fixation record of this case that names it is signed: by the party, or with the refusal noted and
signed by two officers, or with the reason why no party could sign.

Source: RULES R16.
"""

from __future__ import annotations

from typing import Final

from cases.dossier_parts import FOOTAGE
from catalogue import UnitOfWork
from evidence.ids import MatterId, RecordingId
from matters.turn import Turn

KIND: Final = "fixation"
SIGNED: Final = "signed"
_TOLD_MAX: Final = 5


def fixed_in(uow: UnitOfWork, case: MatterId) -> dict[str, str]:
    """Recording -> number of the signed fixation record of this case that names it."""
    found: dict[str, str] = {}
    for row in uow.matters.linked_to(case, kinds=(KIND,)):
        if row.state == SIGNED:
            found.update((link.target, row.number) for link in uow.matters.links(row.id, role=FOOTAGE))
    return found


def unfixed(uow: UnitOfWork, case: MatterId, footage: list[str]) -> list[str]:
    """Those that no signed record of the case fixes; a duplicate is fixed with the recording that keeps its bytes."""
    fixed = fixed_in(uow, case)
    missing = [one for one in footage if one not in fixed]
    return [
        one for one in missing
        if (kept := uow.recordings.get(RecordingId(one)).duplicate_of) is None or str(kept) not in fixed
    ]  # fmt: skip


def require_fixed(turn: Turn) -> None:
    """Guard of closing: every recording of the case is fixed.

    Raises:
        PolicyUnmetError: Some are not; the first of them are named.
    """
    missing = unfixed(turn.uow, turn.matter, [row.target for row in turn.links(FOOTAGE)])
    if missing:
        more = f" + {len(missing) - _TOLD_MAX}" if len(missing) > _TOLD_MAX else ""
        turn.refuse(
            "{count} recordings are not fixed in writing: {names}",
            todo="Make a fixation record, have it signed (or note why it is not), file the scan, then close the case.",
            count=len(missing), names=", ".join(missing[:_TOLD_MAX]) + more,
        )  # fmt: skip
