"""Clearing a recorder: the only way footage leaves one (promise 1).

For each file, right before it goes and in this order: its bytes are claimed, so that nobody removes them meanwhile; the recording
is sealed; every copy and the manifest are read again from their media, and the keys of encrypted ones stand beside them; the
published log is read again from every directory and proves the entry; all of them lie in enough failure domains, a store that
was moved away from aside; the recorder still lists the very object; its bytes are read again and are those that were sealed; the
rows, locked, still say so. Then the driver removes that object against a receipt.

Crash: after the removal and before the commit the file is absent and the row says ``stored``; the next clearing finds it
absent and enters that. Whatever fails before leaves the file where it is.

What this does not do: remove anything by name or by handle, or clear a recorder's whole storage.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from catalogue import UnitOfWork
from catalogue.records import DeviceRow, RecordingRow
from chain_of_custody import NoteVerifier
from chain_of_custody.folder import place_of
from chain_of_custody.proof import proof_for, verify_proof
from chain_of_custody.reader import LogReader
from devices.session import still_growing, unlisted
from evidence.clock import to_text
from evidence.digest import SHA256, Digest
from evidence.errors import (
    BlobNotFoundError,
    DeviceGoneError,
    DeviceUnsupportedError,
    DigestMismatchError,
    EvidenceError,
    PolicyUnmetError,
    SourceChangedError,
    StoreUnavailableError,
)
from evidence.events import RecordingDuplicate, RecordingReleased, ReleaseRefused
from evidence.ids import EntryId, OffloadId, RecordingId
from evidence.log_place import LogPlace
from evidence.model import Actor, Cap, ClearingMode, RecordingState, ReleaseReceipt, SourceKey, SourceObject
from evidence.ports import BlobStore, DeviceSession
from evidence.transfer import transfer
from ingest.claims import claim
from ingest.copies import given_up, say_bad
from ingest.parts import Parts, raise_finding
from ingest.states import UNREAD
from storage.local import LocalStore
from storage.stores import ensure_key

_log = logging.getLogger(__name__)
_CLEARABLE = frozenset({RecordingState.STORED, RecordingState.DUPLICATE})
_KEPT = frozenset({RecordingState.STORED, RecordingState.RELEASED})
#: Longer than it takes to read the copies and the file again.
_CLAIMED = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Log:
    """The published log: where its copies lie, and the key that its checkpoints are signed with."""

    directories: tuple[Path | LogPlace, ...]
    verifier: NoteVerifier


@dataclass(frozen=True, slots=True)
class Ground:
    """Why a recording may leave its recorder: what was checked just now."""

    sha256: Digest
    size_bytes: int
    entry_index: int
    checkpoint_size: int
    domains: tuple[str, ...]
    stores: frozenset[str] = frozenset()


@dataclass(slots=True)
class ClearResult:
    """What a clearing did.

    Attributes:
        released: Removed from the recorder now, or found already absent.
        kept: Recording -> why it stays on the recorder.
        left: Other files that stay: (printable path, ``not-stored``, ``not-read`` or ``still-written``).
    """

    released: list[RecordingId] = field(default_factory=list)
    kept: dict[RecordingId, EvidenceError] = field(default_factory=dict)
    left: list[tuple[str, str]] = field(default_factory=list)


class Releaser:
    """Clears recorders.

    Args:
        parts: The parts of intake.
        log: The published log.
    """

    def __init__(self, parts: Parts, log: Log) -> None:
        self._parts = parts
        self._log = log

    # --- a whole recorder ---------------------------------------------------------------------------------------------
    def clear(
        self,
        session: DeviceSession,
        device: DeviceRow,
        *,
        actor: Actor,
        mode: ClearingMode,
        offload: OffloadId | None = None,
        only: frozenset[RecordingId] | None = None,
    ) -> ClearResult:
        """Remove everything of this recorder that is safe here, one file after the other.

        Args:
            session: The open recorder, whose identity is the one of ``device``.
            device: Its row in the ledger.
            actor: Who clears.
            mode: ``manual`` or ``automatic``; automatic leaves everything flagged for a person.
            offload: The docking, where known.
            only: Restrict to these recordings.

        Raises:
            DeviceUnsupportedError: This recorder cannot be cleared by us.
            DeviceGoneError: It left in between; what was released before is entered.
        """
        if Cap.DELETE not in session.caps:
            raise DeviceUnsupportedError(
                "this recorder cannot be cleared from here", todo="It is read-only, or clears itself by its own menu."
            )
        result = ClearResult()
        listed = _by_key(session.list_objects())
        uncertain = bool(unlisted(session))
        growing = still_growing(session)
        with self._parts.catalogue.read() as uow:
            rows = uow.recordings.of_device(device.id, states=_CLEARABLE)
            coming = {
                row.source for row in uow.recordings.of_device(device.id, states=UNREAD | {RecordingState.ACQUIRED})
            }
        for row in rows:
            if row.released_at is not None or (only is not None and row.id not in only):
                continue
            source = listed.get(row.source)
            try:
                if uncertain:
                    raise _not_everything_listed()
                if source is None and row.source.path in growing:
                    raise PolicyUnmetError("somebody still writes to it", kept="The file stays on the recorder.")
                self._clear_one(session, row, source, actor=actor, mode=mode, offload=offload)
                result.released.append(row.id)
            except DeviceGoneError:
                raise
            except EvidenceError as error:
                if error.fatal:
                    raise
                _log.info("%s stays on its recorder: %s", row.id, error.what)
                result.kept[row.id] = error
        self._confirm_absent(session, rows, set(result.released))
        if only is None:
            dealt_with = {row.source for row in rows if row.id in result.kept or row.id in result.released}
            for key in sorted(listed.keys() - dealt_with):
                result.left.append((key.path, "not-stored" if key in coming else "not-read"))
            result.left += [(path, "still-written") for path in sorted(growing)]
        return result

    def _confirm_absent(self, session: DeviceSession, rows: list[RecordingRow], released: set[RecordingId]) -> None:
        """A recorder that lists a file we removed did not remove it: say so, it will be taken in again."""
        if not released:
            return
        left = _by_key(session.list_objects())
        with self._parts.catalogue.begin() as uow:
            for row in rows:
                if row.id in released and row.source in left:
                    raise_finding(
                        self._parts,
                        uow,
                        "clearing-failed",
                        recording=row.id,
                        detail=row.name,
                        at=self._parts.clock.now(),
                    )

    # --- one file -----------------------------------------------------------------------------------------------------
    def _clear_one(
        self,
        session: DeviceSession,
        row: RecordingRow,
        source: SourceObject | None,
        *,
        actor: Actor,
        mode: ClearingMode,
        offload: OffloadId | None,
    ) -> None:
        if mode is ClearingMode.AUTOMATIC and row.quarantine_reason:
            raise PolicyUnmetError(f"flagged as {row.quarantine_reason}: a person must look first")
        if row.sha256 is not None:
            claim(self._parts, row.sha256, duration=_CLAIMED)
        ground = self.ground(row)
        docking = offload or row.offload
        if source is not None:
            self._require_same_bytes(session, row, source, ground, actor=actor, offload=docking)
            receipt = ReleaseReceipt(
                recording=row.id,
                device=row.device,
                source=row.source,
                sha256=ground.sha256,
                entry_index=ground.entry_index,
                checkpoint_size=ground.checkpoint_size,
                domains=ground.domains,
            )
            with self._parts.catalogue.begin() as uow:
                self._require_unchanged(uow, row)
                _require_kept(uow, row, ground)
            session.delete(source, receipt)
        self._say_released(row, ground, actor=actor, mode=mode, offload=docking, absent=source is None)

    def ground(self, row: RecordingRow) -> Ground:
        """Check afresh everything that must hold before a file may leave its recorder, the source itself excepted.

        Args:
            row: A stored recording, or a duplicate of one.

        Returns:
            What was found; good for this moment only.

        Raises:
            PolicyUnmetError: A condition does not hold yet, or too few failure domains.
            StoreError, IntegrityError: A copy, the manifest or the log cannot be read or is wrong.
        """
        with self._parts.catalogue.read() as uow:
            kept = uow.recordings.get(row.duplicate_of) if row.duplicate_of else uow.recordings.get(row.id)
        if kept.state not in _KEPT or kept.sha256 is None or kept.stored_entry is None:
            raise PolicyUnmetError("not stored yet")
        if row.sha256 != kept.sha256 or row.size_bytes != row.source.size_bytes:
            raise PolicyUnmetError("the bytes here are not those the recorder lists", todo="A person must look.")
        if kept.stored_index is None or not kept.sealed:
            raise PolicyUnmetError("not sealed yet", todo="Wait for the next checkpoint.")
        manifest = Digest(SHA256, kept.manifest_sha256)
        old = given_up(self._parts)
        copies, stores = self._domains_of("copies", kept.sha256, kept.blake3 or kept.sha256, old)
        manifests, with_manifest = self._domains_of("manifest", manifest, manifest, old)
        published, size = self._published(kept.stored_index, kept.stored_entry, kept.sha256, old)
        if (
            row.duplicate_of
        ):  # that the recorder held these bytes under this name, too, is said nowhere but in its own entry
            index, entry = self._duplicate_entry(row)
            proved, _ = self._published(index, entry, kept.sha256, old)
            published &= proved
        for what, domains in (("copies", copies), ("manifest", manifests), ("published log", published)):
            if len(domains) < self._parts.settings.domains_required:
                raise PolicyUnmetError(
                    f"{what}: {len(domains)} failure domain(s), {self._parts.settings.domains_required} required",
                    kept="The file stays on the recorder.",
                    todo="Put a store on another disk.",
                )
        return Ground(
            kept.sha256, kept.size_bytes, kept.stored_index, size, tuple(sorted(copies)), stores | with_manifest
        )

    def _domains_of(
        self, what: str, sha256: Digest, read_back: Digest, old: Collection[str]
    ) -> tuple[set[str], frozenset[str]]:
        """Domains, and stores, of the copies that can be read back now.

        Raises:
            PolicyUnmetError: Those copies are fewer than configured. DigestMismatchError, BlobNotFoundError: one is bad; told.
        """
        with self._parts.catalogue.read() as uow:
            blob = uow.blobs.get(sha256)
        domains: set[str] = set()
        good: set[str] = set()
        stores: set[str] = set()
        for copy in blob.copies if blob else ():
            if copy.store in old:  # it will be given up
                continue
            try:
                store = self._parts.stores.named(copy.store)
                store.verify(sha256, read_back)
                ensure_key(store, sha256)  # ciphertext without a key of its own beside it is lost with the other copies
                stores.add(copy.store)
                good.add(store.stat(sha256).bytes_at)  # one file under two stores is one copy
                domains.add(self._parts.stores.domain_of(copy.store))
            except StoreUnavailableError as error:
                _log.warning("store %s does not answer: %s", copy.store, error.what)
            except (DigestMismatchError, BlobNotFoundError) as error:
                with self._parts.catalogue.begin() as uow:
                    say_bad(self._parts, uow, sha256, copy.store, error)
                raise
        if len(good) < self._parts.settings.copies:
            # Also where one failure domain is allowed: a copy that cannot be read back now is no copy.
            raise PolicyUnmetError(
                f"{what}: {len(good)} copies of their own can be read back, {self._parts.settings.copies} are required",
                kept="The file stays on the recorder.",
                todo="Mount the missing store, or repair the one whose file is another name of a counted copy.",
            )
        return domains, frozenset(stores)

    def _duplicate_entry(self, row: RecordingRow) -> tuple[int, EntryId]:
        """Where the log says that this file has the bytes of a kept recording; PolicyUnmetError when it is not sealed."""
        with self._parts.catalogue.read() as uow:
            lines = [line for line in uow.timeline(row.id) if line.event_type == RecordingDuplicate.TYPE]
            said = uow.outbox.row_of(lines[-1].entry) if lines else None
        if said is None or said.index is None:
            raise PolicyUnmetError("not sealed yet", todo="Wait for the next checkpoint.")
        return said.index, said.entry

    def _published(self, index: int, entry: EntryId, sha256: Digest, old: Collection[str]) -> tuple[set[str], int]:
        """Domains whose published log proves the entry, read from the places themselves; the smallest tree size."""
        domains: set[str] = set()
        sizes: list[int] = []
        going = [store for store in self._parts.stores.raw if store.properties.name in old]
        for directory in self._log.directories:
            if any(_is_beside(directory, store) for store in going):  # it goes with that store
                continue
            try:
                reader = LogReader(directory, verifier=self._log.verifier)
                verdict = verify_proof(proof_for(reader, index), self._log.verifier, sha256=sha256.hex)
                if verdict.entry.id != entry:
                    raise PolicyUnmetError(f"the log in {directory} has another entry at {index}")
                domains.add(place_of(directory).domain)
                sizes.append(verdict.checkpoint.size)
            except (EvidenceError, OSError) as error:
                _log.warning("the published log in %s does not prove %s: %s", directory, entry, error)
        return domains, min(sizes, default=0)

    def _require_same_bytes(
        self,
        session: DeviceSession,
        row: RecordingRow,
        source: SourceObject,
        ground: Ground,
        *,
        actor: Actor,
        offload: OffloadId,
    ) -> None:
        hasher = self._parts.suite.new(SHA256)
        count = 0
        if source.key.size_bytes:
            with session.open_read(source) as stream:
                count = transfer(stream, None, [hasher])
        if source.key == row.source and count == ground.size_bytes and hasher.hexdigest() == ground.sha256.hex:
            return
        at = self._parts.clock.now()
        event = ReleaseRefused(
            actor=actor.agent,
            recording=row.id,
            sha256=ground.sha256.hex,
            offload=offload,
            device=row.device,
            reason="source-changed",
            at=to_text(at.wall),
        )
        with self._parts.catalogue.begin() as uow:
            self._parts.enter(uow, event, at=at)
            raise_finding(self._parts, uow, "source-changed", recording=row.id, detail=row.name, at=at)
        raise SourceChangedError(
            "the file on the recorder is not the one that was sealed",
            kept="The file stays on the recorder; the sealed copies are as they were.",
            todo="A person must look at the recorder.",
        )

    @staticmethod
    def _require_unchanged(uow: UnitOfWork, row: RecordingRow) -> RecordingRow:
        now = uow.recordings.lock(row.id)
        if now.state is not row.state or now.sha256 != row.sha256 or now.duplicate_of != row.duplicate_of:
            raise PolicyUnmetError(f"{row.id} changed while it was checked")
        return now

    def _say_released(
        self,
        row: RecordingRow,
        ground: Ground,
        *,
        actor: Actor,
        mode: ClearingMode,
        offload: OffloadId,
        absent: bool,
    ) -> None:
        at = self._parts.clock.now()
        event = RecordingReleased(
            actor=actor.agent,
            recording=row.id,
            sha256=ground.sha256.hex,
            offload=offload,
            device=row.device,
            mode=mode,
            already_absent=absent,
            entry_index=ground.entry_index,
            checkpoint_size=ground.checkpoint_size,
            at=to_text(at.wall),
        )
        with self._parts.catalogue.begin() as uow:
            if self._require_unchanged(uow, row).released_at is not None:
                return
            self._parts.enter(uow, event, at=at)
            if row.state is RecordingState.STORED:
                uow.recordings.change_state(
                    row.id, expect={RecordingState.STORED}, to=RecordingState.RELEASED, released_at=at.wall
                )
            else:
                uow.recordings.update(row.id, released_at=at.wall)


def _is_beside(directory: Path | LogPlace, store: BlobStore) -> bool:
    """Whether a copy of the published log lies in the folder, or the bucket, of this store."""
    if isinstance(directory, Path):
        return isinstance(store, LocalStore) and directory.is_relative_to(store.root)
    return getattr(store, "log", None) is directory


def _require_kept(uow: UnitOfWork, row: RecordingRow, ground: Ground) -> None:
    """In the transaction right before the file goes: its bytes are still held, and no store that was counted is given up.

    Raises:
        BytesGoError, PolicyUnmetError: They are not, or one is.
    """
    kept = row.duplicate_of or row.id
    uow.references.require_staying(ground.sha256)
    if uow.rules.of(kept).disposing_at is not None:
        raise PolicyUnmetError(
            f"{kept} is being cleared from the archive",
            kept="The file stays on the recorder.",
            todo="Dock the recorder again: the file is then taken in anew and waits for a person.",
        )
    if not uow.references.holds_bytes(ground.sha256, f"recording:{kept}"):
        raise PolicyUnmetError(f"the bytes of {kept} were removed while they were checked")
    if left := uow.moves.old() & ground.stores:
        raise PolicyUnmetError(
            f"store {', '.join(sorted(left))} was moved away from while copies were checked",
            kept="The file stays on the recorder.",
            todo="Clear again.",
        )


def _not_everything_listed() -> EvidenceError:
    return PolicyUnmetError(
        "the recorder cannot list everything it holds: nothing of it is cleared, and what is not listed may still be there",
        kept="What is on the recorder stays there.",
        todo="Have a person look at the recorder.",
    )


def _by_key(objects: Iterable[SourceObject]) -> dict[SourceKey, SourceObject]:
    return {source.key: source for source in objects}
