"""Builds every object of a home; the only module that knows every class. Nothing here decides anything."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import blake3

from access import Administration, Gate, Identity, Reading
from access.directory import Directory
from app.encryption import Encryption, encrypting, make_scratch
from app.home import Home
from app.matter_forms import all_forms
from app.settings import LocalStoreSettings, S3StoreSettings, Settings
from assurance.brake import Brake, BrakeLimits
from assurance.copies import KeepingParts
from assurance.disclosures import DisclosureArchive, load_key
from assurance.fixity import FixityPolicy
from assurance.healing import Healing
from assurance.inventory import DropPolicy, Inventory
from assurance.presence import AbsenceDesk
from assurance.space import SpaceParts
from assurance.statistics import StatisticsDesk
from assurance.verify import CopyPolicy
from cases.access_register import UseRegister
from cases.dossiers import DossierDesk
from catalogue import Catalogue
from catalogue.migrate import CatalogueLostError
from chain_of_custody import EntryRecorder, Sealer, keys, selftest
from devices.mass_storage.driver import MassStorageDriver
from devices.mtp.driver import MtpDriver
from devices.registry import DriverRegistry
from devices.session import Leases
from devices.usb_over_ip import UsbIpBackend
from devices.watch_folder.driver import WatchFolderDriver
from evidence.clock import Clock, SystemClock
from evidence.digest import DigestSuite
from evidence.errors import (
    ConfigError,
    EvidenceError,
    IntegrityError,
    LogLockedError,
    StoreError,
    StoreUnavailableError,
)
from evidence.ids import AgentId
from evidence.lock_dates import LockPolicy
from evidence.log_place import LogPlace
from evidence.model import Action, Actor
from evidence.ports import BlobStore, DeviceDriver, JobEngine, LogHead
from ingest.parts import Parts
from ingest.session import OffloadService
from ingest.settings import IngestSettings
from matters.desk import DeskParts, MatterDesk
from matters.paper_copies import KeepParts
from matters.papers import PaperDesk, PaperParts
from retention.classification import Classifier
from retention.desk import RetentionDesk
from retention.disposal_desk import ClearingDesk
from retention.hold_desk import HoldDesk
from retention.record_list_form import RecordLists
from storage.local import LocalStore
from storage.replicated import Replicated
from storage.s3 import S3Store
from storage.s3_client import S3Settings
from storage.stores import StoreSet

_log = logging.getLogger(__name__)
SERVICE_AGENT = "service.agent"


def digest_suite() -> DigestSuite:
    """SHA-256, SM3 and BLAKE3."""
    return DigestSuite({"blake3": blake3.blake3})


def _secret(path: os.PathLike[str]) -> str:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - any path-like from the settings
            return file.read().strip()
    except OSError as error:
        raise ConfigError(f"cannot read the key file {path}: {error.strerror}") from error


def build_stores(
    home: Home, settings: Settings, *, suite: DigestSuite, clock: Clock, absent_ok: bool = False
) -> StoreSet:
    """Open the configured stores, the primary first. Others that are not there are opened all the same: they come back later.

    Raises:
        StoreUnavailableError: The primary is not there (not mounted), unless ``absent_ok``. ConfigError: settings contradict.
    """
    stores: list[BlobStore] = []
    for wanted in settings.storage.stores:
        if isinstance(wanted, LocalStoreSettings):
            stores.append(
                LocalStore(
                    home.store_path(wanted.path), name=wanted.name, suite=suite, clock=clock,
                    free_floor_bytes=settings.storage.free_floor_bytes, protect=settings.storage.protect,
                    absent_ok=absent_ok or bool(stores),
                )
            )  # fmt: skip
        else:
            stores.append(
                S3Store(
                    s3_settings(wanted), name=wanted.name, suite=suite, clock=clock,
                    claims=home.lock.parent / f"uploads-{wanted.name}.lock",
                )
            )  # fmt: skip
    primary = stores[0]
    if not isinstance(primary, LocalStore):  # app.settings refuses this before
        raise ConfigError("the first store must be local")
    return StoreSet(primary, stores[1:])


def s3_settings(wanted: S3StoreSettings) -> S3Settings:
    """Settings of a bucket, its keys read from their files now and again later; ConfigError when one cannot be read."""

    def keys() -> tuple[str, str]:
        return _secret(wanted.access_key_file), _secret(wanted.secret_key_file)

    access, secret = keys()
    return S3Settings(
        endpoint=wanted.endpoint, bucket=wanted.bucket, access=access, secret=secret, keys=keys,
        region=wanted.region, ca=wanted.ca_file, mode=wanted.mode,
        domain=wanted.domain, prefix=wanted.prefix, first_retention_days=wanted.first_retention_days,
        storage_class=wanted.storage_class,
    )  # fmt: skip


def published_places(home: Home, stores: StoreSet) -> list[Path | LogPlace]:
    """Where the log is published: the home, then beside the blobs of every store, folder or bucket (promise 1)."""
    beside: list[Path | LogPlace] = []
    for store in stores.raw:
        if isinstance(store, LocalStore):
            beside.append(store.root / "log" / "public")
        elif isinstance(store, S3Store):
            beside.append(store.log)
    return [home.public_log, *beside]


def build_drivers(settings: Settings) -> DriverRegistry:
    """The drivers of this station."""
    docks = settings.docks
    drivers: list[DeviceDriver] = [MassStorageDriver(docks.folders, docks=docks.mount_roots)]
    if docks.usb:
        drivers.append(MtpDriver())
    if docks.usb_over_ip:
        remote = UsbIpBackend([_address(text) for text in docks.usb_over_ip])
        drivers.append(MtpDriver(remote, name="mtp_over_ip", slot_prefix="ip-"))
    if docks.watch_folders:
        drivers.append(WatchFolderDriver(docks.watch_folders, settle_s=docks.watch_stable_s))
    return DriverRegistry(drivers)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"docks.usb_over_ip: {text!r} is not host:port")
    return host, int(port)


@dataclass(slots=True)
class House:
    """Everything of one home, built and not yet started.

    ``close`` releases the database; the sealer and the engine have lives of their own (``app.serving``).
    """

    home: Home
    settings: Settings
    clock: Clock
    suite: DigestSuite
    catalogue: Catalogue
    stores: StoreSet
    recorder: EntryRecorder
    sealer: Sealer
    archive: DisclosureArchive
    gate: Gate
    identity: Identity
    administration: Administration
    reading: Reading
    directory: Directory
    registry: DriverRegistry
    wake_sealer: threading.Event
    healing: Healing
    encryption: Encryption | None = None

    @property
    def matters(self) -> MatterDesk:
        """Opens matters, acts on them and tells of them."""
        return MatterDesk(
            DeskParts(
                catalogue=self.catalogue, authoriser=self.gate, recorder=self.recorder, clock=self.clock,
                forms=all_forms(), woken=self.wake_sealer.set,
            )
        )  # fmt: skip

    @property
    def use_register(self) -> UseRegister:
        """Tells who used archived footage."""
        return UseRegister(self.catalogue, authoriser=self.gate)

    @property
    def absence(self) -> AbsenceDesk:
        """What became of bytes."""
        return AbsenceDesk(self.catalogue, gate=self.gate)

    @property
    def clearing(self) -> ClearingDesk:
        """Clearing as persons see and begin it."""
        return ClearingDesk(self.catalogue, desk=self.matters, authoriser=self.gate, clock=self.clock)

    @property
    def retention(self) -> RetentionDesk:
        """Until when recordings are kept, why, and what is due."""
        return RetentionDesk(self.catalogue, authoriser=self.gate, clock=self.clock, forms=all_forms())

    @property
    def classifier(self) -> Classifier:
        """What recordings are, as persons judge them."""
        return Classifier(
            self.catalogue, authoriser=self.gate, recorder=self.recorder, clock=self.clock, woken=self.wake_sealer.set
        )

    @property
    def record_lists(self) -> RecordLists:
        """The bureau's lists of what is to be recorded."""
        return RecordLists(self.catalogue, desk=self.matters, authoriser=self.gate, clock=self.clock)

    @property
    def holds(self) -> HoldDesk:
        """What holds hold, and which stores keep it."""
        return HoldDesk(self.catalogue, desk=self.matters, authoriser=self.gate, clock=self.clock)

    @property
    def dossiers(self) -> DossierDesk:
        """What is in cases, what they lack, and what nobody sorted yet."""
        return DossierDesk(self.catalogue, desk=self.matters, authoriser=self.gate)

    @property
    def papers(self) -> PaperDesk:
        """Files documents with matters and gives them back."""
        storage = self.settings.storage
        return PaperDesk(
            PaperParts(
                desk=self.matters,
                keeping=KeepParts(
                    catalogue=self.catalogue, stores=self.stores, clock=self.clock, copies=storage.copies,
                    domains=1 if storage.single_domain else storage.domains, locks=self.locks,
                ),
                authoriser=self.gate, recorder=self.recorder, blobs=self.blobs, scratch=self.scratch,
                ready_scratch=self._ready_scratch, woken=self.wake_sealer.set,
            )
        )  # fmt: skip

    @property
    def blobs(self) -> BlobStore:
        """Every blob from whichever store gives it; a copy that fails on the way is looked at by the repair."""
        if len(self.stores) == 1:
            return self.stores.primary
        return Replicated(self.stores.all, quorum=1, on_bad_copy=self.healing.hint)

    @property
    def statistics(self) -> StatisticsDesk:
        """Figures by department."""
        return StatisticsDesk(self.catalogue, authoriser=self.gate, clock=self.clock)

    @property
    def keeping(self) -> KeepingParts:
        """What catching up, repair and whatever else makes copies of kept bytes works with."""
        return self.healing.parts

    @property
    def brake(self) -> Brake:
        """Stops removals."""
        wanted = self.settings.brake
        limits = BrakeLimits(
            objects=wanted.day_objects, size_bytes=wanted.day_gib << 30, share_percent=wanted.day_percent
        )  # fmt: skip
        return Brake(self.catalogue, recorder=self.recorder, clock=self.clock, limits=limits)

    @property
    def fixity(self) -> FixityPolicy:
        """How the scrub works."""
        wanted = self.settings.fixity
        return FixityPolicy(
            period=timedelta(days=wanted.period_days), cap_bytes_s=wanted.rate_mb_s * 1_000_000,
            load_per_core_max=wanted.load_per_core_max,
        )  # fmt: skip

    @property
    def inventory(self) -> Inventory:
        """Counts the stores."""
        wanted = self.settings.brake
        return Inventory(
            self.keeping, brake=self.brake,
            policy=DropPolicy(objects=wanted.drop_objects, percent=wanted.drop_percent),
        )  # fmt: skip

    @property
    def published(self) -> list[Path | LogPlace]:
        """Where the log is published, the primary directory first."""
        return published_places(self.home, self.stores)

    @property
    def vkey(self) -> str:
        """The log's verifier key text."""
        return self.sealer.verifier.text()

    @property
    def policy(self) -> CopyPolicy:
        """How many copies in how many domains the settings ask for."""
        storage = self.settings.storage
        return CopyPolicy(copies=storage.copies, domains=1 if storage.single_domain else storage.domains)

    @property
    def locks(self) -> LockPolicy:
        """How far the locks of copies reach."""
        return self.keeping.locks

    @property
    def capacities(self) -> dict[str, int]:
        """Stated capacity of buckets, by store."""
        stores = self.settings.storage.stores
        return {
            one.name: one.capacity_bytes for one in stores if isinstance(one, S3StoreSettings) and one.capacity_bytes
        }

    @property
    def space(self) -> SpaceParts:
        """What the look at the stores' room works with."""
        return SpaceParts(
            catalogue=self.catalogue, stores=self.stores.all, clock=self.clock,
            floor_bytes=self.settings.storage.free_floor_bytes, capacities=self.capacities,
        )  # fmt: skip

    def service_actor(self) -> Actor:
        """The program itself as an actor: what the dock does alone is entered under this identity."""
        with self.catalogue.read() as uow:
            text = uow.settings.get(SERVICE_AGENT)
        if text is None:
            raise ConfigError("this home has no service agent", todo="It was not set up with `liuhen init`.")
        return Actor(AgentId(text), "liuhen", "service")

    def parts(self) -> Parts:
        """What intake works with."""
        storage, docks = self.settings.storage, self.settings.docks
        return Parts(
            catalogue=self.catalogue, recorder=self.recorder, stores=self.stores, suite=self.suite, clock=self.clock,
            settings=IngestSettings(
                station=self.settings.station.name, copies=storage.copies,
                domains_required=1 if storage.single_domain else storage.domains,
                single_domain_allowed=storage.single_domain, clearing=docks.clearing, set_clock=docks.set_clock,
                free_floor_bytes=storage.free_floor_bytes, locks=self.locks,
            ),
            scratch=self.scratch, ready_scratch=self._ready_scratch, wake_sealer=self.wake_sealer.set,
        )  # fmt: skip

    @property
    def scratch(self) -> Path:
        """Where media programs get plain files: in the home, or where footage is encrypted in a protected place."""
        return self.encryption.scratch if self.encryption is not None else self.home.scratch

    def _ready_scratch(self) -> None:
        """Refuse media work while plain files would lie on a disk; its recordings are kept and sealed (StoreError)."""
        if self.encryption is not None:
            make_scratch(self.encryption.scratch)

    def offloads(self, jobs: JobEngine) -> OffloadService:
        """The offload service over an engine; its jobs are declared."""
        service = OffloadService(
            self.parts(), registry=self.registry, jobs=jobs, authoriser=self.gate, service=self.service_actor(),
            published=self.published, verifier=self.sealer.verifier,
            leases=Leases(streams_per_hub=self.settings.docks.streams_per_hub),
        )  # fmt: skip
        service.declare_jobs()
        return service

    def head(self) -> LogHead | None:
        """The log's head as the catalogue has it."""
        with self.catalogue.read() as uow:
            return uow.outbox.head()

    def seal_pending(self) -> None:
        """Seal what a command has entered, unless a serving process does that already.

        A copy of the log that does not answer is no failure of the command: its entries are durable, and nothing counts as
        sealed, hence no recorder is cleared, until that copy has caught up.
        """
        if not all(store.present for store in self.stores.local):
            _log.warning("sealing goes on later: a store is not there")
            return
        try:
            with self.sealer as sealer:
                while sealer.seal_once():
                    pass
                with _altered_segments_told():
                    self.archive.sync(self.catalogue)
        except StoreUnavailableError as error:
            _log.warning("sealing goes on later: %s", error.diagnostics())
        except LogLockedError:
            _log.debug("another process seals this log")

    def probe_stores(self, *, due_only: bool = False) -> None:
        """Prove that buckets keep what they hold: for whoever tells or relies on their protection for long.

        It takes two dozen requests and leaves locked objects for a while. Without it a bucket calls itself unprotected; what is
        put there is locked all the same.

        Args:
            due_only: Only buckets that were away at the last try, and those whose proof is old.
        """
        for store in self.stores.raw:
            if isinstance(store, S3Store) and (store.probe_is_due() or not due_only):
                try:
                    store.probe()
                except StoreError as error:  # intake goes on
                    _log.warning("store %s was not probed: %s", store.properties.name, error.what)

    def close(self) -> None:
        """Release the database and connections to buckets."""
        for store in self.stores.raw:
            if isinstance(store, S3Store):
                store.close()
        self.catalogue.close()


