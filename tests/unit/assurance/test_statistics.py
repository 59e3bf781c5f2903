"""Statistics by department: what came in in time, what waits, what was used and cleared; nothing of other departments."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from access import DeniedError
from assurance.statistics import FIGURES, StatisticsDesk
from evidence.clock import to_text, utc_from_ms
from evidence.errors import InvalidInputError
from support import footage
from support.assured_home import AssuredHome, make_home
from support.recorders import OFFICER_CODE, gb_name


@pytest.fixture
def home(tmp_path: Path) -> Iterator[AssuredHome]:
    made = make_home(tmp_path / "home")
    yield made
    made.close()


def desk(home: AssuredHome) -> StatisticsDesk:
    return StatisticsDesk(home.catalogue, authoriser=home.gate, clock=home.clock)


def test_r20_hand_in_of_a_department_is_counted_and_late_stays_late(home: AssuredHome) -> None:
    unit = home.administration.create_unit(home.administrator, name="执法一科").id
    home.agent("执法人员甲", "officer", unit=unit, code=OFFICER_CODE)
    leader = home.agent("负责人", "unit_leader", unit=unit)
    clips = home.ingest({gb_name(): footage.voice_mp3(), gb_name(counter=2): footage.voice_wav()})
    with home.catalogue.begin() as uow:
        late = uow.recordings.get(clips[1].id)
        uow.recordings.update(late.id, deadline_at=late.stored_at - timedelta(seconds=1))
        uow.recordings.update(clips[0].id, deadline_at=late.stored_at + timedelta(hours=1))
    report = desk(home).report(leader)
    [mine] = report.units
    assert mine.unit == unit
    assert {name: mine.figures[name] for name in ("received", "in_time", "late", "timeliness", "unclassified", "kept")} == {
        "received": 2, "in_time": 1, "late": 1, "timeliness": 50, "unclassified": 2, "kept": 2,
    }  # fmt: skip
    assert mine.figures["received_bytes"] == sum(clip.size_bytes for clip in clips)
    assert set(mine.figures) == {one.code for one in FIGURES}
    assert report.total.figures == mine.figures
    assert [month.figures["late"] for month in report.months] == [1]
    before = desk(home).report(leader, first=date(2025, 1, 1), last=date(2025, 12, 31))
    assert (before.total.figures["received"], before.total.figures["timeliness"], len(before.months)) == (0, -1, 12)
    assert before.total.figures["kept"] == 2  # as of now, whatever the span


def test_r20_matters_of_the_span_are_counted_by_kind_and_outcome(home: AssuredHome) -> None:
    unit = home.administration.create_unit(home.administrator, name="执法一科").id
    officer = home.agent("执法人员甲", "officer", unit=unit, code=OFFICER_CODE)
    leader, clerk = home.agent("负责人", "unit_leader", unit=unit), home.agent("采集员", "station_operator", unit=unit)
    matters = home.desk()
    [clip] = home.ingest({gb_name(): footage.voice_mp3()})
    ago = [to_text(utc_from_ms(home.clock.unix_ms) - timedelta(hours=hours)) for hours in (0, 2, 30)]
    given = {
        "title": "巡查", "from": ago[1], "to": ago[0], "place": "某路", "steps": "x", "reason": "nature", "basis": "暴雨",
    }  # fmt: skip
    for _ in range(2):
        exception = matters.open(officer, "exception", given)
    matters.act(leader, exception.id, "review", seen=matters.view(leader, exception.id).seen)
    from matters.turn import NewLink

    ticket = matters.open(
        officer, "damage-ticket", {"title": "黑屏", "discovered_at": ago[2], "symptom": "x", "exported": "all"},
        links=[NewLink(role="recorder", target=clip.device)],
    )  # fmt: skip
    matters.act(clerk, ticket.id, "receive")
    figures = desk(home).report(leader).total.figures
    assert {name: figures[name] for name in ("exceptions", "exceptions_filed", "damage", "damage_late")} == {
        "exceptions": 2, "exceptions_filed": 1, "damage": 1, "damage_late": 1,
    }  # fmt: skip


def test_r20_r09_nobody_sees_the_figures_of_other_departments(home: AssuredHome) -> None:
    one = home.administration.create_unit(home.administrator, name="执法一科").id
    other = home.administration.create_unit(home.administrator, name="执法二科").id
    home.agent("执法人员甲", "officer", unit=one, code=OFFICER_CODE)
    home.ingest({gb_name(): footage.voice_mp3(), "odd.jpg": footage.photo_jpg()})
    stranger = home.agent("外科负责人", "unit_leader", unit=other)
    assert desk(home).report(stranger).units == []
    auditor = home.agent("审计员", "auditor")
    counted = {row.unit: row.figures["received"] for row in desk(home).report(auditor).units}
    assert sum(counted.values()) == 2
    assert counted[one] == 1
    with pytest.raises(DeniedError):
        desk(home).report(home.agent("系统管理员", "system_administrator"))


def test_spans_that_are_none_are_refused(home: AssuredHome) -> None:
    auditor = home.agent("审计员", "auditor")
    for first, last in ((date(2026, 2, 1), date(2026, 1, 1)), (date(2000, 1, 1), date(2026, 1, 1))):
        with pytest.raises(InvalidInputError, match="no span"):
            desk(home).report(auditor, first=first, last=last)
    assert desk(home).report(auditor, first=date(2023, 1, 1), last=date(2026, 1, 1)).months == []
