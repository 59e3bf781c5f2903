"""The service as systemd and people run it: commands beside it, signals, kills, deep homes."""

import hashlib
import http.client
import json
import os
import signal
import socket
import tempfile
import time
from pathlib import Path

import pytest

from app.control import connection_to
from support import footage
from support.program import Program, names, until
from support.recorders import gb_name, make_gb_tree

pytestmark = pytest.mark.e2e


def big_card(root: Path, *, device: str, files: int = 3, size_bytes: int = 24 << 20) -> Path:
    """Recordings large enough that a signal meets the docking at work."""
    block = os.urandom(1 << 20)
    return make_gb_tree(
        root,
        {
            f"DCIM/{gb_name(counter=n, device=device, stamp=f'2026112210{n:02d}00')}": bytes([n])
            + block * (size_bytes >> 20)
            for n in range(1, files + 1)
        },
    )


def missing(card: Path, program: Program) -> set[str]:
    """Digests on the card that no sealed recording has."""
    wanted = {hashlib.sha256(path.read_bytes()).hexdigest() for path in card.rglob("*.mp4")}
    return wanted - {row["sha256"] for row in program.json("recordings", "list") if row["sealed"]}


def answers(port: int, path: str = "/login") -> int:
    page = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        page.request("GET", path)
        return page.getresponse().status
    finally:
        page.close()


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """A home whose socket's path is longer than the kernel's 107 bytes, served."""
    root = tmp_path_factory.mktemp("deep") / ("d" * 60) / ("e" * 60)
    root.mkdir(parents=True)
    program = Program(root / "home")
    program.init()
    assert len(str(program.home / "run/control.sock")) > 107
    try:
        program.port = program.serve()
        program.whole = False
        yield program
        program.whole = True
        assert program.end() == 0
        assert not (program.home / "run/control.sock").exists()
        program.verified()
    finally:
        program.close()


def ask_raw(program: Program, line: bytes) -> dict:
    with connection_to(program.home / "run/control.sock") as client:
        client.sendall(line)
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as stream:
            return json.loads(stream.readlines()[-1])


def test_commands_hand_their_work_to_the_running_service(deep, tmp_path):
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(device='1111111')}": footage.phone_mp4()})
    assert answers(deep.port) == 200
    assert deep.error("ingest", card, status=20)["code"] == "device-not-registered"
    deep.whole = True
    done = deep.json("ingest", card, "--register")
    deep.whole = False
    assert done["outcome"] == "complete"
    assert [(row["state"], row["sealed"], row["new"]) for row in done["recordings"]] == [("stored", True, True)]
    assert names(deep.json("ingest", card)["duplicates"]) == names(done["recordings"])
    assert {row["what"]: row["level"] for row in deep.json("doctor", status=None)}["service"] == "ok"
    deep.verified()


def test_a_recorder_is_registered_through_the_service(deep, tmp_path):
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(device='2222222', counter=n)}": b"x" for n in range(1, 4)})
    row = deep.json("devices", "register", card, "--label", "二号记录仪")
    assert row["label"] == "二号记录仪"
    assert row["id"] in {device["id"] for device in deep.json("devices", "list")}
    assert deep.error("devices", "register", "no-such-slot", status=2)["code"] == "not-found"
    assert set(deep.json("devices", "scan")) == {"docked", "failed"}


def test_what_is_docked_is_what_the_service_sees(station, tmp_path):
    """Its docks may be others than a new reading of the settings would tell."""
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(device='7777777')}": b"x"})
    config = station.home / "config.toml"
    before = config.read_text()
    config.write_text(before.replace("[docks]\n", f'[docks]\nfolders = ["{card}"]\n'))
    station.serve()
    config.write_text(before)
    station.whole = False
    assert [one["address"] for one in station.json("devices", "scan")["docked"]] == [str(card)]
    made = station.json("user", "create", "A clerk", "--login", "clerk")
    change = {"LIUHEN_PASSWORD": made["one_time_password"], "LIUHEN_NEW_PASSWORD": "thirteen green lamps"}
    station.run("user", "passwd", "clerk", env=change)
    clerk = {"LIUHEN_PASSWORD": "thirteen green lamps"}
    assert station.error("devices", "scan", "--as", "clerk", status=10, env=clerk)["code"] == "access-denied"


def test_a_folder_that_is_not_there_is_a_wrong_call_whoever_looks(deep, tmp_path):
    assert deep.error("ingest", tmp_path / "none", status=2)["code"] == "not-found"
    assert "no folder" in deep.error("ingest", tmp_path / "none", status=2)["what"]


def test_only_one_process_works_on_a_home(deep):
    assert deep.error("serve", "--port", "0", status=50)["code"] == "home-locked"
    assert deep.error("rebuild", status=50)["code"] == "home-locked"


def test_a_taken_port_is_a_wrong_call_and_no_tamper(deep):
    assert deep.error("serve", "--port", str(deep.port), status=2)["code"] == "config"


