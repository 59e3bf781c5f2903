"""Records of duty: exceptions, damage, shifts, the ledger of recorders."""

from __future__ import annotations

from datetime import timedelta

import pytest

from access import DeniedError
from cases.shifts import NOT_READY
from catalogue.records import OffloadRow
from evidence.clock import from_text, to_text, unix_ms, utc_from_ms
from evidence.errors import PolicyUnmetError
from evidence.ids import DeviceId, OffloadId
from evidence.model import DeviceState, OffloadState
from matters.turn import NewLink
from matters.values import FormError
from support import footage
from support.assured_home import AssuredHome
from support.recorders import OFFICER_CODE, gb_name


class Station:
    def __init__(self, home: AssuredHome) -> None:
        self.home = home
        self.desk = home.desk()
        self.unit = home.administration.create_unit(home.administrator, name="执法一科").id
        self.officer = home.agent("执法人员甲", "officer", unit=self.unit, code=OFFICER_CODE)
        self.second = home.agent("执法人员乙", "officer", unit=self.unit)
        self.clerk = home.agent("采集员", "station_operator", unit=self.unit)
        self.leader = home.agent("负责人", "unit_leader", unit=self.unit)

    def recorder(self) -> DeviceId:
        [clip] = self.home.ingest({gb_name(): footage.voice_mp3()})
        return clip.device

    def link(self, device: DeviceId) -> list[NewLink]:
        return [NewLink(role="recorder", target=device)]

    def approve(self, row, act: str, **values: object):
        return self.desk.act(self.leader, row.id, act, values, seen=self.desk.view(self.leader, row.id).seen)

    def docked(self, device: DeviceId, **values: object) -> None:
        """What the recorder told at its latest docking."""
        facts = {"battery_percent": 95, "capacity_bytes": 100, "free_bytes": 90, "clock_known": True, "clock_set": True}
        now = self.home.clock.now().wall
        with self.home.catalogue.begin() as uow:
            uow.offloads.add(
                OffloadRow(
                    id=OffloadId.new(unix_ms(now)), device=device, state=OffloadState.COMPLETE, driver="mtp", slot="1",
                    address="", started_at=now, ended_at=now, clock_plausible=True, clock_offset_ms=100,
                    clock_device_text="", **{**facts, **values},
                )
            )  # fmt: skip


@pytest.fixture
def station(home: AssuredHome) -> Station:
    return Station(home)


def moment(home: AssuredHome, **back: int) -> str:
    return to_text(utc_from_ms(home.clock.unix_ms) - timedelta(**back))


# --- exceptions ---------------------------------------------------------------------------------------------------------
def exception(station: Station, **values: object):
    home = station.home
    given = {
        "title": "巡查", "from": moment(home, hours=3), "to": moment(home, hours=2), "place": "某路", "steps": "现场检查",
        "reason": "privacy", "basis": "当事人更衣，依据第十六条", **values,
    }  # fmt: skip
    return station.desk.open(station.officer, "exception", given)


def test_r07_an_exception_has_one_of_four_reasons_and_is_reviewed_by_the_unit_head(station: Station) -> None:
    row = exception(station)
    assert (row.state, row.facts["officer"]) == ("reported", station.officer.agent)
    with pytest.raises(DeniedError):
        station.desk.act(station.officer, row.id, "review", seen="x")
    filed = station.approve(row, "review")
    assert (filed.state, filed.approved_by) == ("filed", station.leader.agent)
    with pytest.raises(FormError):
        exception(station, reason="tired")
    assert station.home.verify().verdict == "good"


def test_r07_a_leader_does_not_review_their_own_exception_and_a_returned_one_is_corrected(station: Station) -> None:
    home = station.home
    home.administration.grant_role(home.administrator, agent=station.leader.agent, role="officer", unit=station.unit)
    own = station.desk.open(
        station.leader, "exception",
        {
            "title": "巡查", "from": moment(home, hours=3), "to": moment(home, hours=2), "place": "某路", "steps": "x",
            "reason": "nature", "basis": "暴雨",
        },
    )  # fmt: skip
    with pytest.raises(DeniedError, match="same-person"):
        station.approve(own, "review")
    row = exception(station)
    returned = station.desk.act(station.leader, row.id, "return", {"objection": "依据不清"})
    assert returned.state == "returned"
    again = {
        "title": "巡查", "from": moment(home, hours=3), "to": moment(home, hours=2), "place": "某路", "steps": "x",
        "reason": "obstruction", "basis": "被阻拦",
    }  # fmt: skip
    assert station.desk.act(station.officer, row.id, "amend", again).state == "reported"


