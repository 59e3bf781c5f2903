"""The bureau's list of what is to be recorded: read from what bureaus have, compared, approved, and chosen from."""

from __future__ import annotations

import io
from datetime import timedelta

import openpyxl
import pytest

from access import DeniedError
from evidence.calendar import local_date
from evidence.errors import InvalidInputError, PolicyUnmetError
from retention.classification import Classifier
from retention.record_list import Duty, compared, from_row, read_list
from retention.record_list_form import RecordLists, items_in_force, items_of, list_in_force
from retention.schedule import class_rows
from support import footage
from support.assured_home import AssuredHome
from support.recorders import gb_name
from support.schedules import ROWS, bring_in

CATEGORIES = class_rows(ROWS)
HEAD = "执法类别,执法事项,执法环节,记录事项,记录要求,存储类别,存储位置,存储期限"
GOOD = (
    f"音像记录事项清单,,,,,,,\n{HEAD}\n"
    "行政处罚,占道经营,现场检查,检查全过程,全程录音录像,行政处罚,采集站,2年\n"
    ",,送达,留置送达,视情记录,penalty,采集站,\n"
    ",毁绿,调查取证,询问,,重大执法,采集站,永久\n"
    "日常巡查,公园巡查,,,不录,street,,6个月\n"
)


def read(text: str):
    return read_list(text.encode(), CATEGORIES)


def test_r03_a_bureaus_file_says_what_is_recorded_always_by_circumstances_or_not() -> None:
    for data in (GOOD.encode(), GOOD.encode("gb18030"), GOOD.encode("utf-8-sig"), workbook(GOOD)):
        found = read_list(data, CATEGORIES)
        assert (found.unreadable, found.told) == ((), ())
        assert [(one.kind, one.matter, one.step, one.duty, one.category, one.keeps) for one in found.items] == [
            ("行政处罚", "占道经营", "现场检查", Duty.MUST, "penalty", "months:24"),
            ("行政处罚", "占道经营", "送达", Duty.BY_CIRCUMSTANCES, "penalty", ""),
            ("行政处罚", "毁绿", "调查取证", Duty.MUST, "major", "long-term"),
            ("日常巡查", "公园巡查", "", Duty.NOT_NEEDED, "street", "months:6"),
        ]
    assert [from_row(one.to_row()) for one in found.items] == list(found.items)
    assert len({one.code for one in found.items}) == 4


def workbook(text: str) -> bytes:
    book = openpyxl.Workbook()
    for line in text.splitlines():
        book.active.append(line.split(","))
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("行政处罚,占道经营,,,也许,,,", "unknown-duty"),
        ("行政处罚,占道经营,,,,,,三天", "unknown-period"),
        ("行政处罚,占道经营,,,,,,3个月", "unknown-period"),
        ("行政处罚,占道经营,,,,没有,,", "unknown-category"),
        ("行政处罚,占道经营,,,,街面巡查,,2年", "longer-than-category"),
        ("行政处罚,占道经营,,,,行政处罚,,同案卷", "longer-than-category"),
        (",占道经营,,,,,,", "no-class"),
        ("行政处罚,,,,,,,", "no-matter"),
        (f"行政处罚,{'长' * 301},,,,,,", "too-long"),
    ],
)
def test_r11_a_row_that_cannot_be_taken_is_told_with_its_number(line: str, code: str) -> None:
    found = read(f"{HEAD}\n{line}\n检查,好的,,,,,,\n")
    assert [(one.row, one.code) for one in found.unreadable] == [(2, code)]
    assert [one.matter for one in found.items if one.kind == "检查"] == ["好的"]


def test_r11_conflicts_and_overlaps_are_told() -> None:
    found = read(
        f"{HEAD}\n处罚,占道,检查,,,penalty,,\n处罚,占道,检查,,,penalty,,\n处罚,占道,检查,,,street,,\n"
        "强制,占道,检查,,,major,,6个月\n"
    )
    assert [(one.row, one.code, one.detail) for one in found.unreadable] == [(3, "twice", "2"), (4, "conflict", "2")]
    assert [(one.row, one.code, one.detail) for one in found.told] == [
        (5, "shorter-than-category", "major: long-term"), (5, "overlap", "2"),
    ]  # fmt: skip


