"""Pages of clearing: how it stands, what became of bytes, and the list of a batch as its reviewer sees it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api.dependencies import ServicesDep, once_of
from api.security import csrf as forgery
from api.web import clearing_words as words
from api.web.custody_words import EVENTS
from api.web.matter_parts import MATTER_PARTS, MatterContext, MatterPart
from api.web.once import Told
from api.web.rendering import render
from api.web.retention_words import STANDINGS, reason_line
from api.web.session import PageSession
from api.web.units import local_time
from api.web.words import DONE
from evidence.clock import from_text
from evidence.errors import InvalidInputError, NotFoundError, PolicyUnmetError
from evidence.ids import MatterId, RecordingId, UnitId
from evidence.model import Action
from retention.disposal_desk import PAGE, ReviewItem
from retention.disposal_forms import BATCH_FORM
from retention.disposal_list import BATCH

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
#: Acts that take marked items out of the list, in the order in which they are offered.
_TAKING: Final = ("take-out", "keep")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


# --- the list of a batch ----------------------------------------------------------------------------------------------
def _batch_part(context: MatterContext) -> Mapping[str, Any]:
    """The list with posters and reasons, what was left out, and why the batch does not go on."""
    after = context.query.get("after", "0")
    start = int(after) if after.isdecimal() and len(after) < 6 else 0
    found = context.services.clearing.review(context.actor, context.view, after=start)
    offered = {act.name: act for act in context.view.acts}
    taking = next((offered[name] for name in _TAKING if name in offered), None)
    return {
        "review": found, "lines": [_line(item, context.language) for item in found.items],
        "reasons": [(words.NOT_NOW.get(one.code, one.code), _when(one.detail)) for one in found.not_now],
        "left_words": words.LEFT, "taking": taking,
        "grounds": next((one.choices for one in taking.fields if one.name == "ground"), ()) if taking else (),
        "version": context.view.row.version, "matter": context.view.row.id,
        "before": max(0, start - PAGE) if start else None, "start": start,
        "next": start + PAGE if start + PAGE < found.total else None,
    }  # fmt: skip


def _line(item: ReviewItem, language: str) -> dict[str, Any]:
    decision = item.decision
    return {
        "item": item,
        "mark": STANDINGS[decision.standing] if decision is not None else None,
        "reasons": [reason_line(one, language) for one in decision.reasons] if decision is not None else [],
        "due": from_text(item.link.facts["due"]) if item.link.facts.get("due") else None,
        "until": from_text(item.until) if item.until else None,
    }


MATTER_PARTS[BATCH] = [MatterPart(template="clearing_part.html", data=_batch_part)]


@router.get("/clearing/{matter}/poster/{recording}")
def poster(matter: str, recording: str, services: ServicesDep, page: PageSession) -> Response:
    """The picture of a listed recording, for who reviews or approves; the look is entered."""
    try:
        known, wanted = MatterId(matter), RecordingId(recording)
    except InvalidInputError as error:
        raise NotFoundError("there is no such recording in this list") from error
    sha256, media_type = services.clearing.poster(page.actor, known, wanted)
    with services.blobs.open(sha256) as stream:
        data = stream.read()
    return Response(data, media_type=media_type, headers={"cache-control": "private, no-store"})


def _when(detail: str) -> str:
    """What is said beside a reason: a moment in our time zone, other texts as they stand."""
    return local_time(from_text(detail), seconds=False) if _MOMENT.fullmatch(detail) else detail


# --- how clearing stands ----------------------------------------------------------------------------------------------
@router.get("/clearing")
def clearing(request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """Who clears, whether it is stopped, what holds, and what waits for whom."""
    found = services.clearing.status(page.actor)
    told = once_of(request).take(page.csrf)
    offered = services.gate.offered(page.actor)
    states = [(one, found.batches.get(one.code, 0)) for one in BATCH_FORM.states]
    return render(
        request, "clearing.html", session=page, stands=found, modes=words.MODES, states=states,
        may_propose=Action.DISPOSAL_PROPOSE in offered, may_stop=Action.DISPOSAL_STOP in offered,
        may_ask=Action.ABSENCE_ASK in offered, message=DONE[told.message] if told else "",
        units=services.reading.units(page.actor, Action.DISPOSAL_PROPOSE) if Action.DISPOSAL_PROPOSE in offered else [],
    )  # fmt: skip


@router.post("/clearing/propose")
def propose(
    request: Request, services: ServicesDep, page: PageSession, csrf: Annotated[str, Form()],
    unit: Annotated[str, Form()] = "", note: Annotated[str, Form(max_length=4000)] = "",
) -> Response:  # fmt: skip
    """Propose all that is due in a department."""
    forgery.require_token(csrf, page.csrf)
    try:
        row = services.clearing.propose(page.actor, unit=UnitId(unit) if unit else None, note=note)
    except PolicyUnmetError:
        once_of(request).put(page.csrf, Told(message="nothing-due"))
        return RedirectResponse("/clearing", status_code=303)
    return RedirectResponse(f"/matters/one/{row.id}", status_code=303)


@router.get("/absence")
def absence(request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """What became of the bytes with a SHA-256."""
    asked = request.query_params.get("sha256", "").strip()[:80]
    services.gate.require(page.actor, Action.ABSENCE_ASK, detail="absence")
    found, wrong = None, False
    if asked:
        try:
            found = services.absence.ask(page.actor, asked)
        except InvalidInputError:
            wrong = True
    return render(
        request, "absence.html", session=page, asked=asked, found=found, wrong=wrong, answers=words.ANSWERS,
        events=EVENTS,
        status=422 if wrong else 200,
    )  # fmt: skip
