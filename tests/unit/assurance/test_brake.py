"""The brake: bounds what goes in a day, also when several remove at once, and says so."""

from __future__ import annotations

import contextlib
import threading
from datetime import timedelta
from itertools import starmap
from pathlib import Path

import pytest

from assurance.brake import BY_INVENTORY, BY_PERSON, Brake, BrakeLimits
from assurance.rebuild import rebuild
from catalogue import Catalogue
from catalogue.inventories import InventoryRow
from chain_of_custody import EntryRecorder
from evidence.errors import AccessDeniedError, BrakePulledError, InvalidInputError, StateConflictError
from evidence.ids import AgentId
from support.assured_home import AssuredHome
from support.custody import TickingClock, fixed_key

FEW = BrakeLimits(objects=5, size_bytes=1000, share_percent=0)


def brake_of(home: AssuredHome, limits: BrakeLimits = FEW) -> Brake:
    return Brake(home.catalogue, recorder=home.recorder, clock=home.clock, limits=limits)


def remove(home: AssuredHome, brake: Brake, *, objects: int = 1, size_bytes: int = 10) -> None:
    with home.catalogue.begin() as uow:
        brake.allow(uow, objects=objects, size_bytes=size_bytes, now=home.clock.now().wall)


def open_kinds(home: AssuredHome) -> list[str]:
    with home.catalogue.read() as uow:
        return [one.kind for one in uow.findings.open()]


def later(home: AssuredHome, **span: float) -> None:
    home.clock.unix_ms += int(timedelta(**span) / timedelta(milliseconds=1))


def test_the_removal_that_uses_the_day_up_is_the_last(home: AssuredHome) -> None:
    brake = brake_of(home)
    for _ in range(5):
        remove(home, brake)
    with pytest.raises(BrakePulledError, match="5 objects") as caught:
        remove(home, brake)
    assert (caught.value.exit_code, caught.value.code) == (3, "brake-pulled")
    assert open_kinds(home) == ["brake-pulled"]
    (entry,) = home.entries("brake.changed")
    assert (entry["pulled"], entry["reason"], entry["actor"]) == (True, "volume", "")
    assert home.verify().verdict == "good"


def test_bytes_count_as_objects_do_and_one_object_is_never_refused_for_its_size_alone(home: AssuredHome) -> None:
    brake = brake_of(home)
    remove(home, brake, size_bytes=999)
    remove(home, brake, size_bytes=5000)
    with pytest.raises(BrakePulledError):
        remove(home, brake)


def test_a_request_for_more_than_is_left_is_refused_whole_and_pulls_nothing(home: AssuredHome) -> None:
    brake = brake_of(home)
    with pytest.raises(BrakePulledError, match="5 objects, 1000 bytes of"):
        remove(home, brake, objects=6)
    remove(home, brake, objects=4)
    assert not brake.state().row.pulled
    assert home.entries("brake.changed") == []
    with pytest.raises(InvalidInputError):
        remove(home, brake, objects=-1)


def test_what_was_rolled_back_was_not_removed(home: AssuredHome) -> None:
    brake = brake_of(home)
    for _ in range(20):
        with contextlib.suppress(RuntimeError), home.catalogue.begin() as uow:
            brake.allow(uow, objects=1, size_bytes=1, now=home.clock.now().wall)
            raise RuntimeError
    assert brake.state().removed.objects == 0


def test_yesterdays_removals_do_not_count_today(home: AssuredHome) -> None:
    brake = brake_of(home)
    for _ in range(4):
        remove(home, brake)
    later(home, hours=23)
    assert brake.state().removed.objects == 4
    later(home, hours=3)
    assert brake.state().removed.objects == 0
    remove(home, brake)
    assert not brake.state().row.pulled


def test_a_person_pulls_another_one_releases_and_the_day_begins_anew(home: AssuredHome) -> None:
    brake = brake_of(home)
    for _ in range(4):
        remove(home, brake)
    one, other = home.agent("一", "auditor").agent, home.agent("二", "audit_administrator").agent
    assert brake.pull(cause=BY_PERSON, agent=one, detail="strange removals")
    assert not brake.pull(cause=BY_PERSON, agent=other, detail="again")
    with pytest.raises(BrakePulledError, match="strange removals"):
        remove(home, brake)
    with pytest.raises(AccessDeniedError):
        brake.release(agent=one, detail="it was me")
    with pytest.raises(InvalidInputError):
        brake.release(agent=other, detail="  ")
    brake.release(agent=other, detail="looked at every entry")
    with pytest.raises(StateConflictError):
        brake.release(agent=other, detail="again")
    for _ in range(4):
        remove(home, brake)
    assert open_kinds(home) == []
    told = [(entry["pulled"], entry["reason"], entry["actor"]) for entry in home.entries("brake.changed")]
    assert told == [(True, "person", one), (False, "released", other)]
    assert [entry["reason"] for entry in home.entries("finding.closed")] == ["released"]
    assert "strange removals" not in str(home.entries("brake.changed"))  # what a person wrote is personal
    assert home.verify().verdict == "good"


