"""Recordings: list, show, watch, check, prove."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from api.dependencies import ActorDep, ServicesDep
from api.openapi import bytes_of
from api.schemas.recordings import (
    CheckAnswer,
    EntryAnswer,
    RecordingDetailAnswer,
    RecordingsAnswer,
    VerifyAnswer,
    ViewingAnswer,
    detail_answer,
    entry_answer,
    item_answer,
)
from api.streaming import stream
from catalogue.records import RecordingFilter
from evidence.errors import InvalidInputError
from evidence.ids import AgentId, DeviceId, RecordingId, UnitId
from evidence.model import RecordingKind, RecordingState

router = APIRouter(prefix="/recordings", tags=["recordings"])


def _aware(moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise InvalidInputError("a time needs its zone, for example 2026-11-22T08:00:00+08:00")
    return moment


@router.get("", operation_id="listRecordings")
def list_recordings(
    actor: ActorDep,
    services: ServicesDep,
    *,
    started_from: datetime | None = None,
    started_to: datetime | None = None,
    officer: str | None = None,
    device: str | None = None,
    unit: str | None = None,
    state: Annotated[list[RecordingState] | None, Query()] = None,
    kind: Annotated[list[RecordingKind] | None, Query()] = None,
    quarantined: bool | None = None,
    late: bool | None = None,
    important: bool | None = None,
    category: Annotated[str, Query(max_length=200)] = "",
    flag: Annotated[list[Literal["complaint", "obstruction", "sensitive", "long-term"]] | None, Query()] = None,
    unclassified: bool | None = None,
    held: bool | None = None,
    text: Annotated[str, Query(max_length=200)] = "",
    cursor: Annotated[str, Query(max_length=400)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> RecordingsAnswer:
    """One page of the recordings the actor may know of, newest first."""
    wanted = RecordingFilter(
        started_from=_aware(started_from), started_to=_aware(started_to),
        officer=AgentId(officer) if officer else None, device=DeviceId(device) if device else None,
        unit=UnitId(unit) if unit else None, states=frozenset(state or ()), kinds=frozenset(kind or ()),
        quarantined=quarantined, late=late, important=important, category=category, flags=frozenset(flag or ()),
        unclassified=unclassified, held=held, text=text,
    )  # fmt: skip
    page = services.reading.list_recordings(actor, wanted=wanted, cursor=cursor, limit=limit)
    return RecordingsAnswer(
        recordings=[item_answer(item) for item in page.items],
        cursor=page.cursor, total=page.total, total_capped=page.total_capped, as_of=page.as_of,
    )  # fmt: skip


@router.get("/{recording}", operation_id="showRecording")
def show(recording: str, actor: ActorDep, services: ServicesDep) -> RecordingDetailAnswer:
    """Facts, copies and the custody timeline of one recording."""
    return detail_answer(services.reading.show(actor, RecordingId(recording)))


@router.get("/{recording}/timeline", operation_id="recordingTimeline")
def timeline(recording: str, actor: ActorDep, services: ServicesDep) -> list[EntryAnswer]:
    """The custody entries of one recording."""
    return [entry_answer(entry) for entry in services.reading.show(actor, RecordingId(recording)).timeline]


@router.post("/{recording}/verify", operation_id="verifyRecording")
def verify(recording: str, actor: ActorDep, services: ServicesDep) -> VerifyAnswer:
    """Read every copy back from its medium now and compare; each outcome is entered."""
    outcome = services.checks.verify_recording(actor, RecordingId(recording))
    return VerifyAnswer(
        verdict=outcome.verdict,
        checks=[CheckAnswer(store=c.store, part=c.part, outcome=c.outcome) for c in outcome.checks],
        at=outcome.at,
    )


@router.get(
    "/{recording}/proof", operation_id="recordingProof", response_class=Response, responses=bytes_of("text/plain")
)
def proof(recording: str, actor: ActorDep, services: ServicesDep) -> Response:
    """A proof bundle (c2sp.org/tlog-proof) for outsiders: with it, the media and the log's key anyone can check."""
    data = services.proofs.bundle(actor, RecordingId(recording))
    name = f"{RecordingId(recording)}.tlog-proof"
    return Response(
        data, media_type="text/plain; charset=utf-8", headers={"content-disposition": f'attachment; filename="{name}"'}
    )


@router.post("/{recording}/viewings", operation_id="openViewing")
def open_viewing(recording: str, actor: ActorDep, services: ServicesDep) -> ViewingAnswer:
    """Open one viewing: authorised and entered once, however many ranges are asked for."""
    viewing = services.reading.open_viewing(actor, RecordingId(recording))
    return ViewingAnswer(
        url=f"/api/v1/recordings/{viewing.recording}/media?viewing={viewing.token}",
        media_type=viewing.media_type, kind=viewing.kind, size_bytes=viewing.size_bytes,
    )  # fmt: skip


@router.post("/{recording}/viewing-copy", status_code=202, operation_id="requestViewingCopy")
def request_viewing_copy(recording: str, actor: ActorDep, services: ServicesDep) -> Response:
    """Ask for a viewing copy of footage that browsers do not play as it is."""
    services.viewings.request(actor, RecordingId(recording))
    return Response(status_code=202)


@router.get(
    "/{recording}/media", operation_id="streamRecording", response_class=Response,
    responses=bytes_of("video/*", "audio/*", "image/*", ranges=True),
)  # fmt: skip
@router.head("/{recording}/media", include_in_schema=False, response_class=Response)
def media(
    recording: str,
    request: Request,
    actor: ActorDep,
    services: ServicesDep,
    viewing: Annotated[str, Query(max_length=2_048)] = "",
) -> Response:
    """The bytes a browser plays, with ranges. Without a valid viewing a new one is opened and entered."""
    known = RecordingId(recording)
    now = services.reading.resume_viewing(actor, known, token=viewing)
    return stream(
        request, services.blobs, sha256=now.sha256, size_bytes=now.size_bytes, media_type=now.media_type,
        still=lambda: services.reading.require_still(actor, known),
    )  # fmt: skip


@router.get(
    "/{recording}/pictures/{kind}", operation_id="recordingPicture", response_class=Response,
    responses=bytes_of("image/*", "application/json", ranges=True),
)  # fmt: skip
def picture(recording: str, kind: str, request: Request, actor: ActorDep, services: ServicesDep) -> Response:
    """A poster, sheet or sheet index."""
    found = services.reading.picture(actor, RecordingId(recording), kind=kind)
    return stream(
        request, services.blobs, sha256=found.sha256, size_bytes=found.size_bytes, media_type=found.media_type
    )
