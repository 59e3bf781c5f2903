"""``liuhen rebuild``: every catalogue fact about evidence again, from the published log, the disclosures and the stores.

The log is examined first and nothing is built from one that is not sound. Entries go in byte for byte, so signatures, leaves
and the signers' sequence go on where they stood. Facts come from the same folds that verification compares with
(:mod:`assurance.projection`, :mod:`assurance.registry`). The target must be an empty catalogue; if we crash, throw it away
and begin again.

What does not come back: sessions, passwords, settings, findings (they are no evidence), entries that were never published,
and personal values that were erased.

Source: docs/invariants.md 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from assurance.brake import row_of
from assurance.keys_state import forget_backed_up, note_key_made
from assurance.matter_facts import MatterFacts
from assurance.projection import BlobFact, Projection, project, timeline_events
from assurance.registry import Registry
from catalogue import Catalogue, UnitOfWork
from catalogue.backups import GOOD, KEYS, BackupRow
from catalogue.brakes import BrakeRow
from catalogue.records import NameRow, RecordingRow
from catalogue.rules import RulesRow
from chain_of_custody.checkpoint import NoteVerifier
from chain_of_custody.disclosures import open_all
from chain_of_custody.entry import Entry, parse
from chain_of_custody.fsck import verify_published
from chain_of_custody.merkle import leaf_hash
from chain_of_custody.reader import LogReader
from chain_of_custody.tiles import GrowingTree
from evidence.digest import Digest
from evidence.errors import (
    EvidenceError,
    IntegrityError,
    SplitViewError,
    StateConflictError,
)
from evidence.events import BrakeChanged, Event, RecordingDiscovered, RecordingDuplicate
from evidence.ids import EntryId, RecordingId, UnitId
from evidence.limits import SEAL_BATCH_MAX
from evidence.log_place import LogPlace
from evidence.ports import BlobStore, Disclosure, LogHead

Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class RebuildReport:
    """What was restored, and what could not be: ``erased`` personal values, ``unread`` blobs no store could tell of."""

    entries: int = 0
    recordings: int = 0
    erased: int = 0
    unread: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Sizes:
    stores: list[BlobStore]
    told: Mapping[str, int]

    def of(self, sha256: Digest) -> int | None:
        """The size of bytes as a store tells it, else as a backup does."""
        for store in self.stores:
            try:
                return store.stat(sha256).size_bytes
            except EvidenceError:
                continue
        return self.told.get(sha256.hex)


@dataclass(slots=True)
class _Replay:
    registry: Registry = field(default_factory=Registry)
    recordings: list[RecordingId] = field(default_factory=list)
    duplicates: list[RecordingId] = field(default_factory=list)
    ids: list[EntryId] = field(default_factory=list)
    tree: GrowingTree = field(default_factory=GrowingTree)
    brake: BrakeRow | None = None


def rebuild(
    into: Catalogue,
    *,
    published: Path | LogPlace,
    vkey: str,
    disclosures: Iterable[Disclosure],
    stores: Iterable[BlobStore],
    sizes: Mapping[str, int] | None = None,
    progress: Progress | None = None,
) -> RebuildReport:
    """Fill an empty catalogue.

    Args:
        into: A migrated catalogue without a log.
        published: A copy of the published log, of any failure domain.
        vkey: The log's verifier key text.
        disclosures: Personal values that still exist (``DisclosureArchive.read_all``).
        stores: Stores, asked for the sizes of manifests.
        sizes: Sizes by SHA-256 (hexadecimal) that a backup tells, for what no store answers for.
        progress: Told of steps.

    Returns:
        Counts, once everything is committed.

    Raises:
        IntegrityError: The log is not sound; nothing was built from it.
        StateConflictError: The catalogue is not empty.
    """
    told = progress or (lambda _step, _done, _total: None)
    report = RebuildReport()
    with into.read() as uow:
        if uow.outbox.head() is not None or uow.people.agents():
            raise StateConflictError("a rebuild needs an empty catalogue", todo="Give it a new database.")
    found = verify_published(published, vkey)
    if found.checkpoint is None or not found.sound:
        first = found.findings[0].detail if found.findings else "nothing is published there"
        raise IntegrityError(
            f"the published log is not sound: {first}", kept="Nothing was built.", todo="Use a copy of another domain."
        )
    reader = LogReader(published, verifier=NoteVerifier.parse(vkey))
    by_digest = {one.digest: one for one in disclosures}
    replay = _replay(into, reader, by_digest, size=found.checkpoint.size, report=report, told=told)
    if replay.tree.root() != found.checkpoint.root:
        raise IntegrityError(
            "the published log gave other entries than were examined", kept="Nothing was built.",
            todo="Use a copy of another domain.",
        )  # fmt: skip
    with into.begin() as uow:
        uow.outbox.sequence(expected_size=0, entries=replay.ids, head=_head(reader, found.checkpoint.size))
        uow.outbox.mark_published(found.checkpoint.size)
        _write_registry(uow, replay.registry)
        _write_matters(uow, replay.registry.matters)
        if replay.brake is not None:
            uow.brakes.put(replay.brake)
    _write_recordings(into, replay, _Sizes(list(stores), sizes or {}), report=report, told=told)
    _write_documents(into, replay.registry.matters)
    return report


def _head(reader: LogReader, size: int) -> LogHead:
    """The head as it was when the log was examined; a directory that grows while it is read is not one to build from."""
    checkpoint = reader.checkpoint()
    if checkpoint.size != size:
        raise SplitViewError("the published log grew during the rebuild", todo="Stop the sealer, then begin again.")
    return LogHead(size, checkpoint.root, reader.note(), size)


def _replay(
    into: Catalogue, reader: LogReader, disclosures: dict[str, Disclosure], *, size: int, report: RebuildReport,
    told: Progress,
) -> _Replay:  # fmt: skip
    """Put every entry back, as it was signed, and fold what it tells of people and recorders."""
    replay = _Replay()
    for start in range(0, size, SEAL_BATCH_MAX):
        end = min(start + SEAL_BATCH_MAX, size)
        with into.begin() as uow:
            for _, envelope in reader.envelopes(start, end):
                _put_back(uow, envelope, disclosures, replay, report)
        told("log", end, size)
    return replay


def _put_back(
    uow: UnitOfWork, envelope: bytes, disclosures: dict[str, Disclosure], replay: _Replay, report: RebuildReport
) -> None:
    entry = parse(envelope)
    alive = [disclosures[digest] for digest in entry.sd if digest in disclosures]
    event = entry.event(open_all(entry.sd, [one.text for one in alive]))
    leaf = leaf_hash(envelope)
    replay.tree.append([leaf])
    turn = uow.outbox.next_turn(entry.signer)
    if (turn.seq, turn.prev) != (entry.seq, entry.prev):
        raise IntegrityError(f"entry {entry.id} does not follow its signer's last one")
    uow.outbox.add(
        entry=entry.id, event=event, envelope=envelope, leaf_sha256=leaf, key_id=entry.signer,
        turn=turn, disclosures=alive, at=entry.at,
    )  # fmt: skip
    report.entries += 1
    report.erased += len(entry.sd) - len(alive)
    _take_in(entry, event, replay)


def _take_in(entry: Entry, event: Event, replay: _Replay) -> None:
    replay.ids.append(entry.id)
    replay.registry.apply(event, at=entry.at)
    if isinstance(event, RecordingDiscovered):
        replay.recordings.append(RecordingId(event.recording))
    elif isinstance(event, RecordingDuplicate):
        replay.duplicates.append(RecordingId(event.recording))
    elif isinstance(event, BrakeChanged):
        replay.brake = row_of(event)


def _write_registry(uow: UnitOfWork, registry: Registry) -> None:
    written: set[UnitId] = set()
    waiting = list(registry.units.values())
    while waiting:  # parents before children, whatever the order of their entries
        ready = [unit for unit in waiting if unit.parent is None or unit.parent in written]
        if not ready:
            raise IntegrityError("the log's units form a circle")
        for unit in ready:
            uow.people.add_unit(unit)
            written.add(unit.id)
        waiting = [unit for unit in waiting if unit.id not in written]
    for agent in registry.agents.values():
        uow.people.add_agent(agent)
    for post in registry.posts:
        uow.people.add_post(post)
    for role in registry.roles:
        uow.people.grant(role)
    for device in registry.devices.values():
        uow.devices.add(device)
    for offload in registry.offloads.values():
        uow.offloads.add(offload)
    for name, since in registry.epochs.items():
        note_key_made(uow, name, since)
    for digest, at, place in {one[0]: one for one in registry.key_backups}.values():
        row = BackupRow(
            id=f"keys-{digest[:16]}", kind=KEYS, place=place, started_at=at, ended_at=at, outcome=GOOD, encrypted=True
        )
        uow.backups.add(row)
        forget_backed_up(uow)


def _write_matters(uow: UnitOfWork, told: MatterFacts) -> None:
    """Matters before recordings: a tombstone names the matter it was disposed of in."""
    for matter in told.folded.values():
        uow.matters.add(matter.row)
        for person in matter.persons.values():
            uow.matters.put_person(person)
        for link in matter.links.values():
            uow.matters.put_link(link)
        for document in matter.documents.values():
            uow.matters.add_document(document)
    for series, number in told.series.items():
        uow.matters.note_number(series, number)


def _write_documents(into: Catalogue, told: MatterFacts) -> None:
    with into.begin() as uow:
        for blob in told.blobs.values():
            if blob.size_bytes is not None:  # an entry about a document always states it
                _write_blob(uow, blob, blob.size_bytes)


def _write_recordings(
    into: Catalogue, replay: _Replay, sizes: _Sizes, *, report: RebuildReport, told: Progress
) -> None:
    """Rows first without their references to each other (a side file may be older than what it belongs to), then those."""
    references: list[tuple[RecordingId, dict[str, Any]]] = []
    for done, recording in enumerate(replay.recordings, 1):
        with into.begin() as uow:
            projection = project(timeline_events(uow.timeline(recording)))
            if projection is None:
                raise IntegrityError(f"{recording} is told of, but never discovered")
            links = _links(projection.row)
            if links:
                references.append((recording, links))
            _write_recording(uow, projection, sizes, report)
        report.recordings = done
        told("recordings", done, len(replay.recordings))
    with into.begin() as uow:
        for recording, links in references:
            uow.recordings.update(recording, **links)
        for recording in replay.duplicates:
            _add_twin(uow, uow.recordings.get(recording))


def _links(row: RecordingRow) -> dict[str, Any]:
    links = {"attached_to": row.attached_to, "duplicate_of": row.duplicate_of}
    return {name: value for name, value in links.items() if value is not None}


def _write_recording(uow: UnitOfWork, told: Projection, sizes: _Sizes, report: RebuildReport) -> None:
    uow.recordings.add(replace(told.row, attached_to=None, duplicate_of=None))
    if told.rules != RulesRow(recording=told.row.id):
        uow.rules.put(told.rules)
    uow.rules.mark_stale([told.row.id])
    for derivative in told.derivatives:
        uow.derivatives.add(derivative)
    for blob in told.blobs:
        size_bytes = blob.size_bytes if blob.size_bytes is not None else sizes.of(blob.sha256)
        if size_bytes is None:
            report.unread.append(str(blob.sha256))
            continue
        _write_blob(uow, blob, size_bytes)


def _write_blob(uow: UnitOfWork, blob: BlobFact, size_bytes: int) -> None:
    uow.blobs.add_holder(blob.sha256, size_bytes, blob.blake3, blob.holder)
    for copy in blob.copies:
        uow.blobs.put_copy(blob.sha256, copy)


def _add_twin(uow: UnitOfWork, twin: RecordingRow) -> None:
    """A duplicate gives its name, and its mark, to the recording that keeps its bytes."""
    if twin.duplicate_of is None:
        return
    uow.recordings.add_name(
        NameRow(
            recording=twin.duplicate_of, name=twin.name, path=twin.source.path, offload=twin.offload,
            seen_at=twin.discovered_at, important=twin.important,
        )
    )  # fmt: skip
    if twin.important:
        uow.recordings.update(twin.duplicate_of, important=True)
