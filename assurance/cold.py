"""A further copy of long-term footage in a cold store: another place for what is kept for ever, at a lower price.

Only adds: the cold copy is made from a sound one, read back from its medium and entered (``copy.made``, reason ``cold``),
as every later copy. No warm copy is removed for it. A cold store gets nothing else: what comes in goes to the other stores.

Crash: as :mod:`assurance.catch_up`, whose way this is.

Source: RULES R11; docs/settings.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from assurance.catch_up import copy_missing
from assurance.copies import KeepingParts
from catalogue import UnitOfWork
from catalogue.store_states import Lacking
from evidence.digest import Digest
from evidence.lock_dates import believed_now

COLD: Final = "cold"
_SLICE_S: Final = 50.0
_ASKED_AT_ONCE: Final = 200


def lay_cold(
    parts: KeepingParts, *, after: timedelta, hint: Callable[[Digest], None], slice_s: float = _SLICE_S
) -> int:
    """Do a slice of the work.

    Args:
        parts: Catalogue, recorder, stores; ``cold`` names the store, none when empty.
        after: How long after it was stored footage gets its cold copy.
        hint: Told of bytes of which a copy turned out bad while it was read.
        slice_s: Seconds after which no further copy is begun.

    Returns:
        How many copies were made; none while the clock is not believed, the store waits for its next try, or copies were moved
        away from it.
    """
    store = parts.store(parts.cold) if parts.cold and parts.cold not in parts.old() else None
    with parts.catalogue.read() as uow:
        now = believed_now(parts.clock.now(), uow.clock_marks.highest())
        state = uow.store_states.of(parts.cold)
    if store is None or now is None or state.rests(now):
        return 0
    end, before = time.monotonic() + slice_s, now - after

    def lacking(uow: UnitOfWork) -> list[Lacking]:
        return uow.cold.lacking(parts.cold, stored_before=before, limit=_ASKED_AT_ONCE)

    return copy_missing(parts, store, hint, lambda: time.monotonic() < end, lacking=lacking, reason=COLD)
