"""What a case means for how long its footage is kept: never while it is open, then for the period of its file."""

from __future__ import annotations

import os
from datetime import datetime

from evidence.calendar import after_months
from evidence.ids import RecordingId
from matters.turn import NewLink
from retention.decide import Decision, Standing, Why, decide
from retention.facts import items_of, now_of, rows_of, schedules_of
from support.assured_home import AssuredHome
from support.recorders import gb_name


def decided(home: AssuredHome, recording: RecordingId) -> Decision:
    with home.catalogue.read() as uow:
        item = items_of(uow, rows_of(uow, [recording]))[recording]
        return decide(item, schedules_of(uow), now_of(uow, home.clock.now()))


def whys(decision: Decision) -> set[Why]:
    return {one.why for one in decision.reasons}


def test_r13_r19_footage_of_a_case_is_kept_while_it_is_open_and_for_its_archive_period(home: AssuredHome) -> None:
    unit = home.administration.create_unit(home.administrator, name="执法一科").id
    handler, leader = home.agent("甲", "officer", unit=unit, code="900123"), home.agent("乙", "unit_leader", unit=unit)
    row, sorted_row = home.ingest({gb_name(counter=1): os.urandom(900), gb_name(counter=2): os.urandom(901)})
    desk = home.desk()
    given = {"title": "某案", "cause": "占用绿地", "procedure": "ordinary", "second_officer": leader.agent}
    case = desk.open(handler, "case", given, links=[NewLink(role="footage", target=row.id)])
    assert (decided(home, row.id).due_at, Why.CASE_OPEN in whys(decided(home, row.id))) == (None, True)
    other = home.agent("丙", "unit_leader", unit=unit)
    desk.act(other, case.id, "withdraw", {"withdrawn_why": "撤案", "archive_months": 30})
    closed = desk.view(handler, case.id).row
    assert closed.closed_at is not None
    after = decided(home, row.id)
    assert _at_least(after, after_months(closed.closed_at, 30))
    assert Why.CASE_ARCHIVE in whys(after)

    working = desk.open(
        handler, "working-material", {"title": "巡查"}, links=[NewLink(role="footage", target=sorted_row.id)]
    )
    assert decided(home, sorted_row.id).due_at is None
    desk.act(handler, working.id, "file", {"archive_period": "months:6"})
    filed = desk.view(handler, working.id).row
    assert filed.closed_at is not None
    assert _at_least(decided(home, sorted_row.id), after_months(filed.closed_at, 6))
    desk.act(other, working.id, "reopen", {"reopen_why": "补充"})
    assert decided(home, sorted_row.id).due_at is None
    with home.catalogue.begin() as uow:
        assert set(uow.rules.stale(limit=10)) >= {row.id, sorted_row.id}


def test_r16_a_fixation_record_keeps_nothing_beside_its_case(home: AssuredHome) -> None:
    unit = home.administration.create_unit(home.administrator, name="执法一科").id
    handler, second = home.agent("甲", "officer", unit=unit, code="900123"), home.agent("乙", "unit_leader", unit=unit)
    other = home.agent("丙", "unit_leader", unit=unit)
    [row] = home.ingest({gb_name(counter=1): os.urandom(900)})
    desk = home.desk()
    given = {"title": "某案", "cause": "占用绿地", "procedure": "ordinary", "second_officer": second.agent}
    case = desk.open(handler, "case", given, links=[NewLink(role="footage", target=row.id)])
    desk.open(
        handler, "fixation",
        {
            "object": "资料", "method": "copy", "made_at": "2026-11-21T10:00", "place": "办公室", "proves": "事实",
            "first_officer": handler.agent, "second_officer": second.agent, "witness": "none", "no_witness_why": "无",
        },
        links=[NewLink(role="case", target=case.id)],
    )  # fmt: skip
    desk.act(other, case.id, "withdraw", {"withdrawn_why": "撤案", "archive_period": "months:24"})
    decision = decided(home, row.id)
    assert decision.due_at is not None
    assert decision.standing is Standing.KEEP


def _at_least(decision: Decision, moment: datetime) -> bool:
    return decision.due_at is not None and decision.due_at >= moment
