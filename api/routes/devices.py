"""Docks, recorders, dockings; the wall's live events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from api.dependencies import COOKIE, ActorDep, ServicesDep
from api.openapi import bytes_of
from api.schemas.docks import (
    DeviceAnswer,
    DeviceRequest,
    DocksAnswer,
    OffloadAnswer,
    RegisterRequest,
    SlotAnswer,
    SlotRequest,
    device_answer,
    offload_answer,
)
from api.services import Services
from api.web.dock_view import slot_view
from api.web.rendering import language_of
from evidence.clock import to_text
from evidence.errors import EvidenceError
from evidence.ids import AgentId, DeviceId, UnitId
from evidence.model import Action, Actor

router = APIRouter(tags=["docks"])
_EVERY_S: Final = 1.0
#: A stream ends by itself, so that a browser that forgot it does not hold a thread for ever; EventSource reconnects.
_EVENTS_MAX: Final = 600


@router.get("/docks", operation_id="listDocks")
def docks(request: Request, actor: ActorDep, services: ServicesDep) -> DocksAnswer:
    """What is docked now."""
    slots = _slots(services, actor, language_of(request))
    return DocksAnswer(slots=[SlotAnswer.model_validate(slot) for slot in slots], as_of=services.clock.now().wall)


def _slots(services: Services, actor: Actor, language: str) -> list[dict[str, Any]]:
    offered = services.gate.offered(actor)
    return [slot_view(card, language, offered) for card in services.docks.cards(actor)]


async def _events(services: Services, actor: Actor, token: str, language: str) -> AsyncIterator[str]:
    # Waiting costs no thread: many walls may hang on one service. Only the look itself runs on a worker thread.
    def look() -> list[dict[str, Any]]:
        # A wall is a display and stays logged in while it hangs there (its own reconnecting keeps the session awake), but a
        # session that was ended, by logging out or by a new password, shows nothing more.
        services.identity.session_actor(token, keep_awake=False)
        return _slots(services, actor, language)

    last = ""
    for beat in range(_EVENTS_MAX):
        try:
            slots = await run_in_threadpool(look)
        except EvidenceError:
            return  # session or right are gone, or the database is: the wall turns to "unknown"
        text = json.dumps(slots, ensure_ascii=False, sort_keys=True)
        if text != last or beat % 5 == 0:
            body = json.dumps({"as_of": to_text(services.clock.now().wall), "slots": slots}, ensure_ascii=False)
            yield f"event: docks\ndata: {body}\n\n"
            last = text
        await asyncio.sleep(_EVERY_S)


@router.get(
    "/docks/events",
    operation_id="dockEvents",
    response_class=StreamingResponse,
    responses=bytes_of("text/event-stream"),
)
def events(request: Request, actor: ActorDep, services: ServicesDep) -> StreamingResponse:
    """Server-sent events for the wall: the whole picture at every change, and a sign of life every five seconds."""
    services.gate.require(actor, Action.OFFLOAD_LIST)  # a stream that has begun can no longer refuse
    stream = _events(services, actor, request.cookies.get(COOKIE, ""), language_of(request))
    return StreamingResponse(stream, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


@router.post("/docks/register", operation_id="registerDevice")
def register(body: RegisterRequest, actor: ActorDep, services: ServicesDep) -> DeviceAnswer:
    """Enter the recorder of a slot in the ledger (a person's act)."""
    row = services.docks.register(
        actor, body.slot, label=body.label, unit=UnitId(body.unit) if body.unit else None,
        officer=AgentId(body.officer) if body.officer else None,
    )  # fmt: skip
    return device_answer(row)


@router.post("/docks/retry", status_code=202, operation_id="retryDock")
def retry(body: SlotRequest, actor: ActorDep, services: ServicesDep) -> Response:
    """Try a slot again now."""
    services.docks.retry(actor, body.slot)
    return Response(status_code=202)


@router.get("/devices", operation_id="listDevices")
def devices(actor: ActorDep, services: ServicesDep) -> list[DeviceAnswer]:
    """The ledger."""
    return [device_answer(row) for row in services.reading.devices(actor)]


@router.put("/devices/{device}", operation_id="changeDevice")
def change_device(device: str, body: DeviceRequest, actor: ActorDep, services: ServicesDep) -> DeviceAnswer:
    """Say anew whose a registered recorder is; what it brought before stays with the officer and unit of its day."""
    row = services.administration.change_device(
        actor, device=DeviceId(device), label=body.label, unit=UnitId(body.unit) if body.unit else None,
        officer=AgentId(body.officer) if body.officer else None,
    )  # fmt: skip
    return device_answer(row)


@router.get("/offloads", operation_id="listOffloads")
def offloads(
    actor: ActorDep, services: ServicesDep, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> list[OffloadAnswer]:
    """The latest dockings."""
    return [offload_answer(row) for row in services.reading.offloads(actor, limit=limit)]
