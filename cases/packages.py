"""Making a case package: who may, what is in it, the entry before and after, the writing. Resumable.

Order: the case is the person's to see and to export | every original is exported under the person's right or grant, each
entered as a use (R17) | the package is a matter "being made", with everything that will be in it | the bag is written, read
back, whole | the matter says so, with its digests. If we crash before the third, nothing left the house and the uses stand as
asked for; after it the same order goes on with the same package, and asks for no further use.

A package for publication asks for no original at all: it takes the treated copies that a second person approved (R21).

Source: RULES R17, R19, R21, R27; docs/formats/package.md.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from cases import package_form, treatment_form
from cases.package_build import PackageReceipt, write_package
from cases.package_content import VERIFY_LIST_PATH, Content, Facts, Item, ItemKind, Line, PackageForm
from catalogue import Catalogue, UnitOfWork
from catalogue.matters import LinkRow, MatterFilter, MatterRow
from catalogue.records import RecordingRow
from chain_of_custody import NoteVerifier
from chain_of_custody.proof import proof_for
from chain_of_custody.reader import LogReader
from documents.bagit import Progress, bag_info, receipt_of
from evidence.clock import BUREAU_ZONE, Clock
from evidence.digest import Digest, sha256_of
from evidence.errors import BlobConflictError, InvalidInputError, ManifestInvalidError, NotFoundError, PolicyUnmetError
from evidence.ids import AgentId, MatterId, RecordingId, UnitId
from evidence.model import Action, Actor, ObjectScope, RecordingKind, RecordingState
from evidence.ports import Authoriser, BlobStore
from matters.desk import MatterDesk
from matters.form import FieldKind
from matters.looking import MatterView
from matters.turn import Asked, NewLink
from matters.values import checked

#: Matters whose footage and documents can be packed.
PACKED_KINDS: Final = ("case", "working-material")
#: Matters about the case whose documents belong into its package.
WITH_DOCUMENTS: Final = ("fixation",)
_TOLD: Final = frozenset(
    {FieldKind.LINE, FieldKind.WORDS, FieldKind.DATE, FieldKind.MOMENT, FieldKind.NUMBER, FieldKind.CHOICE}
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
class Order:
    """What a person asks for.

    Attributes:
        case: Which case.
        target: The folder to be written; its parent exists.
        form: For whom.
        purpose: One of the purposes of use (:data:`cases.access_parts.PURPOSES`).
        recipient: Who gets it.
        authority: The document it rests on.
    """

    case: MatterId
    target: Path
    form: PackageForm
    purpose: str
    recipient: str
    authority: str = ""


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


@dataclass(frozen=True, slots=True)
class Made:
    """A package as it was made: its matter, and what was written."""

    matter: MatterRow
    receipt: PackageReceipt


class CasePackages:
    """Makes packages.

    Args:
        parts: What it works with.
    """

    def __init__(self, parts: PackageParts) -> None:
        self._parts = parts

    def export(self, actor: Actor, order: Order, *, progress: Progress | None = None) -> Made:
        """Make a package, or go on with the one that was cut off at the same target.

        Raises:
            AccessDeniedError: The case, or one of its recordings, is not this person's to export (entered).
            NotFoundError: No such case. PolicyUnmetError: Something is not sealed yet; nothing approved to publish (R21).
            InvalidInputError: Nothing to pack; a purpose that does not exist. BlobConflictError: The target exists.
            ConfigError: The fonts are missing. StoreFullError, StoreError, DigestMismatchError: While writing; the package stays
                "being made" and the same order continues it.
        """
        view = self._case(actor, order.case)
        target = order.target.resolve()
        row = self._going_on(actor, order, target)
        if target.exists():
            if row is None or not _is_package(target, row.number):
                raise BlobConflictError(
                    f"{target.name} exists already; nothing was overwritten", todo="Choose another name."
                )
            receipt = PackageReceipt(receipt_of(target), _digest_of_list(target))  # whole, and not entered yet
            return Made(self._finished(actor, row, receipt), receipt)
        row = row or self._ordered(actor, order, view, target)
        receipt = write_package(target, self._content(actor, order, view, row), progress=progress)
        return Made(self._finished(actor, row, receipt), receipt)

    # --- who may ------------------------------------------------------------------------------------------------------
    def _case(self, actor: Actor, case: MatterId) -> MatterView:
        view = self._parts.desk.view(actor, case)
        if view.row.kind not in PACKED_KINDS:
            raise NotFoundError(f"{view.row.number} is no case")
        own = actor.agent if any(person.agent == actor.agent for person in view.persons) else view.row.opened_by
        scope = ObjectScope(unit=view.row.unit, officer=own)
        self._parts.authoriser.require(actor, Action.CASE_EXPORT, scope, detail=f"package {view.row.number}")
        return view

    def _going_on(self, actor: Actor, order: Order, target: Path) -> MatterRow | None:
        """The package this person was making at this very target, if it was cut off."""
        wanted = MatterFilter(kinds=(package_form.KIND,), states=(package_form.MAKING,), target=order.case)
        with self._parts.catalogue.read() as uow:
            rows = uow.matters.find(wanted, limit=1000)
        for row in rows:
            same = row.facts.get("form") == order.form.value and row.words.get("place") == str(target)
            if same and row.opened_by == actor.agent:
                return row
        return None

    def _ordered(self, actor: Actor, order: Order, view: MatterView, target: Path) -> MatterRow:
        values = {
            "title": _title(view), "form": order.form.value, "purpose": order.purpose, "recipient": order.recipient,
            "authority": order.authority, "place": str(target),
        }  # fmt: skip
        form = self._parts.desk.forms.of(package_form.KIND)
        facts, words = checked(form.opening.fields, {name: value for name, value in values.items() if value})
        with self._parts.catalogue.read() as uow:
            rows = self._rows(uow, view) if order.form is PackageForm.FULL else []
            treated = self._treatments(uow, view) if order.form is PackageForm.PUBLICATION else []
            now = self._parts.clock.now().wall
            scopes = self._parts.scopes(uow, rows, now) if rows else []
        if order.form is PackageForm.PUBLICATION and not treated:
            raise PolicyUnmetError(
                "no treated copy of this case's footage was approved for publication", kept="Nothing was written.",
                todo="Bring in treated copies and have them approved by a second person.",
            )  # fmt: skip
        _require_sealed(rows)
        if rows:
            asked = [(scope, row.sha256.hex if row.sha256 else "") for scope, row in zip(scopes, rows, strict=True)]
            detail = f"package of {view.row.number}"
            self._parts.authoriser.allowed_each(actor, Action.RECORDING_EXPORT, asked, detail=detail, use=True)
        links = [NewLink(role=package_form.CASE, target=view.row.id)]
        links += [NewLink(role=package_form.FOOTAGE, target=row.id) for row in rows]
        links += [NewLink(role=package_form.TREATMENT, target=row.id) for row in treated]
        with self._parts.catalogue.begin() as uow:
            row = self._parts.desk.open_within(
                uow, package_form.KIND, Asked(facts=facts, words=words, links=links), actor=actor, unit=view.row.unit
            )  # fmt: skip
            uow.after_commit(self._parts.woken)
        return row

    def _finished(self, actor: Actor, row: MatterRow, receipt: PackageReceipt) -> MatterRow:
        facts = {
            "manifest_sha256": receipt.bag.manifest_sha256, "list_sha256": receipt.list_sha256,
            "files": receipt.bag.payload_files, "size_bytes": receipt.bag.payload_bytes,
        }  # fmt: skip
        with self._parts.catalogue.begin() as uow:
            made = self._parts.desk.act_within(uow, row.id, package_form.FINISH, Asked(facts=facts), actor=actor)
            uow.after_commit(self._parts.woken)
        return made

    # --- what is in it ------------------------------------------------------------------------------------------------
    def _rows(self, uow: UnitOfWork, view: MatterView) -> list[RecordingRow]:
        """The recordings of the case, of a duplicate the one that keeps its bytes; each once."""
        rows: dict[str, RecordingRow] = {}
        for link in view.links:
            if link.target.startswith("rec_"):
                row = uow.recordings.get(RecordingId(link.target))
                if row.duplicate_of is not None:
                    row = uow.recordings.get(row.duplicate_of)
                rows[row.id] = row
        return list(rows.values())

    def _treatments(self, uow: UnitOfWork, view: MatterView) -> list[MatterRow]:
        found: dict[str, MatterRow] = {}
        for row in self._rows(uow, view):
            for matter in uow.matters.linked_to(row.id, kinds=(treatment_form.KIND,)):
                if matter.state == treatment_form.APPROVED:
                    found[matter.id] = matter
        return list(found.values())

    def _content(self, actor: Actor, order: Order, view: MatterView, row: MatterRow) -> Content:
        reader = LogReader(self._parts.published, verifier=self._parts.verifier)
        point = reader.checkpoint()
        with self._parts.catalogue.read() as uow:
            links = uow.matters.links(row.id)
            lines: list[Line] = []
            if order.form is PackageForm.FULL:
                rows = [
                    uow.recordings.get(RecordingId(link.target)) for link in links if link.role == package_form.FOOTAGE
                ]
                items = [item for one in rows for item in self._items(uow, one, view, reader)]
                items += self._documents(uow, view)
                lines = [line for one in rows for line in self._lines(uow, one)]
                summary = self._summary(view)
            else:
                treated = [MatterId(link.target) for link in links if link.role == package_form.TREATMENT]
                items, summary = self._treated(uow, treated), []
            facts = self._facts(uow, actor, view, row)
        if not items:
            raise InvalidInputError(
                "the case has neither footage nor documents", todo="Link footage to the case first."
            )
        return Content(
            facts=facts, items=items, lines=lines, summary=summary, origin=point.origin, size=point.size,
            root=base64.b64encode(point.root).decode("ascii"), checkpoint=reader.note(), vkey=self._parts.verifier.text(),
            verifier=self._parts.program,
        )  # fmt: skip

    def _facts(self, uow: UnitOfWork, actor: Actor, view: MatterView, row: MatterRow) -> Facts:
        """The head, as it was entered when the package was ordered: going on changes nothing of it."""
        choices = self._parts.desk.forms.of(package_form.KIND).fields()["purpose"].choices
        purpose = next((one.word for one in choices if one.code == row.facts.get("purpose")), "")
        if row.facts["form"] == PackageForm.PUBLICATION:  # who is concerned, and who worked on it, is not published
            return Facts(
                number=row.number, case_number="", title=_PUBLISHED, unit=_unit(uow, view.row.unit), producer="",
                made_at=row.opened_at, form=PackageForm.PUBLICATION,
            )  # fmt: skip
        return Facts(
            number=row.number, case_number=view.row.number, title=_title(view), unit=_unit(uow, view.row.unit),
            producer=actor.name, made_at=row.opened_at, form=PackageForm(row.facts["form"]),
            purpose=self._parts.say(purpose), recipient=str(row.words.get("recipient", "")),
            authority=str(row.words.get("authority", "")), approver=_consenters(uow, view, actor),
        )  # fmt: skip

    def _opened(self, sha256: Digest) -> Callable[[], BinaryIO]:
        return lambda: self._parts.blobs.open(sha256)

    def _items(self, uow: UnitOfWork, row: RecordingRow, view: MatterView, reader: LogReader) -> Iterable[Item]:
        if row.sha256 is None or row.stored_index is None:
            raise PolicyUnmetError(f"{row.name} is not sealed yet", todo="Try again in a moment.")
        at = row.started_at or row.stored_at or row.discovered_at
        facts = _recording_facts(uow, row, [link for link in view.links if link.target == row.id])
        yield Item(
            kind=ItemKind.ORIGINAL, name=row.name, sha256=row.sha256.hex, size_bytes=row.size_bytes, group=row.id, at=at,
            open=self._opened(row.sha256), media_type=str(row.facts.get("media_type") or _TYPES.get(row.kind, "")),
            proof=proof_for(reader, row.stored_index), facts=facts,
        )  # fmt: skip
        copies = [one for one in uow.derivatives.of(row.id) if one.kind == "viewing"]
        if copies:
            last = max(copies, key=lambda one: one.made_at)
            yield Item(
                kind=ItemKind.VIEWING, name=f"{row.name}.mp4", sha256=last.sha256.hex, size_bytes=last.size_bytes,
                group=row.id, at=at, open=self._opened(last.sha256), media_type=last.media_type,
            )  # fmt: skip

    def _documents(self, uow: UnitOfWork, view: MatterView) -> list[Item]:
        """Papers of the case itself, and of matters whose papers belong into its dossier."""
        rows = list(view.documents)
        for matter in uow.matters.linked_to(view.row.id, kinds=WITH_DOCUMENTS):
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
            for document in uow.matters.documents(matter, role=treatment_form.TREATED):
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

    def _summary(self, view: MatterView) -> list[tuple[str, str]]:
        """What the case says of itself, field by field as its form declares them, as far as the person may see it."""
        values = {**view.row.facts, **view.row.words}
        told = []
        for name, field in view.form.fields().items():
            value = values.get(name)
            if (
                name == view.form.title
                or field.kind not in _TOLD
                or value in (None, "")
                or isinstance(value, list | dict)
            ):
                continue
            word = next((choice.word for choice in field.choices if choice.code == value), None)
            told.append((self._parts.say(field.word), self._parts.say(word) if word else str(value)))
        return told


def _is_package(folder: Path, number: str) -> bool:
    try:
        return bag_info(folder).get("External-Identifier") == number
    except ManifestInvalidError:
        return False


def _digest_of_list(folder: Path) -> str:
    return sha256_of((folder / VERIFY_LIST_PATH).read_bytes()).hex


def _require_sealed(rows: Sequence[RecordingRow]) -> None:
    for row in rows:
        if not row.sealed or row.stored_index is None or row.state not in _STORED:
            raise PolicyUnmetError(
                f"{row.name} is not sealed yet, or was cleared",
                kept="Nothing was written.",
                todo="Try again in a moment.",
            )


def _title(view: MatterView) -> str:
    return str(view.row.words.get(view.form.title) or view.row.facts.get(view.form.title) or view.row.number)


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


def _recording_facts(uow: UnitOfWork, row: RecordingRow, links: Sequence[LinkRow]) -> dict[str, str]:
    device = uow.devices.get(row.device)
    officer = uow.people.agent(row.officer).name if row.officer is not None else row.officer_code
    marks = [one.facts for one in links if one.facts]
    facts = {
        "started_at": _time(row.started_at), "ended_at": _time(row.ended_at), "recording": row.id,
        "duration": _clock(row.duration_ms) if row.duration_ms is not None else "", "officer": officer,
        "device": device.label or f"{device.vendor} {device.model} {device.serial}".strip(),
        "sm3": row.sm3.hex if row.sm3 is not None else "", "verdict": row.verdict.value,
        "note": "; ".join(" ".join(f"{name}={value}" for name, value in sorted(one.items())) for one in marks),
    }  # fmt: skip
    return {name: value for name, value in facts.items() if value}
