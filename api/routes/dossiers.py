"""Cases and working material beyond what is the same for all matters: contents, what lacks, timeline, papers, the worklist."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from api.dependencies import ActorDep, ServicesDep
from api.matters import dossier_sheets
from api.matters.checkpoints import newest
from api.openapi import bytes_of
from api.routes.matters import attachment
from api.schemas.dossiers import (
    DossierAnswer,
    HappenedAnswer,
    UnsortedAnswer,
    dossier_answer,
    happened_answer,
    unsorted_answer,
)
from api.services import Services
from documents import print_document
from documents.covers import volume_cover
from documents.words import Language
from evidence.ids import MatterId, RecordingId
from evidence.model import Action, Actor, ObjectScope

router = APIRouter(prefix="/dossiers", tags=["matters"])
_LangDep = Annotated[Language, Query(alias="lang")]
#: Papers of a dossier; ``fixation`` is asked of a fixation record.
Paper = Literal["cover", "contents", "fixation"]


@router.get("/unsorted", operation_id="listUnsorted")
def unsorted(
    actor: ActorDep,
    services: ServicesDep,
    *,
    whose: Annotated[Literal["me", "all"], Query(description="Own recordings, or all the actor may know of")] = "me",
    cursor: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> UnsortedAnswer:
    """Recordings that belong to no case and no working material yet, oldest first (R15)."""
    services.gate.require(actor, Action.CASE_EDIT, own_scope(actor), detail="unsorted")
    officer = actor.agent if whose == "me" else None
    rows = services.dossiers.unsorted(
        actor, officer=officer, after=RecordingId(cursor) if cursor else None, limit=limit
    )  # fmt: skip
    return unsorted_answer(rows, total=services.dossiers.count_unsorted(actor, officer=officer), limit=limit)


def own_scope(actor: Actor) -> ObjectScope:
    """Who may edit cases at all has a worklist: asked as for something of their own."""
    return ObjectScope(officer=actor.agent)


@router.get("/{matter}", operation_id="showDossier")
def show(matter: str, actor: ActorDep, services: ServicesDep) -> DossierAnswer:
    """What is in a case or in working material, in order, and what it lacks (R13, R15, R16)."""
    return dossier_answer(services.dossiers.dossier(actor, MatterId(matter)))


@router.get("/{matter}/timeline", operation_id="dossierTimeline")
def timeline(matter: str, actor: ActorDep, services: ServicesDep) -> list[HappenedAnswer]:
    """Recordings, clips, documents and acts by their time."""
    return [happened_answer(one) for one in services.dossiers.timeline(actor, MatterId(matter))]


@router.get(
    "/{matter}/papers/{paper}", operation_id="dossierPaper", response_class=Response,
    responses=bytes_of("application/pdf"),
)  # fmt: skip
def paper(matter: str, paper: Paper, actor: ActorDep, services: ServicesDep, lang: _LangDep = "zh-CN") -> Response:
    """Cover or contents list of a case, or the fixation record for signature, as PDF/A-3 with its data attached."""
    return paper_response(services, actor, MatterId(matter), paper, lang)


def paper_response(services: Services, actor: Actor, matter: MatterId, paper: Paper, language: Language) -> Response:
    """A paper as a download, under the newest checkpoint of the log."""
    name, data = printed(services, actor, matter, paper, language)
    return Response(data, media_type="application/pdf", headers={"content-disposition": attachment(name)})


def printed(
    services: Services, actor: Actor, matter: MatterId, paper: Paper, language: Language
) -> tuple[str, bytes]:  # fmt: skip
    """Name and bytes of a paper."""
    now, checkpoint = services.clock.now().wall, newest(services.log.directory, services.log.vkey)
    if paper == "cover":
        cover = dossier_sheets.cover(services, actor, matter, language=language, now=now, checkpoint=checkpoint)
        return f"{cover.number}-cover.pdf", volume_cover(cover)
    make = dossier_sheets.contents if paper == "contents" else dossier_sheets.fixation
    document = make(services, actor, matter, language=language, now=now, checkpoint=checkpoint)
    return f"{document.number}-{paper}.pdf", print_document(document)
