"""Units, people, roles: the security administrator's acts."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.dependencies import ActorDep, ServicesDep
from api.schemas.people import (
    AgentRequest,
    NewAgentAnswer,
    PasswordAnswer,
    PersonAnswer,
    RoleRequest,
    TransferRequest,
    UnitAnswer,
    UnitRequest,
    person_answer,
    unit_answer,
)
from evidence.ids import AgentId, UnitId

router = APIRouter(tags=["people"])


def _unit(text: str) -> UnitId | None:
    return UnitId(text) if text else None


@router.get("/units", operation_id="listUnits")
def units(actor: ActorDep, services: ServicesDep) -> list[UnitAnswer]:
    """Every department, past ones too."""
    return [unit_answer(row) for row in services.administration.units(actor)]


@router.post("/units", status_code=201, operation_id="addUnit")
def add_unit(body: UnitRequest, actor: ActorDep, services: ServicesDep) -> UnitAnswer:
    """Add a department."""
    return unit_answer(
        services.administration.create_unit(actor, name=body.name, code=body.code, parent=_unit(body.parent))
    )


@router.get("/agents", operation_id="listAgents")
def agents(actor: ActorDep, services: ServicesDep) -> list[PersonAnswer]:
    """People with their posts and roles."""
    return [person_answer(person) for person in services.administration.people(actor)]


@router.post("/agents", status_code=201, operation_id="addAgent")
def add_agent(body: AgentRequest, actor: ActorDep, services: ServicesDep) -> NewAgentAnswer:
    """Add a person."""
    made = services.administration.create_agent(
        actor, name=body.name, login=body.login, officer_code=body.officer_code, unit=_unit(body.unit)
    )
    return NewAgentAnswer(id=made.agent.id, one_time_password=made.one_time_password)


@router.post("/agents/{agent}/roles", status_code=204, operation_id="grantRole")
def grant(agent: str, body: RoleRequest, actor: ActorDep, services: ServicesDep) -> Response:
    """Grant a role."""
    services.administration.grant_role(actor, agent=AgentId(agent), role=body.role, unit=_unit(body.unit))
    return Response(status_code=204)


@router.post("/agents/{agent}/roles/revoke", status_code=204, operation_id="revokeRole")
def revoke(agent: str, body: RoleRequest, actor: ActorDep, services: ServicesDep) -> Response:
    """Take a role away."""
    services.administration.revoke_role(actor, agent=AgentId(agent), role=body.role, unit=_unit(body.unit))
    return Response(status_code=204)


@router.post("/agents/{agent}/transfer", status_code=204, operation_id="transferAgent")
def transfer(agent: str, body: TransferRequest, actor: ActorDep, services: ServicesDep) -> Response:
    """Move a person to another department from now on; the past stays with the department of its day."""
    services.administration.transfer(actor, agent=AgentId(agent), unit=UnitId(body.unit))
    return Response(status_code=204)


@router.post("/agents/{agent}/deactivate", status_code=204, operation_id="deactivateAgent")
def deactivate(agent: str, actor: ActorDep, services: ServicesDep) -> Response:
    """End the right to act of somebody who left; sessions end with it, the past stays."""
    services.administration.deactivate(actor, agent=AgentId(agent))
    return Response(status_code=204)


@router.post("/agents/{agent}/password", operation_id="resetPassword")
def reset_password(agent: str, actor: ActorDep, services: ServicesDep) -> PasswordAnswer:
    """Give a new one-time password."""
    return PasswordAnswer(one_time_password=services.administration.reset_password(actor, agent=AgentId(agent)))
