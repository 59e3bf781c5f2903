"""Who stands in for whom at a moment (授权代理), read from matters of the kind :data:`KIND`.

Their form is in ``cases/access_delegation.py``.

Source: RULES R17; docs/use-of-footage.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from catalogue import UnitOfWork
from catalogue.matters import MatterFilter
from evidence.clock import from_text
from evidence.ids import AgentId, UnitId
from evidence.model import Action
from people.roles import ROLES
from people.standing_in import DELEGABLE, Narrowed, StandIn, narrowed
from people.units import UnitTree

KIND: Final = "delegation"
#: The state in which it counts.
VALID: Final = "valid"
#: Public facts.
PRINCIPAL: Final = "principal"
DELEGATE: Final = "delegate"
ACTS: Final = "acts"
UNIT: Final = "for_unit"
BEGINS: Final = "begins"
ENDS: Final = "ends"
#: Nobody stands in for more persons than this at once.
_MOST: Final = 200


def standing_in(uow: UnitOfWork, delegate: AgentId, at: datetime, *, units: UnitTree | None = None) -> list[StandIn]:
    """Delegations to a person that are valid at a moment, with what the absent persons themselves hold now."""
    wanted = MatterFilter(kinds=(KIND,), states=(VALID,), person=delegate)
    found = []
    for row in uow.matters.find(wanted, limit=_MOST):
        facts = row.facts
        if facts.get(DELEGATE) != delegate or not from_text(facts[BEGINS]) <= at < from_text(facts[ENDS]):
            continue
        principal = uow.people.agent(AgentId(facts[PRINCIPAL]))
        if not principal.active:
            continue
        units = units or UnitTree(uow.people.units())
        unit = UnitId(facts[UNIT]) if facts.get(UNIT) else None
        acts = frozenset(act for act in DELEGABLE if act.value in facts[ACTS])
        grants = narrowed(uow.people.roles(principal.id), unit, units, at=at)
        found.append(StandIn(principal=principal.id, acts=acts, grants=grants))
    return found


def holders_of(
    uow: UnitOfWork, agent: AgentId, action: Action, at: datetime, *, units: UnitTree
) -> list[tuple[AgentId, Narrowed]]:
    """By which roles somebody may do an act at a moment, each with whose role it is: their own ones first."""
    own = [(agent, Narrowed(role=one.role, unit=one.unit)) for one in uow.people.roles(agent)]
    lent = [
        (one.principal, grant) for one in standing_in(uow, agent, at, units=units) if action in one.acts
        for grant in one.grants
    ]  # fmt: skip
    return [(of, grant) for of, grant in own + lent if grant.role in ROLES and action in ROLES[grant.role].actions]
