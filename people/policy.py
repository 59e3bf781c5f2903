"""The policy: may this agent do this to that? A pure function of grants, departments and the object.

What it does: combine the agent's grants with the role table and the departments' tree. Allowed is what some grant allows;
nothing is allowed by default. What it does not do: look anything up, enter anything in the log, know who is logged in.

A grant reaches an object
- everywhere, when it names no department;
- when the object's department lies inside of the grant's department (the object keeps the department of its day);
- when the act is one the role may do on its own recordings and the agent recorded it.
An archived recording is viewed, copied or exported only under a grant for that use (R17), whatever the role and whoever
recorded it. Such a grant is the leader's consent and suffices by itself for what it names, for whoever still holds a role that
may ask for use; it also lets them open the page of that recording, and nothing else.

An act that names no object concerns the whole house (only grants for everywhere reach it), unless it is a list, which
:func:`visibility` narrows.

Source: RULES R9, R17, R18.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from evidence.ids import AgentId, MatterId, UnitId
from evidence.model import Action, Decision, ObjectScope, Visibility
from people.roles import LISTS, NEEDS_GRANT_ONCE_ARCHIVED, ROLES, Role
from people.units import UnitTree

EVERYWHERE: Final = "everywhere"
UNIT: Final = "unit"
OWN: Final = "own"
LIST: Final = "list"
GRANT: Final = "grant"
NO_ROLE: Final = "no-role"
OUTSIDE_UNIT: Final = "outside-unit"
NOT_OWN: Final = "not-own"
NEEDS_GRANT: Final = "needs-grant"
#: Every reason a decision can carry: stable codes, translated by the interfaces.
ALLOWED_REASONS: Final = frozenset({EVERYWHERE, UNIT, OWN, LIST, GRANT})
DENIED_REASONS: Final = frozenset({NO_ROLE, OUTSIDE_UNIT, NOT_OWN, NEEDS_GRANT})


class Grant(Protocol):
    """A role given to an agent."""

    @property
    def role(self) -> str:
        """Name in the role table; an unknown one allows nothing."""
        ...

    @property
    def unit(self) -> UnitId | None:
        """The department it is given for; None means everywhere."""
        ...


class Use(Protocol):
    """A grant for use that is valid now for this person and this recording."""

    @property
    def id(self) -> MatterId:
        """Its identity."""
        ...

    @property
    def rights(self) -> frozenset[Action]:
        """What it allows."""
        ...


Grants = Sequence[Grant]
_NOTHING = Role()


def decide(
    grants: Grants,
    action: Action,
    scope: ObjectScope,
    *,
    actor_agent: AgentId,
    units: UnitTree,
    at: datetime | None = None,
    uses: Sequence[Use] = (),
) -> Decision:
    """Whether the agent may do ``action`` to what ``scope`` describes.

    Args:
        grants: The agent's roles.
        action: What is asked for.
        scope: The object; one without department, officer and recording names no object.
        actor_agent: Who asks.
        units: Every department, past and present.
        at: The moment; without it successors do not inherit (the narrower answer).
        uses: Grants for use that are valid now for this agent and the recording of ``scope``.

    Returns:
        The decision with a stable reason. Never raises.
    """
    reached = _reach(grants, action, scope, actor_agent=actor_agent, units=units, at=at)
    held = reached in ALLOWED_REASONS
    asks = held and scope.archived and action in NEEDS_GRANT_ONCE_ARCHIVED
    if held and not asks:
        return Decision(allowed=True, reason=reached)
    use = next((one for one in uses if action in one.rights or action is Action.RECORDING_SHOW), None)
    if use is not None and Action.ACCESS_ASK in offered(grants):
        return Decision(allowed=True, reason=GRANT, grant=use.id)
    return Decision(allowed=False, reason=NEEDS_GRANT if asks else reached)


def _reach(
    grants: Grants,
    action: Action,
    scope: ObjectScope,
    *,
    actor_agent: AgentId,
    units: UnitTree,
    at: datetime | None,
) -> str:
    by_unit = [grant for grant in grants if action in _role(grant).actions]
    by_own = any(action in _role(grant).own for grant in grants)
    if any(grant.unit is None for grant in by_unit):
        return EVERYWHERE
    names_nothing = scope.unit is None and scope.officer is None and scope.recording is None
    if names_nothing and action in LISTS and (by_unit or by_own):
        return LIST
    if scope.unit is not None and any(scope.unit in _inside(grant, units, at) for grant in by_unit):
        return UNIT
    if by_own and scope.officer is not None and scope.officer == actor_agent:
        return OWN
    if by_unit:
        return OUTSIDE_UNIT
    return NOT_OWN if by_own else NO_ROLE


def visibility(
    grants: Grants, units: UnitTree, *, action: Action, actor_agent: AgentId, at: datetime | None = None
) -> Visibility:
    """Which rows a list for ``action`` may return: exactly those that :func:`decide` would allow, archived or not.

    Args:
        grants: The agent's roles.
        units: Every department, past and present.
        action: What the list is for.
        actor_agent: Who asks.
        at: As for :func:`decide`.
    """
    by_unit = [grant for grant in grants if action in _role(grant).actions]
    if any(grant.unit is None for grant in by_unit):
        return Visibility(everything=True)
    inside: frozenset[UnitId] = frozenset().union(*(_inside(grant, units, at) for grant in by_unit))
    own = any(action in _role(grant).own for grant in grants)
    return Visibility(units=inside, officer=actor_agent if own else None)


def offered(grants: Grants) -> frozenset[Action]:
    """Actions the agent may do on at least something: what menus show; no decision is taken from it."""
    nothing: frozenset[Action] = frozenset()
    return nothing.union(*(_role(grant).actions | _role(grant).own for grant in grants))


def _role(grant: Grant) -> Role:
    return ROLES.get(grant.role, _NOTHING)


def _inside(grant: Grant, units: UnitTree, at: datetime | None) -> frozenset[UnitId]:
    return frozenset() if grant.unit is None else units.within(grant.unit, at=at)
