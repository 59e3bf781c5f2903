"""Role x action x object through the real gate on a real catalogue. The table is written out by hand, apart from the code's.

A denial leaves an entry with its reason; nothing else does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from access import DeniedError
from evidence.ids import RecordingId
from evidence.model import Action, Actor, ObjectScope
from people.roles import ROLES
from support.assured_home import AssuredHome, make_home

LIST, SHOW, VIEW, CHECK = "recording.list", "recording.show", "recording.view", "recording.verify"
DOCKINGS, RECORDERS, FINDINGS, PEOPLE, HEALTH = (
    "offload.list",
    "device.list",
    "finding.list",
    "people.list",
    "system.health",
)

#: Role -> acts inside the unit it is granted for.
IN_UNIT: dict[str, set[str]] = {
    "officer": set(),
    "station_operator": {
        LIST, SHOW, CHECK, "recording.bind", "offload.run", DOCKINGS, RECORDERS, "device.register", "device.change",
        "device.release", FINDINGS, HEALTH,
    },
    "unit_leader": {LIST, SHOW, VIEW, CHECK, "recording.bind", DOCKINGS, RECORDERS, FINDINGS, PEOPLE},
    "legal_reviewer": {LIST, SHOW, VIEW, CHECK, DOCKINGS, FINDINGS},
    "auditor": {
        LIST, SHOW, CHECK, "verify.run", DOCKINGS, RECORDERS, "log.read", FINDINGS, PEOPLE, HEALTH,
        "fixity.run", "brake.pull",
    },
    "retention_manager": {LIST, SHOW, CHECK, DOCKINGS, RECORDERS, FINDINGS, "brake.pull"},
    "system_administrator": {
        "verify.run", "rebuild.run", HEALTH, "setting.change", RECORDERS, FINDINGS, "fixity.run", "storage.migrate",
        "backup.run", "keys.manage",
    },
    "security_administrator": {PEOPLE, "people.manage", HEALTH},
    "audit_administrator": {"log.read", FINDINGS, "verify.run", PEOPLE, HEALTH, "brake.pull", "brake.release"},
}  # fmt: skip
#: Role -> acts on what the agent recorded, in whatever unit.
OWN: dict[str, set[str]] = {"officer": {LIST, SHOW, VIEW, CHECK, DOCKINGS}}
#: What the rules added: act -> who, in the order of ROLE_ORDER (e: in the unit, o: own only).
ROLE_ORDER = (
    "officer",
    "station_operator",
    "unit_leader",
    "legal_reviewer",
    "auditor",
    "retention_manager",
    "system_administrator",
    "security_administrator",
    "audit_administrator",
)
RULES: dict[str, str] = {
    "recording.classify": "o-e--e---",
    "recording.flag": "oeee-e---",
    "flag.lift": "--e------",
    "recording.copy": "--ee-----",
    "recording.export": "--ee-----",
    "schedule.see": "oeeeee--e",
    "schedule.propose": "-----e---",
    "schedule.approve": "--e------",
    "hold.see": "--eeee--e",
    "hold.place": "--eeee---",
    "hold.release": "--ee-----",
    "disposal.see": "--eeee--e",
    "disposal.propose": "-----e---",
    "disposal.approve": "--e------",
    "disposal.stop": "--e-ee--e",
    "case.see": "o-eee----",
    "case.edit": "o-ee-----",
    "case.close": "--e------",
    "case.export": "--ee-----",
    "access.ask": "o-eee----",
    "access.approve": "--e------",
    "register.see": "--eeee--e",
    "register.enter": "-e-------",
    "exception.file": "oee------",
    "exception.review": "--e------",
    "damage.report": "oee------",
    "damage.handle": "-e-------",
    "device.issue": "-e-------",
    "device.carry": "o--------",
    "sampling.run": "---ee----",
    "sampling.answer": "o-e------",
    "procedure.see": "o-eee----",
    "procedure.handle": "--ee-----",
    "procedure.decide": "--e------",
    "disc.see": "oeeeee---",
    "disc.make": "-e---e---",
    "disc.lend": "--e------",
    "statistics.see": "--eeee---",
    "calendar.manage": "-----e---",
    "absence.ask": "--eeee--e",
}
for _act, _marks in RULES.items():
    for _role, _mark in zip(ROLE_ORDER, _marks, strict=True):
        if _mark == "e":
            IN_UNIT[_role].add(_act)
        elif _mark == "o":
            OWN[_role].add(_act)
#: Asked about no object, any grant will do; every other act then concerns the whole house.
LISTS = {
    LIST, DOCKINGS, RECORDERS, FINDINGS, PEOPLE, HEALTH,
    "schedule.see", "hold.see", "disposal.see", "case.see",
    "register.see", "procedure.see", "disc.see", "statistics.see", "absence.ask",
}  # fmt: skip
#: With archived footage only under a grant.
ARCHIVED = {VIEW, "recording.copy", "recording.export"}
OBJECTS = ("own unit", "unit below", "other unit", "own in other unit", "own archived", "unit archived", "whole house")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AssuredHome]:
    made = make_home(Path(tmp_path_factory.mktemp("matrix")) / "home")
    yield made
    made.close()


@pytest.fixture(scope="module")
def units(home: AssuredHome) -> dict[str, object]:
    create = home.administration.create_unit
    mine = create(home.administrator, name="执法一科")
    below = create(home.administrator, name="一中队", parent=mine.id)
    other = create(home.administrator, name="执法二科")
    return {"own unit": mine.id, "unit below": below.id, "other unit": other.id}


def scope_of(thing: str, actor: Actor, units: dict[str, object]) -> ObjectScope:
    recording = RecordingId.new(1_790_000_000_000)
    match thing:
        case "own in other unit":
            return ObjectScope(unit=units["other unit"], officer=actor.agent, recording=recording)
        case "own archived":
            return ObjectScope(unit=units["own unit"], officer=actor.agent, recording=recording, archived=True)
        case "unit archived":
            return ObjectScope(unit=units["own unit"], recording=recording, archived=True)
        case "whole house":
            return ObjectScope()
        case _:
            return ObjectScope(unit=units[thing], recording=recording)


def may(role: str, action: str, thing: str) -> bool:
    if thing.endswith("archived") and action in ARCHIVED:
        return False
    own = action in OWN.get(role, set())
    if thing == "whole house":
        return action in LISTS and (action in IN_UNIT[role] or own)
    if thing in ("own unit", "unit below", "unit archived"):
        return action in IN_UNIT[role]
    if thing == "own archived":
        return action in IN_UNIT[role] or own
    return own and thing == "own in other unit"


@pytest.mark.parametrize("role", sorted(IN_UNIT))
def test_r09_r18_a_role_reaches_exactly_what_the_table_says_and_each_denial_is_entered(
    home: AssuredHome, units: dict[str, object], role: str
) -> None:
    actor = home.agent(role, role, unit=units["own unit"])
    denied = []
    wrong = []
    for action in Action:
        for thing in OBJECTS:
            try:
                home.gate.require(actor, action, scope_of(thing, actor, units))
                allowed = True
            except DeniedError as error:
                allowed = False
                denied.append((action.value, error.reason))
            if allowed is not may(role, action, thing):
                wrong.append((action.value, thing, allowed))
    assert wrong == []
    entered = [
        (entry["action"], entry["reason"]) for entry in home.entries("access.denied") if entry["actor"] == actor.agent
    ]
    assert entered == denied


@pytest.mark.parametrize("role", sorted(IN_UNIT))
def test_r09_a_role_for_everywhere_reaches_every_unit_but_no_archived_footage(
    home: AssuredHome, units: dict[str, object], role: str
) -> None:
    actor = home.agent(f"{role} everywhere", role)
    for action in Action:
        for thing in OBJECTS:
            decision = home.gate.decide(actor, action, scope_of(thing, actor, units))
            archived = thing.endswith("archived") and action in ARCHIVED
            own = thing.startswith("own ") and thing != "own unit" and action in OWN.get(role, set())
            listed = thing == "whole house" and action in LISTS and action in OWN.get(role, set())
            assert decision.allowed is ((action in IN_UNIT[role] or own or listed) and not archived), (action, thing)


def test_the_matrix_names_every_role_and_every_right_is_given_to_somebody() -> None:
    assert set(IN_UNIT) == set(ROLES)
    given = set().union(*IN_UNIT.values(), *OWN.values())
    assert given == {action.value for action in Action}


def test_r17_own_footage_is_watched_before_archiving_and_needs_a_grant_afterwards(
    home: AssuredHome, units: dict[str, object]
) -> None:
    officer = home.agent("officer of R17", "officer", unit=units["own unit"])
    fresh = ObjectScope(unit=units["own unit"], officer=officer.agent)
    home.gate.require(officer, Action.RECORDING_VIEW, fresh)
    with pytest.raises(DeniedError) as refused:
        home.gate.require(officer, Action.RECORDING_VIEW, scope_of("own archived", officer, units))
    assert refused.value.reason == "needs-grant"


def test_an_agent_nobody_knows_and_one_who_left_are_refused_and_entered(
    home: AssuredHome, units: dict[str, object]
) -> None:
    from evidence.ids import AgentId

    stranger = Actor(AgentId.new(1_790_000_000_000), "?", "web")
    with pytest.raises(DeniedError) as unknown:
        home.gate.require(stranger, Action.RECORDING_LIST)
    assert unknown.value.reason == "unknown-agent"
    leaver = home.agent("leaver", "auditor", unit=units["own unit"])
    home.administration.deactivate(home.administrator, agent=leaver.agent)
    with pytest.raises(DeniedError) as left:
        home.gate.require(leaver, Action.RECORDING_LIST)
    assert left.value.reason == "inactive"
    assert home.gate.visibility(leaver, Action.RECORDING_LIST) == home.gate.visibility(stranger, Action.RECORDING_LIST)
    reasons = [entry["reason"] for entry in home.entries("access.denied")]
    assert {"unknown-agent", "inactive"} <= set(reasons)


def test_separated_administrators_neither_see_footage_nor_give_themselves_the_right(home: AssuredHome) -> None:
    first = home.administrator  # system, security and station
    for action in (Action.RECORDING_VIEW, Action.LOG_READ):
        with pytest.raises(DeniedError):
            home.gate.require(first, action)
    with pytest.raises(DeniedError) as own:
        home.administration.grant_role(first, agent=first.agent, role="unit_leader")
    assert own.value.reason == "own-rights"
    assert not home.gate.decide(first, Action.RECORDING_VIEW).allowed
