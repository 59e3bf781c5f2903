"""Rebuilding a home's catalogue: who may, from where, what comes over, and how the new one takes its place.

The new database is complete and closed before it is renamed into place; the old one is renamed aside, never removed.
Crash: before the renames the old catalogue stands; between them none does, and ``rebuild`` runs again.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.encryption import encrypting
from app.home import Home
from app.settings import Settings
from app.wiring import (
    SERVICE_AGENT,
    build_stores,
    digest_suite,
    open_catalogue,
    published_places,
    require_action,
)
from assurance.disclosures import DisclosureArchive, load_key
from assurance.facts import evidence_facts
from assurance.rebuild import rebuild
from catalogue import Catalogue
from catalogue.migrate import CatalogueLostError
from catalogue.records import AgentRow, CredentialRow
from chain_of_custody import EntryRecorder, NoteVerifier, Sealer, keys
from chain_of_custody.reader import LogReader
from evidence.clock import SystemClock, to_text, unix_ms
from evidence.durable import exclusive_lock, fsync_dir
from evidence.errors import (
    CatalogueError,
    CatalogueUnavailableError,
    ConfigError,
    CustodyError,
    EvidenceError,
    IntegrityError,
    SignerMismatchError,
    StoreError,
)
from evidence.events import AccessAllowed
from evidence.log_place import LogPlace
from evidence.model import Action
from evidence.ports import Disclosure
from people import credentials
from storage.stores import StoreSet

_log = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]
_SECURITY = "security_administrator"


@dataclass(slots=True)
class Rebuilt:
    """What was done.

    Attributes:
        entries: Entries of the log that were put back.
        recordings: Recordings they tell of.
        erased: Personal values that are not available: erased, or in no segment that could be read.
        unread: Blobs of which no store could tell the size.
        log: Which copy of the published log it was built from.
        unread_logs: Copies that reach as far and are not sound, or cannot be read, with the reason.
        unread_names: Segments of personal values that could not be read, with their store and the reason.
        kept_aside: Where the catalogue before is kept.
        same: Whether both tell the same evidence; None where there was no readable catalogue to compare with.
        one_time_password: For one who may manage people, where no catalogue told the passwords.
    """

    entries: int = 0
    recordings: int = 0
    erased: int = 0
    unread: list[str] = field(default_factory=list)
    log: str = ""
    unread_logs: list[str] = field(default_factory=list)
    unread_names: list[str] = field(default_factory=list)
    kept_aside: str = ""
    same: bool | None = None
    one_time_password: str = ""


def _require_sqlite(home: Home, settings: Settings) -> Path:
    url = home.database_url(settings)
    if not url.startswith("sqlite:///"):
        raise ConfigError(
            "rebuild replaces SQLite files only", todo="For PostgreSQL, point [database] at an empty database first."
        )
    return Path(url.removeprefix("sqlite:///"))


def rebuild_home(
    home: Home, *, login: str, password: str, terminal: str, check: bool, progress: Progress | None = None
) -> Rebuilt:
    """Rebuild a home's catalogue under its lock.

    Args:
        home: The home.
        login: Who acts; empty for the agent bound to this account.
        password: Their password.
        terminal: Where they act from.
        check: Compare only.
        progress: Told of steps.

    Raises:
        HomeLockedError: A service works on this home. AccessDeniedError: the present catalogue says no.
        IntegrityError: No copy of the published log is sound; nothing was built.
    """
    settings = home.require()
    path = _require_sqlite(home, settings)
    clock, suite = SystemClock(), digest_suite()
    stores = build_stores(home, settings, suite=suite, clock=clock)
    fresh_path = path.with_name(f"{path.name}.rebuilding")
    with exclusive_lock(home.lock), _nothing_left_of(fresh_path):
        old = _open_old(home, settings)
        try:
            if old is not None:
                # Where the present catalogue is lost, the account that owns the home and its keys must do.
                old = _with_leave(home, settings, old, login=login, password=password, terminal=terminal)
            if old is not None:
                _seal_what_waits(old, home, settings, stores)
            fresh = Catalogue.open(f"sqlite:///{fresh_path}", migrate=True)
            try:
                sealed = readable(stores, home, settings, fresh)
                done = fill(fresh, home, settings, sealed, old=old, progress=progress)
                if not check:
                    done.one_time_password = _carry_over(
                        fresh, old, recorder=EntryRecorder(keys.load(home.station_key), station=settings.station.name)
                    )
            finally:
                fresh.close()
        finally:
            if old is not None:
                old.close()
        if not check:
            done.kept_aside = _swap(path, fresh_path, stamp=unix_ms(clock.now().wall))
        return done


def readable(stores: StoreSet, home: Home, settings: Settings, fresh: Catalogue) -> StoreSet:
    """The stores as they are read: where footage is encrypted, the keys beside them are taken into the new catalogue first.

    Raises:
        KeyUnavailableError: The master key does not open; nothing was built.
    """
    clock = SystemClock()
    recorder = EntryRecorder(keys.load(home.station_key), station=settings.station.name)
    opened, encryption = encrypting(
        stores, home=home, settings=settings, catalogue=fresh, recorder=recorder, clock=clock, suite=digest_suite()
    )  # fmt: skip
    if encryption is not None:
        encryption.master.open()
        encryption.ring.rebuild_index()
    return opened


@contextlib.contextmanager
def _nothing_left_of(fresh: Path) -> Iterator[None]:
    """Remove what an interrupted rebuild left, and what this one leaves when it does not come to its end."""
    try:
        _remove(fresh)
        yield
    finally:
        _remove(fresh)


def _remove(fresh: Path) -> None:
    for leftover in fresh.parent.glob(f"{fresh.name}*"):
        leftover.unlink()


def _open_old(home: Home, settings: Settings) -> Catalogue | None:
    """The present catalogue; None where it is lost, emptied or damaged. One that only does not answer is not taken for lost."""
    if not _require_sqlite(home, settings).exists():
        return None
    with contextlib.ExitStack() as stack:
        try:
            old = open_catalogue(home, settings)
            stack.callback(old.close)
            with old.read() as uow:
                uow.people.agents()
        except CatalogueUnavailableError:
            raise
        except (CatalogueError, CatalogueLostError) as error:
            _log.warning("the present catalogue cannot be read: %s", error.what)
            return None
        stack.pop_all()
        return old


def _with_leave(
    home: Home, settings: Settings, old: Catalogue, *, login: str, password: str, terminal: str
) -> Catalogue | None:
    """The present catalogue, asked whether this person may; one that can enter nothing any more is as good as lost."""
    try:
        require_action(home, settings, old, Action.REBUILD_RUN, login=login, password=password, terminal=terminal)
    except SignerMismatchError as error:
        _log.warning("the present catalogue takes no entry and is replaced like a lost one: %s", error.what)
        old.close()
        return None
    return old


def _seal_what_waits(old: Catalogue, home: Home, settings: Settings, stores: StoreSet) -> None:
    """Bring the entries that only the present catalogue holds into the log, so that they are not left behind with it.

    Where the present catalogue does not fit the log (a restored backup), it stays as it is: it is what is being replaced.
    """
    try:
        with Sealer(
            old.outbox_transactions(), log_key=keys.load(home.log_key), origin=settings.station.origin,
            published=published_places(home, stores), clock=SystemClock(),
        ) as sealer:  # fmt: skip
            while sealer.seal_once():
                pass
        archive = DisclosureArchive(load_key(home.disclosure_key), [store.root for store in stores.local])
        archive.sync(old)
    except (CustodyError, IntegrityError, CatalogueError, StoreError) as error:
        if isinstance(error, StoreError) and error.fatal:
            raise
        _log.warning("the present catalogue does not fit the log; its waiting entries stay in it: %s", error.what)


def _names(home: Home, stores: StoreSet, done: Rebuilt) -> list[Disclosure]:
    """Personal values that can still be read; names may be lost, the evidence does not wait for them."""
    called = {store.root: store.properties.name for store in stores.local}
    rescued = DisclosureArchive(load_key(home.disclosure_key), list(called)).rescue()
    done.unread_names = [f"{called[root]}: {why}" for root, why in rescued.unread]
    for told in done.unread_names:
        _log.warning("personal values cannot be read: %s", told)
    return list(rescued.disclosures)


def _by_reach(places: list[Path | LogPlace], verifier: NoteVerifier, done: Rebuilt) -> list[Path | LogPlace]:
    """Copies of the published log, the one that reaches furthest first; the home's own before others as long."""
    reach: list[tuple[int, Path | LogPlace]] = []
    for place in places:
        try:
            reach.append((LogReader(place, verifier=verifier).checkpoint().size, place))
        except EvidenceError as error:
            done.unread_logs.append(f"{place}: {error.what}")
    reach.sort(key=lambda one: -one[0])
    return [place for _, place in reach]


