"""What is told about a dossier beyond its form: what it lacks, what happened when, what is in it, and what nobody sorted yet.

Everything passes the gate: the matter must be the reader's to see, and a recording is described only to who may know of it.

Source: RULES R13, R15, R16, R17; docs/cases.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cases.dossier import NEEDED
from cases.dossier_parts import (
    ARCHIVE_PERIOD,
    CASE,
    CLIP,
    DOSSIERS,
    EXPECTED_DOCUMENTS,
    FOOTAGE,
    HANDLER,
    MAIN_VOLUME,
    OFFICER,
    OFFICERS_LEAST,
    SECOND_VOLUME,
    order_of,
)
from cases.fixation_gate import KIND as FIXATION
from cases.fixation_gate import fixed_in, unfixed
from catalogue import Catalogue, UnitOfWork
from catalogue.matters import DocumentRow, LinkRow, MatterRow
from catalogue.records import RecordingRow, TimelineRow
from evidence.errors import NotFoundError
from evidence.events import DocumentFiled, MatterActed
from evidence.ids import AgentId, MatterId, RecordingId
from evidence.limits import COUNT_CAP, PAGE_ROWS_MAX
from evidence.model import Action, Actor, ObjectScope
from evidence.ports import Authoriser
from matters.desk import MatterDesk
from matters.looking import MatterView

_VOLUMES: Final = (*MAIN_VOLUME, *SECOND_VOLUME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """Something a dossier does not have yet.

    Attributes:
        what: ``field``, ``parties``, ``officers``, ``document``, ``footage``, ``fixation``, ``period``.
        name: Of the field or the document's role; identity of the recording that is not fixed.
        needed: The case cannot be closed without it.
    """

    what: str
    name: str = ""
    needed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One line of a dossier's timeline.

    Attributes:
        at: When.
        what: ``recording``, ``clip``, ``document``, ``act``.
        target: Identity of the recording, document or entry.
        name: Its name as far as the reader may know it: a file's name, an act, a role.
        length_ms: Of a recording or a clip; None for what has none.
        agent: Who did it.
        position_ms: Where a clip begins in its recording.
    """

    at: datetime
    what: str
    target: str
    name: str = ""
    length_ms: int | None = None
    agent: AgentId | None = None
    position_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A recording of a dossier in its order.

    Attributes:
        number: Its place.
        recording: Which.
        row: Its facts; None for who may not know of it.
        clips: Clips of it in their order.
        fixed: Number of the record that fixes it; empty for none.
        link: How it is linked.
    """

    number: int
    recording: RecordingId
    row: RecordingRow | None
    link: LinkRow
    clips: Sequence[LinkRow] = ()
    fixed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """Everything in a case or in working material, as one reader may see it.

    Attributes:
        view: The matter.
        pieces: Its footage in order.
        papers: Documents in the order of the volumes, those of its fixation records among them, each with its matter.
        fixations: Its fixation records.
        lacks: What it lacks.
    """

    view: MatterView
    pieces: Sequence[Piece]
    papers: Sequence[tuple[MatterRow, DocumentRow]]
    fixations: Sequence[MatterRow] = field(default=())
    lacks: Sequence[Lack] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What a fixation record states of a recording.

    Attributes:
        row: The recording.
        kept: The one that keeps its bytes: another one for a duplicate.
        offset_ms: How far its recorder's clock was off at docking; None where it was not read.
        stores: Where copies lie.
        still: Whether a poster was made of it.
    """

    row: RecordingRow
    kept: RecordingRow
    offset_ms: int | None
    stores: Sequence[str]
    still: bool


