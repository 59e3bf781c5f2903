"""What can be begun with chosen recordings: kinds whose opening takes them, and acts of open matters that do."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from api.matters.marking import due_mark, state_mark
from api.matters.showing import Shower
from api.services import Services
from api.web import matter_words
from api.web.marks import Mark
from catalogue.matters import MatterFilter, MatterRow
from evidence.ids import RecordingId
from evidence.model import Action, Actor
from matters.form import Act, FieldKind, Form

_REC: Final = "rec"
#: Open matters that are looked at and offered.
_LOOKED_AT: Final = 40
_OFFERED: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Something to begin.

    Attributes:
        word: What the button says.
        path: Where its form is.
        input: Name under which the recordings are passed.
        single: Takes one only.
        act: Name of the act; empty for opening.
        number: Of the open matter.
        title: Of the open matter.
        state: Of the open matter.
    """

    word: str
    path: str
    input: str
    single: bool = False
    act: str = ""
    number: str = ""
    title: str = ""
    state: Mark | None = None


def taking(act: Act, *, count: int) -> tuple[str, bool] | None:
    """The input by which an act takes so many recordings, and whether it takes one only; None when it takes none."""
    for role in act.links:
        if _REC in role.targets and (not role.most or count <= role.most):
            return f"link.{role.role}", False
    for one in act.fields:
        if one.kind is FieldKind.RECORDING and count <= 1:
            return f"f.{one.name}", True
    return None


def to_open(services: Services, actor: Actor, shower: Shower, *, count: int) -> list[tuple[str, Offer]]:
    """Group and offer for every kind that this person may open and whose opening takes recordings."""
    offers = _classify(services, actor, shower)
    for form in services.matters.kinds(actor):
        taken = taking(form.opening, count=count)
        if taken is None or not services.matters.may_open(actor, form.kind):
            continue
        kind, opening = shower.say(form.word), shower.say(form.opening.word)
        word = kind if kind == opening else f"{kind} · {opening}"
        offer = Offer(word=word, path=f"/matters/{form.kind}/new", input=taken[0], single=taken[1])
        offers.append((shower.say(form.group or matter_words.NO_GROUP[""]), offer))
    return offers


def _classify(services: Services, actor: Actor, shower: Shower) -> list[tuple[str, Offer]]:
    if Action.RECORDING_CLASSIFY not in services.gate.offered(actor):
        return []
    return [
        (shower.say("Retention"), Offer(word=shower.say("Classify recordings"), path="/classify", input="recording"))
    ]


def standing(services: Services, actor: Actor, shower: Shower, *, text: str, count: int) -> list[Offer]:
    """Acts of open matters that take so many recordings and that this person can do now."""
    kinds = [form.kind for form in services.matters.forms if _any_takes(form, count)]
    if not kinds:
        return []
    wanted = MatterFilter(kinds=kinds, open=True, text=text)
    offers: list[Offer] = []
    for row in services.matters.find(actor, wanted, limit=_LOOKED_AT):
        view = services.matters.view(actor, row.id)
        for act in view.acts:
            taken = taking(act, count=count)
            if taken is not None:
                offers.append(Offer(
                    word=shower.say(act.word), path=f"/matters/one/{row.id}", input=taken[0], single=taken[1], act=act.name,
                    number=row.number, title=shower.title(view.form, row), state=state_mark(view.form, row),
                ))  # fmt: skip
                break
        if len(offers) == _OFFERED:
            break
    return offers


def _any_takes(form: Form, count: int) -> bool:
    return any(not act.hidden and taking(act, count=count) is not None for act in form.acts)


def about(services: Services, actor: Actor, shower: Shower, recording: RecordingId) -> list[dict[str, Any]]:
    """Matters that concern a recording, as far as this person may know of them: the section of its page."""
    found = services.matters.find(actor, MatterFilter(target=recording), limit=_LOOKED_AT)
    return [
        {
            "row": row, "word": shower.say(form.word), "title": shower.title(form, row), "state": state_mark(form, row),
        }
        for row in found for form in [services.matters.forms.of(row.kind)]
    ]  # fmt: skip


def may_begin(services: Services, actor: Actor, offered: Collection[Form] | None = None) -> bool:
    """Whether chosen recordings could be of any use to this person: whether lists offer to choose."""
    forms = services.matters.kinds(actor) if offered is None else offered
    return Action.RECORDING_CLASSIFY in services.gate.offered(actor) or any(
        _any_takes(form, 1) or (taking(form.opening, count=1) and services.matters.may_open(actor, form.kind))
        for form in forms
    )


def waits(services: Services, actor: Actor, shower: Shower) -> dict[str, Any]:
    """What waits for somebody: matters of others on which they take the next step, and those they opened that are still open."""
    now = services.clock.now().wall
    own = services.matters.find(actor, MatterFilter(open=True, person=actor.agent), limit=_LOOKED_AT)
    mine = [row for row in own if row.opened_by == actor.agent][:_OFFERED]
    return {
        "steps": [
            {**_told(services, shower, row, now), "acts": [shower.say(act.word) for act in acts]}
            for row, acts in services.matters.waiting(actor)[:_OFFERED]
        ],
        "mine": [_told(services, shower, row, now) for row in mine],
    }  # fmt: skip


def _told(services: Services, shower: Shower, row: MatterRow, now: datetime) -> dict[str, Any]:
    form = services.matters.forms.of(row.kind)
    return {
        "row": row, "word": shower.say(form.word), "title": shower.title(form, row), "state": state_mark(form, row),
        "due": due_mark(row, now),
    }  # fmt: skip
