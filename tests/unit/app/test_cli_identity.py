"""Commands act for a person: one who holds no right is refused, and the refusal is entered."""

import pytest

from support.program import Program

PASSWORD = "thirteen green lamps"


@pytest.fixture
def station(tmp_path):
    program = Program(tmp_path / "home")
    program.whole = False
    program.init()
    yield program
    program.close()


def test_what_is_docked_is_told_only_to_those_who_may_see_the_docks(station):
    made = station.json("user", "create", "A clerk without a role", "--login", "clerk")
    change = {"LIUHEN_PASSWORD": made["one_time_password"], "LIUHEN_NEW_PASSWORD": PASSWORD}
    station.run("user", "passwd", "clerk", env=change)
    clerk = {"LIUHEN_PASSWORD": PASSWORD}
    entries = station.json("log", "checkpoint")["size"]
    assert station.error("devices", "scan", "--as", "clerk", status=10, env=clerk)["code"] == "access-denied"
    assert station.json("log", "checkpoint")["size"] > entries
    assert set(station.json("devices", "scan")) == {"docked", "failed"}
