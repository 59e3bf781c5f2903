"""The main job as a person runs it: a recorder is read, proved, found again, checked by an outsider, rebuilt."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from pysqlite3 import dbapi2 as sqlite3  # the one SQLite library of the program: two in one process break its locks

from support import footage
from support.program import Program, flip, names
from support.recorders import DEVICE_CODE, OFFICER_CODE, gb_name, make_gb_tree

pytestmark = pytest.mark.e2e

TALK = gb_name(counter=1)
MARKED = gb_name(counter=1, mark="IMP")
TORN = gb_name(counter=2, stamp="20261122094000", extension="avi")
EMPTY = gb_name(counter=3, stamp="20261122095000")
WRITING = gb_name(counter=4, stamp="20261122095500", mark="_start")
PHOTO = "现场 二号门.jpg"
HOSTILE = "$(reboot);`id`.mp4"
BYTES = b"bad\xff\xfe\nname.wav"


def lay_out(card: Path) -> Path:
    """A card as a shift leaves it: sound, marked twice, torn, empty, still being written, strangely named, a link."""
    make_gb_tree(
        card,
        {
            f"DCIM/100MEDIA/{TALK}": footage.talking_mp4(),
            f"DCIM/IMPORTANT/{MARKED}": footage.talking_mp4(),
            f"DCIM/100MEDIA/{TORN}": footage.talking_avi().read_bytes()[: 1 << 20],
            f"DCIM/100MEDIA/{EMPTY}": b"",
            f"DCIM/100MEDIA/{WRITING}": footage.phone_mp4().read_bytes()[:100_000],
            f"DCIM/100MEDIA/{PHOTO}": footage.photo_png(),
            f"DCIM/100MEDIA/{HOSTILE}": b"no video at all",
        },
    )
    folder = os.fsencode(card / "DCIM/100MEDIA")
    (Path(os.fsdecode(folder + b"/" + BYTES))).write_bytes(footage.voice_mp3().read_bytes())
    (card / "DCIM/100MEDIA/link.mp4").symlink_to("/etc/passwd")
    return card


def sums(card: Path) -> dict[str, tuple[str, int]]:
    return {
        os.fsencode(path).decode("latin-1"): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(card.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


class Station:
    """A home in two failure domains with one docking taken in."""

    def __init__(self, root: Path) -> None:
        self.program = Program(root / "home", second=Path(f"/dev/shm/liuhen-e2e-{os.getpid()}"))
        self.init = self.program.init()
        self.card = lay_out(root / "card")
        self.before = sums(self.card)
        self.refused = self.program.error("ingest", self.card, status=20)
        self.unread = self.program.json("recordings", "list")
        self.first = self.program.json("ingest", self.card, "--register")
        self.program.verified()
        self.program.whole = False  # what follows is many small commands; the program itself has been started six times

    def recording(self, name: str) -> dict:
        return next(row for row in self.first["recordings"] if row["name"] == name)


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    made = Station(tmp_path_factory.mktemp("station"))
    yield made
    try:
        made.program.whole = True
        made.program.verified()
        assert sums(made.card) == made.before, "the recorder was changed"
    finally:
        made.program.close()


def test_init_tells_what_an_administrator_needs_once(station):
    assert station.init["login"] == "admin"
    assert len(station.init["one_time_password"]) >= 16
    assert {"system_administrator", "security_administrator"} <= set(station.init["roles"])
    assert station.program.run("log", "vkey").stdout.strip() == station.init["vkey"]
    again = station.program.error("init", "--home", station.program.home, status=2)
    assert again["code"] == "config"
    assert again["kept"] == "Nothing was changed."


def test_r04_an_unregistered_recorder_is_refused_and_nothing_of_it_is_read(station):
    assert station.refused["code"] == "device-not-registered"
    assert station.refused["kept"] == "Nothing was read from it and nothing on it was changed."
    assert station.unread == []


def test_everything_on_the_card_is_kept_sealed_or_told(station):
    first = station.first
    assert first["outcome"] == "complete"
    assert names(first["recordings"]) == {TALK, TORN, EMPTY, PHOTO, HOSTILE, "bad\\xff\\xfe\\x0aname.wav"}
    for row in first["recordings"]:
        assert (row["state"], row["sealed"], row["new"]) == ("stored", True, True)
        assert {copy["store"] for copy in row["copies"]} == {"primary", "second"}
        assert len({copy["domain"] for copy in row["copies"]}) == 2
        assert all(copy["read_back_at"] for copy in row["copies"])
    assert [Path(name).name for name in first["waiting"]] == [WRITING]
    assert names(first["duplicates"]) == {MARKED}
    assert {row["name"]: row["reason"] for row in first["quarantined"]}[EMPTY] == "empty"
    assert {TORN, EMPTY, PHOTO, HOSTILE} <= names(first["quarantined"])
    assert TALK not in names(first["quarantined"])
    assert [Path(row["name"]).name for row in first["refused"]] == ["link.mp4"]


def test_a_recording_carries_what_its_name_tells_and_its_true_digests(station):
    talk = station.recording(TALK)
    data = footage.talking_mp4().read_bytes()
    assert talk["sha256"] == hashlib.sha256(data).hexdigest()
    assert talk["sm3"] == hashlib.new("sm3", data).hexdigest()
    assert talk["size_bytes"] == len(data)
    assert (talk["officer"], talk["device"], talk["important"]) == (OFFICER_CODE, DEVICE_CODE, True)
    assert talk["names"] == [TALK, MARKED]
    assert station.first["duplicates"][0]["of"] == talk["id"]


def test_the_same_card_again_brings_nothing_new(station):
    again = station.program.json("ingest", station.card)
    assert [row for row in again["recordings"] if row["new"]] == []
    assert names(again["duplicates"]) == names(station.first["recordings"]) | {MARKED}
    assert len(station.program.json("recordings", "list")) == 7


def test_every_copy_lies_where_it_is_said_to_lie(station):
    talk = station.recording(TALK)
    places = station.program.json("storage", "locate", talk["id"])
    assert {place["store"] for place in places} == {"primary", "second"}
    for place in places:
        assert set(place) == {"store", "path_or_key", "version", "encrypted"}
        assert hashlib.sha256(Path(place["path_or_key"]).read_bytes()).hexdigest() == talk["sha256"]


def test_one_recording_shows_its_whole_history(station):
    talk = station.recording(TALK)
    shown = station.program.json("recordings", "show", talk["id"])
    assert {key: shown[key] for key in ("id", "state", "sealed", "names", "sha256", "sm3", "size_bytes")} == {
        key: talk[key] for key in ("id", "state", "sealed", "names", "sha256", "sm3", "size_bytes")
    }
    assert "recording.stored" in json.dumps(shown)
    text = station.program.run("recordings", "show", talk["id"]).stdout
    assert talk["sha256"] in text
    listed = station.program.json("recordings", "list", "--text", PHOTO[:2])
    assert names(listed) == {PHOTO}
    for unknown in ("rec_00000000000070008000000000000000", "nonsense"):
        assert station.program.error("recordings", "show", unknown, status=2)["code"] in {"not-found", "invalid-input"}


def test_an_outsider_checks_log_and_recording_without_us(station, tmp_path):
    program, talk = station.program, station.recording(TALK)
    directory = Path(program.run("log", "path").stdout.strip())
    vkey = program.run("log", "vkey").stdout.strip()
    program.run("log", "proof", talk["id"], "-o", tmp_path / "talk.tlog-proof")
    media = station.card / "DCIM/100MEDIA" / TALK
    program.outsider("log", directory, "--vkey", vkey)
    program.outsider("proof", tmp_path / "talk.tlog-proof", "--recording", media, "--vkey", vkey)
    head = program.json("log", "checkpoint")
    assert head["note"].splitlines()[0] == head["origin"] == station.init["origin"]
    audit = program.json("log", "audit")
    assert (audit["sound"], audit["findings"]) == (True, [])

    shutil.copy(media, tmp_path / "altered.mp4")
    flip(tmp_path / "altered.mp4")
    program.outsider(
        "proof", tmp_path / "talk.tlog-proof", "--recording", tmp_path / "altered.mp4", "--vkey", vkey, status=1
    )
    shutil.copytree(directory, tmp_path / "log")
    bundle = next(path for path in (tmp_path / "log/tile/entries").rglob("*") if path.is_file())
    flip(bundle)
    program.outsider("log", tmp_path / "log", "--vkey", vkey, status=1)


def _object(root: Path, digest: str) -> Path:
    return root / "objects/sha256" / digest[:2] / digest[2:4] / digest


def _newest(folder: Path) -> Path:
    """The file of a published log's level that the newest checkpoint needs: the widest tile."""
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def _objects(station: Station, home: Path, second: Path) -> dict[str, tuple[Path, str]]:
    """One stored object of each kind, and the store its damage must be told of."""
    talk = station.recording(TALK)
    with sqlite3.connect(f"file:{home}/app.db?mode=ro", uri=True) as database:
        (manifest,) = database.execute("SELECT manifest_sha256 FROM recordings WHERE id = ?", (talk["id"],)).fetchone()
        (derivative,) = database.execute(
            "SELECT sha256 FROM derivatives WHERE recording = ? LIMIT 1", (talk["id"],)
        ).fetchone()
    database.close()
    return {
        "media in the first store": (_object(home / "stores/primary", talk["sha256"]), "primary"),
        "manifest": (_object(second, _hex(manifest)), "second"),
        "derivative": (_object(home / "stores/primary", _hex(derivative)), "primary"),
    }


