"""What commands tell people: one language, times with their zone, true counts, and the next step."""

import json
import re

import pytest

from support.program import Program
from support.recorders import gb_name, make_gb_tree

CHINESE = {"LIUHEN_LANG": "zh-CN"}


@pytest.fixture
def station(tmp_path):
    program = Program(tmp_path / "home")
    program.whole = False
    program.init()
    yield program
    program.close()


@pytest.fixture
def card(tmp_path):
    return make_gb_tree(
        tmp_path / "card",
        {f"DCIM/{gb_name(counter=n, stamp=f'2026112209{n:02d}00')}": bytes([n]) * 3000 for n in (1, 2)}
        | {"DCIM/x.mp4": b"?"},
    )


def test_an_unknown_recorder_is_told_with_the_way_to_register_it(station, card):
    assert "--register" in station.error("ingest", card, status=20)["todo"]


def test_the_summary_tells_new_from_known(station, card):
    assert (
        "Newly taken in: 3 (sealed: 3), duplicates of kept recordings: 0"
        in station.run("ingest", card, "--register").stdout
    )
    again = station.run("ingest", card)
    assert "Newly taken in: 0 (sealed: 0), duplicates of kept recordings: 3" in again.stdout


def test_a_person_reads_one_language_and_times_with_their_zone(station, card):
    told = station.run("ingest", card, "--register", env=CHINESE).stdout
    assert "unreadable" not in told
    assert "not-media" not in told
    named = gb_name(counter=1, stamp="20261122090100")
    recording = next(row["id"] for row in station.json("recordings", "list") if row["name"] == named)
    shown = station.run("recordings", "show", recording, env=CHINESE).stdout
    assert "recording.stored" not in shown
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+08:00", shown)
    assert "+00:00" not in shown
    assert "已封存" in station.run("recordings", "list", env=CHINESE).stdout
    assert "stored" not in station.run("recordings", "list", env=CHINESE).stdout


def test_times_in_json_have_one_form(station, card):
    station.json("ingest", card, "--register")
    listed = station.json("recordings", "list")
    shown = station.json("recordings", "show", listed[0]["id"])
    texts = re.findall(r'"(\d{4}-\d\d-\d\dT[^"]+)"', json.dumps([listed, shown, station.json("devices", "list")]))
    assert len(texts) > 10
    assert [text for text in texts if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)] == []


def test_clearing_is_told_to_be_the_services_work(station, card):
    config = station.home / "config.toml"
    config.write_text(config.read_text().replace("[docks]\n", '[docks]\nclearing = "automatic"\n'))
    assert "devices clear" in station.run("ingest", card, "--register").stdout
    assert station.json("ingest", card)["clearing"] == "automatic"


def test_nothing_docked_is_said(station):
    assert station.run("devices", "scan").stdout.strip() == "Nothing is docked."


def test_verification_tells_notes_as_notes(station):
    told = station.run("verify").stdout
    assert "this verification found: 0, notes: " in told
    assert "Note: " in told


def test_a_proof_makes_no_folder_and_replaces_no_file(station, card, tmp_path):
    recording = station.json("ingest", card, "--register")["recordings"][0]["id"]
    entries = station.json("log", "checkpoint")["size"]
    missing = tmp_path / "no/such/file"
    assert station.error("log", "proof", recording, "-o", missing, status=2)["code"] == "usage"
    assert not (tmp_path / "no").exists()
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for taken in (mine, tmp_path / "dangling", tmp_path):
        assert station.error("log", "proof", recording, "-o", taken, status=2)["code"] == "usage"
    assert mine.read_text() == "mine"
    assert station.json("log", "checkpoint")["size"] == entries
    assert station.json("log", "proof", recording, "-o", tmp_path / "proof")["size_bytes"] > 0


def test_the_version_is_told_in_json_too(station):
    assert set(station.json("--version")) == {"version"}


def test_a_service_that_goes_away_is_no_trouble_of_a_store(tmp_path):
    import socket

    from app.control import ask
    from evidence.errors import JobError

    here, there = socket.socketpair()
    there.close()
    with here, pytest.raises(JobError, match="went away"):
        ask(here, {}, on_progress=lambda _row: None)