def fill(
    fresh: Catalogue,
    home: Home,
    settings: Settings,
    stores: StoreSet,
    *,
    old: Catalogue | None,
    progress: Progress | None,
    names: list[Disclosure] | None = None,
    sizes: Mapping[str, int] | None = None,
    places: list[Path | LogPlace] | None = None,
) -> Rebuilt:
    """Fill an empty catalogue from the copy of the log that reaches furthest and is sound.

    Args:
        fresh: The empty catalogue.
        home: Whose keys and published log.
        settings: Its settings.
        stores: Their copies of the log, their personal values and the sizes of manifests.
        old: Compared with, where there is one.
        progress: Told of steps.
        names: Personal values, where the caller has read them already.
        sizes: As ``assurance.rebuild.rebuild``.
        places: Copies of the log, the home's own first; by default that and those of all stores.

    Raises:
        IntegrityError: No copy of the log is sound; nothing was built.
    """
    verifier = NoteVerifier.of(settings.station.origin, keys.load(home.log_key))
    done = Rebuilt()
    names = _names(home, stores, done) if names is None else names
    trouble: EvidenceError = IntegrityError("no copy of the published log can be read", kept="Nothing was built.")
    for place in _by_reach(places or published_places(home, stores), verifier, done):
        try:
            report = rebuild(
                fresh, published=place, vkey=verifier.text(), disclosures=names, stores=stores.all, sizes=sizes,
                progress=progress,
            )  # fmt: skip
        except IntegrityError as error:
            trouble = error
            done.unread_logs.append(f"{place}: {error.what}")
            continue
        done.log = str(place)
        done.entries, done.recordings = report.entries, report.recordings
        done.erased, done.unread = report.erased, report.unread
        break
    else:
        raise trouble
    for told in done.unread_logs:
        _log.warning("this copy of the published log was not used: %s", told)
    if old is not None:
        with contextlib.suppress(CatalogueError):
            done.same = evidence_facts(old) == evidence_facts(fresh)
    return done


