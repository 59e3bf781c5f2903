"""Until when recordings are kept, why, and what is due."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from api.dependencies import ActorDep, ServicesDep
from api.openapi import bytes_of
from api.retention_list import XLSX, workbook
from api.schemas.retention import DueAnswer, RetentionAnswer, due_answer, retention_answer
from evidence.clock import from_text
from evidence.errors import NotFoundError
from evidence.ids import MatterId, RecordingId, UnitId
from retention.desk import cursor_from
from retention.schedule_matter import DRY_RUN

router = APIRouter(tags=["retention"])


@router.get("/recordings/{recording}/retention", operation_id="recordingRetention")
def of_recording(recording: str, actor: ActorDep, services: ServicesDep) -> RetentionAnswer:
    """Until when one recording is kept, and every reason."""
    return retention_answer(services.retention.show(actor, RecordingId(recording)))


@router.get("/retention/due", operation_id="retentionDue")
def due(
    actor: ActorDep,
    services: ServicesDep,
    *,
    unit: str | None = None,
    cursor: Annotated[str, Query(max_length=80)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> DueAnswer:
    """Recordings whose period is over, the longest ago first, as far as the actor may know of them."""
    found = services.retention.due(
        actor, unit=UnitId(unit) if unit else None, after=cursor_from(cursor), limit=limit
    )  # fmt: skip
    return due_answer(found)


@router.get(
    "/retention/lists/{schedule}", operation_id="retentionList", response_class=Response,
    responses=bytes_of("text/csv", XLSX),
)  # fmt: skip
def list_of(
    schedule: str,
    actor: ActorDep,
    services: ServicesDep,
    *,
    form: Annotated[Literal["csv", "xlsx"], Query(alias="format")] = "csv",
    lang: Literal["zh-CN", "en"] = "zh-CN",
) -> Response:
    """Which recordings a proposed schedule or re-schedule would date otherwise: the filed CSV, or the same as a spreadsheet."""
    view = services.matters.view(actor, MatterId(schedule))
    wanted = view.row.facts.get("list_sha256")
    filed = next((one for one in view.documents if one.role == DRY_RUN and one.sha256.hex == wanted), None)
    if filed is None:
        raise NotFoundError("no list has been computed for it yet")
    _row, stream = services.papers.open(actor, filed.id)
    with stream:
        data = stream.read()
    if form == "xlsx":
        at = from_text(str(view.row.facts.get("list_at")))
        data = workbook(data, number=view.row.number, unit="", at=at, language=lang)
    name = f"{view.row.number}.{form}"
    return Response(
        data, media_type=XLSX if form == "xlsx" else "text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )  # fmt: skip
