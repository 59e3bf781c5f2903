"""Roles, grants for use and delegations, in every combination (R17): pure decisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from evidence.ids import AgentId, MatterId, RecordingId, UnitId
from evidence.model import Action, ObjectScope
from people import policy, roles
from people.roles import NEEDS_GRANT_ONCE_ARCHIVED, ROLES
from people.standing_in import Narrowed, narrowed
from people.units import UnitTree

ME, OTHER = AgentId.new(1), AgentId.new(2)
RECORDING = RecordingId.new(3)
GRANT = MatterId.new(4)
AT = datetime(2026, 11, 27, tzinfo=UTC)
BUREAU, FIRST, TEAM, SECOND = (UnitId.new(number) for number in range(5, 9))


@dataclass(frozen=True)
class Row:
    id: UnitId
    parent: UnitId | None = None
    code: str = ""
    valid_from: datetime = datetime(2020, 1, 1, tzinfo=UTC)
    valid_to: datetime | None = None


TREE = UnitTree((Row(BUREAU), Row(FIRST, BUREAU), Row(TEAM, FIRST), Row(SECOND, BUREAU)))


@dataclass(frozen=True)
class Use:
    rights: frozenset[Action]
    id: MatterId = GRANT


@pytest.mark.parametrize("role", sorted(ROLES))
@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("granted", [None, *sorted(NEEDS_GRANT_ONCE_ARCHIVED)])
def test_r17_role_by_grant_by_time(role: str, archived: bool, granted: Action | None) -> None:
    """Archived: only what is granted, and only to who may ask. Before: what the role may do, and what is granted."""
    uses = () if granted is None else (Use(frozenset({granted})),)
    may_ask = Action.ACCESS_ASK in roles.actions_of(role)
    for action in NEEDS_GRANT_ONCE_ARCHIVED:
        for officer in (ME, OTHER):
            scope = ObjectScope(officer=officer, recording=RECORDING, archived=archived)
            decision = policy.decide(
                (Narrowed(role=role, unit=None),), action, scope, actor_agent=ME, units=TREE, at=AT, uses=uses
            )  # fmt: skip
            by_role = action in ROLES[role].actions or (action in ROLES[role].own and officer == ME)
            by_grant = granted == action and may_ask
            assert decision.allowed == ((by_role and not archived) or by_grant)
            assert decision.grant == (GRANT if by_grant and (archived or not by_role) else None)


def test_r17_a_grant_opens_the_page_and_nothing_else() -> None:
    uses = (Use(frozenset({Action.RECORDING_VIEW})),)
    scope = ObjectScope(officer=OTHER, unit=SECOND, recording=RECORDING, archived=True)
    officer = (Narrowed(role=roles.OFFICER, unit=None),)
    allowed = {
        action for action in Action
        if policy.decide(officer, action, scope, actor_agent=ME, units=TREE, at=AT, uses=uses).allowed
    }  # fmt: skip
    assert allowed == {Action.RECORDING_VIEW, Action.RECORDING_SHOW}


@pytest.mark.parametrize(
    ("held", "asked", "left"),
    [
        (None, None, None), (None, FIRST, FIRST), (BUREAU, FIRST, FIRST), (FIRST, BUREAU, FIRST), (FIRST, FIRST, FIRST),
        (TEAM, FIRST, TEAM), (FIRST, None, FIRST), (FIRST, SECOND, "nothing"), (SECOND, TEAM, "nothing"),
    ],
    ids=lambda _unit: "unit",  # identities are random: the tests would have other names in every process
)  # fmt: skip
def test_r17_a_delegation_is_never_wider_than_either_the_role_or_the_department_it_names(held, asked, left) -> None:
    found = narrowed((Narrowed(role=roles.UNIT_LEADER, unit=held),), asked, TREE, at=AT)
    assert [one.unit for one in found] == ([] if left == "nothing" else [left])