def test_r11_a_list_is_proposed_by_one_and_approved_by_another_and_its_entries_choose_the_category(
    home: AssuredHome,
) -> None:  # fmt: skip
    bring_in(home)
    manager, leader = (
        home.agent("管理员", "retention_manager", unit=None),
        home.agent("负责人", "unit_leader", unit=None),
    )
    desk = home.desk()
    lists = RecordLists(home.catalogue, desk=desk, authoriser=home.gate, clock=home.clock)
    today = local_date(home.clock.now().wall)
    with pytest.raises(DeniedError):
        lists.preview(leader, GOOD.encode())
    shown = lists.preview(manager, GOOD.encode())
    assert (len(shown.difference.new), shown.in_force) == (4, "")
    with pytest.raises(PolicyUnmetError, match=r"2 \(unknown-category\)"):
        lists.propose(manager, f"{HEAD}\n处罚,占道,,,,没有,,\n".encode(), title="清单", in_force_from=today)
    row = lists.propose(manager, GOOD.encode(), title="清单", in_force_from=today)
    assert (row.facts["entries"], row.facts["new"], row.state) == (4, 4, "proposed")
    with home.catalogue.read() as uow:
        assert list_in_force(uow, today) is None
    with pytest.raises(DeniedError):
        desk.act(manager, row.id, "approve", seen=desk.view(manager, row.id).seen)
    desk.act(leader, row.id, "approve", seen=desk.view(leader, row.id).seen)
    with home.catalogue.read() as uow:
        items = items_in_force(uow, today)
        assert items_in_force(uow, today - timedelta(days=1)) == []
    classifier = Classifier(home.catalogue, authoriser=home.gate, recorder=home.recorder, clock=home.clock)
    assert [one.title for one in classifier.choices(manager).items] == [one.title for one in items]
    [footage_row] = home.ingest({gb_name(): footage.voice_mp3()})
    with pytest.raises(InvalidInputError, match="belongs to the category"):
        classifier.classify(manager, [footage_row.id], item=items[0].code, category="street")
    classifier.classify(manager, [footage_row.id], item=items[0].code)
    with home.catalogue.read() as uow:
        said = uow.rules.of(footage_row.id)
    assert (said.category, said.item) == ("penalty", items[0].code)
    with pytest.raises(PolicyUnmetError, match="says the same"):
        lists.propose(manager, GOOD.encode(), title="清单", in_force_from=today)
    second = GOOD.replace("不录", "视情").replace("毁绿", "毁林")
    shown = lists.preview(manager, second.encode()).difference
    assert ([one.matter for one in shown.new], [one.matter for one in shown.dropped]) == (["毁林"], ["毁绿"])
    assert [(old.duty, new.duty) for old, new in shown.changed] == [(Duty.NOT_NEEDED, Duty.BY_CIRCUMSTANCES)]
    assert compared(items, items).new == ()
    assert home.verify().verdict == "good"


def test_r11_a_long_list_is_entered_in_parts_and_is_whole_or_nothing(home: AssuredHome) -> None:
    manager, leader = (
        home.agent("管理员", "retention_manager", unit=None),
        home.agent("负责人", "unit_leader", unit=None),
    )
    desk = home.desk()
    lists = RecordLists(home.catalogue, desk=desk, authoriser=home.gate, clock=home.clock)
    today = local_date(home.clock.now().wall)
    data = HEAD + "\n" + "".join(f"处罚,事项{n:04d}{'很长' * 40},检查,,,,,\n" for n in range(600))
    row = lists.propose(manager, data.encode(), title="清单", in_force_from=today)
    assert row.facts["parts"] > 1
    row = desk.act(leader, row.id, "approve", seen=desk.view(leader, row.id).seen)
    assert len(items_of(row)) == 600
    with pytest.raises(InvalidInputError, match="too many"):
        lists.preview(manager, (HEAD + "\n" + "处罚,a,,,,,,\n" * 3001).encode())
    assert home.verify().verdict == "good"
