"""``liuhen retention`` as a person at the station uses it."""

import hashlib

import pytest

from app.home import Home
from app.wiring import build
from evidence.model import Actor
from support import footage
from support.program import Program
from support.recorders import gb_name, make_gb_tree

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    root = tmp_path_factory.mktemp("retention")
    program = Program(root / "home")
    program.whole = False
    program.init()
    card = make_gb_tree(root / "card", {gb_name(): footage.voice_mp3()})
    program.run("ingest", card, "--register")
    yield program
    program.close()


def person(station: Program, login: str, role: str) -> dict[str, str]:
    made = station.json("user", "create", login, "--login", login, "--role", role)
    once = {"LIUHEN_PASSWORD": made["one_time_password"], "LIUHEN_NEW_PASSWORD": "nine green lamps"}
    station.run("user", "passwd", login, env=once)
    return {"LIUHEN_PASSWORD": "nine green lamps"}


def test_r10_until_when_why_what_is_due_and_what_a_schedule_would_change(station, tmp_path):
    manager = person(station, "manager", "retention_manager")
    [recording] = station.json("recordings", "list", "--as", "manager", env=manager)
    told = station.json("retention", "show", recording["id"], "--as", "manager", env=manager)
    assert (told["standing"], told["unclassified"], told["schedule"]) == ("keep", True, "default")
    assert any(one["why"] == "ordinary" and one["decisive"] for one in told["reasons"])
    shown = station.run("retention", "show", recording["id"], "--as", "manager", env=manager).stdout
    assert f"to the end of {told['last_day']}" in shown
    assert "* Ordinary footage · 6 months" in shown
    assert station.json("retention", "due", "--as", "manager", env=manager)["due"] == []
    [shipped] = station.json("retention", "schedule", "--as", "manager", env=manager)
    assert (shipped["version"], shipped["ordinary_months"], shipped["notice_days"]) == (0, 6, 30)

    number = propose(station)
    listed = tmp_path / "list.csv"
    tried = station.json("retention", "dry-run", number, "-o", listed, "--as", "manager", env=manager)
    assert (tried["count"], tried["earlier"], tried["entered"]) == (1, 0, False)
    assert hashlib.sha256(listed.read_bytes()).hexdigest() == tried["list_sha256"]
    assert recording["id"] in listed.read_text("utf-8")
    again = station.error("retention", "dry-run", number, "-o", listed, "--as", "manager", env=manager, status=2)
    assert again["code"] == "invalid-input"
    assert station.json("retention", "dry-run", number, "--enter", "--as", "manager", env=manager)["entered"]
    officer = person(station, "officer", "officer")
    assert station.error("retention", "due", "--as", "officer", env=officer, status=10)["code"] == "access-denied"
    assert (
        station.error("retention", "show", "rec_1", "--as", "manager", env=manager, status=2)["code"] == "invalid-input"
    )
    station.verified()


def propose(station: Program) -> str:
    """A schedule that keeps ordinary footage for a year, proposed by the manager."""
    house = build(Home(station.home), Home(station.home).require())
    try:
        with house.catalogue.read() as uow:
            [manager] = [one for one in uow.people.agents() if one.login == "manager"]
        given = {"title": "一年", "authority": "a", "in_force_from": "2026-12-01", "ordinary_months": 12}
        return house.matters.open(Actor(manager.id, manager.name, "cli"), "schedule", given).number
    finally:
        house.close()
