"""What the runbooks promise, done as they say (docs/runbooks)."""

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from catalogue import Catalogue
from evidence.errors import CatalogueUnavailableError
from support.program import Program
from support.recorders import gb_name, make_gb_tree

pytestmark = pytest.mark.e2e


def card(root: Path, count: int, *, first: int = 1) -> Path:
    """Small recordings of one recorder."""
    numbers = range(first, first + count)
    return make_gb_tree(
        root, {f"DCIM/{gb_name(counter=n, stamp=f'2026112209{n:02d}00')}": bytes([n]) * 5000 for n in numbers}
    )


@pytest.fixture
def station(tmp_path):
    program = Program(tmp_path / "home")
    program.whole = False
    program.init()
    program.json("ingest", card(tmp_path / "card", 3), "--register")
    yield program
    program.verified()
    program.close()


def test_restored_backup_is_refused_until_the_catalogue_is_brought_up_to_the_log(station, tmp_path):
    shutil.copy(station.home / "app.db", tmp_path / "backup.db")
    station.json("ingest", card(tmp_path / "card", 2, first=4))
    published = (station.home / "log/public/checkpoint").read_bytes()
    for leftover in station.home.glob("app.db*"):
        leftover.unlink()
    shutil.copy(tmp_path / "backup.db", station.home / "app.db")
    for arguments in (("ingest", tmp_path / "card"), ("serve", "--port", "0"), ("recordings", "list")):
        assert station.error(*arguments, status=40)["code"] == "log-rollback"
    assert (station.home / "log/public/checkpoint").read_bytes() == published
    done = station.json("rebuild", status=1)
    assert done["same"] is False
    assert done["recordings"] == 5
    assert done["one_time_password"] == ""
    station.verified()
    assert [row["new"] for row in station.json("ingest", tmp_path / "card")["recordings"]] == [False] * 5


def test_lost_database_comes_back_and_who_was_let_in_stands_in_the_log(station):
    before = {row["id"] for row in station.json("recordings", "list")}
    entries = station.json("log", "checkpoint")["size"]
    for leftover in station.home.glob("app.db*"):
        leftover.unlink()
    done = station.json("rebuild")
    assert done["one_time_password"]
    assert {row["id"] for row in station.json("recordings", "list")} == before
    assert station.json("log", "checkpoint")["size"] > entries
    new = {"LIUHEN_PASSWORD": done["one_time_password"], "LIUHEN_NEW_PASSWORD": "thirteen green lamps"}
    station.run("user", "passwd", "admin", env=new)


def tables(database: Path) -> list[tuple[str, ...]] | int | None:
    """What a database holds, without making one: its size where it is empty, None where it is gone."""
    if not database.exists() or not database.stat().st_size:
        return database.stat().st_size if database.exists() else None
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as present:
        return present.execute("SELECT name FROM sqlite_master ORDER BY 1").fetchall()


@pytest.mark.parametrize("way", ["gone", "emptied", "without tables", "without rows"])
def test_whatever_is_run_on_a_lost_database_names_rebuild_and_writes_nothing_in_its_place(station, way):
    database = station.home / "app.db"
    before = {row["id"] for row in station.json("recordings", "list")}
    for leftover in station.home.glob("app.db*"):
        leftover.unlink()
    if way == "emptied":
        database.write_bytes(b"")
    elif way == "without tables":
        with contextlib.closing(sqlite3.connect(database)) as bare:
            bare.execute("CREATE TABLE something (else_ TEXT)")
    elif way == "without rows":
        Catalogue.open(f"sqlite:///{database}", migrate=True).close()
    left = tables(database)
    for command in (
        ("recordings", "list"),
        ("verify",),
        ("ingest", station.home),
        ("serve", "--port", "0"),
        ("user", "list"),
    ):
        error = station.error(*command, status=2)
        assert "liuhen rebuild" in error["todo"]
        assert "init" not in error["todo"]
    assert any("rebuild" in row["fix"] for row in station.json("doctor", status=3) if row["what"] == "home")
    assert tables(database) == left
    assert station.error("init", status=2)["what"].endswith("is already a home")
    done = station.json("rebuild")
    assert done["one_time_password"]
    assert {row["id"] for row in station.json("recordings", "list")} == before


