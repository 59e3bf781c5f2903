"""Finding what a form can name or link: recordings, recorders, persons, departments, other matters, as far as the reader may."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from api.matters.showing import Shower
from api.services import Services
from api.web.units import duration_text, local_time
from catalogue.matters import MatterFilter
from catalogue.records import RecordingFilter
from evidence.errors import InvalidInputError
from evidence.ids import MatterId, RecordingId
from evidence.model import Action, Actor

#: More matches than these are not offered: the text is to be made longer.
FOUND_MAX: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Something that can be chosen."""

    id: str
    name: str
    detail: str = ""


def matches(
    services: Services, actor: Actor, shower: Shower, targets: Sequence[str], text: str, *, kinds: Sequence[str] = ()
) -> list[Match]:
    """What a text finds among the kinds of things that may be named.

    Args:
        services: Where they are.
        actor: The reader: nothing is found that they may not know of.
        shower: Tells names of matters.
        targets: Prefixes of identities: ``rec``, ``dev``, ``agt``, ``unt``, ``mat``.
        text: What was typed; an identity finds the thing itself.
        kinds: Of matters only these; empty for all.
    """
    wanted = text.strip()[:200]
    found: list[Match] = []
    if wanted:
        for target in targets:
            if target == "mat":
                found += _matters(services, actor, shower, wanted, kinds)
            else:
                found += _FINDERS[target](services, actor, shower, wanted)
    return found[:FOUND_MAX]


def _recordings(services: Services, actor: Actor, _shower: Shower, text: str) -> list[Match]:
    if Action.RECORDING_LIST not in services.gate.offered(actor):
        return []
    try:
        rows = [row for row, _device in services.reading.about(actor, [RecordingId(text)]).values()]
    except InvalidInputError:
        wanted = RecordingFilter(text=text)
        page = services.reading.list_recordings(actor, wanted=wanted, limit=FOUND_MAX)
        rows = [item.row for item in page.items]
    return [
        Match(
            id=row.id, name=row.name,
            detail=f"{local_time(row.started_at or row.discovered_at, seconds=False)} · {duration_text(row.duration_ms)}",
        )
        for row in rows
    ]  # fmt: skip


def _matters(
    services: Services, actor: Actor, shower: Shower, text: str, kinds: Sequence[str] = ()
) -> list[Match]:  # fmt: skip
    try:
        rows = [
            one for one in services.matters.known(actor, [MatterId(text)]).values() if not kinds or one.kind in kinds
        ]
    except InvalidInputError:
        rows = services.matters.find(actor, MatterFilter(text=text, kinds=kinds), limit=FOUND_MAX)
    found = []
    for row in rows:
        form = services.matters.forms.of(row.kind)
        told = [shower.say(form.word), shower.title(form, row), shower.say(form.state(row.state).word)]
        found.append(Match(id=row.id, name=row.number, detail=" · ".join(one for one in told if one)))
    return found


def _devices(services: Services, actor: Actor, _shower: Shower, text: str) -> list[Match]:
    return [
        one for one in devices(services, actor) if text.casefold() in f"{one.id} {one.name} {one.detail}".casefold()
    ]


def devices(services: Services, actor: Actor) -> list[Match]:
    """Recorders a form can name: those the reader may list, else those that are issued to them."""
    if Action.DEVICE_LIST in services.gate.offered(actor):
        rows = services.reading.devices(actor)
    else:
        rows = services.directory.devices_of(actor.agent)
    return [
        Match(id=row.id, name=row.label or row.serial, detail=row.serial if row.label else row.model) for row in rows
    ]


def _agents(services: Services, _actor: Actor, _shower: Shower, text: str) -> list[Match]:
    return [one for one in agents(services) if text.casefold() in f"{one.id} {one.name} {one.detail}".casefold()]


def agents(services: Services) -> list[Match]:
    """Active persons."""
    now = services.clock.now().wall
    return [Match(id=one.id, name=one.name, detail=one.unit) for one in services.directory.colleagues(now)]


def _units(services: Services, _actor: Actor, _shower: Shower, text: str) -> list[Match]:
    return [one for one in units(services) if text.casefold() in f"{one.id} {one.name}".casefold()]


def units(services: Services) -> list[Match]:
    """Departments that exist."""
    return [Match(id=one.id, name=one.name) for one in services.directory.present_units(services.clock.now().wall)]


_FINDERS: Final[dict[str, Callable[[Services, Actor, Shower, str], list[Match]]]] = {
    "rec": _recordings, "mat": _matters, "dev": _devices, "agt": _agents, "unt": _units,
}  # fmt: skip
