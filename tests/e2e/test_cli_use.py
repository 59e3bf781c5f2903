"""``liuhen recordings copy`` and ``liuhen use register`` as a person at the station uses them (R17, R19)."""

import hashlib

import pytest

from support import footage
from support.program import Program
from support.recorders import gb_name, make_gb_tree

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    root = tmp_path_factory.mktemp("use")
    program = Program(root / "home")
    program.whole = False
    program.init()
    card = make_gb_tree(root / "card", {gb_name(): footage.voice_mp3()})
    program.run("ingest", card, "--register")
    yield program
    program.close()


def test_r17_a_copy_is_written_once_as_it_was_sealed_and_a_refusal_is_in_the_register(station, tmp_path):
    reviewer, operator = station.person("reviewer", "legal_reviewer"), station.person("operator", "station_operator")
    [recording] = station.json("recordings", "list", "--as", "reviewer", env=reviewer)
    copy = ("recordings", "copy", recording["id"], "--to")
    target = tmp_path / "copy.mp3"
    station.run(*copy, target, "--as", "operator", env=operator, status=10)
    assert not target.exists()
    told = station.json(*copy, target, "--as", "reviewer", env=reviewer)
    assert told["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
    assert told["grant"] is None
    before = target.stat()
    station.run(*copy, target, "--as", "reviewer", env=reviewer, status=30)
    assert target.stat() == before
    assert list(tmp_path.iterdir()) == [target]
    lines = station.json("use", "register", "--as", "reviewer", env=reviewer)["lines"]
    assert [(one["used"], one["refused"], one["recording"]) for one in lines] == [("copy", "no-role", recording["id"])]
    for suffix, start in (("csv", "\ufeff".encode()), ("xlsx", b"PK"), ("pdf", b"%PDF")):
        file = tmp_path / f"register.{suffix}"
        station.run("use", "register", "--out", file, "--as", "reviewer", env=reviewer)
        assert file.read_bytes().startswith(start)
    station.run("use", "register", "--as", "operator", env=operator, status=10)
    station.run("use", "register", "--from", "x", "--as", "reviewer", env=reviewer, status=2)