def _carry_over(fresh: Catalogue, old: Catalogue | None, *, recorder: EntryRecorder) -> str:
    """What is no evidence: passwords, settings, account bindings. Without the old catalogue somebody must get in again."""
    with fresh.begin() as uow:
        people = uow.people.agents()
        service = next((agent for agent in people if agent.kind == "software"), None)
        if service is not None:
            uow.settings.put(SERVICE_AGENT, service.id)
    if old is not None:
        with old.read() as before, fresh.begin() as uow:
            for agent in people:
                credential = before.people.credential(agent.login) if agent.login else None
                if credential is not None:
                    uow.people.set_credential(credential)
            bound = before.people.os_user(os.getuid())
            if bound is not None:
                uow.people.bind_os_user(os.getuid(), bound)
        return ""
    return _let_somebody_in(fresh, people, recorder=recorder)


def _let_somebody_in(fresh: Catalogue, people: list[AgentRow], *, recorder: EntryRecorder) -> str:
    """A one-time password for one who may manage people. Nobody could be asked, so the log tells that it was made.

    Where even the log-ins are lost with the personal values, this account of the machine alone is bound to them.
    """
    at = SystemClock().now()
    with fresh.begin() as uow:
        managers = [p for p in people if p.active and any(r.role == _SECURITY for r in uow.people.roles(p.id))]
        manager = next((p for p in managers if p.login), next(iter(managers), None))
        if manager is None:
            return ""
        password, got = "", "was bound to one who manages people; no log-in could be read"
        if manager.login:
            password, got = credentials.one_time_password(), "got a one-time password"
            uow.people.set_credential(
                CredentialRow(
                    agent=manager.id, login=manager.login, password_hash=credentials.hash_password(password),
                    must_change=True, failed_count=0, locked_until=None,
                )
            )  # fmt: skip
        uow.people.bind_os_user(os.getuid(), manager.id)
        event = AccessAllowed(
            actor=manager.id, action=Action.REBUILD_RUN, via="cli", at=to_text(at.wall),
            detail=f"the catalogue was lost; the account that holds the keys rebuilt it and {got}",
        )  # fmt: skip
        recorder.record(uow.outbox, event, at=at)
    return password


def _swap(path: Path, fresh: Path, *, stamp: int) -> str:
    """Rename the present files aside and the new one into place.

    A write-ahead log goes aside also where its database is missing: SQLite would write the old pages over the new file.
    """
    aside = path.with_name(f"{path.name}.before-{stamp}")
    kept = str(aside) if path.exists() else ""
    for suffix in ("", "-wal", "-shm"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            os.replace(source, aside.with_name(aside.name + suffix))  # noqa: PTH105 - a file of SQLite, fsynced below
    os.replace(fresh, path)  # noqa: PTH105 - closed and complete; its directory is fsynced next
    fsync_dir(path.parent)
    return kept
