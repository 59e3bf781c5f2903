"""Backing a home up: what goes in, in which order, and how the service does it by itself without disturbing intake.

Rows first, then keys and settings, then the published log, which may therefore reach further than the rows. The manifest is
written last; only when everything was read back, the backup's row says ``good`` and its entry is made. Footage is not in a
backup: it lies in the stores.

Crash at any point: the row stays without an end (``process-ended`` is said of it by the next backup); earlier backups are whole.

Source: docs/formats/backup.md; docs/runbooks/backup.md.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from app.backup_targets import Unlocking, opened_or_begun, place_of, warnings_of
from app.settings import LocalStoreSettings
from app.wiring import House
from assurance.backup import BackedUpFile, BackupManifest, Piece, StoreNote, cut_file, cut_lines, new_id
from assurance.backup_places import BackupPlace
from assurance.backup_repository import BackupRepository, PieceWriter, Pruned, read_marker
from catalogue.backups import GOOD, HOME, BackupRow
from catalogue.dump import Dump, row_line, table_line
from chain_of_custody.reader import LogReader
from chain_of_custody.tiles import BUNDLE_BYTES_MAX, CHECKPOINT_NAME, files_at
from evidence.clock import to_text, unix_ms
from evidence.disks import disks_below
from evidence.durable import exclusive_lock, make_dirs
from evidence.errors import (
    ConfigError,
    EvidenceError,
    HomeLockedError,
    KeyUnavailableError,
    LimitExceededError,
    NotFoundError,
    StateConflictError,
    StoreError,
)
from evidence.events_of_keeping import BackupMade
from evidence.model import Actor
from storage.master_keys import KEY_FILE_BYTES_MAX, is_key_file

_log = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]
_VERSION: Final = "0.1.0"
_FILE_BYTES_MAX: Final = 64 << 20
_LOG_TRIES: Final = 5
_RETRY: Final = timedelta(hours=1)
#: The service rests so long after each piece it reads for a backup, so that docks and pages come first.
_REST_S: Final = 0.005
#: What a change of a secret leaves beside it.
_LEFT: Final = (".next", ".before-", ".restored")
PROCESS_ENDED: Final = "process-ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A backup that was made and read back.

    Attributes:
        manifest: What it holds.
        manifest_sha256: Digest of the manifest as it stands at the target.
        place: The target.
        encrypted: Whether it is.
        written: Pieces that had to be written; the others stood there from an earlier backup.
        written_bytes: Bytes they stand for.
        warnings: ``(code, detail)``: ``same-domain``, ``not-encrypted``.
        pruned: What went because newer backups stay.
        begun: Whether the target was begun.
    """

    manifest: BackupManifest
    manifest_sha256: str
    place: str
    encrypted: bool
    written: int
    written_bytes: int
    warnings: tuple[tuple[str, str], ...]
    pruned: Pruned
    begun: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupWish:
    """What is wanted of a backup.

    Attributes:
        to: The target's text.
        unlocking: How it is encrypted.
        keep: How many backups stay.
        begin: Begin anew where backups lay before and are gone.
        with_bare_keys: Also the master key's file into a backup that is not encrypted.
        gently: Rest after each piece.
        stop: Whether the service ends.
    """

    to: str
    unlocking: Unlocking
    keep: int
    begin: bool = False
    with_bare_keys: bool = False
    gently: bool = False
    stop: Callable[[], bool] = lambda: False


class BackupStoppedError(StateConflictError):
    """The service ends before the backup did; the next start makes it."""


