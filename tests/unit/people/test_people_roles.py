"""Who may do what: the whole table, and the separations it must keep."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from evidence.errors import InvalidInputError
from evidence.ids import AgentId, UnitId
from evidence.model import Action, Decision, ObjectScope, Visibility
from people import policy, roles
from people.units import UnitTree

ME = AgentId.new(1)
OTHER = AgentId.new(2)

#: The table as a person would read it: e = anywhere in the grant's reach, o = own recordings only, - = never.
ORDER = (
    roles.OFFICER,
    roles.STATION_OPERATOR,
    roles.UNIT_LEADER,
    roles.LEGAL_REVIEWER,
    roles.AUDITOR,
    roles.RETENTION_MANAGER,
    roles.SYSTEM_ADMINISTRATOR,
    roles.SECURITY_ADMINISTRATOR,
    roles.AUDIT_ADMINISTRATOR,
)
TABLE = {
    Action.RECORDING_LIST: "oeeeee---",
    Action.RECORDING_SHOW: "oeeeee---",
    Action.RECORDING_VIEW: "o-ee-----",
    Action.RECORDING_VERIFY: "oeeeee---",
    Action.RECORDING_BIND: "-ee------",
    Action.OFFLOAD_RUN: "-e-------",
    Action.OFFLOAD_LIST: "oeeeee---",
    Action.DEVICE_LIST: "-ee-eee--",
    Action.DEVICE_REGISTER: "-e-------",
    Action.DEVICE_CHANGE: "-e-------",
    Action.DEVICE_RELEASE: "-e-------",
    Action.VERIFY_RUN: "----e-e-e",
    Action.REBUILD_RUN: "------e--",
    Action.LOG_READ: "----e---e",
    Action.FINDING_LIST: "-eeeeee-e",
    Action.SYSTEM_HEALTH: "-e--e-eee",
    Action.PEOPLE_LIST: "--e-e--ee",
    Action.PEOPLE_MANAGE: "-------e-",
    Action.SETTING_CHANGE: "------e--",
    Action.FIXITY_RUN: "----e-e--",
    Action.STORAGE_MIGRATE: "------e--",
    Action.BACKUP_RUN: "------e--",
    Action.KEYS_MANAGE: "------e--",
    Action.BRAKE_PULL: "----ee--e",
    Action.BRAKE_RELEASE: "--------e",
    Action.RECORDING_CLASSIFY: "o-e--e---",
    Action.RECORDING_FLAG: "oeee-e---",
    Action.FLAG_LIFT: "--e------",
    Action.RECORDING_COPY: "--ee-----",
    Action.RECORDING_EXPORT: "--ee-----",
    Action.SCHEDULE_SEE: "oeeeee--e",
    Action.SCHEDULE_PROPOSE: "-----e---",
    Action.SCHEDULE_APPROVE: "--e------",
    Action.HOLD_SEE: "--eeee--e",
    Action.HOLD_PLACE: "--eeee---",
    Action.HOLD_RELEASE: "--ee-----",
    Action.DISPOSAL_SEE: "--eeee--e",
    Action.DISPOSAL_PROPOSE: "-----e---",
    Action.DISPOSAL_APPROVE: "--e------",
    Action.DISPOSAL_STOP: "--e-ee--e",
    Action.CASE_SEE: "o-eee----",
    Action.CASE_EDIT: "o-ee-----",
    Action.CASE_CLOSE: "--e------",
    Action.CASE_EXPORT: "--ee-----",
    Action.ACCESS_ASK: "o-eee----",
    Action.ACCESS_APPROVE: "--e------",
    Action.REGISTER_SEE: "--eeee--e",
    Action.REGISTER_ENTER: "-e-------",
    Action.EXCEPTION_FILE: "oee------",
    Action.EXCEPTION_REVIEW: "--e------",
    Action.DAMAGE_REPORT: "oee------",
    Action.DAMAGE_HANDLE: "-e-------",
    Action.DEVICE_ISSUE: "-e-------",
    Action.DEVICE_CARRY: "o--------",
    Action.SAMPLING_RUN: "---ee----",
    Action.SAMPLING_ANSWER: "o-e------",
    Action.PROCEDURE_SEE: "o-eee----",
    Action.PROCEDURE_HANDLE: "--ee-----",
    Action.PROCEDURE_DECIDE: "--e------",
    Action.DISC_SEE: "oeeeee---",
    Action.DISC_MAKE: "-e---e---",
    Action.DISC_LEND: "--e------",
    Action.STATISTICS_SEE: "--eeee---",
    Action.CALENDAR_MANAGE: "-----e---",
    Action.ABSENCE_ASK: "--eeee--e",
}


@dataclass(frozen=True)
class Given:
    role: str
    unit: UnitId | None = None


def decide(role: str, action: Action, scope: ObjectScope) -> Decision:
    return policy.decide((Given(role),), action, scope, actor_agent=ME, units=UnitTree(()))


def test_the_table_names_every_role_and_every_action() -> None:
    assert set(TABLE) == set(Action)
    assert set(ORDER) == set(roles.ROLES)


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("role", ORDER)
def test_r18_each_role_may_do_what_the_table_says_and_nothing_else(role: str, action: Action) -> None:
    mark = TABLE[action][ORDER.index(role)]
    of_other = decide(role, action, ObjectScope(officer=OTHER))
    of_mine = decide(role, action, ObjectScope(officer=ME))
    assert of_other.allowed == (mark == "e")
    assert of_mine.allowed == (mark in "eo")
    for decision in (of_other, of_mine):
        reasons = policy.ALLOWED_REASONS if decision.allowed else policy.DENIED_REASONS
        assert decision.reason in reasons
    assert (action in roles.actions_of(role)) == (mark != "-")


@pytest.mark.parametrize("role", ORDER)
def test_r17_nobody_views_archived_footage_without_a_grant_for_it(role: str) -> None:
    archived = ObjectScope(officer=ME, archived=True)
    decision = decide(role, Action.RECORDING_VIEW, archived)
    assert not decision.allowed
    if Action.RECORDING_VIEW in roles.actions_of(role):
        assert decision.reason == policy.NEEDS_GRANT


def test_r17_an_officer_views_own_footage_before_archiving_and_still_sees_that_it_is_there_afterwards() -> None:
    fresh, archived = ObjectScope(officer=ME), ObjectScope(officer=ME, archived=True)
    assert decide(roles.OFFICER, Action.RECORDING_VIEW, fresh) == Decision(allowed=True, reason=policy.OWN)
    assert decide(roles.OFFICER, Action.RECORDING_VIEW, archived) == Decision(allowed=False, reason=policy.NEEDS_GRANT)
    assert decide(roles.OFFICER, Action.RECORDING_SHOW, archived).allowed


def test_r17_who_may_not_view_at_all_is_not_told_that_a_grant_would_help() -> None:
    assert (
        decide(roles.OFFICER, Action.RECORDING_VIEW, ObjectScope(officer=OTHER, archived=True)).reason == policy.NOT_OWN
    )
    assert decide(roles.AUDITOR, Action.RECORDING_VIEW, ObjectScope(archived=True)).reason == policy.NO_ROLE


def test_r18_no_administrator_sees_footage_and_only_one_manages_people() -> None:
    for administrator in roles.SEPARATED:
        held = roles.actions_of(administrator)
        assert not {Action.RECORDING_LIST, Action.RECORDING_SHOW, Action.RECORDING_VIEW} & held
        assert (Action.PEOPLE_MANAGE in held) == (administrator == roles.SECURITY_ADMINISTRATOR)
        assert (Action.LOG_READ in held) == (administrator == roles.AUDIT_ADMINISTRATOR)


def test_r08_no_role_can_alter_or_remove_footage_because_there_is_no_such_action() -> None:
    forbidden = {"recording.delete", "recording.edit", "recording.update", "recording.remove"}
    assert not forbidden & {action.value for action in Action}


def test_one_person_holding_two_administrator_roles_is_noticed() -> None:
    assert roles.broken_separation([roles.SYSTEM_ADMINISTRATOR, roles.OFFICER]) == frozenset()
    both = {roles.SYSTEM_ADMINISTRATOR, roles.SECURITY_ADMINISTRATOR}
    assert roles.broken_separation([*both, roles.OFFICER]) == both


def test_an_unknown_role_allows_nothing_and_cannot_be_looked_up() -> None:
    assert not any(decide("emperor", action, ObjectScope()).allowed for action in Action)
    assert (
        policy.visibility((Given("emperor"),), UnitTree(()), action=Action.RECORDING_LIST, actor_agent=ME)
        == Visibility()
    )
    with pytest.raises(InvalidInputError):
        roles.actions_of("emperor")


def test_without_any_role_nothing_is_allowed() -> None:
    for action in Action:
        decision = policy.decide((), action, ObjectScope(officer=ME), actor_agent=ME, units=UnitTree(()))
        assert decision == Decision(allowed=False, reason=policy.NO_ROLE)
    assert policy.offered(()) == frozenset()


def test_menus_offer_what_the_roles_hold_together() -> None:
    grants = (Given(roles.OFFICER), Given(roles.SECURITY_ADMINISTRATOR))
    expected = roles.actions_of(roles.OFFICER) | roles.actions_of(roles.SECURITY_ADMINISTRATOR)
    assert policy.offered(grants) == expected
