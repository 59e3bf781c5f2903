"""Restoring a home on an empty machine: from a backup, and from what the stores know beyond it.

1. Settings, keys and log are written; the database of the backup is taken in beside them, to be asked and not to be used.
2. Every store must be there (or be given up by name), because each holds a copy of the log that may reach further than the
   backup. Copies that contradict each other, or the backup, stop the restore: that is tamper, or another home.
3. Entries that only the backup's database holds are sealed where they come next; where others took their place, they are told.
4. The catalogue is rebuilt from the log that reaches furthest. So what was taken in after the backup is known, and what was
   disposed of after it stays gone. Passwords, settings and findings come from the backup (``catalogue.carrying``).
5. ``backup.restored`` is entered and sealed; only then the folder becomes a home.

Crash before the last step: the folder is no home, and the next restore begins again. Nothing is ever written over a home.

Source: docs/adr/0011-restore.md; docs/runbooks/restored-backup.md.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from access import Gate, Identity
from app import restored_files as files
from app.home import Home, complete
from app.rebuilding import fill, readable
from app.restored_logs import answers, require_continued, require_prefix, size_of, untold
from app.settings import LocalStoreSettings, Settings, parse_text
from app.wiring import SERVICE_AGENT, build_stores, digest_suite, published_places
from assurance.backup import BackupManifest, lines_of
from assurance.backup_repository import BackupRepository
from assurance.disclosures import DisclosureArchive, load_key
from catalogue import Catalogue, UnitOfWork
from catalogue.backups import GOOD, HOME
from catalogue.brakes import BrakeRow
from catalogue.carrying import carry_over
from catalogue.dump import take_in
from catalogue.migrate import downgrade
from catalogue.records import FindingRow
from chain_of_custody import EntryRecorder, NoteVerifier, Sealer, keys
from chain_of_custody.disclosures import open_all
from chain_of_custody.entry import parse
from chain_of_custody.fsck import verify_published
from chain_of_custody.reader import LogReader
from evidence.clock import Clock, SystemClock, from_text, to_text
from evidence.durable import exclusive_lock
from evidence.errors import (
    AccessDeniedError,
    AuthenticationError,
    ConfigError,
    DigestMismatchError,
    EvidenceError,
    IntegrityError,
    KeyUnavailableError,
    NotFoundError,
    StoreError,
    StoreUnavailableError,
)
from evidence.events import Event, FindingClosed, FindingRaised
from evidence.events_of_keeping import BackupMade, BackupRestored, BrakeChanged
from evidence.ids import AgentId, FindingId, RecordingId
from evidence.limits import SEAL_BATCH_MAX
from evidence.log_place import LogPlace
from evidence.model import Action, Actor
from storage.stores import StoreSet

_log = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]
_BEGUN: Final = files.MARKER
_IN_HOME: Final = "sqlite"
#: Events about things that are no evidence, and whose state is the sum of the backup and of what was entered since; and the
#: one that tells of the backup itself.
_REPLAYED: Final = frozenset({FindingRaised.TYPE, FindingClosed.TYPE, BrakeChanged.TYPE, BackupMade.TYPE})


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreWish:
    """What is wanted.

    Attributes:
        backup: Name of the backup; empty for the newest.
        database: Address of an empty PostgreSQL database, ``sqlite`` for a file in the home, empty for what the settings say.
        without: Stores that are given up: they need not be there.
        keep_accounts: Also the bindings of this machine's accounts to people, by number.
        login: Who acts; empty for whom this account is bound to in the backup.
        password: Their password.
        terminal: Where they act from.
    """

    backup: str = ""
    database: str = ""
    without: frozenset[str] = frozenset()
    keep_accounts: bool = False
    login: str = ""
    password: str = field(default="", repr=False)
    terminal: str = ""


@dataclass(slots=True)
class Restored:
    """What was done.

    Attributes:
        backup: The backup.
        made_at: When it was made.
        log_size: Size of the log that it held.
        entries: Entries of the log that the home has now.
        replayed: Of them those after the backup.
        recordings: Recordings they tell of.
        sealed: Entries that only the backup's database held and that were sealed now.
        overtaken: Entries that only the backup's database held and whose place others have taken: ``(entry, type)``.
        unread: Stored objects of which neither a store nor the backup tells the size: `liuhen verify` says more.
        missing_names: Personal values that are not available.
        unread_logs: Copies of the log that were not used, and why.
        carried: Rows that are no evidence and came over, by table.
        accounts: Bindings of accounts to people that did not come over.
        settings_changed: What was changed in config.toml.
        placed: Files outside of the home that were put back.
        left_out: What the backup does not hold and must be put back by hand.
        without: Stores that were given up; they still stand in config.toml.
        actor: Who is entered as having restored; empty when nobody could be told and the service itself is.
        locked: Why encrypted footage cannot be read yet; empty when it can, or nothing is encrypted.
        unsealed: Why the last entries wait to be sealed; empty when they are sealed.
        unproved: The backup's name, when no entry of the log tells of it: whoever could write to the target may have made it.
    """

    backup: str = ""
    made_at: str = ""
    log_size: int = 0
    entries: int = 0
    replayed: int = 0
    recordings: int = 0
    sealed: int = 0
    overtaken: list[tuple[str, str]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    missing_names: int = 0
    unread_logs: list[str] = field(default_factory=list)
    carried: dict[str, int] = field(default_factory=dict)
    accounts: int = 0
    settings_changed: list[str] = field(default_factory=list)
    placed: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    actor: str = ""
    locked: str = ""
    unsealed: str = ""
    unproved: str = ""


def restore_home(
    home: Home, repository: BackupRepository, wish: RestoreWish, *, clock: Clock | None = None,
    progress: Progress | None = None,
) -> Restored:  # fmt: skip
    """Restore a home into an empty folder. Durable on return; cut short, the folder is no home and the next call begins again.

    Args:
        home: An empty or missing folder, or one with nothing but its stores' folders.
        repository: Backups.
        wish: Which one, into which database, and so on.
        clock: The time; the machine's by default.
        progress: Told of steps.

    Raises:
        ConfigError: The folder is a home or not empty, or the database is in use. Nothing was changed.
        IntegrityError: The backup is damaged; the one before is named. Or no copy of the log is sound.
        SplitViewError: The backup and the stores tell of different logs.
        StoreUnavailableError: A store is not there. AccessDeniedError: the person may not.
    """
    manifest = _chosen(repository, wish.backup)
    try:
        return _Restore(home, repository, manifest, wish, clock=clock or SystemClock(), told=progress).run()
    except _DamagedBackupError as error:
        raise files.offer_before(repository, manifest.id, error.cause) from error


class _DamagedBackupError(Exception):
    """The backup itself gave bytes that it should not."""

    def __init__(self, cause: IntegrityError) -> None:
        super().__init__(str(cause))
        self.cause = cause


@contextlib.contextmanager
def _reading_backup() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise _DamagedBackupError(error) from error


def _chosen(repository: BackupRepository, wanted: str) -> BackupManifest:
    newest = wanted or next((one.id for one in repository.listed()), "")
    if not newest:
        raise NotFoundError(f"no backup was ever finished in {repository.place.text}")
    try:
        return repository.manifest(newest)
    except IntegrityError as error:
        raise files.offer_before(repository, newest, error) from error


class _Restore:
    """One restore, step by step."""

    def __init__(
        self, home: Home, repository: BackupRepository, manifest: BackupManifest, wish: RestoreWish, *, clock: Clock,
        told: Progress | None,
    ) -> None:  # fmt: skip
        self._home = home
        self._repository = repository
        self._manifest = manifest
        self._wish = wish
        self._clock = clock
        self._told = told or (lambda *_: None)
        self._done = Restored(
            backup=manifest.id, made_at=to_text(manifest.made_at), log_size=manifest.log_size,
            left_out=list(manifest.left_out[1:]), without=sorted(wish.without),
        )  # fmt: skip

    def run(self) -> Restored:
        """All steps."""
        text, settings = self._settings()
        files.require_restorable(self._home, settings)
        with exclusive_lock(self._home.lock):
            files.require_restorable(self._home, settings)
            files.remove_unfinished(self._home)
            token = files.begin(self._home, self._manifest.id)
            try:
                self._steps(text, settings, token)
            except (EvidenceError, _DamagedBackupError):
                files.remove_unfinished(self._home)  # keys and names do not stay in a folder that is no home
                raise
        return self._done

    def _steps(self, text: str, settings: Settings, token: str) -> None:
        home = self._home
        self._told("files", 0, 0)
        with _reading_backup():
            self._done.placed = files.write_files(home, self._repository, self._manifest)
        files.write_config(home, text)
        self._require_own_keys(settings)
        stores = self._stores(settings)
        with contextlib.ExitStack() as stack:
            with contextlib.closing(self._backed_up()) as old:
                self._agree(old, settings, stores)
                self._seal_what_waits(old, settings, stores)
                fresh = _empty_database(home.database_url(settings), token)
                stack.callback(fresh.close)
                self._rebuild(old, fresh, settings, stores)
                self._enter(old, fresh, settings)
            self._seal(fresh, settings, stores)
            files.remove_asked_database(home)
            complete(home)
            files.finish(home)
            with fresh.begin() as uow:  # only now: until here the next restore must know this database as its own
                uow.settings.drop(_BEGUN)

    # --- settings and stores ------------------------------------------------------------------------------------------
    def _settings(self) -> tuple[str, Settings]:
        with _reading_backup():
            text = files.config_of(self._repository, self._manifest)
        wanted = self._wish.database
        url = "" if wanted == _IN_HOME else wanted
        if wanted and parse_text(text).database.url != url:
            text = files.with_database(text, url)
            self._done.settings_changed.append(f"database.url = {url or 'a file in the home'}")
        return text, parse_text(text)

    def _require_own_keys(self, settings: Settings) -> None:
        verifier = NoteVerifier.of(settings.station.origin, keys.load(self._home.log_key))
        if verifier.text() != self._manifest.vkey:
            raise _DamagedBackupError(IntegrityError("the keys in the backup are not those of its log"))

    def _stores(self, settings: Settings) -> StoreSet:
        """The stores, every one of which must answer unless it is given up by name."""
        names = {store.name for store in settings.storage.stores}
        if unknown := self._wish.without - names:
            raise ConfigError(f"no store is called {min(unknown)}", todo=f"The stores are: {', '.join(sorted(names))}.")
        stores = build_stores(
            self._home, settings, suite=digest_suite(), clock=self._clock, absent_ok=True
        )  # fmt: skip
        away = [name for name in sorted(names - self._wish.without) if not answers(stores, name)]
        if away:
            where = {one.name: one.where for one in self._manifest.stores}
            told = "; ".join(f"{name} ({self._where(settings, name) or where.get(name, '')})" for name in away)
            raise StoreUnavailableError(
                f"these stores are not there: {told}",
                kept="Nothing was restored yet: a store may hold entries that are newer than the backup.",
                todo="Mount each there; one that is lost for good is named with --without NAME.",
            )
        return stores

    def _where(self, settings: Settings, name: str) -> str:
        for store in settings.storage.stores:
            if store.name == name and isinstance(store, LocalStoreSettings):
                return str(self._home.store_path(store.path))
        return ""

    def _places(self, stores: StoreSet) -> list[Path | LogPlace]:
        """Where the log lies: the home, then beside the blobs of every store that was not given up."""
        own, *beside = published_places(self._home, stores)
        named = zip([store.properties.name for store in stores.all], beside, strict=True)
        return [own, *(place for name, place in named if name not in self._wish.without)]

    # --- the backup's database ----------------------------------------------------------------------------------------
    def _backed_up(self) -> Catalogue:
        """The database of the backup, beside the one that will be: asked, never used."""
        path = self._home.root / "restore.db"
        self._told("database", 0, 0)
        with _reading_backup():
            take_in(path, self._manifest.revision, lines_of(files.dump_lines(self._repository, self._manifest)))
        return Catalogue.open(f"sqlite:///{path}", migrate=True)

    # --- logs ---------------------------------------------------------------------------------------------------------
    def _agree(self, old: Catalogue, settings: Settings, stores: StoreSet) -> None:
        """Return when every copy of the log continues every shorter one, the backup's database included.

        Raises:
            SplitViewError: Two of them contradict each other. IntegrityError: no store's copy is sound.
        """
        verifier = NoteVerifier.of(settings.station.origin, keys.load(self._home.log_key))
        own, *beside = self._places(stores)
        sound: list[tuple[int, LogReader]] = []
        for place in (own, *beside):
            self._told("log", 0, 0)
            found = verify_published(place, verifier.text())
            if found.checkpoint is not None and found.sound:
                sound.append((found.checkpoint.size, LogReader(place, verifier=verifier)))
            else:
                why = found.findings[0].detail if found.findings else "nothing is published there"
                self._done.unread_logs.append(f"{place}: {why}")
        if beside and not any(reader.directory in beside for _, reader in sound):
            raise IntegrityError(
                f"no store's copy of the log is sound: {self._done.unread_logs[0]}", kept="Nothing was restored.",
                todo="Mount the right disks; a store whose log is lost is named with --without NAME.",
            )  # fmt: skip
        if not sound:
            raise IntegrityError("no copy of the log is sound", kept="Nothing was restored.")
        sound.sort(key=lambda one: -one[0])
        furthest_size, furthest = sound[0]
        for size, reader in sound[1:]:
            require_continued(furthest, size, reader.checkpoint().root, str(reader.directory))
        with old.read() as uow:
            head = uow.outbox.head()
        if head is None:
            raise _DamagedBackupError(IntegrityError("the database in the backup knows of no log"))
        if head.size <= furthest_size:
            require_continued(furthest, head.size, head.root, "the backup")
        else:  # sequenced, and the machine died before anybody published it
            require_prefix(old, furthest_size, furthest)

    def _seal_what_waits(self, old: Catalogue, settings: Settings, stores: StoreSet) -> None:
        """Entries that only the backup's database holds: sealed where they come next, told where others came instead."""
        places = self._places(stores)
        verifier = NoteVerifier.of(settings.station.origin, keys.load(self._home.log_key))
        readers = [LogReader(place, verifier=verifier) for place in places]
        furthest = max(readers, key=size_of)
        with old.read() as uow:
            head = uow.outbox.head()
            waiting = uow.outbox.unsequenced(1_000_000)
        size = size_of(furthest)
        if head is not None and size <= head.size:
            with self._sealer(old, settings, places) as sealer:
                while count := sealer.seal_once():
                    self._done.sealed += count
            return
        if not waiting or head is None:
            return
        published = {parse(envelope).id for _, envelope in furthest.envelopes(head.size, size)}
        self._done.overtaken = [(row.entry, row.event_type) for row in waiting if row.entry not in published]
        for entry, kind in self._done.overtaken:
            _log.warning("an entry of the backup was never published and others took its place: %s %s", entry, kind)

    def _sealer(self, catalogue: Catalogue, settings: Settings, places: list[Path | LogPlace]) -> Sealer:
        return Sealer(
            catalogue.outbox_transactions(), log_key=keys.load(self._home.log_key), origin=settings.station.origin,
            published=places, clock=self._clock,
        )  # fmt: skip

    # --- the new database ---------------------------------------------------------------------------------------------
    def _rebuild(self, old: Catalogue, fresh: Catalogue, settings: Settings, stores: StoreSet) -> None:
        roots = [store.root for store in stores.local if store.properties.name not in self._wish.without]
        rescued = DisclosureArchive(load_key(self._home.disclosure_key), roots).rescue()
        names = [*rescued.disclosures, *untold(old, rescued.covered)]
        with old.read() as uow:
            sizes = {blob.sha256.hex: blob.size_bytes for blob in uow.blobs.all()}
        known = self._with_keys(fresh, settings, stores)
        built = fill(
            fresh, self._home, settings, known, old=None, progress=self._told, names=names, sizes=sizes,
            places=self._places(stores),
        )  # fmt: skip
        done = self._done
        done.entries, done.recordings, done.missing_names = built.entries, built.recordings, built.erased
        done.replayed = max(0, built.entries - self._manifest.log_size)
        done.unread_logs = list(dict.fromkeys([*done.unread_logs, *built.unread_logs]))
        done.unread = built.unread
        done.carried = carry_over(old, fresh)
        self._replay_keeping(fresh)

    def _with_keys(self, fresh: Catalogue, settings: Settings, stores: StoreSet) -> StoreSet:
        """The stores as they are read, with the keys of encrypted bytes looked up again beside them: destroyed ones stay so.

        A master key that is not in the backup (a token, a credential, an open backup) may be put back later.
        """
        try:
            return readable(stores, self._home, settings, fresh)
        except KeyUnavailableError as error:
            self._done.locked = error.diagnostics()
            return stores

    def _replay_keeping(self, fresh: Catalogue) -> None:
        """What was done since the backup about things that are no evidence: findings raised and closed, the brake."""
        with fresh.read() as uow:
            head = uow.outbox.head()
        end = head.size if head is not None else 0
        first = min(self._manifest.log_size, end)
        newest, proved = None, False
        for start in range(first, end, SEAL_BATCH_MAX):
            with fresh.begin() as uow:
                for row in uow.outbox.rows(start, min(start + SEAL_BATCH_MAX, end)):
                    newest = row.at
                    if row.event_type not in _REPLAYED:
                        continue
                    entry = parse(row.envelope)
                    told = uow.outbox.disclosures_of(entry.sd)
                    event = entry.event(open_all(entry.sd, [one.text for one in told.values()]))
                    proved |= self._proves(event)
                    self._replay_one(uow, event)
        self._done.unproved = "" if proved else self._manifest.id
        if newest is not None:
            with fresh.begin() as uow:
                uow.clock_marks.raise_to(newest)

    def _proves(self, event: Event) -> bool:
        """Whether an entry is that of this very backup.

        Without encryption under a passphrase whoever can write to the target can write a backup, hence passwords.

        Raises:
            _DamagedBackupError: The entry tells of other bytes under its name.
        """
        if not isinstance(event, BackupMade) or event.backup != self._manifest.id:
            return False
        with _reading_backup():
            if event.manifest_sha256 != self._repository.manifest_sha256(self._manifest.id):
                raise DigestMismatchError("the custody log tells of other bytes of this backup")
        return True

    @staticmethod
    def _replay_one(uow: UnitOfWork, event: Event) -> None:
        if isinstance(event, FindingRaised):
            concerned = RecordingId(event.recording) if event.recording else None
            row = FindingRow(
                id=FindingId(event.finding), kind=event.kind, recording=concerned, store=event.store,
                detail=event.detail or "", raised_at=from_text(event.at),
            )  # fmt: skip
            uow.findings.raise_(row)
        elif isinstance(event, FindingClosed):
            with contextlib.suppress(NotFoundError):
                uow.findings.close(FindingId(event.finding), from_text(event.at))
        elif isinstance(event, BrakeChanged):
            uow.brakes.take()
            uow.brakes.put(
                BrakeRow(
                    pulled=event.pulled, cause=event.reason, agent=event.actor, detail=event.detail or "",
                    since=from_text(event.at),
                )
            )  # fmt: skip

    # --- entry --------------------------------------------------------------------------------------------------------
    def _enter(self, old: Catalogue, fresh: Catalogue, settings: Settings) -> None:
        """Who restored, and that they did; durable in the outbox on return."""
        recorder = EntryRecorder(keys.load(self._home.station_key), station=settings.station.name, clock=self._clock)
        self._carry_accounts(old, fresh)
        actor = self._actor(fresh, recorder)
        at = self._clock.now()
        event = BackupRestored(
            actor=actor, backup=self._manifest.id, log_size=self._manifest.log_size, replayed=self._done.replayed,
            at=to_text(at.wall),
        )  # fmt: skip
        with fresh.begin() as uow:
            recorder.record(uow.outbox, event, at=at)
            self._note_backup(uow)

    def _note_backup(self, uow: UnitOfWork) -> None:
        """The backup was read to its last piece, so it is a good one; its own rows still said that it was under way."""
        manifest = self._manifest
        told = {
            "ended_at": manifest.made_at, "outcome": GOOD, "log_size": manifest.log_size,
            "size_bytes": manifest.size_bytes,
        }  # fmt: skip
        if any(row.id == manifest.id for row in uow.backups.recent(HOME, limit=1000)):
            uow.backups.update(manifest.id, **told)

    def _carry_accounts(self, old: Catalogue, fresh: Catalogue) -> None:
        """Numbers of accounts may mean other people on another machine: only this account's binding comes over unasked."""
        with old.read() as before, fresh.begin() as uow:
            known = {agent.id for agent in uow.people.agents()}
            for uid, agent in before.people.os_users().items():
                if agent in known and (self._wish.keep_accounts or uid == os.getuid()):
                    uow.people.bind_os_user(uid, agent)
                else:
                    self._done.accounts += 1

    def _actor(self, fresh: Catalogue, recorder: EntryRecorder) -> str:
        """The person who restores, who must be allowed to; without one it is the service, like after a lost catalogue."""
        identity = Identity(fresh, recorder=recorder, clock=self._clock)
        try:
            actor: Actor = identity.cli_actor(
                os.getuid(), login=self._wish.login, password=self._wish.password, terminal=self._wish.terminal
            )
        except AuthenticationError:
            if self._wish.login:
                raise
            with fresh.read() as uow:
                return AgentId(uow.settings.get(SERVICE_AGENT) or "")
        try:
            Gate(fresh, recorder=recorder, clock=self._clock).allowed(
                actor, Action.BACKUP_RUN, detail=self._manifest.id
            )
        except AccessDeniedError:
            if self._wish.login:
                raise
            _log.warning("the person this account is bound to may not restore; the service is entered")
            with fresh.read() as uow:
                return AgentId(uow.settings.get(SERVICE_AGENT) or "")
        self._done.actor = actor.agent
        return actor.agent

    def _seal(self, fresh: Catalogue, settings: Settings, stores: StoreSet) -> None:
        """Seal what was entered; what cannot be sealed now waits in the database, which the next start seals."""
        try:
            with self._sealer(fresh, settings, self._places(stores)) as sealer:
                while sealer.seal_once():
                    pass
            roots = [store.root for store in stores.local if store.properties.name not in self._wish.without]
            DisclosureArchive(load_key(self._home.disclosure_key), roots).sync(fresh)
        except StoreError as error:
            if error.fatal:
                raise
            self._done.unsealed = error.what
        except IntegrityError as error:
            self._done.unsealed = error.what
            _log.warning("run `liuhen verify`: %s", error.what)


def _empty_database(url: str, token: str) -> Catalogue:
    """An empty database to be filled; one that this very restore had begun to fill is emptied first.

    Raises:
        ConfigError: It belongs to a home.
    """
    catalogue = Catalogue.open(url, migrate=True)
    try:
        with catalogue.read() as uow:
            used = uow.outbox.head() is not None or bool(uow.people.agents())
            ours = uow.settings.get(_BEGUN) == token
        if used or ours:
            if not ours:
                raise ConfigError(
                    "the database belongs to a home", kept="Nothing was changed in it.",
                    todo="Name an empty one with --database URL, or --database sqlite for a file in the home.",
                )  # fmt: skip
            downgrade(catalogue.engine, "base")
            catalogue.close()
            catalogue = Catalogue.open(url, migrate=True)
        with catalogue.begin() as uow:
            uow.settings.put(_BEGUN, token)
    except BaseException:
        catalogue.close()
        raise
    return catalogue