def make_backup(
    house: House, wish: BackupWish, *, place: BackupPlace, actor: Actor, progress: Progress | None = None
) -> Made:
    """Make one backup of a home beside whatever else works on it; read back, entered and durable on return.

    Args:
        house: The home.
        wish: What is wanted.
        place: The target.
        actor: Who asked; the gate was passed.
        progress: Told of steps.

    Raises:
        HomeLockedError: Another backup of this home, or to this target, is under way.
        StoreFullError, StoreUnavailableError, DigestMismatchError: The target; earlier backups stand.
        ConfigError, KeyUnavailableError: The target is another home's, or is encrypted in another way.
    """
    at = house.clock.now()
    row = BackupRow(id=new_id(at.wall), kind=HOME, place=place.text, started_at=at.wall)
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive_lock(house.home.lock.parent / "backup.lock"))
        except HomeLockedError as error:
            raise HomeLockedError(
                "another backup of this home is under way", todo="Wait until it has ended."
            ) from error
        stack.enter_context(place.held())
        before = _note_the_dead(house)
        with house.catalogue.begin() as uow:
            uow.backups.add(row)
        try:
            begin = wish.begin or not any(old.place == place.text and old.outcome == GOOD for old in before)
            made = _make(house, wish, row, place=place, begin=begin, told=progress or (lambda *_: None))
            _enter(house, row, made, actor)
        except EvidenceError as error:
            if not error.fatal:
                _failed(house, row, error)
            raise
    return made


def _note_the_dead(house: House) -> list[BackupRow]:
    """Say of backups whose process died that it did: none can be under way, we hold the lock. Returns what there was."""
    with house.catalogue.begin() as uow:
        rows = uow.backups.recent(HOME, limit=1000)
        for row in rows:
            if row.ended_at is None:
                uow.backups.update(row.id, ended_at=row.started_at, outcome=PROCESS_ENDED)
    return rows


def _failed(house: House, row: BackupRow, error: EvidenceError) -> None:
    with suppress(EvidenceError), house.catalogue.begin() as uow:
        outcome = PROCESS_ENDED if isinstance(error, BackupStoppedError) else error.code
        uow.backups.update(row.id, ended_at=house.clock.now().wall, outcome=outcome, detail=error.what[:500])


def _enter(house: House, row: BackupRow, made: Made, actor: Actor) -> None:
    at, manifest = house.clock.now(), made.manifest
    event = BackupMade(
        actor=actor.agent, backup=row.id, log_size=manifest.log_size, size_bytes=str(manifest.size_bytes),
        encrypted=made.encrypted, manifest_sha256=made.manifest_sha256, at=to_text(at.wall), place=made.place,
    )  # fmt: skip
    with house.catalogue.begin() as uow:
        uow.backups.update(
            row.id, ended_at=at.wall, outcome=GOOD, log_size=manifest.log_size, size_bytes=manifest.size_bytes,
            encrypted=made.encrypted, detail=" ".join(f"{code}:{detail}" for code, detail in made.warnings),
        )  # fmt: skip
        house.recorder.record(uow.outbox, event, at=at)


def _make(
    house: House, wish: BackupWish, row: BackupRow, *, place: BackupPlace, begin: bool, told: Progress
) -> Made:  # fmt: skip
    origin = house.settings.station.origin
    fresh = read_marker(place) is None
    repository, marker = opened_or_begun(
        place, wish.unlocking, origin=origin, begin=begin, now_ms=unix_ms(row.started_at)
    )
    encrypted = marker.key is not None
    _require_ours(house, repository)
    writer = repository.writer()
    filling = _Filling(house, writer, rest_s=_REST_S if wish.gently else 0.0, told=told, stop=wish.stop)
    scratch = house.home.scratch
    make_dirs(scratch, 0o750)
    with house.catalogue.dumping(scratch) as dump:
        rows, pieces, digest = filling.database(dump)
        size, root, _ = dump.head()
        engine, revision = dump.engine, dump.revision
    files, left_out = filling.files(masters=encrypted or wish.with_bare_keys)
    files += filling.log(at_least=size)
    writer.close()
    manifest = BackupManifest(
        id=row.id, made_at=row.started_at, station=house.settings.station.name, origin=origin, vkey=house.vkey,
        program=_VERSION, engine=engine, revision=revision, rows=rows, log_size=size, log_root=root.hex(), dump=pieces,
        dump_sha256=digest, files=tuple(files), stores=tuple(_store_notes(house)), left_out=tuple(left_out),
    )  # fmt: skip
    sealed = repository.finish(manifest)
    repository.require_pieces(manifest)
    return Made(
        manifest=manifest, manifest_sha256=sealed, place=place.text, encrypted=encrypted, written=writer.written,
        written_bytes=writer.written_bytes,
        warnings=tuple(warnings_of(place, frozenset(disks_below(house.home.root)), encrypted=encrypted)),
        pruned=_pruned(repository, keep=wish.keep, good=row.id), begun=fresh,
    )  # fmt: skip