class DossierDesk:
    """Tells of dossiers. Changes nothing but for entries about refusals. Thread-safe.

    Args:
        catalogue: Where they stand.
        desk: Tells who may see what.
        authoriser: Asked about recordings.
    """

    def __init__(self, catalogue: Catalogue, *, desk: MatterDesk, authoriser: Authoriser) -> None:
        self._catalogue = catalogue
        self._desk = desk
        self._authoriser = authoriser

    def dossier(self, actor: Actor, matter: MatterId) -> Dossier:
        """A dossier; raises as :meth:`matters.desk.MatterDesk.view`, NotFoundError for a matter that is none."""
        view = self._desk.view(actor, matter)
        if view.form.kind not in DOSSIERS:
            raise NotFoundError(f"{view.row.number} is no case and no working material")
        return self.of(actor, view)

    def of(self, actor: Actor, view: MatterView) -> Dossier:
        """As :meth:`dossier` for a view that the reader has already."""
        with self._catalogue.read() as uow:
            known = self._known(uow, actor, [row.target for row in view.links if row.role == FOOTAGE])
            fixed = fixed_in(uow, view.row.id)
            fixations = uow.matters.linked_to(view.row.id, kinds=(FIXATION,))
            papers = [(view.row, one) for one in view.documents]
            papers += [(row, one) for row in fixations for one in uow.matters.documents(row.id)]
            return Dossier(
                view=view, pieces=_pieces(view, known, fixed), papers=sorted(papers, key=_volume_order),
                fixations=fixations, lacks=list(_lacks(uow, view)),
            )  # fmt: skip

    def timeline(self, actor: Actor, matter: MatterId) -> list[Moment]:
        """Recordings, clips, documents and acts of a dossier by their time; raises as :meth:`dossier`."""
        dossier = self.dossier(actor, matter)
        moments = [*_of_footage(dossier.pieces), *_of_history(self._desk.history(actor, matter))]
        return sorted(moments, key=lambda one: (one.at, one.what, one.target))

    def unsorted(
        self, actor: Actor, *, officer: AgentId | None, after: RecordingId | None = None, limit: int = 50
    ) -> list[RecordingRow]:
        """Recordings in no case and no working material, oldest first, as far as the reader may know of them.

        Args:
            actor: The reader.
            officer: Whose; None for everybody's whom the reader may see.
            after: The last of the page before.
            limit: Most of them.
        """
        seen = self._authoriser.visibility(actor, Action.RECORDING_LIST)
        with self._catalogue.read() as uow:
            wanted = uow.sorting.unsorted(
                DOSSIERS, seen=seen, officer=officer, after=after, limit=max(1, min(limit, PAGE_ROWS_MAX))
            )
            return [uow.recordings.get(one) for one in wanted]

    def count_unsorted(self, actor: Actor, *, officer: AgentId | None) -> int:
        """How many there are, up to the cap of all counts."""
        seen = self._authoriser.visibility(actor, Action.RECORDING_LIST)
        with self._catalogue.read() as uow:
            return uow.sorting.count(DOSSIERS, seen=seen, officer=officer, cap=COUNT_CAP + 1)

    def files(self, actor: Actor, recordings: Sequence[RecordingId]) -> dict[RecordingId, FileFacts]:
        """What a fixation record states of these recordings; those the reader may not know of are left out."""
        with self._catalogue.read() as uow:
            return {row.id: _file_facts(uow, row) for row in self._known(uow, actor, recordings).values()}

    def officer_codes(self, agents: Iterable[AgentId]) -> dict[str, str]:
        """Numbers of the cards of who signs."""
        with self._catalogue.read() as uow:
            return {str(agent): uow.people.agent(agent).officer_code for agent in agents}

    def _known(self, uow: UnitOfWork, actor: Actor, targets: Sequence[str]) -> dict[str, RecordingRow]:
        rows = [uow.recordings.get(RecordingId(one)) for one in targets]
        scopes = [ObjectScope(unit=row.unit, officer=row.officer, recording=row.id) for row in rows]
        decisions = self._authoriser.decide_each(actor, Action.RECORDING_LIST, scopes)
        return {str(row.id): row for row, decision in zip(rows, decisions, strict=True) if decision.allowed}


