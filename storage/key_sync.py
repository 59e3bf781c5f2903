"""Places for keys brought up to date: what a place that was away lacks, and what it has that must go.

The index is the hub: what only a place has comes into it, what a place lacks goes out of it. Two things are never taken on
trust from a place: a record that its own key does not prove, and a tombstone that the key it would destroy does not prove.

Everything here may be stopped and begun again: it only looks at what is there now.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evidence.data_keys import KeyRecord
from evidence.errors import BlobConflictError, EvidenceError, IntegrityError, StoreError, StoreUnavailableError
from storage import key_records as records
from storage.key_places import KeyPlace

if TYPE_CHECKING:
    from storage.keyring import KeyRing


@dataclass(slots=True)
class SyncReport:
    """What bringing a place up to date did.

    Attributes:
        place: Its name.
        copied: Files that it lacked and has now (read back).
        found: Records that only it had, taken into the index.
        removed: Records whose key had been destroyed while it was away.
        problems: What a person must look at: malformed or contradicting files. Nothing of these was changed.
        whole: Whether everything was looked at (False: stopped before its end).
    """

    place: str
    copied: int = 0
    found: int = 0
    removed: int = 0
    problems: list[str] = field(default_factory=list)
    whole: bool = False

    def problem(self, what: str) -> None:
        """Note one; a hundred are enough to know."""
        if len(self.problems) < 100:
            self.problems.append(what)


def sync(ring: KeyRing, place: KeyPlace, *, stop: Callable[[], bool]) -> SyncReport:
    """See :meth:`storage.keyring.KeyRing.sync`."""
    report = SyncReport(place.name)
    others = [ring.place(name) for name in ring.places if name != place.name]
    _copy_missing(place, others, "epochs", report)
    for problem in ring.spread_months(place.name):
        report.problem(problem)
    _copy_missing(place, others, "gone", report)
    _apply_tombstones(ring, place, report)
    report.whole = _sync_records(ring, place, report, stop)
    return report


def _copy_missing(place: KeyPlace, others: list[KeyPlace], folder: str, report: SyncReport) -> None:
    here = set(place.paths(folder))
    for other in others:
        try:
            there = [path for path in other.paths(folder) if path not in here]
            for path in there:
                text = other.read(path)
                if text is None or not _well_formed(path, text, report):
                    continue
                place.write_new(path, text)
                here.add(path)
                report.copied += 1
        except StoreUnavailableError:
            continue  # its turn comes when it is back


def _well_formed(path: str, text: bytes, report: SyncReport) -> bool:
    try:
        if path.startswith("epochs/"):
            records.EpochFile.parse(text, path)
        else:
            gone = records.parse_gone(text)
            if records.gone_path(gone.sha256, gone.wrapped_sha256) != path:
                raise IntegrityError("a tombstone in the place of another")
    except IntegrityError as error:
        report.problem(f"{path}: {error.what}")
        return False
    return True


def _apply_tombstones(ring: KeyRing, place: KeyPlace, report: SyncReport) -> None:
    for path in list(place.paths("gone")):
        text = place.read(path)
        if text is None or not _well_formed(path, text, report):
            continue
        gone = records.parse_gone(text)
        standing = place.read(records.record_path(gone.sha256))
        if standing is None:
            continue
        try:
            record = records.parse_record(standing)
            if record.wrapped_sha256 != gone.wrapped_sha256:
                continue  # the object came again, with another key
            if not ring.proves_gone(text, record):
                report.problem(f"{path}: its key does not prove this tombstone")
                continue
        except EvidenceError as error:
            report.problem(f"{records.record_path(gone.sha256)}: {error.what}")
            continue
        ring.index.add(gone)
        place.remove(records.record_path(gone.sha256))
        ring.forget(gone.sha256)
        report.removed += 1


def _sync_records(ring: KeyRing, place: KeyPlace, report: SyncReport, stop: Callable[[], bool]) -> bool:
    """Compare the index with the place, both ascending, and give each what it lacks."""
    known = (("index", records.record_path(record.sha256), record) for record in ring.index.all())
    there = (("place", path, None) for path in place.paths("objects"))
    merged = heapq.merge(known, there, key=lambda item: item[1])
    waiting: tuple[str, KeyRecord | None] | None = None  # of the index, not yet seen in the place
    for side, path, record in merged:
        if stop():
            return False
        if side == "index":
            if waiting is not None:
                _give(ring, place, waiting[1], report)
            waiting = (path, record)
            continue
        if waiting is not None and waiting[0] == path:
            _agree(place, path, waiting[1], report)
            waiting = None
            continue
        if waiting is not None:
            _give(ring, place, waiting[1], report)
            waiting = None
        _take(ring, place, path, report)
    if waiting is not None:
        _give(ring, place, waiting[1], report)
    return True


def _give(ring: KeyRing, place: KeyPlace, record: KeyRecord | None, report: SyncReport) -> None:
    if record is None or record.destroyed:
        return
    try:
        ring.ensure(record, at=(place.name,))
        report.copied += 1
    except (IntegrityError, BlobConflictError) as error:
        report.problem(error.what)


def _agree(place: KeyPlace, path: str, record: KeyRecord | None, report: SyncReport) -> None:
    """Both have a record: it must be the same key, and none that is known to be destroyed."""
    text = place.read(path)
    if record is None or text is None:
        return
    try:
        standing = records.parse_record(text)
    except IntegrityError as error:
        report.problem(f"{path}: {error.what}")
        return
    same = standing.wrapped_sha256 == record.wrapped_sha256
    if same and record.destroyed:
        report.problem(f"{path}: this key counts as destroyed, yet no tombstone that it proves was found")
    elif not record.destroyed and standing != record:
        report.problem(f"{path}: another key record stands for {record.sha256}")


def _take(ring: KeyRing, place: KeyPlace, path: str, report: SyncReport) -> None:
    try:
        record = _good(ring, place, path)
        if record is None:
            return
        ring.index.add(record)
        report.found += 1
    except StoreUnavailableError:
        raise
    except (EvidenceError, StoreError) as error:
        report.problem(f"{path}: {error.what}")


def _good(ring: KeyRing, place: KeyPlace, path: str) -> KeyRecord | None:
    """The record at a path, proved; None when it went meanwhile or its key was destroyed elsewhere."""
    text = place.read(path)
    if text is None:
        return None
    record = records.parse_record(text)
    if records.record_path(record.sha256) != path:
        raise IntegrityError("a key record in the place of another")
    ring.key_of(record)
    return None if ring.is_gone(record) else record


def read_all(ring: KeyRing) -> Iterator[KeyRecord]:
    """See :meth:`storage.keyring.KeyRing.read_all`. Places that do not answer are passed over; malformed files too."""
    last = ""
    for path, name in heapq.merge(*(_paths(ring.place(name), "objects") for name in ring.places)):
        if path == last:
            continue
        try:
            record = _good(ring, ring.place(name), path)
        except EvidenceError:
            continue  # another place may have a good one, whose turn is next
        last = path
        if record is not None:
            yield record
    last = ""
    for path, name in heapq.merge(*(_paths(ring.place(name), "gone") for name in ring.places)):
        if path == last:
            continue
        try:
            text = ring.place(name).read(path)
            gone = records.parse_gone(text or b"")
        except EvidenceError:
            continue
        last = path
        yield gone


def _paths(place: KeyPlace, folder: str) -> Iterator[tuple[str, str]]:
    try:
        for path in place.paths(folder):
            yield path, place.name
    except StoreUnavailableError:
        return


def rebuild_index(ring: KeyRing) -> int:
    """See :meth:`storage.keyring.KeyRing.rebuild_index`.

    A tombstone counts when no place has a live record of that key, or when the record's key proves it; a forged one is passed
    over, because the live record comes first.
    """
    count = 0
    for record in ring.read_all():
        known = ring.index.find(record.sha256)
        if record.destroyed and known is not None and not known.destroyed:
            continue  # the live record was looked at before: no tombstone that its key proves was there
        ring.index.add(record)
        count += 1
    return count