def _logs(_station: Station, home: Path, second: Path) -> dict[str, tuple[Path, str]]:
    """One file of each kind of each published log."""
    return {
        "entries": (_newest(home / "log/public/tile/entries"), "log:0"),
        "tile of a replica": (_newest(home / "stores/primary/log/public/tile/0"), "log:1"),
        "checkpoint of a replica": (second / "log/public/checkpoint", "log:2"),
    }


def _hex(value) -> str:
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text.rpartition(":")[2]


@pytest.mark.parametrize("kinds", [_objects, _logs])
def test_one_changed_bit_in_any_kind_of_stored_file_is_found_and_named(station, tmp_path, kinds):
    """On a copy of the home, because a log that is written to repairs what it derives."""
    program = Program(tmp_path / "home", second=tmp_path / "second")
    shutil.copytree(station.program.home, program.home, ignore=shutil.ignore_patterns("run"))
    shutil.copytree(station.program.second, program.second)
    config = program.home / "config.toml"
    config.write_text(config.read_text().replace(str(station.program.second), str(program.second)))
    damaged = kinds(station, program.home, program.second)
    for path, _store in damaged.values():
        flip(path)
    report = program.json("verify", status=1)  # a process of its own: the exit status is the contract
    assert report["verdict"] == "tampered"
    told = {(one["kind"], one["recording"], one["store"]) for one in report["findings"]}
    for kind, (_path, store) in damaged.items():
        assert any(found[2] == store for found in told), (kind, told)
        if kinds is _objects:
            assert ("copy-damaged", station.recording(TALK)["id"], store) in told, (kind, told)
    if kinds is _objects:
        assert len(told) >= len(damaged) - 1