@contextlib.contextmanager
def _altered_segments_told() -> Iterator[None]:
    """A damaged copy of personal values is a finding of `liuhen verify`; no command fails for it."""
    try:
        yield
    except IntegrityError as error:
        _log.error("personal values are not copied to a store: %s; run `liuhen verify`", error.what)


def open_catalogue(home: Home, settings: Settings, *, migrate: bool = False) -> Catalogue:
    """The catalogue of a home that was set up; nothing is ever written in the place of one that is gone.

    Args:
        home: The home.
        settings: Its settings.
        migrate: Bring its schema up to date.

    Raises:
        CatalogueLostError: It is missing, or was emptied; what to do is told.
        ConfigError, CatalogueUnavailableError: As ``Catalogue.open``.
    """
    catalogue = Catalogue.open(home.database_url(settings), migrate=migrate, create=False)
    try:
        with catalogue.read() as uow:
            if uow.outbox.head() is None:
                raise CatalogueLostError("the catalogue was emptied: it knows of no log")
    except BaseException:
        catalogue.close()
        raise
    return catalogue


def build(
    home: Home,
    settings: Settings,
    *,
    clock: Clock | None = None,
    migrate: bool = False,
    new: bool = False,
    absent_ok: bool = False,
) -> House:
    """Build a home's objects. Runs the cryptographic self-test first.

    Args:
        home: A home that was set up.
        settings: Its settings.
        clock: The time; the machine's by default.
        migrate: Bring the database's schema up to date.
        new: The home is being set up: make the database.
        absent_ok: Build it although the primary store is not there, for whoever examines the rest and tells of it.

    Raises:
        ConfigError, KeyUnavailableError, StoreUnavailableError, CatalogueError: What is missing is named.
    """
    selftest.run()
    clock = clock or SystemClock()
    suite = digest_suite()
    stores = build_stores(home, settings, suite=suite, clock=clock, absent_ok=absent_ok)
    recorder = EntryRecorder(keys.load(home.station_key), station=settings.station.name, clock=clock)
    if new:
        catalogue = Catalogue.open(home.database_url(settings), migrate=True)
    else:
        catalogue = open_catalogue(home, settings, migrate=migrate)
    stores, encryption = encrypting(
        stores, home=home, settings=settings, catalogue=catalogue, recorder=recorder, clock=clock, suite=suite
    )  # fmt: skip
    _retire(stores, catalogue, absent_ok=absent_ok)
    stores.lay_aside(settings.storage.cold)
    gate = Gate(catalogue, recorder=recorder, clock=clock)
    local = stores.local
    wake_sealer = threading.Event()
    keeping = KeepingParts(
        catalogue=catalogue, recorder=recorder, clock=clock, stores=stores.all, wake_sealer=wake_sealer.set,
        old=lambda: stores.old, cold=settings.storage.cold,
        locks=LockPolicy(
            cap=timedelta(days=settings.storage.lock_days), alarm=timedelta(days=settings.storage.lock_alarm_days)
        ),
    )  # fmt: skip
    sealer = Sealer(
        catalogue.outbox_transactions(), log_key=keys.load(home.log_key), origin=settings.station.origin,
        published=published_places(home, stores), clock=clock,
    )  # fmt: skip
    return House(
        home=home, settings=settings, clock=clock, suite=suite, catalogue=catalogue, stores=stores, recorder=recorder,
        sealer=sealer,
        archive=DisclosureArchive(load_key(home.disclosure_key), [store.root for store in local]),
        gate=gate, identity=Identity(catalogue, recorder=recorder, clock=clock),
        administration=Administration(catalogue, gate=gate, recorder=recorder, clock=clock),
        reading=Reading(catalogue, gate=gate, clock=clock, files={store.properties.name: store for store in local}),
        directory=Directory(catalogue), registry=build_drivers(settings), wake_sealer=wake_sealer,
        healing=Healing(keeping), encryption=encryption,
    )  # fmt: skip