def _file_facts(uow: UnitOfWork, row: RecordingRow) -> FileFacts:
    kept = uow.recordings.get(row.duplicate_of) if row.duplicate_of is not None else row
    docking = uow.offloads.get(row.offload)
    blob = uow.blobs.get(kept.sha256) if kept.sha256 is not None else None
    return FileFacts(
        row=row, kept=kept, offset_ms=docking.clock_offset_ms if docking.clock_known else None,
        stores=[copy.store for copy in blob.copies] if blob is not None else [],
        still=any(one.kind == "poster" for one in uow.derivatives.of(kept.id)),
    )  # fmt: skip


def _pieces(view: MatterView, known: dict[str, RecordingRow], fixed: dict[str, str]) -> list[Piece]:
    clips: dict[str, list[LinkRow]] = {}
    for row in sorted((one for one in view.links if one.role == CLIP), key=order_of):
        clips.setdefault(row.target, []).append(row)
    ordered = sorted((one for one in view.links if one.role == FOOTAGE), key=lambda row: (order_of(row), row.target))
    return [
        Piece(
            number=number, recording=RecordingId(link.target), row=known.get(link.target), link=link,
            clips=clips.get(link.target, ()), fixed=fixed.get(link.target, ""),
        )
        for number, link in enumerate(ordered, 1)
    ]  # fmt: skip


def _volume_order(paper: tuple[MatterRow, DocumentRow]) -> tuple[int, datetime, str]:
    _matter, document = paper
    role = document.role if document.role in _VOLUMES else "electronic-evidence"
    return _VOLUMES.index(role), document.filed_at, document.id


# --- what lacks -------------------------------------------------------------------------------------------------------
def _lacks(uow: UnitOfWork, view: MatterView) -> Iterable[Lack]:
    values = {**view.row.facts, **view.row.words}
    is_case = view.form.kind == CASE
    for name in NEEDED:
        if name not in view.masked and not values.get(name):
            yield Lack(what="field", name=name, needed=is_case)
    if not values.get("parties") and not values.get("no_party"):
        yield Lack(what="parties", name="parties", needed=is_case)
    if len({one.agent for one in view.persons if one.role in (HANDLER, OFFICER)}) < OFFICERS_LEAST:
        yield Lack(what="officers", needed=is_case)
    if not values.get(ARCHIVE_PERIOD):
        yield Lack(what="period", name=ARCHIVE_PERIOD)
    footage = [row.target for row in view.links if row.role == FOOTAGE]
    if not footage:
        yield Lack(what="footage", needed=False)
    if is_case:
        for recording in unfixed(uow, view.row.id, footage):
            yield Lack(what="fixation", name=recording)
        filed = {one.role for one in view.documents}
        for role in EXPECTED_DOCUMENTS:
            if role not in filed:
                yield Lack(what="document", name=role, needed=False)


# --- what happened when -----------------------------------------------------------------------------------------------
def _of_footage(pieces: Sequence[Piece]) -> Iterable[Moment]:
    for piece in pieces:
        row = piece.row
        if row is None:
            continue
        begin = row.started_at or row.discovered_at
        yield Moment(
            at=begin, what="recording", target=row.id, name=row.name, length_ms=row.duration_ms, agent=row.officer
        )
        for clip in piece.clips:
            start, end = int(clip.facts.get("in_ms", "0")), int(clip.facts.get("out_ms", "0"))
            yield Moment(
                at=begin + timedelta(milliseconds=start), what="clip", target=row.id, name=clip.key, length_ms=end - start,
                position_ms=start,
            )  # fmt: skip


def _of_history(timeline: Sequence[TimelineRow]) -> Iterable[Moment]:
    for entry in timeline:
        agent = AgentId(entry.actor) if entry.actor else None
        if entry.event_type == DocumentFiled.TYPE:
            name = str(entry.disclosed.get("name") or entry.public["role"])
            yield Moment(at=entry.at, what="document", target=str(entry.public["document"]), name=name, agent=agent)
        elif entry.event_type == MatterActed.TYPE:
            yield Moment(at=entry.at, what="act", target=entry.entry, name=str(entry.public["act"]), agent=agent)