@pytest.mark.parametrize(
    "statement", ["UPDATE brakes SET pulled = 0", "UPDATE brakes SET cause = 'volume'", "DELETE FROM brakes"]
)
def test_a_brake_that_was_changed_past_the_log_is_found(home: AssuredHome, statement: str) -> None:
    brake_of(home).pull(cause=BY_PERSON, agent=home.agent("一", "auditor").agent, detail="strange removals")
    assert home.verify().verdict == "good"
    with home.catalogue.engine.begin() as connection:
        assert connection.exec_driver_sql(statement).rowcount == 1
    report = home.verify()
    assert report.exit_code == 1
    (found,) = [one for one in report.findings if one.kind == "catalogue-differs"]
    assert "brake" in found.detail


def test_who_was_stopped_by_the_volume_may_be_released_by_anybody_who_may(home: AssuredHome) -> None:
    brake = brake_of(home)
    brake.pull(cause=BY_INVENTORY, detail="second lost 40 objects")
    brake.release(agent=AgentId(home.administrator.agent), detail="a disk was taken out")
    remove(home, brake)


def test_a_large_estate_may_remove_a_share_of_what_its_fullest_store_holds(home: AssuredHome) -> None:
    brake = brake_of(home, BrakeLimits(objects=5, size_bytes=1000, share_percent=2.0))
    with home.catalogue.begin() as uow:
        for day, objects in enumerate((9_000, 1_000)):
            uow.inventories.add(
                InventoryRow(
                    store="primary", at=home.clock.now().wall + timedelta(days=day), objects=objects, size_bytes=90_000,
                    digest="",
                )
            )  # fmt: skip
    state = brake.state()
    assert (state.limit.objects, state.limit.size_bytes) == (20, 1800)


def test_several_at_once_never_take_more_than_the_day_allows(database_url: str) -> None:
    catalogue = Catalogue.open(database_url, migrate=True)
    clock = TickingClock()
    recorder = EntryRecorder(fixed_key("station"), station="station-1")
    brake = Brake(catalogue, recorder=recorder, clock=clock, limits=BrakeLimits(objects=30, share_percent=0))
    with catalogue.begin() as uow:
        recorder.record(uow.outbox, recorder.key_added(), at=clock.now())
    now = clock.now().wall
    gone: list[int] = []

    def work(first: int) -> None:
        for number in range(first, first + 20):
            try:
                with catalogue.begin() as uow:
                    brake.allow(uow, objects=1, size_bytes=1, now=now)
                    uow.settings.put(f"removed.{number}", "yes")
            except BrakePulledError:
                return
            gone.append(number)

    threads = list(starmap(lambda n: threading.Thread(target=work, args=(n * 20,)), [(n,) for n in range(4)]))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(gone) == 30
    state = brake.state()
    assert (state.row.pulled, state.row.cause, state.removed.objects) == (True, "volume", 30)
    with catalogue.read() as uow:
        assert [one.kind for one in uow.findings.open()] == ["brake-pulled"]
        assert sum(uow.settings.get(f"removed.{number}") is not None for number in range(80)) == 30
    catalogue.close()


def test_a_home_that_is_built_again_from_its_log_stays_stopped(home: AssuredHome, tmp_path: Path) -> None:
    brake_of(home).pull(cause=BY_PERSON, agent=AgentId(home.administrator.agent), detail="strange removals")
    home.seal()
    fresh = Catalogue.open(f"sqlite:///{tmp_path}/fresh.db", migrate=True)
    rebuild(fresh, published=home.published[0], vkey=home.vkey, disclosures=[], stores=list(home.stores))
    again = Brake(fresh, recorder=home.recorder, clock=home.clock, limits=FEW)
    with pytest.raises(BrakePulledError), fresh.begin() as uow:
        again.allow(uow, objects=1, size_bytes=1, now=home.clock.now().wall)
    row = again.state().row
    assert (row.pulled, row.cause, row.agent) == (True, "person", home.administrator.agent)
    fresh.close()
