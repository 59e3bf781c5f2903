"""``liuhen case export`` as a person uses it: killed half-way, continued, checked by outsiders, refused where it must be."""

import signal
import subprocess
import time

import bagit
import pytest

from app.home import Home
from app.wiring import build
from documents.bagit import unfinished
from evidence.model import Actor
from matters.turn import NewLink
from support import footage
from support.program import LIUHEN, Program
from support.recorders import gb_name, make_gb_tree

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    root = tmp_path_factory.mktemp("case")
    program = Program(root / "home")
    program.whole = False
    program.init()
    media = {gb_name(): footage.talking_mp4(), gb_name(counter=2): footage.phone_mp4()}
    media |= {gb_name(counter=n): bytes([n]) * 20_000_000 for n in range(3, 9)}
    program.run("ingest", make_gb_tree(root / "card", media), "--register")
    yield program
    program.close()


@pytest.fixture(scope="module")
def case(station):
    leader = station.person("leader", "unit_leader")
    station.person("officer", "officer")
    house = build(Home(station.home), Home(station.home).require())
    try:
        with house.catalogue.read() as uow:
            agents = {one.login: one for one in uow.people.agents()}
        actor = Actor(agents["leader"].id, "leader", "cli")
        recordings = [row["id"] for row in station.json("recordings", "list", "--as", "leader", env=leader)]
        values = {
            "title": "占道经营案",
            "cause": "占道",
            "procedure": "ordinary",
            "second_officer": agents["officer"].id,
        }
        links = [NewLink(role="footage", target=each) for each in recordings]
        return house.matters.open(actor, "case", values, links=links).number, leader
    finally:
        house.close()


def test_r27_a_killed_export_does_not_look_whole_and_the_same_command_finishes_it(station, case, tmp_path):
    number, leader = case
    target = tmp_path / "包"
    asked = ["case", "export", number, str(target), "--purpose", "litigation", "--recipient", "法院", "--as", "leader"]
    command = [str(LIUHEN), *asked, "--home", str(station.home), "--json"]
    process = subprocess.Popen(
        command, env=station.environment(leader), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not list(unfinished(target).rglob("*.mp4")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not target.exists()
    assert station.error("case", "check", unfinished(target), status=1)["code"] == "manifest-invalid"

    made = station.json(*asked, env=leader)
    assert bagit.Bag(str(target)).validate()
    assert station.json("case", "check", target) == {"package": made["package"], "good": True, "findings": []}
    proofs = sorted((target / "data/证明").glob("*.tlog-proof"))
    originals = sorted((target / "data/音像").iterdir())
    assert len(proofs) == len(originals) == 8
    vkey = station.run("log", "vkey").stdout.strip()
    for proof, original in zip(proofs, originals, strict=True):
        station.outsider("proof", proof, "--recording", original, "--vkey", vkey)
    played = [path for path in originals if path.stat().st_size < 10_000_000]
    for path in played:
        subprocess.run(["ffprobe", "-v", "error", str(path)], check=True)
    original = originals[-1]
    content = original.read_bytes()
    original.write_bytes(content[:-1] + b"\xff")
    assert station.error("case", "check", target, status=1)["code"] == "digest-mismatch"
    assert station.error(*asked, env=leader, status=30)["code"] == "blob-conflict"
    station.verified()


def test_who_may_not_export_and_what_is_not_approved_ends_with_its_status(station, case, tmp_path):
    number, leader = case
    asked = ["case", "export", number, tmp_path / "x", "--purpose", "litigation", "--recipient", "法院"]
    officer = {"LIUHEN_PASSWORD": "nine green lamps"}
    assert station.error(*asked, "--as", "officer", env=officer, status=10)["code"] == "access-denied"
    assert station.error(*asked, "--publication", "--as", "leader", env=leader, status=3)["code"] == "policy-unmet"
    assert (
        station.error("case", "export", "999", *asked[3:], "--as", "leader", env=leader, status=2)["code"]
        == "not-found"
    )
    assert list(tmp_path.iterdir()) == []


def test_r15_what_a_case_holds_and_lacks_its_timeline_and_its_papers(station, case, tmp_path):
    number, leader = case
    shown = station.json("case", "show", number, "--as", "leader", env=leader)
    assert [one["number"] for one in shown["footage"]] == list(range(1, 9))
    assert {"what": "period", "name": "archive_period", "needed": True} in shown["lacks"]
    moments = station.json("case", "timeline", number, "--as", "leader", env=leader)
    assert [one["what"] for one in moments].count("recording") == 8
    file = tmp_path / "目录.pdf"
    made = station.json("case", "paper", number, "contents", "-o", file, "--as", "leader", env=leader)
    assert made == {"file": str(file), "size_bytes": file.stat().st_size}
    assert file.read_bytes().startswith(b"%PDF-1.")
    again = station.error("case", "paper", number, "cover", "-o", file, "--as", "leader", env=leader, status=30)
    assert again["code"] == "blob-conflict"
    assert station.json("case", "unsorted", "--all", "--as", "leader", env=leader)["recordings"] == []
    assert number in station.run("case", "show", number, "--as", "leader", env=leader).stdout
