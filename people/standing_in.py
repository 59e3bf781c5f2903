"""Standing in for somebody (授权代理): their roles, narrowed to what was delegated. Pure.

A person who stands in holds, while the delegation is valid, those acts of the absent one's *own present* roles that it names, no
wider than the department it names. Nothing is passed on further, nothing that is done on one's own footage, and no right to see
footage: only acts of :data:`DELEGABLE`.

Source: RULES R17; docs/use-of-footage.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from evidence.ids import AgentId, UnitId
from evidence.model import Action
from people.policy import Grants
from people.units import UnitTree

#: What leaders decide, and the looks they need for it. Never a right to watch, copy or export footage, never one over people.
DELEGABLE: Final = frozenset(
    {
        Action.RECORDING_LIST,
        Action.RECORDING_SHOW,
        Action.ACCESS_APPROVE,
        Action.REGISTER_SEE,
        Action.FLAG_LIFT,
        Action.HOLD_SEE,
        Action.HOLD_PLACE,
        Action.HOLD_RELEASE,
        Action.DISPOSAL_SEE,
        Action.DISPOSAL_APPROVE,
        Action.DISPOSAL_STOP,
        Action.SCHEDULE_APPROVE,
        Action.CASE_SEE,
        Action.CASE_CLOSE,
        Action.CASE_EXPORT,
        Action.EXCEPTION_REVIEW,
        Action.PROCEDURE_SEE,
        Action.PROCEDURE_DECIDE,
        Action.DISC_LEND,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowed:
    """A role for a department, as :class:`people.policy.Grant`."""

    role: str
    unit: UnitId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """A delegation that is valid now.

    Attributes:
        principal: For whom.
        acts: Which acts; those that cannot be delegated count for nothing.
        grants: The principal's own roles, narrowed to the department it names.
    """

    principal: AgentId
    acts: frozenset[Action]
    grants: tuple[Narrowed, ...]


def narrowed(grants: Grants, unit: UnitId | None, units: UnitTree, *, at: datetime) -> tuple[Narrowed, ...]:
    """The roles of ``grants`` within a department: the smaller of the two where one lies inside of the other, else nothing."""
    found = []
    for grant in grants:
        if unit is None or (grant.unit is not None and grant.unit in units.within(unit, at=at)):
            found.append(Narrowed(role=grant.role, unit=grant.unit))
        elif grant.unit is None or unit in units.within(grant.unit, at=at):
            found.append(Narrowed(role=grant.role, unit=unit))
    return tuple(found)
