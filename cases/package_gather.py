"""What goes into a case package, gathered from the catalogue: originals with proofs, clips, documents, treated copies, record.

Only what the person who makes the package may see is told of the case; papers of its second volume, which stay in the house, are
left out. Nothing here asks for a right or enters anything: :mod:`cases.packages` has.

Source: RULES R15, R16, R19, R21, R27; docs/formats/package.md.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from cases import dossier_parts, package_form, treatment_form
from cases.fixation_gate import KIND as FIXATION
from cases.package_content import Content, Facts, Item, ItemKind, Line, PackageForm
from catalogue import Catalogue, UnitOfWork
from catalogue.matters import MatterRow
from catalogue.records import RecordingRow
from chain_of_custody import NoteVerifier
from chain_of_custody.proof import proof_for
from chain_of_custody.reader import LogReader
from evidence.clock import BUREAU_ZONE, Clock
from evidence.digest import Digest
from evidence.errors import InvalidInputError, PolicyUnmetError
from evidence.ids import AgentId, MatterId, RecordingId, UnitId
from evidence.model import Actor, ObjectScope, RecordingKind, RecordingState
from evidence.ports import Authoriser, BlobStore
from matters.desk import MatterDesk
from matters.form import APPROVER, FieldKind
from matters.looking import MatterView
from media.ladder import ViewingPlan

#: Matters about the case whose documents belong into its package.
WITH_DOCUMENTS: Final = (FIXATION,)
_TOLD: Final = frozenset(
    {
        FieldKind.LINE,
        FieldKind.WORDS,
        FieldKind.DATE,
        FieldKind.MOMENT,
        FieldKind.NUMBER,
        FieldKind.CHOICE,
        FieldKind.TABLE,
    }
)
_TYPES: Final[Mapping[RecordingKind, str]] = {
    RecordingKind.VIDEO: "video/mp4",
    RecordingKind.AUDIO: "audio/mpeg",
    RecordingKind.PHOTO: "image/jpeg",
}
#: What a package for publication is called: the name of a case names parties.
_PUBLISHED: Final = "经技术处理的执法音像资料"
_STORED: Final = frozenset({RecordingState.STORED, RecordingState.RELEASED})


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageParts:
    """What packages are made with.

    Attributes:
        catalogue: Where everything stands.
        desk: Tells and changes matters.
        authoriser: Asked and entered.
        clock: Injected time.
        blobs: Reads bytes from whichever store gives them.
        published: The published log. verifier: Its key. program: The stand-alone verifier's bytes.
        scopes: What the policy has to know of recordings, archiving included.
        say: Translates a word of a form or of the log's events into Chinese.
        say_event: The name of an event type.
        woken: Called after a commit that added an entry.
        plain: A file with the plain bytes of an original, for cutting clips.
        scratch: Where clips are made. ready_scratch: Raises StoreError when plain files may not lie there.
    """

    catalogue: Catalogue
    desk: MatterDesk
    authoriser: Authoriser
    clock: Clock
    blobs: BlobStore
    published: Path
    verifier: NoteVerifier
    program: bytes
    scopes: Callable[[UnitOfWork, Sequence[RecordingRow], datetime], Sequence[ObjectScope]]
    say: Callable[[str], str]
    say_event: Callable[[str], str]
    woken: Callable[[], None]
    plain: Callable[[Digest], AbstractContextManager[Path]]
    scratch: Path
    ready_scratch: Callable[[], None]


class Gathering:
    """Gathers one package.

    Args:
        parts: What it works with.
        view: The case as the person may see it.
        row: The package as it was ordered.
    """

    def __init__(self, parts: PackageParts, view: MatterView, row: MatterRow) -> None:
        self._parts = parts
        self._view = view
        self._row = row
        #: Recordings that browsers do not play and that have no viewing copy; known after :meth:`content`.
        self.unplayable: set[str] = set()
        #: Linked recording -> the one that keeps its bytes; known after :meth:`content`.
        self.kept: dict[str, str] = {}

    def content(self, actor: Actor) -> Content:
        """Everything but what is made for the package alone (:mod:`cases.package_made`).

        Raises:
            PolicyUnmetError: An original is not sealed; the approval of a treated copy was taken back.
            InvalidInputError: There is nothing to pack. IntegrityError: The published log contradicts itself.
        """
        row = self._row
        reader = LogReader(self._parts.published, verifier=self._parts.verifier)
        point = reader.checkpoint()
        with self._parts.catalogue.read() as uow:
            links = uow.matters.links(row.id)
            lines: list[Line] = []
            if row.facts["form"] == PackageForm.FULL:
                rows = [
                    uow.recordings.get(RecordingId(link.target)) for link in links if link.role == package_form.FOOTAGE
                ]
                self.kept = kept_by(uow, self._view)
                items = [item for one in rows for item in self._items(uow, one, reader)]
                items += self._documents(uow)
                lines = [line for one in rows for line in self._lines(uow, one)]
                summary = self._summary(uow)
            else:
                treated = [MatterId(link.target) for link in links if link.role == package_form.TREATMENT]
                items, summary = self._treated(uow, treated), []
            facts = self._facts(uow, actor)
        if not items:
            raise InvalidInputError(
                "the case has neither footage nor documents", todo="Link footage to the case first."
            )
        return Content(
            facts=facts, items=items, lines=lines, summary=summary, origin=point.origin, size=point.size,
            root=base64.b64encode(point.root).decode("ascii"), checkpoint=reader.note(), vkey=self._parts.verifier.text(),
            verifier=self._parts.program,
        )  # fmt: skip

    def _facts(self, uow: UnitOfWork, actor: Actor) -> Facts:
        """The head, as it was entered when the package was ordered: going on changes nothing of it."""
        view, row = self._view, self._row
        choices = self._parts.desk.forms.of(package_form.KIND).fields()["purpose"].choices
        purpose = next((one.word for one in choices if one.code == row.facts.get("purpose")), "")
        if row.facts["form"] == PackageForm.PUBLICATION:  # who is concerned, and who worked on it, is not published
            return Facts(
                number=row.number, case_number="", title=_PUBLISHED, unit=_unit(uow, view.row.unit), producer="",
                made_at=row.opened_at, form=PackageForm.PUBLICATION,
            )  # fmt: skip
        return Facts(
            number=row.number, case_number=view.row.number, title=title_of(view), unit=_unit(uow, view.row.unit),
            producer=actor.name, made_at=row.opened_at, form=PackageForm(row.facts["form"]),
            purpose=self._parts.say(purpose), recipient=str(row.words.get("recipient", "")),
            authority=str(row.words.get("authority", "")), approver=_consenters(uow, view, actor),
        )  # fmt: skip

    def _opened(self, sha256: Digest) -> Callable[[], BinaryIO]:
        return lambda: self._parts.blobs.open(sha256)

    def _items(self, uow: UnitOfWork, row: RecordingRow, reader: LogReader) -> Iterable[Item]:
        if row.sha256 is None or row.stored_index is None:
            raise PolicyUnmetError(f"{row.name} is not sealed yet", todo="Try again in a moment.")
        at = row.started_at or row.stored_at or row.discovered_at
        facts = _recording_facts(uow, row)
        yield Item(
            kind=ItemKind.ORIGINAL, name=row.name, sha256=row.sha256.hex, size_bytes=row.size_bytes, group=row.id, at=at,
            open=self._opened(row.sha256), media_type=str(row.facts.get("media_type") or _TYPES.get(row.kind, "")),
            proof=proof_for(reader, row.stored_index), facts=facts,
        )  # fmt: skip
        copies = [one for one in uow.derivatives.of(row.id) if one.kind == "viewing"]
        if not copies and row.facts.get("viewing") in (ViewingPlan.REMUX, ViewingPlan.TRANSCODE):
            self.unplayable.add(row.id)
        if copies:
            last = max(copies, key=lambda one: one.made_at)
            yield Item(
                kind=ItemKind.VIEWING, name=f"{row.name}.mp4", sha256=last.sha256.hex, size_bytes=last.size_bytes,
                group=row.id, at=at, open=self._opened(last.sha256), media_type=last.media_type,
            )  # fmt: skip

    def _documents(self, uow: UnitOfWork) -> list[Item]:
        """Papers of the case's main volume, and of matters whose papers belong into its dossier."""
        rows = [one for one in self._view.documents if one.role not in dossier_parts.SECOND_VOLUME]
        for matter in uow.matters.linked_to(self._view.row.id, kinds=WITH_DOCUMENTS):
            rows += uow.matters.documents(matter.id)
        return [
            Item(
                kind=ItemKind.DOCUMENT, name=row.name or f"{row.role}", sha256=row.sha256.hex, size_bytes=row.size_bytes,
                group=row.matter, at=row.filed_at, open=self._opened(row.sha256), media_type=row.media_type,
            )
            for row in {row.id: row for row in rows}.values()
        ]  # fmt: skip

    def _treated(self, uow: UnitOfWork, matters: Sequence[MatterId]) -> list[Item]:
        items = []
        for matter in matters:
            row = uow.matters.get(matter)
            if row.state != treatment_form.APPROVED:
                raise PolicyUnmetError(f"the approval of {row.number} was taken back", todo="Order the package anew.")
            approved = max(one.since for one in uow.matters.persons(matter) if one.role == APPROVER)
            for document in uow.matters.documents(matter, role=treatment_form.TREATED):
                if document.filed_at > approved:  # nobody looked at it
                    continue
                suffix = document.name.rpartition(".")[2][:8] if "." in document.name else "bin"
                items.append(
                    Item(
                        kind=ItemKind.TREATED, name=f"{row.number}.{suffix}", sha256=document.sha256.hex,
                        size_bytes=document.size_bytes, group=row.number, at=document.filed_at,
                        open=self._opened(document.sha256), media_type=document.media_type,
                    )
                )  # fmt: skip
        return items

    def _lines(self, uow: UnitOfWork, row: RecordingRow) -> list[Line]:
        names = {agent.id: agent.name for agent in uow.people.agents()}
        return [
            Line(
                group=row.id, at=entry.at, event=self._parts.say_event(entry.event_type),
                agent=names.get(AgentId(entry.actor), "") if entry.actor else "", index=entry.index,
            )
            for entry in uow.timeline(row.id)
        ]  # fmt: skip

    def _summary(self, uow: UnitOfWork) -> list[tuple[str, str]]:
        """What the case's record tells (R15), field by field as its form declares them, as far as the person may see it."""
        view = self._view
        values = {**view.row.facts, **view.row.words}
        told = []
        for field in view.form.opening.fields:
            value = values.get(field.name)
            if field.name == view.form.title or field.kind not in _TOLD or value in (None, "", [], False):
                continue
            word = next((choice.word for choice in field.choices if choice.code == value), None)
            told.append((self._parts.say(field.word), self._parts.say(word) if word else _shown(value)))
        names = {row.id: row.name for row in uow.people.agents()}
        officers = [
            names.get(one.agent, "")
            for one in view.persons
            if one.role in (dossier_parts.HANDLER, dossier_parts.OFFICER)
        ]
        if officers:
            told.append((self._parts.say("Officer"), "、".join(dict.fromkeys(officers))))
        return told


