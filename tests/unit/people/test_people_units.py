"""Departments: containment, reorganisation, transfer (R9), and that lists and single decisions agree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.ids import AgentId, UnitId
from evidence.model import Action, ObjectScope
from people import policy, roles
from people.units import UnitTree, unit_at

DAY0 = datetime(2026, 1, 1, tzinfo=UTC)
ME = AgentId.new(1)
OTHER = AgentId.new(2)


def day(number: int) -> datetime:
    return DAY0 + timedelta(days=number)


@dataclass(frozen=True)
class Department:
    id: UnitId
    parent: UnitId | None = None
    code: str = ""
    valid_from: datetime = DAY0
    valid_to: datetime | None = None


@dataclass(frozen=True)
class Membership:
    unit: UnitId
    valid_from: datetime
    valid_to: datetime | None = None


@dataclass(frozen=True)
class Given:
    role: str
    unit: UnitId | None = None


BUREAU, FIRST, SECOND, TEAM = (UnitId.new(number) for number in range(1, 5))
TREE = UnitTree([Department(BUREAU), Department(FIRST, BUREAU), Department(SECOND, BUREAU), Department(TEAM, FIRST)])


def leader_of(
    unit: UnitId, scope: ObjectScope, *, units: UnitTree = TREE, at: datetime = DAY0 + timedelta(days=10)
) -> bool:
    grants = (Given(roles.UNIT_LEADER, unit),)
    return policy.decide(grants, Action.RECORDING_VIEW, scope, actor_agent=ME, units=units, at=at).allowed


def test_r09_a_leader_sees_the_own_department_and_those_below_and_no_other() -> None:
    assert TREE.within(FIRST, at=day(1)) == {FIRST, TEAM}
    assert leader_of(FIRST, ObjectScope(unit=FIRST, officer=OTHER))
    assert leader_of(FIRST, ObjectScope(unit=TEAM, officer=OTHER))
    assert not leader_of(FIRST, ObjectScope(unit=SECOND, officer=OTHER))
    assert not leader_of(FIRST, ObjectScope(unit=BUREAU, officer=OTHER))


def test_r09_footage_of_no_known_department_is_seen_only_by_grants_for_everywhere() -> None:
    assert not leader_of(BUREAU, ObjectScope(officer=OTHER))
    assert not leader_of(BUREAU, ObjectScope())
    everywhere = (Given(roles.UNIT_LEADER),)
    assert policy.decide(everywhere, Action.RECORDING_VIEW, ObjectScope(), actor_agent=ME, units=TREE).allowed


def test_a_grant_for_one_department_does_not_reach_acts_on_the_whole_house() -> None:
    for role, action in (
        (roles.SECURITY_ADMINISTRATOR, Action.PEOPLE_MANAGE),
        (roles.SYSTEM_ADMINISTRATOR, Action.SETTING_CHANGE),
        (roles.AUDITOR, Action.LOG_READ),
        (roles.STATION_OPERATOR, Action.OFFLOAD_RUN),
    ):
        local = policy.decide((Given(role, FIRST),), action, ObjectScope(), actor_agent=ME, units=TREE)
        assert (local.allowed, local.reason) == (False, policy.OUTSIDE_UNIT)
    listing = policy.decide(
        (Given(roles.UNIT_LEADER, FIRST),), Action.RECORDING_LIST, ObjectScope(), actor_agent=ME, units=TREE
    )
    assert (listing.allowed, listing.reason) == (True, policy.LIST)


def test_r09_a_successor_inherits_from_the_day_it_exists_and_never_before() -> None:
    old, new = FIRST, UnitId.new(9)
    units = UnitTree(
        [
            Department(old, code="01", valid_to=day(5)),
            Department(TEAM, old),
            Department(new, code="01", valid_from=day(5)),
            Department(SECOND, code="02"),
        ]
    )
    assert units.within(new, at=day(6)) == {new, old, TEAM}
    assert units.within(new, at=day(4)) == frozenset()
    assert units.within(old, at=day(6)) == {old, TEAM}, "the past does not see the future"
    assert units.within(new, at=None) == {new}, "without a moment the narrower answer"
    assert leader_of(new, ObjectScope(unit=old), units=units, at=day(6))
    assert not leader_of(new, ObjectScope(unit=old), units=units, at=day(4))


def test_departments_without_a_code_have_no_successors() -> None:
    units = UnitTree([Department(FIRST, valid_to=day(1)), Department(SECOND, valid_from=day(1))])
    assert units.within(SECOND, at=day(2)) == {SECOND}


def test_an_unknown_department_reaches_nothing() -> None:
    stranger = UnitId.new(77)
    assert TREE.within(stranger, at=day(1)) == frozenset()
    assert not leader_of(stranger, ObjectScope(unit=stranger))


def test_r09_a_transfer_keeps_the_past() -> None:
    posts = [Membership(FIRST, day(0), day(10)), Membership(SECOND, day(10))]
    assert unit_at(posts, day(3)) == FIRST
    assert unit_at(posts, day(10)) == SECOND
    assert unit_at(posts, day(-1)) is None
    assert unit_at([], day(0)) is None
    assert unit_at([*posts, Membership(TEAM, day(5), day(6))], day(5)) == TEAM, "the post begun last wins"


IDS = [UnitId.new(number) for number in range(20, 28)]
departments = st.lists(
    st.builds(
        Department,
        id=st.sampled_from(IDS),
        parent=st.none() | st.sampled_from(IDS),
        code=st.sampled_from(["", "01", "02"]),
        valid_from=st.integers(0, 6).map(day),
        valid_to=st.none() | st.integers(7, 9).map(day),
    ),
    max_size=8,
    unique_by=lambda unit: unit.id,
)
moments = st.none() | st.integers(0, 10).map(day)


@given(departments, moments)
def test_containment_is_transitive_whatever_the_rows_say(units: list[Department], at: datetime | None) -> None:
    """Also for rows that form a circle: nothing hangs, and what is inside of what is inside is inside."""
    tree = UnitTree(units)
    for unit in IDS:
        inside = tree.within(unit, at=at)
        for below in inside:
            assert tree.within(below, at=at) <= inside


@given(departments, st.integers(0, 10).map(day))
def test_succession_only_ever_adds(units: list[Department], at: datetime) -> None:
    tree = UnitTree(units)
    for unit in units:
        if unit.valid_from <= at and all(other.valid_from <= at for other in units):
            assert tree.within(unit.id, at=None) <= tree.within(unit.id, at=at)


grants = st.lists(
    st.builds(Given, role=st.sampled_from(sorted(roles.ROLES)), unit=st.none() | st.sampled_from(IDS)), max_size=4
)


@given(departments, grants, moments, st.none() | st.sampled_from(IDS), st.sampled_from([None, ME, OTHER]))
def test_r18_a_list_returns_exactly_what_single_decisions_allow(
    units: list[Department],
    given_roles: list[Given],
    at: datetime | None,
    unit: UnitId | None,
    officer: AgentId | None,
) -> None:
    tree = UnitTree(units)
    action = Action.RECORDING_SHOW
    seen = policy.visibility(given_roles, tree, action=action, actor_agent=ME, at=at)
    listed = seen.everything or (unit in seen.units) or (officer is not None and officer == seen.officer)
    decision = policy.decide(
        given_roles, action, ObjectScope(unit=unit, officer=officer), actor_agent=ME, units=tree, at=at
    )
    assert decision.allowed == listed


@pytest.mark.parametrize("extra", sorted(roles.ROLES))
@given(departments, grants, st.sampled_from(sorted(Action)), st.sampled_from(IDS))
def test_another_role_never_takes_anything_away(
    extra: str, units: list[Department], given_roles: list[Given], action: Action, unit: UnitId
) -> None:
    tree, scope = UnitTree(units), ObjectScope(unit=unit, officer=OTHER)
    before = policy.decide(given_roles, action, scope, actor_agent=ME, units=tree, at=day(5))
    after = policy.decide([*given_roles, Given(extra)], action, scope, actor_agent=ME, units=tree, at=day(5))
    assert after.allowed or not before.allowed
