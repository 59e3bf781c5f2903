"""Sections of their own that kinds of matters add to the generic pages: a template part and the function that gives its data.

To add one: write ``templates/<name>.html`` (included inside of the page, with the values of ``data`` and the shared helpers) and
name it in :data:`MATTER_PARTS`, or in :data:`RECORDING_PARTS` for the page of one recording. A part that returns None is not
shown. Rights are the part's own business: what it shows, the reader must be allowed to see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from access import RecordingView
from api.services import Services
from api.web import use_parts
from evidence.model import Actor
from matters.looking import MatterView


@dataclass(frozen=True, slots=True, kw_only=True)
class MatterContext:
    """What a part of a matter's page knows.

    Attributes:
        services: Everything a route can reach.
        actor: The reader.
        language: Of the page.
        view: The matter as the reader may see it.
        query: What stands in the address after the question mark.
    """

    services: Services
    actor: Actor
    language: str
    view: MatterView
    query: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatterPart:
    """A section of a matter's page.

    Attributes:
        template: File below ``templates/``; its values are under the name ``part``.
        data: Gives them; None leaves the section out.
        place: ``top`` above everything, ``main`` below the facts, ``side`` in the narrow column.
    """

    template: str
    data: Callable[[MatterContext], Mapping[str, Any] | None]
    place: Literal["top", "main", "side"] = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingContext:
    """What a part of a recording's page knows."""

    services: Services
    actor: Actor
    language: str
    view: RecordingView


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingPart:
    """A section of a recording's page; as :class:`MatterPart`."""

    template: str
    data: Callable[[RecordingContext], Mapping[str, Any] | None]
    place: Literal["main", "side"] = "side"


#: Kind of matter -> its sections.
MATTER_PARTS: Final[dict[str, Sequence[MatterPart]]] = {
    "access-grant": (MatterPart(template="use_grant_part.html", data=use_parts.grant_part),),
    **dict.fromkeys(
        ("access-request", "access-paper", "supervised-viewing"),
        (MatterPart(template="use_grants_part.html", data=use_parts.grants_part, place="side"),),
    ),
}
#: Sections of every recording's page.
RECORDING_PARTS: Final[list[RecordingPart]] = [RecordingPart(template="use_part.html", data=use_parts.recording_part)]


def matter_parts(context: MatterContext) -> dict[str, list[tuple[str, Mapping[str, Any]]]]:
    """Place -> templates with their values, for one page of a matter."""
    shown: dict[str, list[tuple[str, Mapping[str, Any]]]] = {"top": [], "main": [], "side": []}
    for part in MATTER_PARTS.get(context.view.form.kind, ()):
        values = part.data(context)
        if values is not None:
            shown[part.place].append((part.template, values))
    return shown


def recording_parts(context: RecordingContext) -> dict[str, list[tuple[str, Mapping[str, Any]]]]:
    """Place -> templates with their values, for one page of a recording."""
    shown: dict[str, list[tuple[str, Mapping[str, Any]]]] = {"main": [], "side": []}
    for part in RECORDING_PARTS:
        values = part.data(context)
        if values is not None:
            shown[part.place].append((part.template, values))
    return shown