def kept_by(uow: UnitOfWork, view: MatterView) -> dict[str, str]:
    """Each recording of the case with the one that keeps its bytes: itself, but for duplicates."""
    found = {}
    for link in view.links:
        if link.target.startswith("rec_"):
            row = uow.recordings.get(RecordingId(link.target))
            found[link.target] = str(row.duplicate_of or row.id)
    return found


def recordings_of(uow: UnitOfWork, view: MatterView) -> list[RecordingRow]:
    """The recordings of the case, of a duplicate the one that keeps its bytes; each once."""
    return [uow.recordings.get(RecordingId(kept)) for kept in dict.fromkeys(kept_by(uow, view).values())]


def treatments_of(uow: UnitOfWork, view: MatterView) -> list[MatterRow]:
    """Approved treatments of the case's footage (R21)."""
    found: dict[str, MatterRow] = {}
    for row in recordings_of(uow, view):
        for matter in uow.matters.linked_to(row.id, kinds=(treatment_form.KIND,)):
            if matter.state == treatment_form.APPROVED:
                found[matter.id] = matter
    return list(found.values())


def require_sealed(rows: Sequence[RecordingRow]) -> None:
    """Everything that is to be proved is in the published log; PolicyUnmetError else."""
    for row in rows:
        if not row.sealed or row.stored_index is None or row.state not in _STORED:
            raise PolicyUnmetError(
                f"{row.name} is not sealed yet, or was cleared",
                kept="Nothing was written.",
                todo="Try again in a moment.",
            )


