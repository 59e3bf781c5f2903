"""What a person may see of a matter and do with it; helpers of :mod:`matters.desk` that change nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from catalogue import UnitOfWork
from catalogue.matters import DocumentRow, LinkRow, MatterRow, PersonRow
from catalogue.records import TimelineRow
from evidence import canonical
from evidence.clock import to_text
from evidence.errors import NotFoundError
from evidence.events import DocumentFiled
from evidence.ids import AgentId, DeviceId, MatterId, RecordingId, UnitId
from evidence.model import Actor, ObjectScope
from evidence.ports import Authoriser
from matters.fold import Folded
from matters.form import APPROVER, PROPOSER, Act, FieldKind, Form, Forms
from matters.turn import NewLink
from matters.values import NOT_FOUND, NOT_THAT_KIND, FormError

#: Reason codes of refusals: one person cannot do both; only somebody with a certain part in the matter may.
SAME_PERSON: Final = "same-person"
NO_PART: Final = "no-part"
#: Reason code of a refusal: it concerns the person who asks.
CONCERNED: Final = "concerned"


@dataclass(frozen=True, slots=True, kw_only=True)
class MatterView:
    """A matter as one person may see it.

    Attributes:
        form: What kind it is.
        row: As it stands, without the fields this person may not see.
        persons: Who has which part.
        links: What it concerns.
        documents: What is on file.
        acts: What this person can do now.
        masked: Names of fields that were left out.
        seen: Digest over everything an approver decides on; given back with an act that asks for it.
    """

    form: Form
    row: MatterRow
    persons: Sequence[PersonRow]
    links: Sequence[LinkRow]
    documents: Sequence[DocumentRow]
    acts: Sequence[Act]
    masked: frozenset[str]
    seen: str


def has_part(folded: Folded, agent: AgentId) -> bool:
    """Whether this person opened the matter or has any part in it."""
    return folded.row.opened_by == agent or any(held == agent for (_role, held) in folded.persons)


def is_kept_from(folded: Folded, form: Form, agent: AgentId) -> bool:
    """Whether this person's part in the matter keeps them from it, whatever their rights."""
    return folded.row.opened_by != agent and bool(parts_of(folded, agent) & set(form.kept_from))


def parts_of(folded: Folded, agent: AgentId) -> frozenset[str]:
    """This person's parts."""
    return frozenset(role for (role, held) in folded.persons if held == agent)


def scope_of(folded: Folded, agent: AgentId) -> ObjectScope:
    """What the policy has to know: whoever has a part acts on what is their own."""
    owner = agent if has_part(folded, agent) else folded.row.opened_by
    return ObjectScope(unit=folded.row.unit, officer=owner)


def recording_scope(uow: UnitOfWork, recording: RecordingId) -> ObjectScope:
    """What the policy has to know of a recording that is linked."""
    row = uow.recordings.get(recording)
    return ObjectScope(unit=row.unit, officer=row.officer, recording=row.id)


def part_refusal(folded: Folded, act: Act, agent: AgentId, on_behalf_of: AgentId | None = None) -> str:
    """Why this person's parts in the matter forbid the act; empty when they do not.

    Who stands in for somebody is refused also what that person's own parts forbid: nobody lets a stand-in approve for them.
    """
    held = parts_of(folded, agent)
    lent = parts_of(folded, on_behalf_of) if on_behalf_of is not None else frozenset()
    never = {*act.never, *((PROPOSER,) if act.role == APPROVER else ())}  # whatever the form says
    if (held | lent) & never:
        return SAME_PERSON
    return NO_PART if act.only and not held & set(act.only) else ""


def present_unit(uow: UnitOfWork, agent: AgentId, now: datetime) -> UnitId | None:
    """The department somebody works in now."""
    for post in uow.people.posts(agent):
        if post.valid_from <= now and (post.valid_to is None or now < post.valid_to):
            return post.unit
    return None


def digest_of(folded: Folded, form: Form) -> str:
    """SHA-256 over the canonical form of everything there is to decide on.

    Fields for few eyes are left out: a digest stands in the log in clear, and whoever knows all the rest could try names until it
    fits. That one of them changed is told by the version.
    """
    masked = masked_fields(form, ())
    hidden = hidden_parts(form, masked)
    row = without(folded.row, masked)
    told = {
        "number": row.number, "kind": row.kind, "state": row.state, "version": row.version, "facts": dict(row.facts),
        "words": dict(row.words), "persons": sorted([role, agent] for role, agent in folded.persons if role not in hidden),
        "links": [
            [one.role, one.target, one.key, dict(one.facts)] for _place, one in sorted(folded.links.items())
        ],
        "documents": sorted([one.role, one.sha256.hex, to_text(one.filed_at)] for one in folded.documents.values()),
    }  # fmt: skip
    return hashlib.sha256(canonical.dumps(told)).hexdigest()


def view_of(folded: Folded, form: Form, actor: Actor, authoriser: Authoriser) -> MatterView:
    """The view of one person."""
    masked = masked_fields(form, parts_of(folded, actor.agent))
    scope = scope_of(folded, actor.agent)
    acts = [
        act for act in form.acts
        if not act.hidden and folded.row.state in act.before and not part_refusal(folded, act, actor.agent)
        and (decision := authoriser.decide(actor, act.action, scope)).allowed
        and not part_refusal(folded, act, actor.agent, decision.on_behalf_of)
    ]  # fmt: skip
    return MatterView(
        form=form, row=without(folded.row, masked), persons=known_persons(form, folded.persons.values(), masked, actor.agent),
        links=list(folded.links.values()),
        documents=[
            one for one in folded.documents.values()
            if one.filed_by == actor.agent or may_read(form, one.role, parts_of(folded, actor.agent))
        ],
        acts=acts, masked=masked, seen=digest_of(folded, form),
    )  # fmt: skip


