"""Places for keys brought up to date: what a place that was away lacks, and what it has that must go.

The index is the hub: what only a place has comes into it, what a place lacks goes out of it. Two things are never taken on
trust from a place: a record that its own key does not prove, and a tombstone that the key it would destroy does not prove.

Everything here may be stopped and begun again: it only looks at what is there now.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from evidence.data_keys import KeyRecord
from evidence.errors import (
    EvidenceError,
    IntegrityError,
    KeyUnavailableError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from storage import key_records as records
from storage.key_places import KeyPlace
from storage.key_report import SyncReport

if TYPE_CHECKING:
    from storage.keyring import KeyRing


def sync(ring: KeyRing, place: KeyPlace, *, stop: Callable[[], bool]) -> SyncReport:
    """See :meth:`storage.keyring.KeyRing.sync`."""
    report = SyncReport(place.name)
    others = [ring.place(name) for name in ring.places if name != place.name]
    _copy_missing(place, others, "epochs", report)
    for problem in ring.spread_months(place.name):
        report.problem(problem)
    _copy_missing(place, others, "gone", report)
    _apply_tombstones(ring, place, report)
    _drop_asides(place)
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


def _drop_asides(place: KeyPlace) -> None:
    """Damaged records that were set aside go with their object's key, also where the place was away when that was destroyed."""
    asides = list(place.paths(records.ASIDE))
    if not asides:
        return
    gone = {path.rpartition("/")[2].partition(".")[0] for path in place.paths("gone")}
    for path in asides:
        if path.split("/")[1] in gone:
            place.remove(path)


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
            _agree(ring, place, path, waiting[1], report)
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
        report.name(report.given, record.sha256)
    except (StoreUnavailableError, StoreFullError):
        raise  # of the place as a whole, not of this record
    except EvidenceError as error:
        if error.fatal:
            raise
        known = ring.index.find(record.sha256)
        if known is not None and not known.destroyed:  # else destroyed meanwhile
            report.damage(record.sha256, f"{records.record_path(record.sha256)}: {error.what}")


def _agree(ring: KeyRing, place: KeyPlace, path: str, record: KeyRecord | None, report: SyncReport) -> None:
    """Both have a record: it must be the same key, and none that is known to be destroyed."""
    if record is None:
        return
    try:
        text = place.read(path)
    except StoreUnavailableError:
        raise
    except StoreError as error:  # a bad sector: this one file tells nothing, the others are looked at
        report.damage(record.sha256, f"{path}: {error.what}")
        return
    if text is None:
        return
    if not record.destroyed:
        if text != records.record_text(record):
            _mend(ring, place, text, record, report)
        return
    try:
        standing = records.parse_record(text)
    except IntegrityError as error:
        report.problem(f"{path}: {error.what}")
        return
    if standing.wrapped_sha256 == record.wrapped_sha256:
        report.problem(f"{path}: this key counts as destroyed, yet no tombstone that it proves was found")


def _mend(ring: KeyRing, place: KeyPlace, standing: bytes, record: KeyRecord, report: SyncReport) -> None:
    """Write a damaged record anew, if the index's own is proved by its key and what stands there is no other good one.

    Crash: the damaged bytes lie aside before they go; a record that is missing then is brought back by the next look.
    """
    path = records.record_path(record.sha256)
    try:
        ring.key_of(record)
        if _may_be_good(ring, standing, record):
            report.damage(record.sha256, f"{path}: another key record stands for {record.sha256}")
            return
        place.write_new(records.aside_path(record.sha256, standing), standing)
        place.remove(path)
        ring.ensure(record, at=(place.name,))
    except (StoreUnavailableError, StoreFullError):
        raise
    except EvidenceError as error:
        if error.fatal:
            raise
        report.damage(record.sha256, f"{path}: {error.what}")
        return
    report.name(report.mended, record.sha256)


def _may_be_good(ring: KeyRing, standing: bytes, record: KeyRecord) -> bool:
    """Whether what stands there is the record of another key of the object, or cannot be told from one."""
    try:
        other = records.parse_record(standing)
    except IntegrityError:
        return False
    if other.sha256 != record.sha256 or other.wrapped_sha256 == record.wrapped_sha256:
        return False
    try:
        ring.open_epoch(other.epoch)
    except KeyUnavailableError:
        return True  # its month does not open here: nobody can say what it is
    try:
        ring.key_of(other)
    except (IntegrityError, KeyUnavailableError):
        return False
    return True


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
