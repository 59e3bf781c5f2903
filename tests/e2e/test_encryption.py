"""Encryption at rest as a person uses it: nothing of what a recorder gave can be found on any disk, and all of it can be seen."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from app.home import Home
from app.wiring import build
from evidence.model import Actor
from support import footage, whole_home
from support.program import Program, flip, names, until
from support.recorders import gb_name, make_gb_tree

pytestmark = pytest.mark.e2e

ENCRYPTED = """\
[storage.encryption]
enabled = true
passphrase_file = "keys/master.passphrase"
"""
WORDS = "a sentence that only this test knows"
BUNDLE = "the sentence of the first holder"
ESCROW = "the sentence of the second holder"
TALK = gb_name(counter=1)
STREET = gb_name(counter=2, stamp="20261122094000", extension="avi")
PHOTO = gb_name(counter=3, stamp="20261122095000", extension="jpg")
#: What the disk of a home may hold in the open: passwords' hashes, names, the log. No footage.
SLICE_BYTES = 48


def lay_out(card: Path) -> Path:
    return make_gb_tree(
        card,
        {
            f"DCIM/100MEDIA/{TALK}": footage.talking_mp4(),
            f"DCIM/100MEDIA/{STREET}": footage.street_avi(),
            f"DCIM/100MEDIA/{PHOTO}": footage.photo_jpg(),
        },
    )


def slices(card: Path) -> list[bytes]:
    """Parts of what the recorder gave that stand nowhere by chance: from the beginning to the last bytes of every file."""
    found = []
    for path in sorted(card.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            step = max(1, len(data) // 40)
            found += [data[start : start + SLICE_BYTES] for start in range(0, len(data) - SLICE_BYTES, step)]
            found.append(data[-SLICE_BYTES:])
    return [part for part in found if len(set(part)) > 20]


def leaks(folders: Iterable[Path], parts: list[bytes]) -> Iterator[str]:
    """Files below the folders that hold any of the parts, or look like a picture or a film."""
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                if any(part in data for part in parts):
                    yield f"{path}: footage"
                if path.suffix != ".db" and (data[:3] == b"\xff\xd8\xff" or data[4:8] == b"ftyp"):
                    yield f"{path}: a picture or a film"


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    root = tmp_path_factory.mktemp("sealed")
    program = Program(root / "home", second=Path(f"/dev/shm/liuhen-e2e-sealed-{os.getpid()}"))
    program.passphrase = {"LIUHEN_NEW_PASSPHRASE": WORDS}
    config = program.init(settings=ENCRYPTED)
    program.told = config
    program.words = (program.home / "keys/master.passphrase").read_text()
    program.card = lay_out(root / "card")
    program.whole = False
    program.first = program.json("ingest", program.card, "--register")
    yield program
    try:
        assert list(leaks([program.home, program.second], slices(program.card))) == []
        program.verified()
    finally:
        program.close()


def scratch_of(program: Program) -> Path:
    return Path(program.json("keys", "status", status=None)["scratch"]["path"])


def test_init_makes_the_master_key_and_says_what_to_keep(station):
    assert len(station.told["master"]) == 16
    assert station.told["passphrase"]  # made, because none was given
    assert (station.home / "keys/master.key").stat().st_mode & 0o777 == 0o600
    assert Path(station.told["passphrase_file"]) == station.home / "keys/master.passphrase"
    assert station.words.strip() == station.told["passphrase"]


def test_what_a_recorder_gives_is_stored_examined_and_nowhere_in_the_open(station):
    assert station.first["outcome"] == "complete"
    assert names(station.first["recordings"]) == {TALK, STREET, PHOTO}
    for row in station.first["recordings"]:
        shown = station.json("recordings", "show", row["id"])
        assert (row["state"], row["sealed"]) == ("stored", True)
        assert shown["recording"]["verdict"] == "intact", shown["recording"]
        assert "poster" in {one["kind"] for one in shown["derivatives"]}
    parts = slices(station.card)
    assert len(parts) > 80
    assert list(leaks([station.card], parts[:2]))  # the search itself finds what is there
    assert list(leaks([station.home, station.second], parts)) == []
    for folder in (station.home / "stores", station.second):
        assert not any(TALK.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert list(scratch_of(station).iterdir()) == []


def test_locate_names_ciphertext_that_fits_its_name(station):
    talk = next(row for row in station.first["recordings"] if row["name"] == TALK)
    places = station.json("storage", "locate", talk["id"])
    assert [place["encrypted"] for place in places] == [True, True]
    found = [Path(place["path_or_key"]) for place in places]
    assert {hashlib.sha256(path.read_bytes()).hexdigest() for path in found} == {path.name for path in found}
    assert found[0].read_bytes() == found[1].read_bytes()
    assert found[0].name != talk["sha256"]


def test_a_document_of_a_case_lies_nowhere_in_the_open_and_is_read_again(station):
    home = Home(station.home)
    house = build(home, home.require())
    words = os.urandom(40_000).hex().encode()
    pdf = b"%PDF-1.7\n" + words + b"\n%%EOF\n"
    try:
        admin = whole_home.administrator(house)
        made = [house.administration.create_agent(admin, name=name).agent.id for name in ("甲", "乙")]
        house.administration.grant_role(admin, agent=made[0], role="unit_leader")
        actor = Actor(made[0], "甲", "cli")
        given = {"title": "某案", "cause": "占用绿地", "procedure": "ordinary", "second_officer": made[1]}
        case = house.matters.open(actor, "case", given)
        row = house.papers.file(actor, case.id, "decision", "决定书.pdf", io.BytesIO(pdf))
        with house.papers.open(actor, row.id)[1] as stream:
            assert stream.read() == pdf
        house.seal_pending()
        scratch = house.scratch
    finally:
        house.close()
    parts = [words[at : at + SLICE_BYTES] for at in range(0, len(words) - SLICE_BYTES, 4_000)]
    assert list(leaks([station.home, station.second], parts)) == []
    assert list(scratch.iterdir()) == []


def test_the_state_of_the_keys_is_told(station):
    told = station.json("keys", "status")
    assert told["enabled"]
    assert told["master"]["trouble"] == ""
    assert told["objects"]["plain"] == 0
    assert told["objects"]["encrypted"] >= 6
    assert [sorted(epoch["places"]) for epoch in told["epochs"]] == [["primary", "second"]]
    assert told["scratch"]["trouble"] == ""
    checks = {(line["what"], line["level"]) for line in station.json("doctor", status=None)}
    assert {("epoch-keys", "ok"), ("plain-scratch", "ok"), ("master-key", "ok"), ("encryption", "ok")} <= checks
    assert {("keys", "warn"), ("keys", "ok")} & checks  # ok once they were backed up
    assert station.json("log", "audit")["sound"]


def test_keys_are_backed_up_for_two_holders_and_compared(station, tmp_path):
    given = {"LIUHEN_BUNDLE_PASSPHRASE": BUNDLE, "LIUHEN_ESCROW_PASSPHRASE": ESCROW}
    done = station.json("keys", "backup", tmp_path, "--escrow", env=given)
    assert (done["keys"], done["opened"]) == (5, True)  # station, log, disclosures, master, one month
    for words in (BUNDLE, ESCROW):
        found = station.json("keys", "verify-backup", done["path"], env={"LIUHEN_BUNDLE_PASSPHRASE": words})
        assert (found["missing"], found["differing"], found["compared"]) == ([], [], True)
    assert station.error("keys", "verify-backup", done["path"], status=40, env={"LIUHEN_BUNDLE_PASSPHRASE": "x" * 20})
    flip(Path(done["path"]))
    station.run("keys", "verify-backup", done["path"], "--json", status=None, env=given)
    assert station.json("keys", "status")["backup"]["place"] == str(tmp_path)


def test_a_wrong_passphrase_stops_the_service_before_anything_is_touched(station):
    words = station.home / "keys/master.passphrase"
    right = words.read_bytes()
    before = {path: path.stat().st_mtime_ns for path in station.home.glob("stores/**/*") if path.is_file()}
    try:
        words.write_bytes(b"another sentence\n")
        assert "passphrase" in station.error("ingest", station.card, status=40)["what"]
        station.whole = True
        assert "passphrase" in station.error("serve", "--port", "0", status=40)["what"]
    finally:
        station.whole = False
        words.write_bytes(right)
    assert before == {path: path.stat().st_mtime_ns for path in station.home.glob("stores/**/*") if path.is_file()}


def test_the_passphrase_is_changed_and_no_footage_is_touched(station):
    before = hashlib.sha256((station.home / "keys/master.key").read_bytes()).digest()
    assert station.json("keys", "change-passphrase", env=station.passphrase) == {"passphrase_file_written": True}
    assert hashlib.sha256((station.home / "keys/master.key").read_bytes()).digest() != before
    assert (station.home / "keys/master.passphrase").read_text() == WORDS + "\n"
    assert not list((station.home / "keys").glob("*.next"))
    station.verified()


def test_a_lost_database_is_built_again_from_log_keys_and_stores(station):
    report = station.json("rebuild")
    assert report["same"] is True
    assert report["unread"] == []
    station.verified()
    assert station.json("keys", "status")["objects"]["plain"] == 0


def test_a_lost_key_beside_one_store_is_told_and_brought_back(station):
    shutil.rmtree(station.second / "keyring")
    told = station.json("keys", "status", status=3)
    assert [epoch["missing"] for epoch in told["epochs"]] == [["second"]]
    port = station.serve()
    assert port
    try:
        kept = [station.home / "stores/primary/keyring", station.second / "keyring"]
        until(lambda: len({tuple(sorted(path.name for path in root.rglob("*.json"))) for root in kept}) == 1)
    finally:
        assert station.end() == 0
    assert station.json("keys", "status", status=None)["epochs"][0]["missing"] == []
