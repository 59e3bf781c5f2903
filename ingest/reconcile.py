"""What must go on although nobody asks: recordings without a job, dockings of a dead process, partials nobody needs.

The catalogue alone says what is unfinished. The job engine's database may therefore be deleted at any time.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from catalogue.records import RecordingRow
from evidence.clock import to_text
from evidence.errors import EvidenceError, InvalidInputError, NotFoundError
from evidence.events import OffloadEnded
from evidence.ids import RecordingId
from evidence.model import OffloadState, RecordingState
from ingest.acquire import say_interrupted
from ingest.parts import Parts
from ingest.states import HANDED_IN

_log = logging.getLogger(__name__)


def unfinished(parts: Parts) -> Sequence[RecordingRow]:
    """Recordings that are acquired but not stored, or stored but not described; earliest deadline first."""
    with parts.catalogue.read() as uow:
        return uow.recordings.unfinished()


def close_dead(parts: Parts) -> int:
    """End the dockings a dead process left open, each with its entry; return how many.

    Only while nothing reads a recorder (at start, under the home's lock). A recording that was being read becomes
    ``interrupted`` at the last byte known to be durable, so that no page says "being read" about a dead process.
    """
    with parts.catalogue.read() as uow:
        reading = uow.recordings.by_state({RecordingState.ACQUIRING})
        open_offloads = uow.offloads.open()
    for row in reading:
        say_interrupted(parts, row, at_byte=row.bytes_acquired, reason="process-ended", offload=row.offload)
    for offload in open_offloads:
        at = parts.clock.now()
        with parts.catalogue.begin() as uow:
            rows = uow.recordings.of_offload(offload.id)
            held = [row for row in rows if row.state in HANDED_IN or row.state is RecordingState.ACQUIRED]
            event = OffloadEnded(
                offload=offload.id,
                device=offload.device,
                at=to_text(at.wall),
                outcome=OffloadState.INTERRUPTED,
                recordings=len(held),
                waiting=len(offload.waiting),
                quarantined=sum(bool(row.quarantine_reason) for row in held),
                duplicates=sum(row.state is RecordingState.DUPLICATE for row in held),
            )
            uow.offloads.update(offload.id, state=OffloadState.INTERRUPTED, ended_at=at.wall, message="process-ended")
            uow.progress.clear(offload.id)
            parts.enter(uow, event, at=at)
    return len(open_offloads)


def sweep_partials(parts: Parts) -> int:
    """Remove partials of recordings whose bytes are stored elsewhere; return how many.

    A partial that belongs to no recording, or to one that is still coming in, is left alone: it may be all there is.
    """
    removed = 0
    for path in parts.stores.primary.partials():
        try:
            with parts.catalogue.read() as uow:
                row = uow.recordings.get(RecordingId(path.stem))
        except (InvalidInputError, NotFoundError):
            _log.warning("the partial %s belongs to no recording; it is left for a person", path.name)
            continue
        if row.state in HANDED_IN:
            try:
                parts.stores.primary.discard_partial(path)
                removed += 1
            except EvidenceError as error:
                _log.warning("the partial %s could not be removed: %s", path.name, error.what)
    return removed