def test_a_request_that_makes_no_sense_is_refused_and_harms_nothing(deep):
    for line in (
        b"",
        b"{",
        b"[]\n",
        b'"x"\n',
        b"[" * 60_000,
        b'{"command": "stop"}\n',
        b'{"command": "ingest", "path": 7}\n',
    ):
        assert ask_raw(deep, line)["error"]["exit_code"] == 2
    wrong = {"command": "ingest", "path": "/tmp", "login": "admin", "password": "no"}
    assert ask_raw(deep, json.dumps(wrong).encode() + b"\n")["error"]["code"] == "authentication"
    assert (deep.home / "run/control.sock").stat().st_mode & 0o007 == 0
    assert answers(deep.port) == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_shell_of_an_account_that_nobody_is_bound_to_is_nobody(deep):
    """The kernel tells the service who asks; what the request says about itself does not count."""
    below = Path(tempfile.gettempdir())
    for folder in [deep.home / "run", deep.home, *deep.home.parents]:
        if below in folder.parents:
            folder.chmod(folder.stat().st_mode | 0o011)
    control = deep.home / "run/control.sock"
    assert control.stat().st_mode & 0o777 == 0o660
    control.chmod(0o666)  # what file modes would stop is not what is asked here
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        try:
            answer = ask_raw(deep, b'{"command": "ingest", "path": "/tmp", "uid": 0}\n')
        except BaseException as error:
            answer = {"error": {"code": repr(error)}}
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        said = json.loads(stream.read())
    os.waitpid(child, 0)
    control.chmod(0o660)  # the other tests of this service look at it
    assert said["error"]["code"] == "authentication"


def test_a_command_that_dies_does_not_end_the_docking_it_asked_for(deep, tmp_path):
    card = big_card(tmp_path / "card", device="3333333")
    with connection_to(deep.home / "run/control.sock") as client:
        client.sendall(json.dumps({"command": "ingest", "path": str(card), "register": True}).encode() + b"\n")
        assert b"progress" in client.recv(4096)
    until(lambda: not missing(card, deep))


@pytest.fixture
def station(tmp_path):
    program = Program(tmp_path / "home")
    program.init()
    yield program
    program.close()


def test_a_service_told_to_end_in_mid_docking_ends_in_time_and_the_next_takes_it_up(station, tmp_path):
    card = big_card(tmp_path / "card", device="4444444", files=4, size_bytes=48 << 20)
    station.serve()
    with connection_to(station.home / "run/control.sock") as client:
        client.sendall(json.dumps({"command": "ingest", "path": str(card), "register": True}).encode() + b"\n")
        assert b"progress" in client.recv(4096)
        began = time.monotonic()
        assert station.end(signal.SIGTERM) == 0
        assert time.monotonic() - began < 25
    station.verified()
    again = station.json("ingest", card)
    assert again["outcome"] == "complete"
    assert not missing(card, station)
    station.verified()


def test_a_killed_service_recovers_by_itself(station, tmp_path):
    """Three kills at growing moments of one docking; then the service is started once more and everything is there."""
    card = big_card(tmp_path / "card", device="5555555", files=4)
    station.json("devices", "register", card)
    config = station.home / "config.toml"
    config.write_text(config.read_text().replace("[docks]\n", f'[docks]\nfolders = ["{card}"]\n'))
    for wait_s in (0.2, 1.2, 2.5):
        station.serve()
        time.sleep(wait_s)
        assert station.end(signal.SIGKILL) == -signal.SIGKILL
    station.serve()
    station.whole = False
    until(lambda: not missing(card, station))
    station.whole = True
    assert station.end(signal.SIGINT) == 0
    report = station.verified()
    assert report["recordings"] == 4


def test_a_foreground_command_killed_at_any_moment_is_taken_up_by_the_next(station, tmp_path):
    card = big_card(tmp_path / "card", device="6666666", files=3)
    for wait_s in (2.5, 3.5, 4.5):
        command = station.start("ingest", str(card), "--register", "--json")
        time.sleep(wait_s)
        command.kill()
        command.wait()
        command.stdout.close()
    done = station.json("ingest", card, "--register")
    assert done["outcome"] == "complete"
    assert len(done["recordings"]) == 3
    assert all(row["sealed"] for row in done["recordings"])
    assert not missing(card, station)
    station.verified()


def test_a_reader_that_goes_away_is_neither_an_error_nor_tamper(station):
    process = station.start("user", "list", "--json")
    process.stdout.close()
    assert process.wait(60) == 141


def test_a_part_of_the_service_that_breaks_ends_it_with_its_status(station):
    """The published checkpoint is exchanged under the running service: it must not go on, and must say why."""
    station.serve()
    checkpoint = station.home / "log/public/checkpoint"
    text = checkpoint.read_text().splitlines(keepends=True)
    text[1] = "999999\n"
    checkpoint.write_text("".join(text))
    station.run("recordings", "list", status=None)  # something to seal
    service = station.services[-1]
    assert service.wait(40) != 0


def test_a_recorder_is_cleared_on_request_where_the_bureau_allows_it(station, tmp_path):
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(device='3333333', counter=n)}": b"x%d" % n for n in (1, 2)})
    (card / "sn.txt").write_text("3333333")
    station.json("ingest", card, "--register")
    assert station.error("devices", "clear", card, status=3)["code"] == "policy-unmet"
    config = station.home / "config.toml"
    config.write_text(config.read_text().replace("[docks]\n", '[docks]\nclearing = "manual"\n'))
    answer = station.json("devices", "clear", card, status=3)  # both stores lie on one disk
    assert (answer["released"], {one["code"] for one in answer["kept"]}) == ([], {"policy-unmet"})
    station.serve()
    assert station.json("devices", "clear", card, status=3)["kept"] == answer["kept"]
    assert station.end() == 0
    assert len(list((card / "DCIM").iterdir())) == 2
