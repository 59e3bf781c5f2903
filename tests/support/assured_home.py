"""A whole small home on real parts: SQLite catalogue, two local stores, log with two published directories, intake."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from access import Administration, FirstAdministrator, Gate, Identity, Reading
from assurance.disclosures import DisclosureArchive
from assurance.verify import CopyPolicy, verify_home
from catalogue import Catalogue
from catalogue.records import RecordingRow, RoleRow
from chain_of_custody import EntryRecorder, Sealer
from devices.mass_storage.driver import MassStorageDriver
from devices.registry import DriverRegistry
from devices.session import Leases
from evidence.events import RoleChanged
from evidence.ids import AgentId, RecordingId, UnitId
from evidence.model import Actor
from flow import InlineEngine
from ingest.parts import Parts
from ingest.session import OffloadService
from ingest.settings import IngestSettings
from matters.desk import DeskParts, MatterDesk
from matters.form import Form, Forms
from matters.paper_copies import KeepParts
from matters.papers import PaperDesk, PaperParts
from storage.replicated import Replicated
from storage.stores import StoreSet
from support.custody import ORIGIN, TickingClock, fixed_key
from support.recorders import make_gb_tree
from support.stores import SUITE, local_store


@dataclass
class AssuredHome:
    """Parts of one home and the ways a test uses them."""

    root: Path
    clock: TickingClock
    catalogue: Catalogue
    recorder: EntryRecorder
    sealer: Sealer
    stores: StoreSet
    gate: Gate
    identity: Identity
    administration: Administration
    reading: Reading
    first: FirstAdministrator
    intake: OffloadService

    @property
    def published(self) -> list[Path]:
        return [self.root / "log/public", self.root / "stores/second/log"]

    @property
    def vkey(self) -> str:
        return self.sealer.verifier.text()

    @property
    def administrator(self) -> Actor:
        return Actor(self.first.agent.id, self.first.agent.name, "cli", "tty")

    @property
    def service(self) -> Actor:
        return Actor(self.first.service.id, "liuhen", "service")

    def agent(self, name: str, role: str, *, unit: UnitId | None = None, code: str = "", home_unit=None) -> Actor:
        """A person with one role (granted for ``unit``), a member of ``home_unit``."""
        return self.agent_by(self.administrator, name, role, unit=unit, code=code, home_unit=home_unit)

    def agent_by(self, manager: Actor, name: str, role: str, *, unit=None, code: str = "", home_unit=None) -> Actor:
        made = self.administration.create_agent(manager, name=name, officer_code=code, unit=home_unit or unit).agent
        self.administration.grant_role(manager, agent=made.id, role=role, unit=unit)
        return Actor(made.id, made.name, "cli", "tty")

    def grant_directly(self, agent: AgentId, role: str) -> None:
        """A grant with its entry, past the rule that nobody grants themselves."""
        now = self.clock.now()
        with self.catalogue.begin() as uow:
            uow.people.grant(RoleRow(agent=agent, role=role))
            self.recorder.record(uow.outbox, RoleChanged(agent=agent, role=role), at=now)

    def ingest(
        self, media: dict[str, bytes | Path], *, card: str = "card", describe: bool = False
    ) -> list[RecordingRow]:
        """Offload a card with these files and store what came in; sealed on return."""
        root = make_gb_tree(self.root / card, media)
        docked = MassStorageDriver.docked_at(root)
        result = self.intake.offload(docked, self.service, register=True)
        assert result.error is None, result.error
        for recording in result.acquired:
            from ingest.store import ensure_stored

            ensure_stored(self.intake.parts, recording)
            if describe:
                self.intake.secure(recording)
        self.seal()
        with self.catalogue.read() as uow:
            return [uow.recordings.get(recording) for recording in result.acquired]

    def seal(self) -> None:
        while self.sealer.seal_once():
            pass

    def desk(self, *forms: Form) -> MatterDesk:
        """The engine of matters over these forms, over all forms of the house without any."""
        from app.matter_forms import all_forms

        return MatterDesk(
            DeskParts(
                catalogue=self.catalogue, authoriser=self.gate, recorder=self.recorder, clock=self.clock,
                forms=Forms(forms) if forms else all_forms(),
            )
        )  # fmt: skip

    def papers(self, *forms: Form) -> PaperDesk:
        """Documents of matters of these forms."""
        return PaperDesk(
            PaperParts(
                desk=self.desk(*forms), keeping=KeepParts(catalogue=self.catalogue, stores=self.stores, clock=self.clock),
                authoriser=self.gate, recorder=self.recorder, blobs=Replicated(self.stores.all, quorum=1),
                scratch=self.root / "cache",
            )
        )  # fmt: skip

    def verify(self, *, copies: int = 2, domains: int = 1, disclosures: DisclosureArchive | None = None):
        return verify_home(
            self.catalogue, stores=self.stores, published=self.published, vkey=self.vkey, clock=self.clock,
            disclosures=disclosures, policy=CopyPolicy(copies=copies, domains=domains),
        )  # fmt: skip

    def entries(self, event_type: str) -> list[dict]:
        """Public facts of all entries of a type, sealed first."""
        from chain_of_custody import parse_entry

        self.seal()
        with self.catalogue.read() as uow:
            head = uow.outbox.head()
            rows = uow.outbox.rows(0, head.size)
        return [parse_entry(row.envelope).data for row in rows if row.event_type == event_type]

    def disclosed(self, event_type: str, recording: RecordingId) -> list[dict]:
        with self.catalogue.read() as uow:
            return [one.disclosed for one in uow.timeline(recording) if one.event_type == event_type]

    def close(self) -> None:
        self.sealer.close()
        self.catalogue.close()


def make_home(root: Path, *, more_stores: tuple[str, ...] = (), database: str = "") -> AssuredHome:
    """Lay out and open a home under ``root``; more stores than two are local ones with these names. SQLite by default."""
    root.mkdir(parents=True, exist_ok=True)
    clock = TickingClock()
    catalogue = Catalogue.open(database or f"sqlite:///{root}/app.db", migrate=True)
    recorder = EntryRecorder(fixed_key("station"), station="station-1")
    primary = local_store(root / "stores/primary", "primary", clock=clock)
    second = local_store(root / "stores/second", "second", clock=clock)
    more = [local_store(root / "stores" / name, name, clock=clock) for name in more_stores]
    stores = StoreSet(primary, [second, *more])
    published = [root / "log/public", root / "stores/second/log"]
    sealer = Sealer(
        catalogue.outbox_transactions(), log_key=fixed_key("log"), origin=ORIGIN, published=published, clock=clock
    )
    sealer.open_log(recorder)
    gate = Gate(catalogue, recorder=recorder, clock=clock)
    administration = Administration(catalogue, gate=gate, recorder=recorder, clock=clock)
    first = administration.first_administrator(login="admin", name="管理员", os_uid=1000)
    jobs = InlineEngine()
    intake = OffloadService(
        Parts(
            catalogue=catalogue, recorder=recorder, stores=stores, suite=SUITE, clock=clock,
            settings=IngestSettings(single_domain_allowed=True, domains_required=1, free_floor_bytes=0),
            scratch=root / "cache",
        ),
        registry=DriverRegistry([MassStorageDriver()]), leases=Leases(), jobs=jobs, authoriser=gate,
        service=Actor(first.service.id, "liuhen", "service"), published=published, verifier=sealer.verifier,
    )  # fmt: skip
    intake.declare_jobs()
    jobs.start()
    return AssuredHome(
        root=root, clock=clock, catalogue=catalogue, recorder=recorder, sealer=sealer, stores=stores, gate=gate,
        identity=Identity(catalogue, recorder=recorder, clock=clock), administration=administration,
        reading=Reading(catalogue, gate=gate, clock=clock, files={"primary": primary, "second": second}),
        first=first, intake=intake,
    )  # fmt: skip
