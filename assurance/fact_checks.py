"""The catalogue's facts against the log's, in both directions: nothing altered, nothing invented, nothing dropped.

What the log tells comes from :mod:`assurance.projection` and :mod:`assurance.registry`; the entries themselves were checked
by :mod:`assurance.log_entries` before. Findings name columns, never values: values may be personal.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from assurance.backup_checks import check_backups
from assurance.copy_checks import MANIFEST_BYTES_MAX
from assurance.log_entries import LogFacts, fingerprint
from assurance.projection import BlobFact, project, timeline_events
from assurance.registry import Registry
from assurance.report import Finding, VerifyProgress
from assurance.rules_checks import check_all_there, check_matters, check_rules
from catalogue import Catalogue, UnitOfWork
from catalogue.records import NameRow, RecordingRow, TimelineRow
from evidence import manifest as manifests
from evidence.digest import SHA256, Digest
from evidence.errors import EvidenceError, ManifestInvalidError, NotFoundError
from evidence.ids import OffloadId, RecordingId
from evidence.model import DeviceState
from evidence.ports import BlobStore

#: Derived from the log's tables (or from the recording's rules, which are compared by themselves) at every look, or moving ahead
#: of the log while a transfer runs.
_NOT_TOLD: Final = {"stored_index", "sealed", "bytes_acquired", "disposing_at", "disposed_at"}
RECORDING_FIELDS: Final = tuple(field.name for field in dataclasses.fields(RecordingRow) if field.name not in _NOT_TOLD)
#: What a registration fixes; the ledger's other columns are observations that each docking renews.
DEVICE_FIELDS: Final = (
    "id", "state", "driver", "kind", "serial", "serial_source", "vendor", "model", "label", "unit", "officer",
    "registered_by", "registered_at",
)  # fmt: skip
#: What the log tells of a docking; where it hung and what waited on it are observations of the moment.
OFFLOAD_FIELDS: Final = (
    "id", "device", "state", "driver", "address", "started_at", "ended_at", "battery_percent", "capacity_bytes",
    "free_bytes", "clock_known", "clock_plausible", "clock_offset_ms", "clock_device_text", "clock_set",
)  # fmt: skip
BRAKE_FIELDS: Final = ("pulled", "cause", "agent", "since")
#: So many recordings are compared in one transaction: long ones would keep SQLite from tidying its write-ahead log.
_AT_ONE_MOMENT: Final = 200
_NAMED_MAX: Final = 10


def check_facts(
    catalogue: Catalogue, log: LogFacts, *, stores: dict[str, BlobStore], progress: VerifyProgress
) -> tuple[int, list[Finding]]:
    """Compare recordings, names, derivatives, stated copies, manifests, matters, dockings, and who is who.

    Returns how many recordings there are.

    Rows and log are compared as they are at one moment: each transaction first catches up with the log, so that what a
    running service adds is no finding.
    """
    findings: list[Finding] = []
    with catalogue.read() as uow:
        recordings = list(uow.recordings.all_ids())
    for start in range(0, len(recordings), _AT_ONE_MOMENT):
        with catalogue.read() as uow:
            log.catch_up(uow.outbox)
            for done, recording in enumerate(recordings[start : start + _AT_ONE_MOMENT], start + 1):
                findings += _check_recording(uow, recording, log, stores)
                progress("catalogue", done, len(recordings))
    with catalogue.read() as uow:
        matters = uow.matters.all_ids()
    for start in range(0, len(matters), _AT_ONE_MOMENT):
        with catalogue.read() as uow:
            log.catch_up(uow.outbox)
            findings += check_matters(uow, matters[start : start + _AT_ONE_MOMENT], log)
    with catalogue.read() as uow:
        log.catch_up(uow.outbox)
        findings += check_all_there(uow, log.registry.matters)
        findings += _check_present(uow, log.discovered.difference(recordings))
        findings += check_registry(uow, log.registry)
        findings += _check_offloads(uow, log.registry)
        findings += _check_brake(uow, log.registry)
        findings += check_backups(uow, log.registry)
    return len(recordings), findings


def _check_present(uow: UnitOfWork, told: Iterable[str]) -> Iterator[Finding]:
    for recording in sorted(told):
        try:
            uow.recordings.get(RecordingId(recording))
        except EvidenceError:
            detail = "the log tells of it, the catalogue does not"
            yield Finding(kind="recording-missing", recording=recording, detail=detail)


def _differs(recording: str, detail: str) -> Finding:
    return Finding(kind="catalogue-differs", recording=recording, detail=detail)


def _check_recording(
    uow: UnitOfWork, recording: RecordingId, log: LogFacts, stores: dict[str, BlobStore]
) -> Iterator[Finding]:
    try:
        row = uow.recordings.get(recording)
        timeline = uow.timeline(recording)
        told = project(timeline_events(timeline))
    except EvidenceError as error:
        yield _differs(recording, f"it cannot be compared with the log: {error}")
        return
    if told is None:
        yield Finding(kind="recording-unknown", recording=recording, detail="no entry tells of it")
        return
    if _sum(timeline, log) != log.fingerprints.get(recording, 0):
        yield _differs(recording, "its timeline is not what the log says")
    yield from check_rules(uow, told)
    wrong = _differing(row, told.row, twins=log.duplicates.get(recording, []), uow=uow)
    if wrong:
        yield _differs(recording, f"not what the log says: {', '.join(wrong)}")
    hidden = uow.search_index.differing(recording)
    if hidden:
        yield _differs(recording, f"what it is found by is not what its facts say: {', '.join(hidden)}")
    yield from _check_names(uow, row, log)
    going = {one.holder for one in uow.references.removals_of(recording)}
    derivatives = {one.id: one for one in told.derivatives if f"derivative:{one.id}" not in going}
    if {one.id: one for one in uow.derivatives.of(recording)} != derivatives:
        yield _differs(recording, "its derivatives are not what the log says")
    for blob in told.blobs:
        if (
            blob.holder not in going
        ):  # past the point of no return: told apart, its entry comes when the last copy is gone
            yield from _check_blob(uow, recording, blob)
    if row.manifest_sha256:
        yield from _check_manifest(uow, row, timeline, stores)


def _sum(timeline: list[TimelineRow], log: LogFacts) -> int:
    """Whatever a page shows of an entry counts: its values, when it was made, and by whom."""
    return sum(
        fingerprint(one.entry, one.public, one.disclosed, event_type=one.event_type, at=one.at, actor=one.actor)
        for one in timeline
        if log.examined(one)
    )


def _differing(row: RecordingRow, told: RecordingRow, *, twins: list[str], uow: UnitOfWork) -> list[str]:
    """Columns that differ. A kept recording is also important when a twin of it was."""
    wrong = [name for name in RECORDING_FIELDS if getattr(row, name) != getattr(told, name)]
    if "important" in wrong and row.important and any(_is_important(uow, twin) for twin in twins):
        wrong.remove("important")
    return wrong


def _is_important(uow: UnitOfWork, recording: str) -> bool:
    try:
        return uow.recordings.get(RecordingId(recording)).important
    except EvidenceError:
        return False


def _check_names(uow: UnitOfWork, row: RecordingRow, log: LogFacts) -> Iterator[Finding]:
    """A kept recording carries its duplicates' names, all of them and no others (its own may be repeated)."""
    own = (row.name, row.source.path)
    here = {_name(one) for one in uow.recordings.names(row.id)}
    told = set()
    for twin in log.duplicates.get(row.id, []):
        try:
            other = uow.recordings.get(RecordingId(twin))
        except EvidenceError:
            continue  # told as a missing recording
        told.add((other.name, other.source.path, other.offload, other.discovered_at, other.important))
    if {one for one in here if one[:2] != own} != {one for one in told if one[:2] != own}:
        yield _differs(row.id, "its names are not what the log says")