def _retire(stores: StoreSet, catalogue: Catalogue, *, absent_ok: bool) -> None:
    """Tell the stores which of them were moved away from. Who only examines goes on also where one of them stands first."""
    with catalogue.read() as uow:
        old = uow.moves.old()
    stores.retire(old - {stores.primary.properties.name} if absent_ok else old)


def require_action(
    home: Home, settings: Settings, catalogue: Catalogue, action: Action, *, login: str, password: str, terminal: str,
    detail: str = "",
) -> None:  # fmt: skip
    """Let a person act on a home whose parts cannot all be built yet; the act is entered, a refusal too.

    Raises:
        AuthenticationError, AccessDeniedError: Not them, or not theirs to do.
    """
    clock = SystemClock()
    recorder = EntryRecorder(keys.load(home.station_key), station=settings.station.name)
    identity = Identity(catalogue, recorder=recorder, clock=clock)
    actor = identity.cli_actor(os.getuid(), login=login, password=password, terminal=terminal)
    Gate(catalogue, recorder=recorder, clock=clock).allowed(actor, action, detail=detail)


@contextlib.contextmanager
def opened(home: Home, *, clock: Clock | None = None, absent_ok: bool = False) -> Iterator[House]:
    """A home's objects for one command; what the command entered is sealed at the end, also after an error.

    After a fatal error nothing more is written: recovery at the next start decides (promise 6). A store that is away only
    delays sealing, because the entries are durable in the catalogue.

    Args:
        home: A home that was set up.
        clock: The time; the machine's by default.
        absent_ok: For a command that examines and tells: also with a store that is not there, or a catalogue that was set back.

    Raises:
        LogRollbackError: The catalogue was restored from a backup; the command has done nothing.
        IntegrityError, CustodyError: The log does not fit the catalogue; the command itself has done its work.
    """
    house = build(home, home.require(), clock=clock, absent_ok=absent_ok)
    try:
        if not absent_ok:
            house.sealer.require_not_behind(house.head)
        try:
            yield house
        except EvidenceError as error:
            if not error.fatal:
                _seal_later(house)
            raise
        except BaseException:
            _seal_later(house)
            raise
        try:
            house.seal_pending()
        except StoreError as error:
            if error.fatal:
                raise
            _log.warning("what this command entered is sealed later: %s", error.diagnostics())
    finally:
        house.close()


def _seal_later(house: House) -> None:
    """Seal after an error that is on its way to the caller: trouble with the log must not hide it."""
    try:
        house.seal_pending()
    except EvidenceError as error:
        if error.fatal:
            raise
        _log.warning("what this command entered is sealed later: %s", error.diagnostics())
