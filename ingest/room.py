"""Whether a recording fits before it is read: in the primary store, and in as many others as must get a copy.

Intake stops here, cleanly, while recorders still have everything: a recording that was read and cannot be copied would wait in
the first store and never be safe. What is on its way is counted: recordings that are being read, and those that are here and not
yet copied. Two stores on one disk share its room.

Asked before each recording and by nobody in between; the disk may fill all the same (other programs), and running out of room in
the middle stays an ordinary stop (``ingest.acquire``).
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final

from catalogue.records import RecordingRow
from catalogue.space import SpaceSample
from evidence.durable import free_bytes
from evidence.errors import StoreError, StoreFullError
from evidence.ports import BlobStore
from ingest.parts import Parts
from storage.local import LocalStore
from storage.stores import inner_of

#: A measurement of a bucket's room older than this says nothing.
_STALE: Final = timedelta(hours=6)


def require_room(parts: Parts, row: RecordingRow) -> None:
    """Return when a recording may be begun.

    Raises:
        StoreFullError: It does not fit; ``stores`` names those that are full. Nothing was read and nothing changed.
    """
    with parts.catalogue.read() as uow:
        to_read, to_copy = uow.recordings.on_the_way(but=row.id)
    left: dict[int, int] = {}
    primary, others = parts.stores.primary, parts.stores.others
    more_bytes = row.size_bytes - min(row.bytes_acquired, row.size_bytes) + to_read
    if not _takes(parts, primary, more_bytes, left):
        raise _full([primary.properties.name], row)
    full = [store.properties.name for store in others if not _takes(parts, store, row.size_bytes + to_copy, left)]
    must = min(parts.settings.copies, 1 + len(others)) - 1
    if full and len(others) - len(full) < must:
        raise _full(full, row)


def _takes(parts: Parts, store: BlobStore, size_bytes: int, left: dict[int, int]) -> bool:
    """Whether a store has that much room; takes it from its disk's share. One whose room cannot be told is not full."""
    properties = store.properties
    if properties.kind != "local":
        with parts.catalogue.read() as uow:
            sample = uow.space_samples.newest(properties.name)
        return not _is_full(parts, sample, size_bytes)
    try:
        if isinstance(inner := inner_of(store), LocalStore):
            inner.free_bytes()  # an empty mount point has another disk's room
        disk = Path(properties.location).stat().st_dev
        free = left.get(disk)
        if free is None:
            free = free_bytes(Path(properties.location)) - parts.settings.free_floor_bytes
    except (OSError, StoreError):  # it is away: its copies wait, and it is told elsewhere
        return True
    if size_bytes > max(0, free):
        left[disk] = free
        return False
    left[disk] = free - size_bytes
    return True


def _is_full(parts: Parts, sample: SpaceSample | None, size_bytes: int) -> bool:
    if sample is None or parts.clock.now().wall - sample.at > _STALE:
        return False
    return size_bytes > sample.free_bytes


def _full(stores: list[str], row: RecordingRow) -> StoreFullError:
    error = StoreFullError(
        f"no room for {row.size_bytes} bytes above the floor of {', '.join(stores)}",
        kept="The recorder keeps its footage; what was read before is kept here.",
        todo="Make room on that disk or give the store a larger one; reading goes on by itself.",
    )
    error.stores = tuple(stores)
    return error