def may_read(form: Form, role: str, parts: Collection[str]) -> bool:
    """Whether somebody with these parts may see documents of a role, once they see the matter."""
    wanted = form.papers_seen_by.get(role)
    return not wanted or bool(set(wanted) & set(parts))


def masked_fields(form: Form, parts: Collection[str]) -> frozenset[str]:
    """Fields that somebody with these parts may not see."""
    return frozenset(name for name, one in form.fields().items() if one.seen_by and not set(one.seen_by) & set(parts))


def without(row: MatterRow, masked: Collection[str]) -> MatterRow:
    """A row without some fields."""
    if not masked:
        return row
    return replace(row, facts=_left(row.facts, masked), words=_left(row.words, masked))


def _left(values: Mapping[str, Any], masked: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in masked}


def masked_row(uow: UnitOfWork, row: MatterRow, forms: Forms, agent: AgentId) -> MatterRow:
    """A row of a list without the fields this person may not see."""
    form = forms.of(row.kind)
    if not any(one.seen_by for one in form.fields().values()):
        return row
    parts = {one.role for one in uow.matters.persons(row.id) if one.agent == agent}
    return without(row, masked_fields(form, parts))


def hidden_parts(form: Form, masked: Collection[str]) -> frozenset[str]:
    """Parts whose holders are told only to those who may see the field that names them (a complainant who is kept secret)."""
    return frozenset(one.part for one in form.fields().values() if one.name in masked and one.part)


def known_persons(
    form: Form, persons: Iterable[PersonRow], masked: Collection[str], agent: AgentId
) -> list[PersonRow]:  # fmt: skip
    """Persons without those that masked fields name; one's own part is always told."""
    hidden = hidden_parts(form, masked)
    return [one for one in persons if one.role not in hidden or one.agent == agent]


def tells(row: MatterRow, text: str) -> bool:
    """Whether a text stands in what is left of a matter for somebody's eyes: a search must not find what they may not see."""
    told = json.dumps(dict(row.words), ensure_ascii=False).casefold()
    return text.casefold() in row.number.casefold() or text.casefold() in told


def masked_history(
    form: Form, timeline: Sequence[TimelineRow], masked: Collection[str], agent: AgentId
) -> list[TimelineRow]:  # fmt: skip
    """Entries without the fields, and the persons they name, that somebody may not see."""
    if not masked:
        return list(timeline)
    hidden = hidden_parts(form, masked)

    def left(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: _masked(name, value, masked, hidden, agent) for name, value in values.items()}

    return [replace(one, public=left(one.public), disclosed=left(one.disclosed)) for one in timeline]


def _masked(name: str, value: Any, masked: Collection[str], hidden: Collection[str], agent: AgentId) -> Any:
    if name in ("facts", "words") and isinstance(value, dict):
        return _left(value, masked)
    if name == "persons" and isinstance(value, list):
        return [one for one in value if one.get("role") not in hidden or one.get("agent") == agent]
    return value


def without_papers(timeline: Sequence[TimelineRow], readable: Collection[str]) -> list[TimelineRow]:
    """Entries without the names of documents that are not among the readable ones."""
    return [
        replace(one, disclosed={})
        if one.event_type == DocumentFiled.TYPE and one.public["document"] not in readable
        else one
        for one in timeline
    ]


def require_known(uow: UnitOfWork, act: Act, facts: Mapping[str, Any], links: Sequence[NewLink]) -> None:
    """Whatever an act names must exist; FormError tells each field, NotFoundError a link."""
    wrong = {}
    for one in act.fields:
        if one.name in facts and not _exists(uow, one.kind, facts[one.name]):
            wrong[one.name] = NOT_FOUND
    if wrong:
        raise FormError(wrong)
    kinds = {
        "rec": FieldKind.RECORDING, "dev": FieldKind.DEVICE, "agt": FieldKind.AGENT, "unt": FieldKind.UNIT,
        "mat": FieldKind.MATTER,
    }  # fmt: skip
    for link in links:
        if not _exists(uow, kinds[link.target.partition("_")[0]], link.target):
            raise NotFoundError(f"there is nothing of the identity {link.target[:64]}")
    by_role = {one.role: one for one in act.links}
    for link in links:
        taken = by_role[link.role].kinds if link.role in by_role else ()
        if taken and link.target.startswith("mat_") and uow.matters.get(MatterId(link.target)).kind not in taken:
            raise FormError({link.role: NOT_THAT_KIND})


def _exists(uow: UnitOfWork, kind: FieldKind, value: str) -> bool:
    try:
        match kind:
            case FieldKind.AGENT:
                return uow.people.agent(AgentId(value)).active
            case FieldKind.UNIT:
                return any(unit.id == value for unit in uow.people.units())
            case FieldKind.DEVICE:
                uow.devices.get(DeviceId(value))
            case FieldKind.RECORDING:
                uow.recordings.get(RecordingId(value))
            case FieldKind.MATTER:
                uow.matters.get(MatterId(value))
            case _:
                return True
    except NotFoundError:
        return False
    return True
