"""Statistics by department (R20)."""

from __future__ import annotations

from datetime import date

from fastapi import APIRouter

from api.dependencies import ActorDep, ServicesDep
from api.schemas.statistics import StatisticsAnswer, answer_of

router = APIRouter(tags=["system"])


@router.get("/statistics", operation_id="statistics")
def statistics(
    actor: ActorDep, services: ServicesDep, first: date | None = None, last: date | None = None
) -> StatisticsAnswer:
    """Hand-in, backlog, exceptions, damage, use and clearing of a span of days, by department; the present month by default."""
    return answer_of(services.statistics.report(actor, first=first, last=last))
