"""Until when recordings are kept, why, and what is due."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.dependencies import ActorDep, ServicesDep
from api.schemas.retention import DueAnswer, RetentionAnswer, due_answer, retention_answer
from evidence.ids import RecordingId, UnitId
from retention.desk import cursor_from

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
