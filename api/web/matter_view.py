"""Values of the page of one matter: its links with names and pictures, its persons, and why an act was refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.matters.showing import Shower
from api.services import Services
from api.web import words
from api.web.i18n import translate
from api.web.units import duration_text, local_time
from catalogue.matters import LinkRow
from catalogue.records import RecordingRow
from evidence.errors import EvidenceError
from evidence.model import Actor, RecordingKind
from matters.looking import MatterView
from matters.turn import ActRefusedError

_PICTURED = (RecordingKind.VIDEO, RecordingKind.PHOTO, RecordingKind.AUDIO)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownLink:
    """A link as a page shows it; ``known`` is false where the reader may not know its name."""

    id: str
    name: str
    href: str
    detail: str
    text: str
    known: bool
    poster: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldRefusal:
    """Why something was not entered: a sentence in the reader's language, and what the lower rooms said."""

    word: str
    lines: Sequence[str]


def refusal(error: EvidenceError | None, language: str) -> ToldRefusal | None:
    """What a page says of a refused act; None for no error."""
    if error is None:
        return None
    if isinstance(error, ActRefusedError):
        told = [translate(text, language, **error.values) for text in (error.message, error.advice) if text]
        return ToldRefusal(word=told[0], lines=[*told[1:], translate("Nothing was entered.", language)])
    word = translate(words.ERRORS.get(error.code, "This did not work"), language)
    # Sentences of the lower rooms are English: they are kept apart, to be passed on to who looks after it.
    return ToldRefusal(word=word, lines=[text for text in (error.what, error.kept, error.todo) if text])


def persons_of(shower: Shower, view: MatterView) -> list[tuple[str, str]]:
    """Part and name of everybody in it."""
    return [(shower.part(view.form, one.role), shower.names.name(one.agent)) for one in view.persons]


def links_of(
    services: Services, actor: Actor, shower: Shower, view: MatterView, *, shown: int
) -> list[tuple[str, list[ShownLink]]]:
    """Links by role, those that are shown with whatever the reader may know of them."""
    by_role: dict[str, list[LinkRow]] = {}
    for link in view.links:
        by_role.setdefault(link.role, []).append(link)
    names = shower.names
    pictured = [row for row in names.recordings.values() if row.described and row.kind in _PICTURED][: shown * 2]
    posters = services.reading.may_watch(actor, pictured) if pictured else frozenset()
    return [
        (shower.link_role(view.form, role), [_link(shower, view, link, posters) for link in links])
        for role, links in by_role.items()
    ]


def _link(shower: Shower, view: MatterView, link: LinkRow, posters: Any) -> ShownLink:
    names = shower.names
    recording = names.recordings.get(link.target)
    other = names.matters.get(link.target)
    detail = ""
    if recording is not None:
        detail = _recording(recording)
    elif other is not None:
        form = names.forms.get(other.kind)
        detail = f"{shower.say(form.word)} · {shower.say(form.state(other.state).word)}" if form is not None else ""
    return ShownLink(
        id=link.target, name=names.name(link.target), href=names.href(link.target), detail=detail,
        text=shower.link_text(view.form, view.row, link), known=names.known(link.target), poster=link.target in posters,
    )  # fmt: skip


def _recording(row: RecordingRow) -> str:
    started = local_time(row.started_at or row.discovered_at, seconds=False)
    return f"{started} · {duration_text(row.duration_ms)}" if row.duration_ms else started