def _require_ours(house: House, repository: BackupRepository) -> None:
    """Two homes may have logs of one name; what one of them lets go would be the other's."""
    for one in repository.listed():
        if one.manifest is not None and one.manifest.vkey != house.vkey:
            raise ConfigError(
                f"backup {one.id} in {repository.place.text} is another home's, whose log has the same name",
                kept="Nothing was written there.", todo="Give every home a folder, or prefix, of its own.",
            )  # fmt: skip


def _pruned(repository: BackupRepository, *, keep: int, good: str) -> Pruned:
    """The backup is made: trouble with old ones is told and not taken for its failure."""
    try:
        return repository.prune(keep=keep, good=good)
    except StoreError as error:
        if error.fatal:
            raise
        _log.warning("old backups were not removed: %s", error.what)
        return Pruned(kept_because=error.what)


def _store_notes(house: House) -> Iterator[StoreNote]:
    for store in house.settings.storage.stores:
        if isinstance(store, LocalStoreSettings):
            yield StoreNote(name=store.name, kind="local", where=str(house.home.store_path(store.path)))
        else:
            yield StoreNote(name=store.name, kind="s3", where=f"{store.endpoint} {store.bucket}/{store.prefix}")


@dataclass(slots=True)
class _Filling:
    """Puts one home's parts into a backup, piece by piece."""

    house: House
    writer: PieceWriter
    rest_s: float
    told: Progress
    stop: Callable[[], bool]
    done: int = 0

    def _put(self, data: bytes, step: str) -> Piece:
        if self.stop():
            raise BackupStoppedError("the service ends", kept="Earlier backups are whole.")
        piece = self.writer.put(data)
        self.done += 1
        self.told(step, self.done, 0)
        if self.rest_s:
            time.sleep(self.rest_s)
        return piece

    # --- rows ---------------------------------------------------------------------------------------------------------
    def database(self, dump: Dump) -> tuple[dict[str, int], tuple[Piece, ...], str]:
        """Every row: how many of each table, the pieces, the digest of all lines."""
        rows: dict[str, int] = {}
        whole = hashlib.sha256()

        def lines() -> Iterator[bytes]:
            for table in dump.tables():
                yield table_line(table)
                rows[table.name] = 0
                for row in table.rows:
                    rows[table.name] += 1
                    yield row_line(row)

        pieces = []
        for part in cut_lines(lines()):
            whole.update(part)
            pieces.append(self._put(part, "database"))
        return rows, tuple(pieces), whole.hexdigest()

    # --- files --------------------------------------------------------------------------------------------------------
    def files(self, *, masters: bool) -> tuple[list[BackedUpFile], list[str]]:
        """Settings and keys, and in words what is left out."""
        home, settings = self.house.home, self.house.settings
        encryption = settings.storage.encryption
        master = home.store_path(encryption.master_file)
        left_out = ["footage and what was made of it: it lies in the stores"]
        files = [self._file(home.config, "config.toml")]
        for path in sorted((home.root / "keys").rglob("*")):
            if path == master or not path.is_file() or path.is_symlink():
                continue
            if path.name.startswith("backup-"):  # the key of an encrypted target is no use inside of it
                continue
            if masters or not self._opens_footage(path):
                files.append(self._file(path, path.relative_to(home.root).as_posix()))
            else:
                left_out.append(f"the file {path}: this backup is not encrypted")
        if encryption.enabled or master.exists():
            if encryption.master != "file":
                left_out.append(f"the master key: it is in {encryption.master}")
            elif not masters:
                left_out.append(f"the master key {master}: this backup is not encrypted")
            elif master.exists():
                files.append(self._master(master))
        secrets = [encryption.passphrase_file, encryption.pin_file, settings.backup.passphrase_file]
        for store in settings.storage.stores:
            if not isinstance(store, LocalStoreSettings):
                secrets += [store.access_key_file, store.secret_key_file, store.ca_file]
        if settings.backup.s3 is not None:
            s3 = settings.backup.s3
            secrets += [s3.access_key_file, s3.secret_key_file, s3.ca_file]
        keys = home.root / "keys"
        left_out += [
            f"the file {path}"
            for path in secrets
            if path is not None and not home.store_path(path).is_relative_to(keys)
        ]
        return files, left_out

    def _opens_footage(self, path: Path) -> bool:
        """Whether a file is, or opens, a master key or an encrypted backup with one in it; also one of an earlier time.

        ``keys restore`` and a change of the passphrase leave such files (``master.key.restored``, ``.before-...``, ``.next``).
        """
        home, settings = self.house.home, self.house.settings
        encryption = settings.storage.encryption
        secrets = (encryption.passphrase_file, encryption.pin_file, settings.backup.passphrase_file)
        for secret in (encryption.master_file, *secrets):
            known = home.store_path(secret) if secret is not None else None
            if known is not None and (path == known or path.name.startswith(tuple(known.name + end for end in _LEFT))):
                return True
        try:
            with path.open("rb") as file:
                return is_key_file(file.read(KEY_FILE_BYTES_MAX + 1))
        except OSError as error:
            raise KeyUnavailableError(f"cannot read {path.name}: {os.strerror(error.errno or 0)}") from error

    def _master(self, path: Path) -> BackedUpFile:
        root = self.house.home.root
        if path.is_relative_to(root):
            return self._file(path, path.relative_to(root).as_posix())
        return replace(self._file(path, "keys/master.key"), outside=str(path))

    def _file(self, path: Path, name: str) -> BackedUpFile:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            with os.fdopen(fd, "rb") as file:
                mode = stat.S_IMODE(os.fstat(fd).st_mode)
                data = file.read(_FILE_BYTES_MAX + 1)
        except OSError as error:
            raise KeyUnavailableError(f"cannot read {name}: {os.strerror(error.errno or 0)}") from error
        if len(data) > _FILE_BYTES_MAX:
            raise LimitExceededError(f"{name} is too large for a key or settings")
        return self._bytes(data, name, mode=mode)

    def _bytes(self, data: bytes, name: str, *, mode: int, step: str = "files") -> BackedUpFile:
        return BackedUpFile(
            path=name, mode=mode, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest(),
            pieces=tuple(self._put(part, step) for part in cut_file(data)),
        )  # fmt: skip

    # --- log ----------------------------------------------------------------------------------------------------------
    def log(self, *, at_least: int) -> list[BackedUpFile]:
        """The published log at one checkpoint, which the sealer may leave behind while we read."""
        reader = LogReader(self.house.home.public_log, verifier=self.house.sealer.verifier)
        for _ in range(_LOG_TRIES):
            note, size = reader.note(), reader.checkpoint().size
            try:
                files = [
                    self._bytes(reader.read_file(path, limit_bytes=BUNDLE_BYTES_MAX), f"log/public/{path}", mode=0o640,
                                step="log")
                    for path in files_at(size)
                ]  # fmt: skip
            except NotFoundError:  # a partial tile was filled and went
                continue
            if size < at_least:
                _log.info("the log in the backup holds %d of %d entries; the rows hold the others", size, at_least)
            return [*files, self._bytes(note, f"log/public/{CHECKPOINT_NAME}", mode=0o640, step="log")]
        raise StateConflictError("the published log changes faster than it can be read", todo="Try again later.")


