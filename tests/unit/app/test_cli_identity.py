"""Commands act for a person: one who holds no right is refused, and the refusal is entered."""

import importlib
import pwd

import pytest

from app.cli import common
from app.home import Home
from app.wiring import opened

PASSWORD = "thirteen green lamps"


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


def clerk_of(station, *roles: str) -> str:
    made = station.json(
        "user", "create", "A clerk", "--login", "clerk", *(part for role in roles for part in ("--role", role))
    )
    change = {"LIUHEN_PASSWORD": made["one_time_password"], "LIUHEN_NEW_PASSWORD": PASSWORD}
    station.run("user", "passwd", "clerk", env=change)
    return made["id"]


def test_an_account_acts_as_whom_it_was_bound_to(station):
    clerk, nobody = clerk_of(station, "auditor"), 12345
    assert station.json("user", "bind", "clerk", "--uid", str(nobody)) == {"id": clerk, "uid": nobody}
    with opened(Home(station.home)) as house:
        assert house.identity.cli_actor(nobody).agent == clerk
    assert station.json("user", "bind", clerk, "--os-user", "nobody")["uid"] == pwd.getpwnam("nobody").pw_uid
    assert station.error("user", "bind", "clerk", status=2)["code"] == "usage"
    assert station.error("user", "bind", "clerk", "--uid", "1", "--os-user", "nobody", status=2)["code"] == "usage"
    assert station.error("user", "bind", "clerk", "--uid", "-1", status=2)["code"] == "usage"
    assert station.error("user", "bind", "clerk", "--os-user", "no such account", status=2)["code"] == "not-found"
    assert station.error("user", "bind", "nobody-here", "--uid", "7", status=2)["code"] == "not-found"


def test_who_may_not_manage_people_binds_transfers_and_ends_nobody(station):
    clerk_of(station, "auditor")
    unit, env = station.json("user", "create-unit", "一中队")["id"], {"LIUHEN_PASSWORD": PASSWORD}
    for command in (("bind", "admin", "--uid", "7"), ("transfer", "admin", unit), ("deactivate", "admin")):
        before = station.json("log", "checkpoint")["size"]
        assert station.error("user", *command, "--as", "clerk", status=10, env=env)["code"] == "access-denied"
        assert station.json("log", "checkpoint")["size"] > before


def test_a_person_is_transferred_and_ended(station):
    clerk, unit = clerk_of(station), station.json("user", "create-unit", "一中队")["id"]
    assert station.json("user", "transfer", "clerk", unit) == {"id": clerk, "unit": unit}
    row = next(row for row in station.json("user", "list") if row["id"] == clerk)
    assert (row["units"], row["active"]) == ([unit], True)
    assert station.json("user", "deactivate", "clerk") == {"id": clerk, "active": False}
    env = {"LIUHEN_PASSWORD": PASSWORD}
    assert station.error("user", "list", "--as", "clerk", status=10, env=env)["code"] == "authentication"
    assert station.error("user", "deactivate", "admin", status=10)["code"] == "access-denied"
    station.verified()