def _name(row: NameRow) -> tuple[str, str, OffloadId, datetime, bool]:
    return row.name, row.path, row.offload, row.seen_at, row.important


def _check_blob(uow: UnitOfWork, recording: RecordingId, told: BlobFact) -> Iterator[Finding]:
    """Everything the log says is stored must be known here with at least those copies (more may have been made since)."""
    blob = uow.blobs.get(told.sha256)
    where = told.holder.partition(":")[0]
    if blob is None or told.holder not in blob.holders:
        yield Finding(kind="blob-unrecorded", recording=recording, detail=f"{where} {told.sha256} has no row")
        return
    if told.size_bytes is not None and blob.size_bytes != told.size_bytes:
        yield _differs(recording, f"the size of its {where} is not what the log says")
    if told.blake3 is not None and blob.blake3 != told.blake3:
        yield _differs(recording, f"the BLAKE3 digest of its {where} is not what the log says")
    here = {(copy.store, copy.key, copy.version): copy for copy in blob.copies}
    for copy in told.copies:
        found = here.get((copy.store, copy.key, copy.version))
        if found is not None and found.domain != copy.domain and len(blob.holders) == 1:
            # Bytes that several hold may have been seen later, when the disk had another name.
            yield _differs(recording, f"the failure domain of its {where} is not what the log says")
        if found is None:
            yield Finding(
                kind="blob-unrecorded", recording=recording, store=copy.store, detail=f"{where}: a copy has no row"
            )


