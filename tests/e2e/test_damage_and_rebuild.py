"""What was damaged is named, and what is left of a home suffices for a catalogue with every fact of evidence."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import pytest

from catalogue import Catalogue
from chain_of_custody import keys
from support.program import Program, flip
from support.recorders import gb_name, make_gb_tree

pytestmark = pytest.mark.e2e


@pytest.fixture
def station(tmp_path):
    program = Program(tmp_path / "home")
    program.whole = False
    program.init()
    media = {f"DCIM/{gb_name(counter=n, stamp=f'2026112209{n:02d}00')}": bytes([n]) * 5000 for n in (1, 2, 3)}
    program.json("ingest", make_gb_tree(tmp_path / "card", media), "--register")
    yield program
    program.close()


def segment(station: Program, store: str) -> Path:
    return station.home / "stores" / store / "disclosures/000000.seg"


def lose_database(station: Program) -> None:
    for leftover in station.home.glob("app.db*"):
        leftover.unlink()


def found(station: Program) -> list[tuple[str, str, str]]:
    """Findings of a verification that ends with status 1."""
    ran = station.run("verify", "--json", status=1)
    return [(one["kind"], one["store"], one["detail"]) for one in json.loads(ran.stdout)["findings"]]


def recordings(station: Program) -> list[dict]:
    return station.json("recordings", "list")


# --- segments of personal values --------------------------------------------------------------------------------------
@pytest.mark.parametrize("store", ["primary", "second"])
def test_a_flipped_byte_in_a_segment_of_personal_values_is_a_finding_that_names_store_and_segment(station, store):
    flip(segment(station, store), at=100)
    told = found(station)
    assert [(kind, where) for kind, where, _ in told] == [("disclosure-differs", store)]
    assert "000000.seg" in told[0][2]


def test_another_key_of_personal_values_is_a_finding_of_every_store(station, tmp_path):
    other = Program(tmp_path / "other")
    other.whole = False
    other.init()
    shutil.copy(other.home / "keys/disclosures.key", station.home / "keys/disclosures.key")
    assert {(kind, store) for kind, store, _ in found(station)} == {
        ("disclosure-differs", "primary"), ("disclosure-differs", "second"),
    }  # fmt: skip


def test_without_one_readable_personal_value_a_rebuild_brings_every_fact_of_evidence(station):
    before = {row["id"]: row["sha256"] for row in recordings(station)}
    for store in ("primary", "second"):
        flip(segment(station, store), at=100)
    lose_database(station)
    done = station.json("rebuild")
    assert len(done["unread_names"]) == 2
    assert all("000000.seg" in one for one in done["unread_names"])
    assert done["erased"] > 0
    assert {row["id"]: row["sha256"] for row in recordings(station)} == before
    for store in ("primary", "second"):  # as the runbook says
        segment(station, store).parent.rename(station.home / f"damaged-{store}")
    station.run("recordings", "list")
    station.verified()


def test_a_damaged_segment_is_taken_from_the_other_store(station):
    names = {row["name"] for row in recordings(station)}
    flip(segment(station, "primary"), at=100)
    lose_database(station)
    done = station.json("rebuild")
    assert done["erased"] == 0
    assert len(done["unread_names"]) == 1
    assert {row["name"] for row in recordings(station)} == names


def test_the_store_whose_personal_values_reach_furthest_serves(station, tmp_path):
    older = segment(station, "primary").read_bytes()
    media = {f"DCIM/{gb_name(counter=9, stamp='20261122100900')}": b"9" * 5000}
    station.json("ingest", make_gb_tree(tmp_path / "card", media))
    names = {row["name"] for row in recordings(station)}
    segment(station, "primary").write_bytes(older)
    lose_database(station)
    assert station.json("rebuild")["erased"] == 0
    assert {row["name"] for row in recordings(station)} == names


# --- a store that is not there ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("store", ["primary", "second"])
@pytest.mark.parametrize("what", ["without marker", "moved away", "a link to the other"])
def test_a_store_that_is_not_there_is_told_and_everything_else_is_examined(station, store, what, tmp_path):
    other = {"primary": "second", "second": "primary"}[store]
    root = station.home / "stores" / store
    match what:
        case "without marker":
            (root / "0=liuhen_store_1").unlink()
        case "moved away":
            root.rename(station.home / "away")
        case "a link to the other":
            root.rename(station.home / "away")
            root.symlink_to(station.home / "stores" / other)
    checkpoint = station.home / "log/public/checkpoint"
    before = checkpoint.read_bytes()
    report = station.json("verify", status=30)
    assert ("store-unavailable", store) in {(one["kind"], one["store"]) for one in report["findings"]}
    assert (report["recordings"], report["copies"] >= 6) == (3, True)
    assert checkpoint.read_bytes() == before, "nothing is sealed while a copy of the log cannot be where it belongs"
    flip(next(path for path in (station.home / "stores" / other).rglob("*") if len(path.name) == 64))
    assert station.json("verify", status=1)["verdict"] == "tampered"
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(counter=9, stamp='20261122100900')}": b"9" * 5000})
    if store == "primary":
        assert station.error("ingest", card, status=30)["code"] == "store-unavailable"
        return
    done = station.json("ingest", card, status=3)
    assert [row["copies"] for row in done["recordings"] if (row["state"], row["sealed"]) == ("acquired", False)] == [[]]
    assert checkpoint.read_bytes() == before


# --- copies of the log ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("damage", ["bundle", "checkpoint", "gone"])
def test_a_damaged_copy_of_the_log_is_replaced_by_another_stores_and_the_answer_says_which(station, damage):
    own = station.home / "log/public"
    match damage:
        case "bundle":
            flip(max(own.glob("tile/entries/000.p/*"), key=lambda path: int(path.name)))
        case "checkpoint":
            (own / "checkpoint").unlink()
        case "gone":
            shutil.rmtree(own)
    before = {row["id"]: row["sha256"] for row in recordings(station)} if damage == "bundle" else {}
    lose_database(station)
    done = station.json("rebuild")
    assert done["log"] == str(station.home / "stores/primary/log/public")
    assert len(done["unread_logs"]) == 1
    assert str(own) in done["unread_logs"][0]
    if own.exists():  # as the runbook says
        own.rename(station.home / "damaged-log")
    own.mkdir()
    after = {row["id"]: row["sha256"] for row in recordings(station)}
    assert len(after) == 3
    assert before in ({}, after)
    station.verified()


def test_a_copy_of_the_log_that_was_set_back_is_not_the_one_that_is_built_from(station, tmp_path):
    own = station.home / "log/public"
    shutil.copytree(own, tmp_path / "older")
    media = {f"DCIM/{gb_name(counter=9, stamp='20261122100900')}": b"9" * 5000}
    station.json("ingest", make_gb_tree(tmp_path / "card", media))
    shutil.rmtree(own)
    shutil.copytree(tmp_path / "older", own)
    lose_database(station)
    done = station.json("rebuild")
    assert (done["recordings"], done["log"]) == (4, str(station.home / "stores/primary/log/public"))
    station.run("recordings", "list")  # whatever seals brings the copy up that lags
    station.verified()


# --- the station's key and its place in the log -----------------------------------------------------------------------
def other_key(station: Program, tmp_path: Path) -> None:
    other = Program(tmp_path / "other")
    other.whole = False
    other.init()
    shutil.copy(station.home / "keys/station.key", tmp_path / "own.key")
    shutil.copy(other.home / "keys/station.key", station.home / "keys/station.key")


def edit(statement: str):
    def tamper(station: Program, _tmp_path: Path) -> None:
        opened = contextlib.closing(Catalogue.open(f"sqlite:///{station.home}/app.db"))
        with opened as catalogue, catalogue.engine.begin() as connection:
            assert connection.exec_driver_sql(statement).rowcount > 0

    return tamper


TAMPERED = {
    "another station's key": other_key,
    "the next number raised": edit("UPDATE signers SET next_seq = next_seq + 5"),
    "the next number set back": edit("UPDATE signers SET next_seq = next_seq - 1"),
    "the next number negative": edit("UPDATE signers SET next_seq = -3"),
    "the digest of the entry before": edit("UPDATE signers SET prev = 'ab' || substr(prev, 3)"),
    "the signer's row deleted": edit("DELETE FROM signers"),
    "the signer's row renamed": edit("UPDATE signers SET key_id = 'abababababababab'"),
}


@pytest.mark.parametrize("what", sorted(TAMPERED))
def test_what_would_make_the_log_unacceptable_for_ever_is_refused_before_anything_is_signed(station, tmp_path, what):
    TAMPERED[what](station, tmp_path)
    size = station.json("log", "checkpoint")["size"]
    media = {f"DCIM/{gb_name(counter=9, stamp='20261122100900')}": b"9" * 5000}
    for arguments in (("ingest", make_gb_tree(tmp_path / "card", media)), ("serve", "--port", "0")):
        assert station.error(*arguments, status=1)["code"] == "signer-mismatch"
    for _ in range(2):
        assert {kind for kind, _, _ in found(station)} == {"signer-differs", "not-examined"}
    signer = keys.load(station.home / "keys/station.key").key_id
    assert any(signer in detail for kind, _, detail in found(station) if kind == "signer-differs")
    assert station.json("log", "checkpoint")["size"] == size
    vkey = station.json("log", "vkey")["vkey"]
    station.outsider("log", station.home / "log/public", "--vkey", vkey)
    if what == "another station's key":
        assert station.error("rebuild", status=1)["code"] == "signer-mismatch"
        assert not list(station.home.glob("app.db.rebuilding*"))
        shutil.copy(tmp_path / "own.key", station.home / "keys/station.key")
    else:
        assert station.json("rebuild")["recordings"] == 3
    station.verified()