def test_a_catalogue_that_was_altered_is_found_and_told_from_the_log(station):
    talk = station.recording(TALK)
    database = sqlite3.connect(station.program.home / "app.db")
    change = "UPDATE recordings SET officer_code = ? WHERE id = ?"
    try:
        with database:
            database.execute(change, ("666666", talk["id"]))
        report = station.program.json("verify", status=1)
        assert ("catalogue-differs", talk["id"]) in {(one["kind"], one["recording"]) for one in report["findings"]}
        assert station.program.json("rebuild", "--check", status=1)["same"] is False
    finally:
        with database:
            database.execute(change, (OFFICER_CODE, talk["id"]))
        database.close()
    assert station.program.json("rebuild", "--check")["same"] is True


def test_a_copy_that_is_gone_is_loss(station):
    talk = station.recording(TALK)
    path = _object(station.program.second, talk["sha256"])
    aside = path.with_name("aside")
    path.rename(aside)
    try:
        report = station.program.json("verify", status=1)
        assert {"kind": "copy-missing", "recording": talk["id"], "store": "second"}.items() <= report["findings"][
            0
        ].items()
        one = station.program.json("verify", talk["id"], status=1)
        assert {row["outcome"] for row in one if row["store"] == "primary"} == {"good"}
    finally:
        aside.rename(path)
    # Only what was read again is told to be good again: the store stays "damaged" until then.
    assert {row["outcome"] for row in station.program.json("verify", talk["id"])} == {"good"}


def test_a_store_whose_disk_is_away_is_unknown_and_not_good(station):
    marker = station.program.second / "0=liuhen_store_1"
    marker.rename(marker.with_name("aside"))
    try:
        assert station.program.run("verify", status=None).returncode == 30
    finally:
        marker.with_name("aside").rename(marker)