def _check_manifest(
    uow: UnitOfWork, row: RecordingRow, timeline: list[TimelineRow], stores: dict[str, BlobStore]
) -> Iterator[Finding]:
    """The manifest must say what the row says and rest on entries of this recording. Its bytes are checked with the copies."""
    sha256 = Digest(SHA256, row.manifest_sha256)
    blob = uow.blobs.get(sha256)
    for store in stores.values():
        try:
            with store.open(sha256) as stream:
                data = stream.read(MANIFEST_BYTES_MAX + 1)
            found = manifests.parse(data)
        except ManifestInvalidError as error:
            yield Finding(kind="manifest-invalid", recording=row.id, store=store.properties.name, detail=str(error))
            return
        except EvidenceError:
            continue  # told with the copies
        entries = {one.entry for one in timeline}
        says = (found.recording, found.sha256, found.sm3, found.size_bytes, found.device)
        is_so = (row.id, _hex(row.sha256), _hex(row.sm3), row.size_bytes, row.device)
        if says != is_so or any(entry.entry not in entries for entry in found.entries):
            name = store.properties.name
            yield Finding(kind="manifest-invalid", recording=row.id, store=name, detail="it contradicts the log")
        if blob is not None and blob.size_bytes != len(data):  # the log does not state it
            yield _differs(row.id, "the size of its manifest is not what is stored")
        return


def _hex(digest: Digest | None) -> str:
    return digest.hex if digest is not None else ""


def check_registry(uow: UnitOfWork, told: Registry) -> Iterator[Finding]:
    """Units, agents, roles and recorders: above all, no role may stand in the catalogue that nobody granted in the log."""
    here = {unit.id: unit for unit in uow.people.units()}
    if here != told.units:
        yield _differs("", f"units are not what the log says: {_named(_odd(here, told.units))}")
    agents = {agent.id: agent for agent in uow.people.agents()}
    if agents != told.agents:
        yield _differs("", f"agents are not what the log says: {_named(_odd(agents, told.agents))}")
    roles = {role for agent in agents for role in uow.people.roles(agent)}
    if roles != told.roles:
        odd = (f"{one.role} of {one.agent} for {one.unit or 'everything'}" for one in roles ^ told.roles)
        yield _differs("", f"roles are not what the log says: {_named(odd)}")
    posts = {post for agent in agents for post in uow.people.posts(agent)}
    if posts != set(told.posts):
        odd = (f"{one.agent} in {one.unit}" for one in posts ^ set(told.posts))
        yield _differs("", f"posts are not what the log says: {_named(odd)}")
    for device in uow.devices.all():
        entered = told.devices.get(device.id)
        if entered is None and device.state is DeviceState.PENDING and device.registered_at is None:
            continue  # seen, never registered: an observation
        wrong = ["no entry"] if entered is None else _odd_columns(device, entered, DEVICE_FIELDS)
        if wrong:
            yield _differs("", f"recorder {device.id} is not what the log says: {', '.join(wrong)}")
    for missing in told.devices:
        try:
            uow.devices.get(missing)
        except NotFoundError:
            yield _differs("", f"recorder {missing} is gone from the ledger")


def _check_brake(uow: UnitOfWork, told: Registry) -> Iterator[Finding]:
    """The brake on removals: nobody pulls or releases it past the log. What was said about it is personal."""
    wrong = _odd_columns(uow.brakes.look(), told.brake, BRAKE_FIELDS)
    if wrong:
        yield _differs("", f"the brake on removals is not what the log says: {', '.join(wrong)}")


def _check_offloads(uow: UnitOfWork, told: Registry) -> Iterator[Finding]:
    """Dockings: above all the recorder's clock as it was found before it was set."""
    for offload, entered in told.offloads.items():
        try:
            wrong = _odd_columns(uow.offloads.get(offload), entered, OFFLOAD_FIELDS)
        except NotFoundError:
            wrong = ["no row"]
        if wrong:
            yield _differs("", f"docking {offload} is not what the log says: {', '.join(wrong)}")


def _odd(here: Mapping[Any, object], told: Mapping[Any, object]) -> Iterator[str]:
    return (str(key) for key in here.keys() | told.keys() if here.get(key) != told.get(key))


def _named(things: Iterable[str]) -> str:
    """The first few by name (identities say nothing personal), and how many more there are."""
    named = sorted(set(things))
    more = f" and {len(named) - _NAMED_MAX} more" if len(named) > _NAMED_MAX else ""
    return ", ".join(named[:_NAMED_MAX]) + more


def _odd_columns(here: object, told: object, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if getattr(here, name) != getattr(told, name)]