def test_r07_times_that_cannot_be_are_refused(station: Station) -> None:
    with pytest.raises(PolicyUnmetError, match="before it begins"):
        exception(station, to=moment(station.home, hours=4))
    with pytest.raises(PolicyUnmetError, match="future"):
        exception(station, to=moment(station.home, hours=-4))


# --- damage -------------------------------------------------------------------------------------------------------------
def test_r05_a_damaged_recorder_comes_in_within_24_hours_of_discovery_and_late_stays_late(station: Station) -> None:
    home, device = station.home, station.recorder()
    discovered = moment(home, hours=20)
    given = {"title": "黑屏", "discovered_at": discovered, "symptom": "不能开机", "exported": "none"}
    row = station.desk.open(station.officer, "damage-ticket", given, links=station.link(device))
    assert row.due_at == from_text(discovered) + timedelta(hours=24)
    home.clock.unix_ms += 5 * 3_600_000
    received = station.desk.act(station.clerk, row.id, "receive")
    assert (received.state, received.facts["in_time"], received.due_at) == ("at-centre", False, None)
    with pytest.raises(PolicyUnmetError, match="may still hold footage"):
        station.desk.act(station.clerk, row.id, "send", {"repairer": "维修点"})
    station.desk.act(station.clerk, row.id, "save", {"exported": "all", "saving": "拆卡读取，全部入库"})
    station.desk.act(station.clerk, row.id, "send", {"repairer": "维修点"})
    back = {"result": "repaired", "cause": "wear", "handling": "更换屏幕", "cost_fen": "12050"}
    station.desk.act(station.clerk, row.id, "return", back)
    closed = station.approve(row, "close", liability="自然损耗")
    assert (closed.state, closed.facts["cost_fen"]) == ("closed", 12_050)
    home.seal()
    assert home.verify().verdict == "good"


def test_r05_a_ticket_names_one_recorder_and_no_time_to_come(station: Station) -> None:
    given = {"title": "黑屏", "discovered_at": moment(station.home, hours=-2), "symptom": "x", "exported": "all"}
    with pytest.raises(FormError):
        station.desk.open(station.officer, "damage-ticket", given)
    with pytest.raises(PolicyUnmetError, match="future"):
        station.desk.open(station.officer, "damage-ticket", given, links=station.link(station.recorder()))


# --- shifts -------------------------------------------------------------------------------------------------------------
def draw(station: Station, device: DeviceId, **values: object):
    given = {"officer": station.officer.agent, **values}
    return station.desk.open(station.clerk, "shift", given, links=station.link(device))


def test_r02_a_recorder_is_checked_before_it_is_handed_out_and_the_officer_signs(station: Station) -> None:
    device = station.recorder()
    station.docked(device)
    row = draw(station, device, seen_works=True)
    assert (row.facts["against"], row.facts["battery_percent"], row.facts["free_percent"]) == ([], 95, 90)
    with pytest.raises(DeniedError, match="not-own"):
        station.desk.act(station.second, row.id, "sign")
    assert station.desk.act(station.officer, row.id, "sign").state == "signed"
    with pytest.raises(PolicyUnmetError, match="out already"):
        draw(station, device)
    back = station.desk.act(station.clerk, row.id, "return", {"condition": "sound"})
    assert back.closed_at is not None
    assert draw(station, device).number != row.number


@pytest.mark.parametrize(
    ("told", "against"),
    [
        ({"battery_percent": 40}, ["battery"]),
        ({"battery_percent": None}, ["battery-unknown"]),
        ({"free_bytes": 10}, ["room"]),
        ({"clock_set": False, "clock_offset_ms": 600_000}, ["clock"]),
        ({"state": OffloadState.INTERRUPTED}, ["offload-open"]),
    ],
)
def test_r02_what_is_not_ready_is_refused_unless_a_reason_is_entered(station: Station, told, against) -> None:
    from dataclasses import replace

    device = station.recorder()
    station.docked(device)
    with station.home.catalogue.begin() as uow:
        last = replace(uow.offloads.last_of(device), **told)
        columns = {name: getattr(last, name) for name in told}
        uow.offloads.update(last.id, **columns)
    words = {one.code: one.word for one in NOT_READY}
    with pytest.raises(PolicyUnmetError, match=words[against[0]]):
        draw(station, device)
    row = draw(station, device, despite="备用机不足")
    assert row.facts["against"] == against
    station.desk.act(station.officer, row.id, "refuse", {"refusal": "电量不足"})


