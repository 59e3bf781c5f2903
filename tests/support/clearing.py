"""A home with everything that clearing needs: people, a schedule, footage whose period is over, and the duty itself."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from app.matter_forms import all_forms
from assurance.brake import Brake, BrakeLimits
from assurance.clearing import RecordingBytes
from assurance.removal import RemovalParts, Remover
from catalogue.matters import MatterFilter, MatterRow
from catalogue.records import RecordingRow
from chain_of_custody.reader import LogReader
from documents import Checkpoint
from evidence.clock import to_text
from evidence.events import RecordingClassified, RecordingFlagged
from evidence.ids import MatterId, RecordingId, UnitId
from evidence.model import Action, Actor
from matters.desk import DeskParts, MatterDesk
from matters.form import Act, Choice, Field, FieldKind, Form, Forms, LinkRole, State, plain_number
from matters.paper_copies import KeepParts
from matters.papers import PaperDesk, PaperParts
from matters.recording_facts import say
from matters.turn import Asked, NewLink
from retention.disposal_certificate import Certificates, CertifierParts, Surroundings
from retention.disposal_duty import Clearing, ClearingParts
from retention.disposal_forms import BATCH
from retention.disposal_list import ITEM
from retention.recompute import Recompute
from retention.schedule_matter import ENTER, SCHEDULE_FORM
from storage.replicated import Replicated
from support import footage
from support.assured_home import AssuredHome
from support.recorders import gb_name

CATEGORY = "routine"
#: A dossier as far as clearing looks at one; the real form is the cases' own.
DOSSIER = Form(
    kind="case", word="Case", words="Cases", number=plain_number("AJ"), see=Action.CASE_SEE,
    states=(State(code="open", word="Open"), State(code="closed", word="Closed", final=True)),
    opening=Act(
        name="open", word="Open", after="open", action=Action.CASE_EDIT, links=(LinkRole(role="footage", word="Footage"),),
        fields=(
            Field(name="archive_period", word="Period", kind=FieldKind.CHOICE, choices=(Choice(code="months:6", word="6"),)),
        ),
    ),
    acts=(
        Act(name="close", word="Close", before=("open",), after="closed", action=Action.CASE_EDIT),
        Act(name="reopen", word="Reopen", before=("closed",), after="open", action=Action.CASE_EDIT),
        Act(
            name="add", word="Add", before=("open",), action=Action.CASE_EDIT,
            links=(LinkRole(role="footage", word="Footage"),),
        ),
    ),
)  # fmt: skip


@dataclass
class Told:
    """Findings, kept in memory."""

    raised: list[tuple[str, str]] = field(default_factory=list)

    def tell(self, kind: str, detail: str, *, recording: RecordingId | None = None) -> None:
        self.raised.append((kind, detail))

    def over(self, kind: str, *, recording: RecordingId | None = None) -> None:
        pass


class ClearingHome:
    """Wraps a home; every act goes through the real desk, every byte through the real stores."""

    def __init__(self, home: AssuredHome, *, mode: str = "review", notice_days: int = 30) -> None:
        self.home = home
        # A schedule is tried and approved elsewhere (test_schedule_matter): here it is simply in force.
        force = Act(
            name="force",
            word="Force",
            before=("proposed",),
            after="approved",
            action=Action.SCHEDULE_APPROVE,
            hidden=True,
        )
        forms = [
            replace(one, acts=(*one.acts, force)) if one.kind == SCHEDULE_FORM.kind else one for one in all_forms()
        ]
        self.desk = MatterDesk(
            DeskParts(
                catalogue=home.catalogue, authoriser=home.gate, recorder=home.recorder, clock=home.clock, forms=Forms(forms),
            )
        )  # fmt: skip
        self.dossiers = home.desk(DOSSIER)
        self.unit: UnitId = home.administration.create_unit(home.administrator, name="执法一科").id
        self.manager = home.agent("档案员", "retention_manager")
        self.reviewer = home.agent("审查员", "retention_manager")
        self.leader = home.agent("负责人", "unit_leader")
        self.auditor = home.agent("审计员", "auditor")
        self.legal = home.agent("法制员", "legal_reviewer")
        self.schedule(mode=mode, notice_days=notice_days)
        self.told = Told()
        self.brake = Brake(home.catalogue, recorder=home.recorder, clock=home.clock, limits=BrakeLimits())
        self.removal = RemovalParts(
            catalogue=home.catalogue, recorder=home.recorder, stores=home.stores, clock=home.clock, brake=self.brake
        )
        self.remover = Remover(self.removal)
        self.bytes = RecordingBytes(self.removal)
        self.papers = PaperDesk(
            PaperParts(
                desk=self.desk, keeping=KeepParts(catalogue=home.catalogue, stores=home.stores, clock=home.clock),
                authoriser=home.gate, recorder=home.recorder, blobs=Replicated(list(home.stores.all), quorum=1),
                scratch=home.root / "scratch",
            )
        )  # fmt: skip
        self.certificates = Certificates(
            CertifierParts(
                catalogue=home.catalogue, clock=home.clock, filer=self.papers, sign=home.recorder.sign_document,
                checkpoint=self.checkpoint, surroundings=Surroundings, unit="某某市园林局",
            )
        )  # fmt: skip
        self.duty = self.make_duty()
        self._cards = 0

    def make_duty(self, **parts: Any) -> Clearing:
        """The duty, as a process that was just started has it."""
        given = {
            "catalogue": self.home.catalogue, "desk": self.desk, "recorder": self.home.recorder, "clock": self.home.clock,
            "bytes": self.bytes, "certifier": self.certificates, "teller": self.told,
        } | parts  # fmt: skip
        return Clearing(ClearingParts(**given))

    def checkpoint(self) -> tuple[Checkpoint, bytes] | None:
        reader = LogReader(self.home.published[0], verifier=self.home.sealer.verifier)
        found = reader.checkpoint()
        return Checkpoint(
            origin=found.origin, size=found.size, root=base64.b64encode(found.root).decode()
        ), reader.note()

    # --- rules --------------------------------------------------------------------------------------------------------
    def schedule(self, *, mode: str = "review", notice_days: int = 30, category: str = CATEGORY) -> None:
        """A schedule that is in force now."""
        rows = [{"category": category, "title": "一般", "keeps": "months:6", "authority": ""}]
        values = {
            "in_force_from": "2026-01-01", "rows": rows, "mode": mode, "notice_days": str(notice_days),
            "authority": "制度", "why": "制定", "title": "期限表",
        }  # fmt: skip
        known = {one.name for one in SCHEDULE_FORM.opening.fields}
        row = self.desk.open(self.manager, "schedule", {name: value for name, value in values.items() if name in known})
        self.desk.act_as_service(row.id, "force")
        self.desk.act_as_service(row.id, ENTER)

    def _say(self, event: Any) -> None:
        now = self.home.clock.now()
        with self.home.catalogue.begin() as uow:
            say(uow, lambda one: self.home.recorder.record(uow.outbox, one, at=now), event)

    def classify(self, *recordings: RecordingRow, category: str = CATEGORY) -> None:
        for row in recordings:
            at = to_text(self.home.clock.now().wall)
            self._say(RecordingClassified(
                actor=self.manager.agent, recording=row.id, sha256=row.sha256.hex, category=category, item="", basis="person",
                at=at,
            ))  # fmt: skip

    def flag(self, row: RecordingRow, flag: str = "complaint", *, standing: bool = True) -> None:
        at = to_text(self.home.clock.now().wall)
        self._say(RecordingFlagged(
            actor=self.manager.agent, recording=row.id, sha256=row.sha256.hex, flag=flag, standing=standing, ground="x", at=at,
        ))  # fmt: skip

    # --- footage and time ---------------------------------------------------------------------------------------------
    def footage(self, count: int = 1, *, classified: bool = True, describe: bool = False) -> list[RecordingRow]:
        """New recordings of a card of its own; each has other bytes."""
        self._cards += 1
        sound = footage.voice_mp3().read_bytes()
        at = self.home.clock.now().wall - timedelta(hours=2)
        media = {
            gb_name(counter=self._cards * 100 + n, stamp=f"{at:%Y%m%d%H%M%S}", extension="mp3"): sound
            + f"{self._cards}-{n}".encode()
            for n in range(count)
        }
        rows = self.home.ingest(media, card=f"card{self._cards}", describe=describe)
        if classified:
            self.classify(*rows)
        return rows

    def later(self, **span: float) -> None:
        """Time goes on, as this home sees it."""
        self.home.clock.unix_ms += int(timedelta(**span).total_seconds() * 1000)
        with self.home.catalogue.begin() as uow:
            uow.clock_marks.set_to(self.home.clock.now().wall)

    def due(self) -> None:
        """Seven months later: ordinary footage is due, and its dates are computed."""
        self.later(days=215)
        self.recompute()

    def recompute(self) -> None:
        Recompute(self.home.catalogue, clock=self.home.clock, desk=self.desk).run()

    # --- batches ------------------------------------------------------------------------------------------------------
    def batches(self, *states: str) -> list[MatterRow]:
        with self.home.catalogue.read() as uow:
            return uow.matters.find(MatterFilter(kinds=(BATCH,), states=states), limit=100)

    def batch(self, matter: MatterId) -> MatterRow:
        with self.home.catalogue.read() as uow:
            return uow.matters.get(matter)

    def propose(self, *rows: RecordingRow, actor: Actor | None = None) -> MatterRow:
        links = [NewLink(role=ITEM, target=row.id) for row in rows]
        return self.desk.open(actor or self.manager, BATCH, {"note": "拟清除"}, links=links)

    def review(self, batch: MatterRow, actor: Actor | None = None) -> None:
        self.desk.act(actor or self.reviewer, batch.id, "take-up")
        self.desk.act(actor or self.reviewer, batch.id, "finish-review", {"statement": "日常巡查，无投诉，无保存价值"})

    def approve(self, batch: MatterRow, actor: Actor | None = None) -> MatterRow:
        who = actor or self.leader
        return self.desk.act(who, batch.id, "approve", seen=self.desk.view(who, batch.id).seen)

    def approved(self, *rows: RecordingRow) -> MatterRow:
        """A batch in its notice."""
        batch = self.propose(*rows)
        self.review(batch)
        return self.approve(batch)

    def run(self, times: int = 1) -> None:
        """The duty, sealed after each slice."""
        for _ in range(times):
            self.duty.run()
            self.home.seal()

    def cleared(self, row: RecordingRow) -> bool:
        with self.home.catalogue.read() as uow:
            return uow.rules.of(row.id).disposed_at is not None

    def going(self, row: RecordingRow) -> bool:
        with self.home.catalogue.read() as uow:
            return uow.rules.of(row.id).disposing_at is not None

    def in_stores(self, row: RecordingRow) -> list[str]:
        return [store.properties.name for store in self.home.stores.all if store.exists(row.sha256)]

    def determine(
        self, *, categories: tuple[str, ...] = (CATEGORY,), begins: str, ends: str, renews: str = ""
    ) -> MatterRow:
        """A determination that is in force."""
        import io

        values = {
            "document_number": "园执〔2026〕12号", "signatory": "局长", "categories": [{"category": one} for one in categories],
            "valid_from": begins, "valid_until": ends, "grounds": "日常巡查录像六个月后无保存价值",
        } | ({"renews": renews} if renews else {})  # fmt: skip
        row = self.desk.open(self.manager, "clearing-determination", values)
        self.papers.file(
            self.manager, row.id, "signed-scan", "扫描件.jpg", io.BytesIO(footage.photo_jpg().read_bytes())
        )
        return self.desk.act(self.leader, row.id, "confirm", seen=self.desk.view(self.leader, row.id).seen)

    def hold(self, *rows: RecordingRow, actor: Actor | None = None, **values: str) -> MatterRow:
        day = (self.home.clock.now().wall + timedelta(days=60)).date().isoformat()
        given = {"type": "litigation", "title": "诉讼", "why": "法院要求", "review_on": day} | values
        return self.desk.open(
            actor or self.legal, "hold", given, links=[NewLink(role="held", target=row.id) for row in rows]
        )

    def case(self, *rows: RecordingRow) -> MatterRow:
        """An open dossier with these recordings."""
        links = [NewLink(role="footage", target=row.id) for row in rows]
        return self.dossiers.open(self.leader, "case", {"archive_period": "months:6"}, links=links)

    def waits(self, batch: MatterRow) -> dict[str, Any]:
        from retention.disposal_duty import waits_of

        with self.home.catalogue.read() as uow:
            return waits_of(uow, batch.id)

    def service(self, matter: MatterId, act: str, **facts: Any) -> None:
        self.desk.act_as_service(matter, act, Asked(facts=facts))