def title_of(view: MatterView) -> str:
    """The name of the case, its number where it has none."""
    return str(view.row.words.get(view.form.title) or view.row.facts.get(view.form.title) or view.row.number)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "；".join(
            "，".join(str(text) for text in one.values() if text) for one in value if isinstance(one, dict)
        )
    return str(value)


def _unit(uow: UnitOfWork, unit: UnitId | None) -> str:
    return next((row.name for row in uow.people.units() if row.id == unit), "") if unit is not None else ""


def _consenters(uow: UnitOfWork, view: MatterView, actor: Actor) -> str:
    """Who consented to the use that the package rests on: approvers of this person's valid grants over the case's footage."""
    wanted = [link.target for link in view.links if link.target.startswith("rec_")]
    found: dict[str, str] = {}
    for rows in uow.matters.linked_to_each(wanted, kinds=("access-grant",)).values():
        for row in rows:
            if row.facts.get("holder") == actor.agent and row.closed_at is None and row.approved_by is not None:
                found[row.approved_by] = uow.people.agent(row.approved_by).name
    return "、".join(found.values())


def _time(moment: datetime | None) -> str:
    return f"{moment.astimezone(BUREAU_ZONE):%Y-%m-%d %H:%M:%S} (UTC+8)" if moment is not None else ""


def _clock(milliseconds: int) -> str:
    seconds = milliseconds // 1000
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _recording_facts(uow: UnitOfWork, row: RecordingRow) -> dict[str, str]:
    device = uow.devices.get(row.device)
    officer = uow.people.agent(row.officer).name if row.officer is not None else row.officer_code
    facts = {
        "started_at": _time(row.started_at), "ended_at": _time(row.ended_at), "recording": row.id,
        "duration": _clock(row.duration_ms) if row.duration_ms is not None else "", "officer": officer,
        "device": device.label or f"{device.vendor} {device.model} {device.serial}".strip(),
        "sm3": row.sm3.hex if row.sm3 is not None else "", "verdict": row.verdict.value,
    }  # fmt: skip
    return {name: value for name, value in facts.items() if value}
