"""Changes to who is who: authorised, entered, and never a way to lock everybody out."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from access import DeniedError
from evidence.errors import AuthenticationError, InvalidInputError, PolicyUnmetError, StateConflictError
from evidence.ids import UnitId
from evidence.model import Action, Actor, DeviceState
from support.assured_home import AssuredHome
from support.recorders import gb_name


def test_the_first_administrator_manages_people_and_sees_no_footage(home: AssuredHome) -> None:
    offered = home.gate.offered(home.administrator)
    assert {Action.PEOPLE_MANAGE, Action.VERIFY_RUN, Action.OFFLOAD_RUN} <= offered
    assert Action.RECORDING_VIEW not in offered
    with pytest.raises(StateConflictError):
        home.administration.first_administrator(login="second", name="第二人")


def test_every_change_is_an_entry_and_personal_values_stay_out_of_the_leaf(home: AssuredHome) -> None:
    administration, admin = home.administration, home.administrator
    unit = administration.create_unit(admin, name="执法一科", code="01")
    made = administration.create_agent(admin, name="执法人员甲", login="j001", officer_code="900123", unit=unit.id)
    administration.grant_role(admin, agent=made.agent.id, role="officer", unit=unit.id)
    administration.revoke_role(admin, agent=made.agent.id, role="officer", unit=unit.id)
    entry = home.entries("agent.recorded")[-1]
    assert entry["agent"] == made.agent.id
    assert entry["actor"] == admin.agent
    assert not {"name", "login", "officer_code"} & set(entry)
    published = b"".join(path.read_bytes() for path in home.published[0].rglob("*") if path.is_file())
    assert b"900123" not in published
    assert [one["granted"] for one in home.entries("role.changed")][-2:] == [True, False]
    assert home.verify().verdict == "good"


def test_a_person_without_the_right_changes_nothing(home: AssuredHome) -> None:
    operator = home.agent("采集员", "station_operator")
    before = len(home.entries("agent.recorded"))
    for attempt in (
        lambda: home.administration.create_agent(operator, name="x"),
        lambda: home.administration.create_unit(operator, name="x"),
        lambda: home.administration.grant_role(operator, agent=operator.agent, role="auditor"),
        lambda: home.administration.reset_password(operator, agent=home.first.agent.id),
        lambda: home.administration.bind_os_user(operator, uid=0, agent=operator.agent),
        lambda: home.administration.people(home.agent("officer", "officer")),
    ):
        with pytest.raises(DeniedError):
            attempt()
    assert len(home.entries("agent.recorded")) == before + 1  # the officer made on the way


def test_log_ins_and_officer_codes_are_one_persons(home: AssuredHome) -> None:
    administration, admin = home.administration, home.administrator
    administration.create_agent(admin, name="甲", login="j001", officer_code="900123")
    with pytest.raises(StateConflictError):
        administration.create_agent(admin, name="乙", login="j001")
    with pytest.raises(StateConflictError):
        administration.create_agent(admin, name="乙", officer_code="900123")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a\nb"},
        {"name": "x" * 500},
        {"name": "甲", "login": "a b"},
        {"name": "甲", "kind": "robot"},
    ],
)
def test_hostile_values_are_refused(home: AssuredHome, wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError):
        home.administration.create_agent(home.administrator, **wrong)


def test_unknown_units_and_roles_are_refused(home: AssuredHome) -> None:
    nowhere = UnitId.new(1_790_000_000_000)
    with pytest.raises(InvalidInputError):
        home.administration.create_unit(home.administrator, name="x", parent=nowhere)
    with pytest.raises(InvalidInputError):
        home.administration.create_agent(home.administrator, name="x", unit=nowhere)
    person = home.agent("甲", "officer")
    with pytest.raises(InvalidInputError):
        home.administration.grant_role(home.administrator, agent=person.agent, role="emperor")


def test_granting_twice_and_revoking_twice_enter_once(home: AssuredHome) -> None:
    person = home.agent("甲", "officer")
    before = len(home.entries("role.changed"))
    for _ in range(2):
        home.administration.grant_role(home.administrator, agent=person.agent, role="auditor")
    for _ in range(2):
        home.administration.revoke_role(home.administrator, agent=person.agent, role="auditor")
    assert len(home.entries("role.changed")) == before + 2


def test_a_role_taken_away_is_gone_at_the_next_act(home: AssuredHome) -> None:
    person = home.agent("甲", "auditor")
    home.gate.require(person, Action.LOG_READ)
    home.administration.revoke_role(home.administrator, agent=person.agent, role="auditor")
    with pytest.raises(DeniedError):
        home.gate.require(person, Action.LOG_READ)


def test_the_last_who_can_manage_people_stays(home: AssuredHome) -> None:
    second = home.agent("乙", "security_administrator")
    home.administration.deactivate(second, agent=home.first.agent.id)
    third = home.agent_by(second, "丙", "officer")
    with pytest.raises(DeniedError):  # the one left cannot act on themselves
        home.administration.deactivate(second, agent=second.agent)
    with pytest.raises(DeniedError):
        home.administration.revoke_role(third, agent=second.agent, role="security_administrator")


def test_r09_a_transfer_keeps_the_past(home: AssuredHome) -> None:
    one = home.administration.create_unit(home.administrator, name="一科")
    two = home.administration.create_unit(home.administrator, name="二科")
    person = home.agent("甲", "officer", home_unit=one.id)
    home.administration.transfer(home.administrator, agent=person.agent, unit=two.id)
    home.administration.transfer(home.administrator, agent=person.agent, unit=two.id)
    posts = next(row.posts for row in home.administration.people(home.administrator) if row.agent.id == person.agent)
    assert [(post.unit, post.valid_to is None) for post in posts] == [(one.id, False), (two.id, True)]
    assert home.verify().verdict == "good"


def test_access_is_restored_only_where_nobody_can_log_in(home: AssuredHome) -> None:
    with pytest.raises(StateConflictError):
        home.administration.restore_access(login="admin")


def test_a_deactivated_manager_does_not_count_as_one_left(home: AssuredHome) -> None:
    second = home.agent("乙", "security_administrator")
    third = home.agent("丙", "security_administrator")
    home.administration.deactivate(home.administrator, agent=second.agent)
    home.administration.deactivate(third, agent=home.first.agent.id)
    fourth = home.agent_by(third, "丁", "security_administrator")
    home.administration.revoke_role(fourth, agent=third.agent, role="security_administrator")
    with pytest.raises((PolicyUnmetError, DeniedError)):
        home.administration.deactivate(third, agent=fourth.agent)


def test_a_bound_account_must_belong_to_somebody_active(home: AssuredHome) -> None:
    person = home.agent("甲", "officer")
    home.administration.bind_os_user(home.administrator, uid=4711, agent=person.agent)
    assert home.identity.cli_actor(4711).agent == person.agent
    home.administration.deactivate(home.administrator, agent=person.agent)
    with pytest.raises(AuthenticationError):
        home.identity.cli_actor(4711)


def test_nobody_lets_their_own_account_act_as_somebody_else(home: AssuredHome) -> None:
    person = home.agent("甲", "officer")
    home.administration.bind_os_user(home.administrator, uid=4712, agent=home.administrator.agent)
    with pytest.raises(DeniedError) as refused:
        home.administration.bind_os_user(home.administrator, uid=4712, agent=person.agent)
    assert refused.value.reason == "own-account"
    assert home.identity.cli_actor(4712).agent == home.administrator.agent


def test_r09_who_manages_one_unit_takes_nobody_out_of_another(home: AssuredHome) -> None:
    mine, other = (home.administration.create_unit(home.administrator, name=name) for name in ("一科", "二科"))
    manager = home.agent("丙", "security_administrator", unit=mine.id)
    stranger, unposted = home.agent("甲", "officer", home_unit=other.id), home.agent("乙", "officer")
    for agent in (stranger.agent, unposted.agent):
        with pytest.raises(DeniedError) as refused:
            home.administration.transfer(manager, agent=agent, unit=mine.id)
        assert refused.value.reason == "outside-unit"
    own = home.agent_by(home.administrator, "丁", "officer", home_unit=mine.id)
    below = home.administration.create_unit(manager, name="一中队", parent=mine.id)
    home.administration.transfer(manager, agent=own.agent, unit=below.id)


def test_r09_who_manages_one_unit_makes_no_successor_of_another(home: AssuredHome) -> None:
    """A unit with the code of one that has ended inherits what that one could see."""
    mine, other = (
        home.administration.create_unit(home.administrator, name=name, code=code)
        for name, code in (("一科", "101"), ("二科", "102"))
    )
    manager = home.agent("丙", "security_administrator", unit=mine.id)
    with pytest.raises(DeniedError):
        home.administration.create_unit(manager, name="新二科", code=other.code, parent=mine.id)
    home.administration.create_unit(manager, name="新一科", code=mine.code, parent=mine.id)


def test_a_stolen_session_gives_itself_no_password_of_its_own(home: AssuredHome) -> None:
    """A password is changed with the old one; a reset of one's own from the browser would be a way around that."""
    thief = Actor(home.first.agent.id, "admin", "web", "10.0.0.9")
    with home.catalogue.begin() as uow:
        uow.people.update_credential(home.first.agent.id, must_change=False)
    with pytest.raises(DeniedError) as refused:
        home.administration.reset_password(thief, agent=home.first.agent.id)
    assert refused.value.reason == "own-password"
    # On the server the account of the operating system is what proves the person: the way back in for the only one.
    assert home.administration.reset_password(home.administrator, agent=home.first.agent.id)


