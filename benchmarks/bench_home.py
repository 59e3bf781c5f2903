"""A home made of the real parts, for one measurement: SQLite on disk, two local stores, recorder, sealer, drivers."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import blake3

from catalogue import Catalogue
from catalogue.records import AgentRow
from chain_of_custody import EntryRecorder, Sealer, SigningKey
from devices.mass_storage.driver import MassStorageDriver
from devices.registry import DriverRegistry
from devices.session import Leases
from evidence.clock import SystemClock
from evidence.digest import DigestSuite
from evidence.ids import AgentId
from evidence.model import Action, Actor, ObjectScope, Visibility
from flow.inline import InlineEngine
from ingest.parts import Parts
from ingest.session import OffloadService
from ingest.settings import IngestSettings
from storage.local import LocalStore
from storage.stores import StoreSet

ORIGIN = "log.bench/home"
OPERATOR = Actor(AgentId("agt_000000000001700080000000000000a1"), "station operator", "cli")
SERVICE = Actor(AgentId("agt_000000000001700080000000000000a2"), "Liuhen", "service")
AS_SHIPPED = DigestSuite({"blake3": blake3.blake3})


class _NoSm3:
    """Stands in for SM3 where the first goal speaks of SHA-256 alone."""

    def update(self, _data: bytes | bytearray | memoryview, /) -> object:
        return None

    def hexdigest(self) -> str:
        return "0" * 64


WITHOUT_SM3 = DigestSuite({"blake3": blake3.blake3, "sm3": _NoSm3})


class _Everyone:
    """A measurement asks nobody for leave."""

    def require(self, actor: Actor, action: Action, scope: ObjectScope | None = None, *, detail: str = "") -> None:
        del actor, action, scope, detail

    def visibility(self, actor: Actor, action: Action) -> Visibility:
        del actor, action
        return Visibility(everything=True)


class BenchHome:
    """A home in ``root``; closed and removed by :func:`fresh_home`."""

    def __init__(self, root: Path, suite: DigestSuite) -> None:
        clock = SystemClock()
        root.mkdir(parents=True)
        self.catalogue = Catalogue.open(f"sqlite:///{root}/app.db", migrate=True)
        stores = []
        for name in ("primary", "second"):
            LocalStore.create(root / name, name)
            stores.append(LocalStore(root / name, name=name, suite=suite, clock=clock, protect="mode-only"))
        self.stores = StoreSet(stores[0], stores[1:])
        self.recorder = EntryRecorder(SigningKey.from_seed(bytes([7]) * 32), station="bench")
        self.published = [store.root / "log" for store in stores]
        self.clock = clock
        self.sealer = Sealer(
            self.catalogue.outbox_transactions(),
            log_key=SigningKey.from_seed(bytes([9]) * 32),
            origin=ORIGIN,
            published=self.published,
            clock=clock,
        )
        self.sealer.open_log(self.recorder)
        with self.catalogue.begin() as uow:
            uow.people.add_agent(AgentRow(id=OPERATOR.agent, kind="person", name=OPERATOR.name, login="operator"))
            uow.people.add_agent(AgentRow(id=SERVICE.agent, kind="service", name=SERVICE.name))
        self.wake = threading.Event()
        self.parts = Parts(
            catalogue=self.catalogue,
            recorder=self.recorder,
            stores=self.stores,
            suite=suite,
            clock=clock,
            settings=IngestSettings(station="bench"),
            scratch=root / "cache",
            wake_sealer=self.wake.set,
        )
        jobs = InlineEngine()
        self.service = OffloadService(
            self.parts,
            registry=DriverRegistry([MassStorageDriver(docks=[])]),
            leases=Leases(),
            jobs=jobs,
            authoriser=_Everyone(),
            service=SERVICE,
            published=self.published,
            verifier=self.sealer.verifier,
        )
        self.service.declare_jobs()
        jobs.start()  # what it is given waits: each step is measured apart

    def seal(self) -> None:
        """Publish everything that waits."""
        while self.sealer.seal_once():
            pass

    @contextlib.contextmanager
    def sealing(self) -> Iterator[None]:
        """The sealer on its own thread, as ``liuhen serve`` runs it; everything is published at the end."""
        stop, errors = threading.Event(), []

        def run() -> None:
            try:
                self.sealer.run(stop, self.wake)
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=run, name="sealer")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            self.wake.set()
            thread.join()
        if errors:
            raise errors[0]
        self.seal()

    def close(self) -> None:
        self.sealer.close()
        self.catalogue.close()


@contextlib.contextmanager
def fresh_home(root: Path, suite: DigestSuite = AS_SHIPPED) -> Iterator[BenchHome]:
    """A new home that leaves nothing behind."""
    shutil.rmtree(root, ignore_errors=True)
    home = BenchHome(root, suite)
    try:
        yield home
    finally:
        home.close()
        shutil.rmtree(root, ignore_errors=True)