def test_r02_what_eyes_saw_counts_where_nothing_could_be_read(station: Station) -> None:
    device = station.recorder()
    station.docked(device, battery_percent=None)
    assert draw(station, device, seen_battery=True).state == "drawn"


# --- the ledger ---------------------------------------------------------------------------------------------------------
def issue(station: Station, device: DeviceId, asset: str = "GD-0001", holder=None):
    given = {"asset": asset, "holder": (holder or station.officer).agent, "holder_unit": station.unit}
    return station.desk.open(station.clerk, "device-issue", given, links=station.link(device))


def test_r05_whose_a_recorder_is_changes_only_by_an_approved_transfer(station: Station) -> None:
    home, device = station.home, station.recorder()
    row = issue(station, device)
    assert row.facts["asset_number"] == "GD-0001"
    station.desk.act(station.officer, row.id, "sign")
    asked = {"next_holder": station.second.agent, "transfer": "调岗"}
    station.desk.act(station.clerk, row.id, "ask-transfer", asked)
    with pytest.raises(DeniedError):
        station.desk.act(station.clerk, row.id, "approve-transfer", seen="x")
    station.approve(row, "approve-transfer")
    with home.catalogue.read() as uow:
        assert uow.devices.get(device).officer == station.second.agent
    assert station.desk.act(station.second, row.id, "sign").state == "held"
    with pytest.raises(DeniedError, match="not-own"):  # the first holder has no part in it any more
        station.desk.act(station.officer, row.id, "sign")
    assert home.verify().verdict == "good"


def test_r05_an_asset_number_belongs_to_one_recorder_for_ever(station: Station) -> None:
    home, device = station.home, station.recorder()
    row = issue(station, device)
    with pytest.raises(PolicyUnmetError, match="issued already"):
        issue(station, device, "GD-0002")
    station.desk.act(station.clerk, row.id, "return", {"condition_words": "完好"})
    [other] = home.ingest({gb_name(device="7654321"): footage.voice_wav()}, card="card2")
    assert other.device != device
    with pytest.raises(PolicyUnmetError, match="another recorder"):
        issue(station, other.device)
    assert issue(station, device).state == "issued"  # its own again


def test_r05_a_recorder_is_retired_by_two_persons_when_nothing_is_outstanding(station: Station) -> None:
    home, device = station.home, station.recorder()
    given = {"reason": "worn", "residue": "none", "residue_words": "检查存储，无残留"}
    held = issue(station, device)
    with pytest.raises(PolicyUnmetError, match="is open"):
        station.desk.open(station.clerk, "device-retirement", given, links=station.link(device))
    station.desk.act(station.clerk, held.id, "return", {"condition_words": "完好"})
    row = station.desk.open(station.clerk, "device-retirement", given, links=station.link(device))
    station.approve(row, "approve")
    with home.catalogue.read() as uow:
        assert uow.devices.get(device).state is DeviceState.RETIRED
    assert [one["device"] for one in home.entries("device.retired")] == [device]
    with pytest.raises(PolicyUnmetError, match="not in use"):
        issue(station, device)
    assert home.verify().verdict == "good"


def test_r05_stock_is_taken_of_every_recorder_that_is_expected(station: Station) -> None:
    home, device = station.home, station.recorder()
    issue(station, device)
    row = station.desk.open(station.clerk, "stock-taking", {"of_unit": station.unit, "day": "2026-11-22"})
    assert row.facts["expected"] == [{"recorder": device}]
    with pytest.raises(PolicyUnmetError, match="1 recorders were not looked for"):
        station.desk.act(station.clerk, row.id, "finish")
    station.desk.act(station.clerk, row.id, "count", links=[NewLink(role="missing", target=device)])
    counted = station.desk.act(station.clerk, row.id, "finish", {"remark": "报告领导"})
    assert (counted.facts["found"], counted.facts["missing"]) == (0, 1)
    assert station.approve(row, "close").state == "closed"
    assert home.verify().verdict == "good"
