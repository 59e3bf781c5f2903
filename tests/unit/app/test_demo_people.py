"""The demonstration's log-ins: whoever ran it once and saw no password gets one at the next run."""

import os

import pytest

from app.demo import run as demo
from app.home import Home
from app.setup import set_up
from app.wiring import opened

CONFIG = """
[station]
name = "demo"
origin = "liuhen.test/demo"
[storage]
protect = "mode-only"
free_floor_bytes = 0
[docks]
usb = false
"""
LOGINS = {"admin", "officer", "reviewer", "auditor"}


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path / "home")
    set_up(made, config=CONFIG, login="admin", os_uid=os.getuid())
    return made


def people_of(home: Home) -> dict[str, str]:
    with opened(home) as house:
        return demo.people(house, house.identity.cli_actor(os.getuid()), first={})


def roles_in(home: Home) -> set[tuple[str, str]]:
    with opened(home) as house, house.catalogue.read() as uow:
        return {(a.login, r.role) for a in uow.people.agents() for r in uow.people.roles(a.id) if a.login != "admin"}


def test_a_run_that_was_cut_short_is_made_whole_by_the_next(home, monkeypatch):
    with opened(home) as house, monkeypatch.context() as patched:
        patched.setattr(house.administration, "grant_role", lambda *_, **__: pytest.fail("Ctrl-C"))
        with pytest.raises(BaseException, match="Ctrl-C"):
            demo.people(house, house.identity.cli_actor(os.getuid()), first={})
    assert set(people_of(home)) == LOGINS
    assert {("officer", "officer"), ("reviewer", "legal_reviewer"), ("auditor", "auditor")} <= roles_in(home)


def test_passwords_nobody_used_are_told_anew_and_chosen_ones_are_left_alone(home):
    first = people_of(home)
    with opened(home) as house:
        used = house.identity.log_in("reviewer", password=first["reviewer"], address="", via="cli")
        house.identity.change_password(used.actor, old=first["reviewer"], new="thirteen green lamps")
    second = people_of(home)
    assert set(second) == LOGINS - {"reviewer"}
    with opened(home) as house:
        house.identity.log_in("reviewer", password="thirteen green lamps", address="", via="cli")
        house.identity.log_in("officer", password=second["officer"], address="", via="cli")