def test_health_is_told_with_the_fix(station):
    checks = {row["what"]: row for row in station.program.json("doctor", status=None)}
    assert checks["service"]["level"] == "warn"
    assert "serve" in checks["service"]["fix"]
    assert checks["domains"]["level"] == "ok"
    stores = station.program.json("storage", "status")
    assert {row["store"]: row["stand"] for row in stores} == {"primary": "level", "second": "level"}


def test_people_act_in_their_own_name_and_only_as_far_as_their_roles_reach(station):
    program = station.program
    made = program.json("user", "create", "示例执法人员", "--login", "officer", "--role", "officer")
    once = {"LIUHEN_PASSWORD": made["one_time_password"]}
    assert program.error("recordings", "list", "--as", "officer", status=10, env=once)["code"] == "authentication"
    program.run("user", "passwd", "officer", env={**once, "LIUHEN_NEW_PASSWORD": "weak"}, status=2)
    program.run("user", "passwd", "officer", env={**once, "LIUHEN_NEW_PASSWORD": "nine green lamps"})
    mine = {"LIUHEN_PASSWORD": "nine green lamps"}
    assert program.json("recordings", "list", "--as", "officer", env=mine) == []
    assert program.error("verify", "--as", "officer", status=10, env=mine)["code"] == "access-denied"
    wrong = {"LIUHEN_PASSWORD": "ten green lamps"}
    assert program.error("recordings", "list", "--as", "officer", status=10, env=wrong)["code"] == "authentication"
    assert program.error("recordings", "list", "--as", "nobody", status=10, env=wrong)["code"] == "authentication"
    program.run("user", "role", "officer", "auditor")
    assert len(program.json("recordings", "list", "--as", "officer", env=mine)) == 7
    program.run("user", "role", "officer", "auditor", "--revoke")
    new = program.json("user", "reset-password", "officer")["one_time_password"]
    assert program.error("recordings", "list", "--as", "officer", status=10, env=mine)["code"] == "authentication"
    program.run("user", "passwd", "officer", env={"LIUHEN_PASSWORD": new, "LIUHEN_NEW_PASSWORD": "eleven green lamps"})
    people = {row["login"]: row for row in program.json("user", "list")}
    assert [grant["role"] for grant in people["officer"]["roles"]] == ["officer"]


def test_wrong_calls_end_with_2_and_no_reader_is_no_tamper(station):
    program = station.program
    for arguments in (
        (),
        ("nosuch",),
        ("ingest",),
        ("ingest", "/no/such/folder"),
        ("recordings", "list", "--state", "x"),
    ):
        program.run(*arguments, status=2)
    assert program.error("verify", "--home", "/no/such/home", status=2)["code"] == "config"
    ran = program.run("--help")
    assert "Exit status: 0 good" in ran.stdout


def test_r08_the_catalogue_is_made_again_from_log_and_stores(station):
    """Last in this file: it replaces the catalogue that the others look at."""
    program = station.program
    before = {row["id"]: row for row in program.json("recordings", "list")}
    done = program.json("rebuild")
    assert done["same"] is True
    assert Path(done["kept_aside"]).exists()
    assert done["one_time_password"] == ""
    program.run("recordings", "list", "--as", "officer", status=None, env={"LIUHEN_PASSWORD": "eleven green lamps"})
    program.verified()

    for leftover in program.home.glob("app.db*"):
        leftover.unlink()
    assert program.run("verify", status=None).returncode not in {0, 1}
    done = program.json("rebuild")
    assert done["same"] is None
    assert done["recordings"] == 7
    assert len(done["one_time_password"]) >= 16
    after = {row["id"]: row for row in program.json("recordings", "list")}
    for row in before.values():
        row["copies"] = [{**copy, "read_back_at": ""} for copy in row["copies"]]
    for row in after.values():
        row["copies"] = [{**copy, "read_back_at": ""} for copy in row["copies"]]
    assert after == before
    program.run(
        "user", "passwd", "admin",
        env={"LIUHEN_PASSWORD": done["one_time_password"], "LIUHEN_NEW_PASSWORD": "twelve green lamps"},
    )  # fmt: skip
    again = program.json("ingest", station.card)
    assert [row for row in again["recordings"] if row["new"]] == []
    program.verified()
