"""A whole home for tests of intake: real catalogue, stores, recorder, sealer, drivers; only the clock and the jobs are ours."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import blake3

from assurance.report import Verdict, VerifyReport
from assurance.verify import CopyPolicy, verify_home
from catalogue import Catalogue
from catalogue.records import AgentRow, RecordingRow
from chain_of_custody import EntryRecorder, Sealer, SigningKey
from chain_of_custody.fsck import verify_published
from devices.mass_storage.driver import MassStorageDriver
from devices.registry import DriverRegistry
from devices.session import Leases
from evidence.clock import Clock, TimeReading, from_text, to_text
from evidence.digest import DigestSuite
from evidence.errors import AccessDeniedError
from evidence.events import AgentRecorded
from evidence.ids import AgentId, RecordingId
from evidence.model import Action, Actor, ObjectScope, Visibility
from evidence.ports import DeviceDriver, DockedDevice, JobEngine
from flow.inline import InlineEngine
from ingest.docking import OffloadResult
from ingest.parts import Parts
from ingest.session import OffloadService
from ingest.settings import IngestSettings
from storage.local import LocalStore
from storage.stores import StoreSet

SUITE = DigestSuite({"blake3": blake3.blake3})
NOON = from_text("2026-11-22T04:00:00.000Z")  # 12:00 in Shanghai
ORIGIN = "log.test/home"


class RunningClock:
    """Starts at noon, moves a millisecond per reading; a test may move it further."""

    def __init__(self, wall: datetime = NOON) -> None:
        self._wall = wall
        self._monotonic_ns = 0
        self._guard = threading.Lock()

    def now(self) -> TimeReading:
        with self._guard:
            self._wall += timedelta(milliseconds=1)
            self._monotonic_ns += 1_000_000
            return TimeReading(self._wall, self._monotonic_ns, "synchronised", 5)

    def advance(self, **span: float) -> None:
        with self._guard:
            step = timedelta(**span)
            self._wall += step
            self._monotonic_ns += int(step.total_seconds() * 1e9)


class Everyone:
    """Allows everything but what a test forbids."""

    def __init__(self) -> None:
        self.forbidden: set[Action] = set()
        self.asked: list[Action] = []

    def require(self, actor: Actor, action: Action, scope: ObjectScope | None = None, *, detail: str = "") -> None:
        self.asked.append(action)
        if action in self.forbidden:
            raise AccessDeniedError(f"{action} is not allowed")

    def visibility(self, actor: Actor, action: Action) -> Visibility:
        return Visibility(everything=True)


OPERATOR = Actor(AgentId("agt_000000000001700080000000000000a1"), "station operator", "cli")
SERVICE = Actor(AgentId("agt_000000000001700080000000000000a2"), "Liuhen", "service")


class Home:
    """A home in ``root``; reopening the same root continues it (as after a restart).

    Args:
        root: Folder of the home.
        primary: Folder of the primary store.
        second: Folder of the second store (another file system makes it another failure domain).
        drivers: Device drivers besides mass storage.
        jobs: Engine; the default runs jobs when ``drain`` is called.
        settings: Intake settings.
        clock: The clock.
        parse_name: Replaces the file-name table.
    """

    def __init__(
        self,
        root: Path,
        *,
        primary: Path | None = None,
        second: Path | None = None,
        drivers: Sequence[DeviceDriver] = (),
        jobs: JobEngine | None = None,
        settings: IngestSettings | None = None,
        clock: Clock | None = None,
        free_floor_bytes: int = 0,
    ) -> None:
        self.root = root
        root.mkdir(exist_ok=True)
        self.clock = clock or RunningClock()
        second = second or root / "stores/second"
        self.catalogue = Catalogue.open(f"sqlite:///{root}/app.db", migrate=True)
        self.primary = self._store(primary or root / "stores/primary", "primary", free_floor_bytes)
        self.second = self._store(second, "second", 0)
        self.stores = StoreSet(self.primary, [self.second])
        self.recorder = EntryRecorder(SigningKey.from_seed(bytes([7]) * 32), station="station-1")
        self.published = [self.primary.root / "log", self.second.root / "log"]
        self.sealer = Sealer(
            self.catalogue.outbox_transactions(),
            log_key=SigningKey.from_seed(bytes([9]) * 32),
            origin=ORIGIN,
            published=self.published,
            clock=self.clock,
        )
        self.sealer.open_log(self.recorder)
        self.settings = settings or IngestSettings(station="station-1", free_floor_bytes=free_floor_bytes)
        self.parts = Parts(
            catalogue=self.catalogue,
            recorder=self.recorder,
            stores=self.stores,
            suite=SUITE,
            clock=self.clock,
            settings=self.settings,
            scratch=root / "cache",
        )
        self.jobs = jobs or InlineEngine()
        self.gate = Everyone()
        self.actor = OPERATOR
        self._add_agents()
        self.registry = DriverRegistry([MassStorageDriver(docks=[root / "docks"]), *drivers])
        self.service = OffloadService(
            self.parts,
            registry=self.registry,
            leases=Leases(),
            jobs=self.jobs,
            authoriser=self.gate,
            service=SERVICE,
            published=self.published,
            verifier=self.sealer.verifier,
        )
        self.service.declare_jobs()
        self.service.start_up()
        self.jobs.start()

    def _add_agents(self) -> None:
        with self.catalogue.read() as uow:
            known = uow.people.by_login("operator") is not None
        if not known:
            self.add_agents(
                AgentRow(id=OPERATOR.agent, kind="person", name=OPERATOR.name, login="operator"),
                AgentRow(id=SERVICE.agent, kind="service", name=SERVICE.name),
            )

    def add_agents(self, *rows: AgentRow) -> None:
        """Add persons or programs, with the entries that tell of them."""
        with self.catalogue.begin() as uow:
            for row in rows:
                at = self.clock.now()
                uow.people.add_agent(row)
                event = AgentRecorded(
                    agent=row.id, kind=row.kind, name=row.name, login=row.login, officer_code=row.officer_code,
                    valid_from=to_text(at.wall),
                )  # fmt: skip
                self.recorder.record(uow.outbox, event, at=at)

    def _store(self, root: Path, name: str, floor: int) -> LocalStore:
        if not (root / "0=liuhen_store_1").exists():
            LocalStore.create(root, name)
        return LocalStore(root, name=name, suite=SUITE, clock=self.clock, free_floor_bytes=floor, protect="mode-only")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.jobs.stop(timeout_s=5)
        self.sealer.close()
        self.catalogue.close()

    # --- what tests do ------------------------------------------------------------------------------------------------
    def dock(self, card: Path) -> DockedDevice:
        return MassStorageDriver.docked_at(card)

    def offload(self, card: Path | DockedDevice, *, register: bool = True) -> OffloadResult:
        """One docking with everything that follows it, sealed."""
        docked = self.dock(card) if isinstance(card, Path) else card
        result = self.service.offload(docked, self.actor, register=register)
        self.settle()
        return result

    def settle(self) -> None:
        """Run the jobs that wait and publish."""
        if isinstance(self.jobs, InlineEngine):
            self.jobs.drain()
        self.seal()

    def seal(self) -> None:
        while self.sealer.seal_once():
            pass

    def row(self, recording: RecordingId) -> RecordingRow:
        with self.catalogue.read() as uow:
            return uow.recordings.get(recording)

    def rows(self) -> list[RecordingRow]:
        with self.catalogue.read() as uow:
            return [uow.recordings.get(identity) for identity in uow.recordings.all_ids()]

    def by_name(self, name: str) -> RecordingRow:
        return next(row for row in self.rows() if row.name == name)

    def entries(self, recording: RecordingId) -> list[str]:
        with self.catalogue.read() as uow:
            return [line.event_type for line in uow.timeline(recording)]

    def findings(self) -> list[str]:
        with self.catalogue.read() as uow:
            return sorted(finding.kind for finding in uow.findings.open())

    def verify(self) -> VerifyReport:
        """Our own full verification: the log, every entry, every copy from its medium, every fact in both directions."""
        return verify_home(
            self.catalogue,
            stores=self.stores,
            published=self.published,
            vkey=self.sealer.verifier.text(),
            clock=self.clock,
            policy=CopyPolicy(copies=len(self.stores.names), domains=1),
        )

    def check(self) -> None:
        """Every promise a sound home keeps: both published logs verify, every said copy reads back, nothing lies about.

        Ends with the verification that a bureau runs itself, whose one word must be "good".
        """
        for directory in self.published:
            report = verify_published(directory, self.sealer.verifier.text())
            assert report.sound, report.findings
        with self.catalogue.read() as uow:
            blobs = list(uow.blobs.all())
        for blob in blobs:
            assert blob.holders
            assert {copy.store for copy in blob.copies} == set(self.stores.names)
            for copy in blob.copies:
                self.stores.named(copy.store).verify(blob.sha256, blob.blake3 or blob.sha256)
        held = {blob.sha256 for blob in blobs}
        for row in self.rows():
            if row.state in ("stored", "released"):
                assert row.sha256 in held
        verified = self.verify()
        assert verified.verdict is Verdict.GOOD, verified.findings