@pytest.mark.parametrize("wrong", ["a\0b", "a\nb", "x" * 65])
def test_codes_that_no_screen_could_show_are_refused(home: AssuredHome, wrong: str) -> None:
    with pytest.raises(InvalidInputError):
        home.administration.create_agent(home.administrator, name="甲", officer_code=wrong)
    with pytest.raises(InvalidInputError):
        home.administration.create_unit(home.administrator, name="一科", code=wrong)


def test_a_second_unit_of_one_name_in_one_place_is_refused(home: AssuredHome) -> None:
    create, admin = home.administration.create_unit, home.administrator
    above = create(admin, name="支队", code="9")
    for parent in (None, above.id):
        create(admin, name="一科", code="01", parent=parent)
        with pytest.raises(StateConflictError):
            create(admin, name=" 一科", code="01", parent=parent)
    assert len(home.entries("unit.recorded")) == 3


def test_a_name_that_fits_on_no_list_is_refused(home: AssuredHome) -> None:
    for make in (home.administration.create_unit, home.administration.create_agent):
        make(home.administrator, name="名" * 60)
        with pytest.raises(InvalidInputError):
            make(home.administrator, name="名" * 61)


def test_people_are_read_with_a_fixed_number_of_questions_and_tell_posts_and_roles(home: AssuredHome) -> None:
    unit = home.administration.create_unit(home.administrator, name="一科").id
    member = home.agent("甲", "officer", unit=unit)

    def asked() -> int:
        statements: list[str] = []
        for engine in (home.catalogue._engines.read, home.catalogue._engines.write):
            sa.event.listen(engine, "before_cursor_execute", lambda *one: statements.append(one[2]))
        people = home.administration.people(home.administrator)
        (person,) = [one for one in people if one.agent.id == member.agent]
        assert [post.unit for post in person.posts] == [unit]
        assert [(grant.role, grant.unit) for grant in person.roles] == [("officer", unit)]
        return len(statements)

    before = asked()
    for number in range(20):
        home.agent(f"人员{number}", "officer", unit=unit)
    assert asked() == before


