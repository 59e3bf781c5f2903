"""Sections of the pages of cases, working material and fixation records, and the page of what is not sorted yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from api.dependencies import ServicesDep
from api.matters.dossier_papers import length_text
from api.matters.names import names_for
from api.matters.showing import Shower, act_word
from api.routes.dossiers import Paper, own_scope, paper_response
from api.web.dossier_words import HAPPENED, KIND_WORDS, LACKS
from api.web.matter_parts import MATTER_PARTS, MatterContext, MatterPart
from api.web.rendering import language_of, render
from api.web.session import PageSession
from api.web.units import local_time
from cases import dossier_parts
from cases.dossiers import Dossier, Lack, Moment, Piece
from cases.fixation_gate import KIND as FIXATION
from documents.words import Language
from evidence.errors import InvalidInputError, NotFoundError
from evidence.ids import MatterId, RecordingId
from evidence.model import Action

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
_ROWS: Final = 50
_MOMENTS_SHOWN: Final = 200


# --- sections ---------------------------------------------------------------------------------------------------------
def _dossier_part(context: MatterContext) -> Mapping[str, Any]:
    dossier = context.services.dossiers.of(context.actor, context.view)
    moments = context.services.dossiers.timeline(context.actor, context.view.row.id)
    named = [str(piece.recording) for piece in dossier.pieces] + [one.target for one in moments]
    shower = Shower(names_for(context.services, context.actor, named), context.language)
    acts = {act.name for act in context.view.acts}
    watched = context.services.reading.may_watch(
        context.actor, [piece.row for piece in dossier.pieces if piece.row is not None]
    )
    return {
        "id": context.view.row.id, "pieces": [_piece(piece, dossier, shower, watched) for piece in dossier.pieces],
        "lacks": [(one.needed, _lack(one, dossier, shower)) for one in dossier.lacks],
        "closed": context.view.row.closed_at is not None, "fixations": dossier.fixations, "may_clip": "clip" in acts,
        "may_fix": context.view.form.kind == dossier_parts.CASE
        and context.services.matters.may_open(context.actor, FIXATION),
        "moments": [_moment(one, dossier, shower) for one in moments[:_MOMENTS_SHOWN]],
        "more": max(0, len(moments) - _MOMENTS_SHOWN), "is_case": context.view.form.kind == dossier_parts.CASE,
    }  # fmt: skip


def _piece(piece: Piece, dossier: Dossier, shower: Shower, watched: frozenset[RecordingId]) -> Mapping[str, Any]:
    row, words = piece.row, dossier.view.row.words
    return {
        "number": piece.number, "id": piece.recording, "known": row is not None, "fixed": piece.fixed,
        "name": row.name if row is not None else str(piece.recording),
        "kind": shower.say(KIND_WORDS[row.kind]) if row is not None and row.kind in KIND_WORDS else "",
        "begin": local_time(row.started_at or row.discovered_at) if row is not None else "",
        "length": length_text(row) if row is not None else "", "poster": row is not None and row.id in watched,
        "clips": [
            {
                "key": clip.key, "begin": dossier_parts.clock_text(int(clip.facts["in_ms"])),
                "end": dossier_parts.clock_text(int(clip.facts["out_ms"])),
                "at_s": f"{int(clip.facts['in_ms']) / 1000:.3f}",
                "note": str(words.get(f"link:clip:{clip.target}:{clip.key}", "")),
            }
            for clip in piece.clips
        ],
    }  # fmt: skip


def _lack(lack: Lack, dossier: Dossier, shower: Shower) -> str:
    form = dossier.view.form
    name = lack.name
    if lack.what == "field":
        name = shower.say(form.fields()[lack.name].word)
    elif lack.what == "document":
        name = shower.say(form.documents.get(lack.name, lack.name))
    elif lack.what == "fixation":
        name = shower.names.name(lack.name)
    return shower.say(LACKS[lack.what], name=name) if "{name}" in LACKS[lack.what] else shower.say(LACKS[lack.what])


def _moment(one: Moment, dossier: Dossier, shower: Shower) -> Mapping[str, Any]:
    name = act_word(dossier.view.form, one.name, shower.language) if one.what == "act" else one.name
    clip = one.what == "clip"
    return {
        "at": local_time(one.at), "what": shower.say(HAPPENED[one.what]),
        "name": f"{shower.names.name(one.target)} {one.name}" if clip else name,
        "href": shower.names.href(one.target) if one.what in ("recording", "clip") else "",
        "length": dossier_parts.clock_text(one.length_ms) if one.length_ms else "",
        "who": shower.names.name(one.agent) if one.agent and one.what != "recording" else "",
    }  # fmt: skip


def _fixation_part(context: MatterContext) -> Mapping[str, Any]:
    row = context.view.row
    return {"id": row.id, "draft": row.state == "draft", "printed": row.state == "printed"}


MATTER_PARTS[dossier_parts.CASE] = (MatterPart(template="dossier_part.html", data=_dossier_part),)
MATTER_PARTS[dossier_parts.WORKING] = MATTER_PARTS[dossier_parts.CASE]
MATTER_PARTS[FIXATION] = (MatterPart(template="fixation_part.html", data=_fixation_part, place="side"),)


# --- pages ------------------------------------------------------------------------------------------------------------
@router.get("/unsorted")
def unsorted(request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """Recordings in no case and no working material: choose some, then put them where they belong."""
    services.gate.require(page.actor, Action.CASE_EDIT, own_scope(page.actor), detail="unsorted")
    query = request.query_params
    everybody = query.get("whose") == "all"
    officer = None if everybody else page.actor.agent
    rows = services.dossiers.unsorted(page.actor, officer=officer, after=_after(query.get("cursor", "")), limit=_ROWS)
    watched = services.reading.may_watch(page.actor, rows)
    officers = services.directory.names()
    items = [
        {
            "id": row.id, "name": row.name, "begin": local_time(row.started_at or row.discovered_at),
            "length": length_text(row), "poster": row.id in watched, "important": row.important,
            "officer": officers.get(row.officer, "") if row.officer else "",
        }
        for row in rows
    ]  # fmt: skip
    return render(
        request, "unsorted.html", session=page, items=items, everybody=everybody, language=language_of(request),
        total=services.dossiers.count_unsorted(page.actor, officer=officer),
        cursor=rows[-1].id if len(rows) == _ROWS else "",
    )  # fmt: skip


def _after(untrusted: str) -> RecordingId | None:
    try:
        return RecordingId(untrusted) if untrusted else None
    except InvalidInputError as error:
        raise NotFoundError("there is no such page") from error


@router.get("/matters/one/{matter}/papers/{paper}")
def paper(matter: str, paper: Paper, request: Request, services: ServicesDep, page: PageSession) -> Response:
    """Cover, contents list or fixation record as PDF, in the language of the page."""
    language: Language = "en" if language_of(request) == "en" else "zh-CN"
    try:
        known = MatterId(matter)
    except InvalidInputError as error:
        raise NotFoundError("there is no such matter") from error
    return paper_response(services, page.actor, known, paper, language)
