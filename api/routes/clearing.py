"""Clearing: how it stands, and what became of bytes. Batches, determinations and stops are matters (``/matters``)."""

from __future__ import annotations

from fastapi import APIRouter

from api.dependencies import ActorDep, ServicesDep
from api.schemas.clearing import AbsenceAnswer, ClearingStatusAnswer, absence_answer, status_answer

router = APIRouter(tags=["clearing"])


@router.get("/absence/{sha256}", operation_id="absence")
def absence(sha256: str, actor: ActorDep, services: ServicesDep) -> AbsenceAnswer:
    """What became of the bytes with this SHA-256: held, being cleared, lawfully cleared, or never received. Entered."""
    return absence_answer(services.absence.ask(actor, sha256))


@router.get("/clearing", operation_id="clearingStatus")
def status(actor: ActorDep, services: ServicesDep) -> ClearingStatusAnswer:
    """Who clears, whether it is stopped, and how many batches stand where."""
    return status_answer(services.clearing.status(actor))
