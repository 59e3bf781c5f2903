"""Commands act for a person: one who holds no right is refused, and the refusal is entered."""

import importlib

import pytest

from app.cli import common
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


@pytest.mark.parametrize(
    ("command", "arguments"),
    [("ingest", ["ingest", "."]), ("devices", ["devices", "register", "."])],
)
def test_a_password_is_asked_once_and_before_the_service_waits_for_the_request(
    station, monkeypatch, command, arguments
):
    """It gives up on a silent command after half a minute; somebody who looks for their password takes longer."""
    module, steps = importlib.import_module(f"app.cli.command_{command}"), []
    asked, connect = module.password_for, module.connection_to
    monkeypatch.setattr(module, "password_for", lambda login: steps.append("asked") or asked(login))
    monkeypatch.setattr(common, "password_for", lambda login: steps.append("asked") or asked(login))
    monkeypatch.setattr(module, "connection_to", lambda path: steps.append("connected") or connect(path))
    wrong = {"LIUHEN_PASSWORD": "wrong"}
    assert station.error(*arguments, "--as", "admin", status=10, env=wrong)["code"] == "authentication"
    assert steps == ["asked", "connected"]
