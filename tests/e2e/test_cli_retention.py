"""``liuhen retention`` as a person at the station uses it."""

import hashlib

import pytest

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


def test_r10_until_when_why_what_is_due_and_what_a_schedule_would_change(station, tmp_path):
    manager = station.person("manager", "retention_manager")
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

    rows = tmp_path / "rows.csv"
    rows.write_text("代码,名称,保存期限\ntraffic,交通,2年\n", "utf-8")
    asked = (
        "propose",
        "--rows",
        rows,
        "--title",
        "一年",
        "--authority",
        "a",
        "--from",
        "2026-12-01",
        "--ordinary-months",
        "12",
    )
    proposed = station.json("retention", *asked, "--as", "manager", env=manager)
    number = proposed["number"]
    assert proposed["state"] == "proposed"
    lax = (*asked[:-1], "3")
    assert station.error("retention", *lax, "--as", "manager", env=manager, status=2)["code"] == "invalid-input"
    days = tmp_path / "days.csv"
    days.write_text("date,kind,name,source\n2027-01-01,rest,x,n\n2027-10-01,rest,y,n\n", "utf-8")
    assert station.json("retention", "calendar", days, "--as", "manager", env=manager)["state"] == "proposed"
    listed = tmp_path / "list.csv"
    tried = station.json("retention", "dry-run", number, "-o", listed, "--as", "manager", env=manager)
    assert (tried["count"], tried["earlier"], tried["entered"]) == (1, 0, False)
    assert hashlib.sha256(listed.read_bytes()).hexdigest() == tried["list_sha256"]
    assert recording["id"] in listed.read_text("utf-8")
    book = tmp_path / "list.xlsx"
    station.run("retention", "dry-run", number, "-o", book, "--as", "manager", env=manager)
    assert book.read_bytes()[:2] == b"PK"
    again = station.error("retention", "dry-run", number, "-o", listed, "--as", "manager", env=manager, status=2)
    assert again["code"] == "invalid-input"
    assert station.json("retention", "dry-run", number, "--enter", "--as", "manager", env=manager)["entered"]
    officer = station.person("officer", "officer")
    assert station.error("retention", "due", "--as", "officer", env=officer, status=10)["code"] == "access-denied"
    assert (
        station.error("retention", "show", "rec_1", "--as", "manager", env=manager, status=2)["code"] == "invalid-input"
    )
    station.verified()