def test_a_locked_log_in_is_seen_and_a_new_password_unlocks_it(home: AssuredHome) -> None:
    made = home.administration.create_agent(home.administrator, name="甲", login="j001")

    def locked_until():
        people = home.administration.people(home.administrator)
        return next(one.locked_until for one in people if one.agent.id == made.agent.id)

    assert locked_until() is None
    for _ in range(5):
        with pytest.raises(AuthenticationError):
            home.identity.log_in("j001", password="wrong")
    assert locked_until() is not None
    password = home.administration.reset_password(home.administrator, agent=made.agent.id)
    assert locked_until() is None
    assert home.identity.log_in("j001", password=password).must_change


def test_r05_whose_a_recorder_is_can_be_entered_anew_within_ones_own_units_and_the_log_agrees(
    home: AssuredHome,
) -> None:
    administration, admin = home.administration, home.administrator
    mine, other = (administration.create_unit(admin, name=name).id for name in ("一科", "二科"))
    officer = home.agent("甲", "officer", unit=mine)
    left = home.agent("乙", "officer", unit=mine)
    administration.deactivate(admin, agent=left.agent)
    (row,) = home.ingest({f"DCIM/{gb_name(counter=1)}": b"x" * 1000})
    everywhere, here = home.agent("丙", "station_operator"), home.agent("丁", "station_operator", unit=mine)

    def change(actor: Actor, **facts: object):
        told = {"label": "", "unit": None, "officer": None, **facts}
        return administration.change_device(actor, device=row.device, **told)

    with pytest.raises(DeniedError):  # it belongs to no unit yet: the whole house's
        change(here, unit=mine)
    changed = change(everywhere, label=" 资产 7 ", unit=mine, officer=officer.agent)
    assert (changed.label, changed.unit, changed.officer) == ("资产 7", mine, officer.agent)
    before = len(home.entries("device.registered"))
    change(here, label="资产 7", unit=mine, officer=officer.agent)  # as it is: nothing new to enter
    assert len(home.entries("device.registered")) == before
    for wrong in ({"label": "x" * 201}, {"label": "a\nb"}, {"unit": UnitId.new(1)}, {"officer": left.agent}):
        with pytest.raises((InvalidInputError, DeniedError)):
            change(everywhere, **wrong)
    with pytest.raises(DeniedError):  # into a unit that is not theirs
        change(here, unit=other)
    change(here, label="资产 8", unit=mine)
    assert home.entries("device.registered")[-1]["actor"] == here.agent
    # A verification compares the ledger with what a rebuild would make of the log.
    assert home.verify().verdict == "good"
    with home.catalogue.begin() as uow:
        assert uow.recordings.get(row.id).unit == row.unit
        uow.devices.update(row.device, state=DeviceState.RETIRED)
    with pytest.raises(StateConflictError):
        change(everywhere, label="资产 9")