# --- by itself --------------------------------------------------------------------------------------------------------
class BackupDuty:
    """The service's own backups, by the settings.

    Args:
        house: The home.
        stop: Whether the service ends.
    """

    def __init__(self, house: House, *, stop: Callable[[], bool] = lambda: False) -> None:
        self._house = house
        self._stop = stop

    def run(self) -> None:
        """Make a backup when one is due. One that failed is tried again after an hour; why is told on the system page."""
        wanted = self._house.settings.backup
        if not wanted.to or not due(self._rows(), every_hours=wanted.every_hours, now=self._house.clock.now().wall):
            return
        self._in_the_background()

    def _rows(self) -> list[BackupRow]:
        with self._house.catalogue.read() as uow:
            return uow.backups.recent(HOME, limit=50)

    def _in_the_background(self) -> None:
        """In a thread of its own, whose low priority goes with it: a worker's could not be raised again."""
        failed: list[BaseException] = []

        def work() -> None:
            with suppress(OSError):  # a system that does not let us: the rests between pieces remain
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
            try:
                self._make()
            except BaseException as error:  # raised again below, in the worker
                failed.append(error)

        thread = threading.Thread(target=work, name="backup", daemon=True)
        thread.start()
        thread.join()
        for error in failed:
            raise error

    def _make(self) -> None:
        house, wanted = self._house, self._house.settings.backup
        wish = BackupWish(
            to=wanted.to, unlocking=Unlocking.of(wanted, house.home.root / "keys"), keep=wanted.keep,
            with_bare_keys=wanted.with_bare_keys, gently=True, stop=self._stop,
        )  # fmt: skip
        try:
            place = place_of(wanted.to, wanted.s3)
        except (ConfigError, KeyUnavailableError) as error:
            self._could_not_begin(error)
            return
        try:
            made = make_backup(house, wish, place=place, actor=house.service_actor())
            house.wake_sealer.set()
            _log.info("backup %s made: %d pieces new", made.manifest.id, made.written)
        except HomeLockedError:
            _log.info("a backup by hand is under way")
        except BackupStoppedError:
            _log.info("the backup under way was broken off, because the service ends")
        except EvidenceError as error:
            if error.fatal:
                raise
            _log.error("the backup failed: %s", error.diagnostics())
            self._could_not_begin(error)
        finally:
            place.close()

    def _could_not_begin(self, error: EvidenceError) -> None:
        """A row also for a failure before there was one, so that it is told and not tried again each minute."""
        at = self._house.clock.now().wall
        newest = next(iter(self._rows()), None)
        if newest is not None and newest.outcome and newest.outcome != GOOD and at - newest.started_at < _RETRY / 2:
            return
        with self._house.catalogue.begin() as uow:
            uow.backups.add(
                BackupRow(
                    id=new_id(at), kind=HOME, place=self._house.settings.backup.to, started_at=at, ended_at=at,
                    outcome=error.code, detail=error.what[:500],
                )
            )  # fmt: skip


def due(rows: list[BackupRow], *, every_hours: int, now: datetime) -> bool:
    """Whether a backup is due: the newest good one is older than that, and no attempt failed within the last hour.

    A backup from the future (the clock was set back) does not count for longer than one interval.
    """
    every = timedelta(hours=every_hours)
    good = max((row.started_at for row in rows if row.outcome == GOOD), default=None)
    if good is not None and -every < now - good < every:
        return False
    tried = max((row.started_at for row in rows if row.outcome not in {"", GOOD, PROCESS_ENDED}), default=None)
    return tried is None or not timedelta(0) <= now - tried < _RETRY