def test_what_a_lost_database_left_beside_it_does_not_get_into_the_new_one(station):
    """SQLite would take a write-ahead log for the new file's own and write the old pages over it."""
    database, log = station.home / "app.db", station.home / "app.db-wal"
    with contextlib.closing(sqlite3.connect(database)) as old:
        old.execute("PRAGMA wal_autocheckpoint = 0")
        old.execute("UPDATE recordings SET name = 'never sealed'")
        old.commit()
        left = log.read_bytes()
    for leftover in station.home.glob("app.db*"):
        leftover.unlink()
    log.write_bytes(left)
    station.json("rebuild")
    assert "never sealed" not in {row["name"] for row in station.json("recordings", "list")}
    assert [path.read_bytes() for path in station.home.glob("app.db.before-*-wal")] == [left]


def test_a_database_that_only_does_not_answer_now_is_not_taken_for_lost(station, monkeypatch):
    opened = Catalogue.open

    def busy(url, **options):
        if url.endswith("/app.db"):
            raise CatalogueUnavailableError("the database is busy or restarting")
        return opened(url, **options)

    before = (station.home / "app.db").stat().st_ino
    with monkeypatch.context() as patched:
        patched.setattr("app.wiring.Catalogue.open", busy)
        assert station.error("rebuild", status=50)["code"] == "catalogue-unavailable"
    assert (station.home / "app.db").stat().st_ino == before


def test_damaged_database_is_kept_aside(station):
    for leftover in station.home.glob("app.db-*"):
        leftover.unlink()
    (station.home / "app.db").write_bytes(b"not a database, whatever it was before" * 400)
    assert station.error("recordings", "list", status=50)["code"] == "catalogue"
    done = station.json("rebuild")
    assert Path(done["kept_aside"]).read_bytes().startswith(b"not a database")


def test_disk_full_keeps_footage_on_the_recorder_and_goes_on_when_there_is_room(station, tmp_path):
    config = station.home / "config.toml"
    text = config.read_text()
    config.write_text(text.replace("free_floor_bytes = 0", f"free_floor_bytes = {1 << 60}"))
    full = station.json("ingest", card(tmp_path / "card", 2, first=4), status=3)
    assert full["outcome"] != "complete"
    assert full["code"] == "store-full"
    assert "recorder keeps its footage" in full["message"]
    assert len(list((tmp_path / "card/DCIM").iterdir())) == 5
    rooms = [row for row in station.json("doctor", status=3) if row["what"] == "room"]
    assert {row["level"] for row in rooms} == {"bad"}
    config.write_text(text)
    again = station.json("ingest", tmp_path / "card")
    assert sum(row["new"] for row in again["recordings"]) == 2


@pytest.mark.parametrize("name", ["station.key", "log.key", "disclosures.key"])
def test_lost_key_is_named_and_the_escrowed_one_serves(station, tmp_path, name):
    key = station.home / "keys" / name
    key.rename(tmp_path / name)
    error = station.error("verify", status=2)
    assert name in error["what"]
    (tmp_path / name).rename(key)


def test_a_store_that_moves_to_another_disk_is_whole_there(station, tmp_path):
    shutil.copytree(station.home / "stores/second", tmp_path / "larger/store")
    config = station.home / "config.toml"
    config.write_text(config.read_text().replace('path = "stores/second"', f'path = "{tmp_path}/larger/store"'))
    shutil.rmtree(station.home / "stores/second")
    station.verified()
    station.json("ingest", card(tmp_path / "card", 1, first=9))


def test_a_second_disk_is_added_as_the_installation_tells(tmp_path):
    program = Program(tmp_path / "home")
    program.whole = False
    program.init()
    config = program.home / "config.toml"
    config.write_text(config.read_text().replace('path = "stores/second"', f'path = "{tmp_path}/disk/store"'))
    report = program.json("verify", status=30)
    assert ("store-unavailable", "second") in {(one["kind"], one["store"]) for one in report["findings"]}
    assert {row["store"] for row in program.json("storage", "init")} == {"primary", "second"}
    shutil.rmtree(program.home / "stores/second")
    done = program.json("ingest", card(tmp_path / "card", 2), "--register")
    assert all(row["sealed"] for row in done["recordings"])
    program.verified()
