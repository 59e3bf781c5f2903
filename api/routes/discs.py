"""Discs: what waits for one, on which discs a recording is, label and wrap of a disc. Discs are made at the station's drives."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from api.dependencies import ActorDep, ServicesDep
from api.matters.checkpoints import newest
from api.schemas.discs import StandingAnswer, WaitingAnswer, standing_answer, waiting_answer
from evidence.ids import MatterId, RecordingId

router = APIRouter(tags=["discs"])


@router.get("/discs/waiting", operation_id="discsWaiting")
def waiting(
    actor: ActorDep,
    services: ServicesDep,
    *,
    cursor: Annotated[str, Query(max_length=80)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> WaitingAnswer:
    """Long-term recordings in no disc set, oldest first, and discs that are due, as far as the actor may know of them."""
    rows = services.discs.waiting(actor, after=RecordingId(cursor) if cursor else None, limit=limit)
    return waiting_answer(rows, services.discs.due(actor), limit=limit)


@router.get("/recordings/{recording}/discs", operation_id="recordingDiscs")
def of_recording(recording: str, actor: ActorDep, services: ServicesDep) -> StandingAnswer:
    """On which discs one recording is."""
    view = services.reading.show(actor, RecordingId(recording))
    return standing_answer(services.discs.standing(view.row.id))


@router.get("/discs/{disc}/paper", operation_id="discPaper", response_class=Response)
def paper(
    disc: str,
    actor: ActorDep,
    services: ServicesDep,
    *,
    kind: Literal["label", "wrap"] = "label",
    lang: Literal["zh-CN", "en"] = "zh-CN",
) -> Response:
    """Label (120 mm) or wrap of a disc as PDF."""
    point = newest(services.log.directory, services.log.vkey)
    data = services.disc_papers.paper(actor, MatterId(disc), kind, checkpoint=point, lang=lang)
    return Response(
        data, media_type="application/pdf", headers={"Content-Disposition": f'inline; filename="{kind}-{disc}.pdf"'}
    )  # fmt: skip
