"""What is on a docked recorder, against what is already here.

Every file becomes a row with its entry before a byte of it is read, so that a file that vanishes later was seen. Names that
are still being written wait for the next look (:mod:`ingest.waiting`). A file that is known and held is not read again; one
that was interrupted goes on where it stopped; one that was known and is gone before it came in is a finding (R8).

Crash: rows are committed in batches; the next listing finds them again by their identity on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from catalogue import UnitOfWork
from catalogue.records import DeviceRow, OffloadRow, RecordingRow
from devices.session import still_growing, unlisted
from evidence.clock import TimeReading, to_text, unix_ms
from evidence.events import RecordingDiscovered
from evidence.ids import RecordingId
from evidence.limits import RECORDING_BYTES_MAX
from evidence.model import (
    ClockOffset,
    DeviceIdentity,
    ParsedName,
    RecordingKind,
    RecordingState,
    SourceKey,
    SourceObject,
)
from evidence.ports import DeviceSession
from ingest import binding, deadlines, times
from ingest.clock_watch import Moment
from ingest.parts import Parts, quarantine, raise_finding
from ingest.states import UNREAD
from ingest.waiting import still_written

ParseName = Callable[[str], ParsedName]
_BATCH = 100
#: Why a reading stopped, where the file is to blame and not the plug, the disk or a stop of ours (``acquire.reason_of``).
_OF_THE_FILE = frozenset({"medium", "source-changed", "device-timeout", "device-stalled", "device-protocol"})
_SIDE_KINDS = frozenset({RecordingKind.TRACK, RecordingKind.TEXT})


@dataclass(frozen=True, slots=True)
class Pending:
    """A file to read: its row and its object on the device."""

    row: RecordingRow
    source: SourceObject


@dataclass(slots=True)
class Discovery:
    """What a listing found.

    Attributes:
        pending: Files to read, earliest deadline first.
        known: Recordings that are already here.
        waiting: Names still being written.
        too_large: Recordings beyond the size limit: registered, flagged, not read.
    """

    pending: list[Pending] = field(default_factory=list)
    known: list[RecordingId] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    too_large: list[RecordingId] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Docking:
    """The facts of one docking that every new row needs."""

    device: DeviceRow
    offload: OffloadRow
    identity: DeviceIdentity
    clock: ClockOffset | None
    moment: Moment

    def deadline(self, begun: times.Started, *, discovered_at: datetime, within: timedelta) -> datetime | None:
        """When a recording is due; None (unknown) while our own clock is not believed."""
        if not self.moment.believed:
            return None
        return deadlines.deadline(begun, duration=None, discovered_at=discovered_at, within=within)


@dataclass(frozen=True, slots=True)
class _Listed:
    source: SourceObject
    parsed: ParsedName


def discover(parts: Parts, docking: Docking, session: DeviceSession, parse: ParseName) -> Discovery:
    """Register what a recorder lists.

    Args:
        parts: The parts of intake.
        docking: The docking's facts; its offload row exists.
        session: The open recorder; it is listed once.
        parse: The file-name table.

    Returns:
        What to read and what not; rows and entries are durable.
    """
    found = Discovery()
    everything = [_Listed(source, parse(source.key.path)) for source in session.list_objects()]
    waiting = _waiting(parts, docking.device, everything)
    found.waiting = [item.source.name for item in everything if item.source.key in waiting]
    listed = [item for item in everything if item.source.key not in waiting]
    # Media first, so that a side file finds the recording it belongs to.
    listed.sort(key=lambda item: (item.parsed.kind in _SIDE_KINDS, item.source.key))
    partners = _Partners()
    for batch in _slices(listed, _BATCH):
        with parts.catalogue.begin() as uow:
            for item in batch:
                _take(parts, uow, docking, item, partners=partners, found=found)
    if not unlisted(session):  # what may lie in a folder that cannot be read has not vanished
        _report_missing(parts, docking, everything, still_growing(session))
    found.pending.sort(key=_earliest_deadline)
    return found


def _waiting(parts: Parts, device: DeviceRow, listed: Iterable[_Listed]) -> set[SourceKey]:
    keys = [item.source.key for item in listed if item.parsed.being_written]
    if not keys:
        return set()
    with parts.catalogue.begin() as uow:
        return still_written(uow, device.id, keys, now=parts.clock.now().wall)


def has_news(
    parts: Parts, device: DeviceRow, session: DeviceSession, parse: ParseName, *, held: frozenset[SourceKey]
) -> tuple[bool, frozenset[SourceKey]]:
    """Whether the open source lists a file that is to be read. Registers nothing and reads no footage.

    Args:
        parts: The parts of intake.
        device: The source's row in the ledger.
        session: The open source; it is listed once.
        parse: The file-name table.
        held: Files that a look before this one found held already: a folder of many thousands is not asked for in vain.

    Returns:
        That, and the files found held up to now.
    """
    listed = [_Listed(source, parse(source.key.path)) for source in session.list_objects()]
    ready = {item.source.key for item in listed} - _waiting(parts, device, listed)
    known = ready & held
    with parts.catalogue.read() as uow:
        unread = {row.source for row in uow.recordings.of_device(device.id, states=UNREAD)}
        if not ready.isdisjoint(unread):
            return True, frozenset(known - unread)
        for key in sorted(ready - held):
            if _known(uow, device, key) is None:
                return True, frozenset(known)
            known.add(key)
    return False, frozenset(known)


def _known(uow: UnitOfWork, device: DeviceRow, key: SourceKey) -> RecordingRow | None:
    """The recording of that very file on that recorder, as long as it was not cleared: its name may be used again."""
    row = uow.recordings.find_by_source(device.id, key)
    return None if row is not None and row.released_at is not None else row


def _slices(items: Sequence[_Listed], size: int) -> Iterable[Sequence[_Listed]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _earliest_deadline(pending: Pending) -> tuple[bool, datetime, bool, SourceKey]:
    """Files that stopped a docking before by themselves come last, so that a few bad ones never keep the others out."""
    row = pending.row
    stopped_before = row.interrupted_reason in _OF_THE_FILE
    return (stopped_before, row.deadline_at or row.discovered_at, row.kind in _SIDE_KINDS, row.source)


class _Partners:
    """Finds the recording that a side file belongs to: the same stem, else the same start on the same recorder."""

    def __init__(self) -> None:
        self._by_stem: dict[str, RecordingId] = {}
        self._by_time: dict[tuple[str, datetime], RecordingId] = {}

    def add(self, row: RecordingRow, parsed: ParsedName) -> None:
        self._by_stem.setdefault(PurePosixPath(row.name).stem, row.id)
        if parsed.local_time is not None:
            self._by_time.setdefault((parsed.device_code, parsed.local_time), row.id)

    def of(self, name: str, parsed: ParsedName) -> RecordingId | None:
        partner = self._by_stem.get(PurePosixPath(name).stem)
        if partner is None and parsed.local_time is not None:
            partner = self._by_time.get((parsed.device_code, parsed.local_time))
        return partner


def _take(
    parts: Parts, uow: UnitOfWork, docking: Docking, item: _Listed, *, partners: _Partners, found: Discovery
) -> None:
    row = _known(uow, docking.device, item.source.key)
    if row is None:
        row = _register(parts, uow, docking, item, partners)
    if item.parsed.kind not in _SIDE_KINDS:
        partners.add(row, item.parsed)
    if row.state not in UNREAD:
        found.known.append(row.id)
    elif row.size_bytes > RECORDING_BYTES_MAX:
        quarantine(parts, uow, row, "too-large", at=parts.clock.now())
        found.too_large.append(row.id)
    else:
        found.pending.append(Pending(_with_deadline(parts, docking, row), item.source))


def _with_deadline(parts: Parts, docking: Docking, row: RecordingRow) -> RecordingRow:
    """A recording that was listed while our clock was not believed gets its deadline when it is read by a believed one.

    The entry of its acquisition states it. And the other way round: read by a clock that is not believed, it has none.
    """
    if row.deadline_at is not None and docking.moment.believed:
        return row
    begun = times.Started(row.started_at, row.started_source)
    within = parts.settings.hand_in_within
    return replace(row, deadline_at=docking.deadline(begun, discovered_at=docking.moment.not_before, within=within))


def _register(parts: Parts, uow: UnitOfWork, docking: Docking, item: _Listed, partners: _Partners) -> RecordingRow:
    at = parts.clock.now()
    key, parsed = item.source.key, item.parsed
    side_of = partners.of(item.source.name, parsed) if parsed.kind in _SIDE_KINDS else None
    row = _row_of(parts, uow, docking, item, at=at, side_of=side_of)
    uow.recordings.add(row)
    event = RecordingDiscovered(
        recording=row.id,
        offload=docking.offload.id,
        device=docking.device.id,
        kind=row.kind,
        pattern=row.pattern,
        size_bytes=row.size_bytes,
        at=to_text(at.wall),
        important=row.important,
        attached_to=row.attached_to or "",
        counter=-1 if row.counter is None else row.counter,
        started_at=to_text(row.started_at) if row.started_at else "",
        started_source=row.started_source,
        deadline_at=to_text(row.deadline_at) if row.deadline_at else "",
        officer_source=row.officer_source,
        officer_confidence=row.officer_confidence,
        name=row.name,
        path=key.path,
        storage=key.storage,
        mtime_raw=key.mtime_raw,
        officer=row.officer,
        officer_code=row.officer_code or None,
        case_number=row.case_number or None,
        unit=row.unit,
    )
    parts.enter(uow, event, at=at)
    if parsed.being_written:  # it waited in vain for the end of the recording
        detail = f"{row.name}: its name says that it is being written, and it has not changed for long"
        row = quarantine(parts, uow, row, "truncated", detail=detail, at=at)
    return row


def _row_of(
    parts: Parts, uow: UnitOfWork, docking: Docking, item: _Listed, *, at: TimeReading, side_of: RecordingId | None
) -> RecordingRow:
    parsed = item.parsed
    # An offset against a clock of ours that is wrong corrects nothing; and a name is not ahead of a time already seen.
    recorder_clock = docking.clock if docking.moment.believed else None
    begun = times.started(parsed, clock=recorder_clock, discovered_at=max(at.wall, docking.moment.not_before))
    bound = binding.bind(uow, parsed, identity=docking.identity, device=docking.device, recorded_at=begun.at or at.wall)
    return RecordingRow(
        id=RecordingId.new(unix_ms(at.wall)),
        device=docking.device.id,
        offload=docking.offload.id,
        state=RecordingState.DISCOVERED,
        kind=parsed.kind,
        pattern=parsed.pattern,
        name=item.source.name,
        source=item.source.key,
        size_bytes=item.source.key.size_bytes,
        discovered_at=at.wall,
        important=parsed.important,
        counter=parsed.counter,
        attached_to=side_of,
        case_number=parsed.case_number,
        officer=bound.officer,
        officer_code=bound.officer_code,
        officer_source=bound.source,
        officer_confidence=bound.confidence,
        unit=bound.unit,
        started_at=begun.at,
        started_source=begun.source,
        deadline_at=docking.deadline(begun, discovered_at=at.wall, within=parts.settings.hand_in_within),
    )


def _report_missing(parts: Parts, docking: Docking, listed: Sequence[_Listed], growing: frozenset[str]) -> None:
    """A file we saw and never finished reading is no longer there, or is another one: nobody may do that unnoticed (R8)."""
    keys = {item.source.key for item in listed}
    places = {(key.storage, key.path) for key in keys}
    with parts.catalogue.begin() as uow:
        for row in uow.recordings.of_device(docking.device.id, states=UNREAD):
            if row.source in keys:
                continue
            changed = (row.source.storage, row.source.path) in places or row.source.path in growing
            kind = "source-changed" if changed else "source-missing"
            raise_finding(parts, uow, kind, recording=row.id, detail=row.name, at=parts.clock.now())
