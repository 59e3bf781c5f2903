"""Health, findings, verification of everything, the log for outsiders."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Response

from api.dependencies import ActorDep, ServicesDep
from api.schemas.system import FindingAnswer, HealthAnswer, HealthItemAnswer, LogAnswer, VerificationAnswer
from evidence.model import Action

router = APIRouter(tags=["system"])


@router.get("/health", operation_id="health")
def health(actor: ActorDep, services: ServicesDep) -> HealthAnswer:
    """The true state of the system."""
    now = services.checks.health(actor)
    checks = [
        HealthItemAnswer(name=c.name, subject=c.subject, level=c.level, reason=c.reason, values=dict(c.values))
        for c in now.checks
    ]
    return HealthAnswer(level=now.level, checks=checks, as_of=now.as_of)


@router.get("/findings", operation_id="listFindings")
def findings(actor: ActorDep, services: ServicesDep) -> list[FindingAnswer]:
    """Open findings."""
    return [
        FindingAnswer(
            id=row.id, kind=row.kind, recording=row.recording or "", store=row.store, detail=row.detail,
            raised_at=row.raised_at,
        )
        for row in services.checks.findings(actor)
    ]  # fmt: skip


@router.post("/verification", status_code=202, operation_id="startVerification")
def start_verification(actor: ActorDep, services: ServicesDep) -> Response:
    """Check the whole home in the background."""
    services.checks.start_verification(actor)
    return Response(status_code=202)


@router.get("/verification", operation_id="lastVerification")
def last_verification(actor: ActorDep, services: ServicesDep) -> VerificationAnswer:
    """How the last check of the whole home ended."""
    services.gate.require(actor, Action.SYSTEM_HEALTH)
    last = services.checks.last_verification()
    if last is None:
        return VerificationAnswer(running=False, verdict="unknown", at=None)
    return VerificationAnswer(**asdict(last))


@router.get("/log", operation_id="publishedLog")
def log(actor: ActorDep, services: ServicesDep) -> LogAnswer:
    """Where the log is published, its verifier key and the newest checkpoint."""
    services.gate.require(actor, Action.SYSTEM_HEALTH)
    try:
        note = (services.log.directory / "checkpoint").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):  # not published yet, or its disk is away: health says which
        note = ""
    return LogAnswer(directory=str(services.log.directory), vkey=services.log.vkey, checkpoint=note)
