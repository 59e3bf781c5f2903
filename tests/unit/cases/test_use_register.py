"""The register of use (R17, R19): nothing that was used or refused is missing; what ended by time is told so."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from access import DeniedError, Gate, Reading
from assurance.disclosures import DisclosureArchive, generate_key
from assurance.rebuild import rebuild
from cases.access_duty import UseDuty
from cases.access_register import UseLine, UseRegister
from catalogue import Catalogue
from evidence.errors import InvalidInputError
from support.assured_home import AssuredHome
from support.use_house import DAY_MS, HOUR_MS, House, make_house


@pytest.fixture
def house(home: AssuredHome) -> House:
    return make_house(home)


def lines(house: House, who: str = "chief", *, days: float = 30, **asked) -> list[UseLine]:
    now = house.home.clock.now().wall
    register = UseRegister(house.home.catalogue, authoriser=house.home.gate)
    return register.lines(
        house.people[who], since=now - timedelta(days=days), until=now + timedelta(seconds=1), **asked
    )  # fmt: skip


def test_r19_every_use_and_every_refusal_is_a_line_and_no_line_is_made_up(house: House) -> None:
    reading, officer = house.home.reading, house.people["officer"]
    with pytest.raises(DeniedError):
        reading.open_viewing(officer, house.recording)
    row = house.ask(rights=("view", "copy"), copies=2, medium="U盘 01", authority="〔2026〕9号")
    house.desk.act(house.people["director"], row.id, "check", {"check_opinion": "材料齐全"})
    house.approve(row, opinion="同意")
    for _ in range(3):
        house.home.clock.unix_ms += 1000
        reading.open_viewing(officer, house.recording)
    reading.copy(officer, house.recording)
    reading.picture(officer, house.recording, kind="poster")
    unused = house.ask(days=9)
    house.desk.act(house.people["leader"], unused.id, "refuse", {"refusal": "理由不足"})
    told = lines(house)
    entered = [one for one in house.home.entries("access.allowed") if one.get("use")]
    assert [(one.used, one.use) for one in told if one.use] == [("view", 1), ("view", 2), ("view", 3), ("copy", 4)]
    assert len([one for one in told if one.use]) == len(entered)
    refused = [one for one in told if one.refused]
    assert [(one.used, one.refused, one.requester) for one in refused] == [("view", "needs-grant", officer.agent)]
    [use, *_] = [one for one in told if one.use]
    assert (use.number, use.purpose, use.authority, use.medium, use.copies) == (
        row.number, "documents", "〔2026〕9号", "U盘 01", 2,
    )  # fmt: skip
    assert (use.leader, use.handler, use.opinion) == (
        house.people["leader"].agent, house.people["director"].agent, "同意",
    )  # fmt: skip
    assert (use.recording.id, use.grant[:3]) == (house.recording, "DYZ")
    [last] = [one for one in told if one.number == unused.number]
    assert (last.use, last.state, last.opinion, last.recording) == (0, "refused", "理由不足", None)
    assert house.home.verify().verdict == "good"


def test_r09_r19_a_reader_sees_the_lines_of_their_own_department(house: House) -> None:
    house.granted()
    house.home.reading.open_viewing(house.people["officer"], house.recording)
    for who in ("leader", "chief", "director", "auditor"):
        assert [one.use for one in lines(house, who) if one.use] == [1]
    assert lines(house, "other leader") == []
    assert lines(house, "chief", unit=house.units["second"]) == []
    for who in ("officer", "clerk", "security"):
        with pytest.raises(DeniedError):
            lines(house, who)


def test_r19_a_period_tells_what_was_used_in_it_also_under_an_older_request(house: House) -> None:
    house.granted(days=20)
    house.home.clock.unix_ms += 10 * DAY_MS
    house.home.reading.open_viewing(house.people["officer"], house.recording)
    assert [one.use for one in lines(house, days=5)] == [1]
    house.home.clock.unix_ms += 6 * DAY_MS
    assert lines(house, days=5) == []
    with pytest.raises(InvalidInputError):
        lines(house, days=-1)


def test_r17_what_is_over_is_written_down_as_over(house: House) -> None:
    home = house.home
    grant, waiting = house.granted(days=1), house.ask(days=1)
    stays = house.granted(days=5, uses_most=1)
    home.reading.open_viewing(house.people["officer"], house.recording)
    duty = UseDuty(home.catalogue, house.desk, clock=home.clock)
    assert duty.run() == 0
    home.clock.unix_ms += DAY_MS + HOUR_MS
    assert (duty.run(), duty.run()) == (2, 0)
    with home.catalogue.read() as uow:
        states = [uow.matters.get(one.id).state for one in (grant, waiting, stays)]
    assert states == ["ended", "lapsed", "valid"]
    home.seal()
    assert home.verify().verdict == "good"


def test_r19_a_rebuilt_catalogue_knows_every_grant_every_use_and_goes_on_counting(house: House, tmp_path: Path) -> None:
    home, officer = house.home, house.people["officer"]
    grant = house.granted(uses_most=2)
    home.reading.open_viewing(officer, house.recording)
    told = lines(house)
    home.seal()
    archive = DisclosureArchive(generate_key(tmp_path / "key"), [home.root / "stores/second"])
    archive.sync(home.catalogue)
    empty = Catalogue.open(f"sqlite:///{tmp_path}/rebuilt.db", migrate=True)
    try:
        rebuild(
            empty, published=home.published[0], vkey=home.vkey, disclosures=archive.read_all(home.root / "stores/second"),
            stores=home.stores,
        )  # fmt: skip
        gate = Gate(empty, recorder=home.recorder, clock=home.clock)
        reading = Reading(empty, gate=gate, clock=home.clock)
        now = home.clock.now().wall
        again = UseRegister(empty, authoriser=gate).lines(
            house.people["chief"], since=now - timedelta(days=30), until=now + timedelta(seconds=1)
        )  # fmt: skip
        assert [replace(one, recording=None) for one in again] == [replace(one, recording=None) for one in told]
        assert reading.show(officer, house.recording).notice.uses_left == 1
        reading.open_viewing(officer, house.recording)
        with pytest.raises(DeniedError, match="used-up"):
            reading.open_viewing(officer, house.recording)
        with empty.read() as uow:
            assert uow.matters.get(grant.id).state == "valid"
    finally:
        empty.close()
