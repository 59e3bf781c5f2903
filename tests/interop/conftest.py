"""One log written by the real recorder and sealer, and the outside programs that judge it.

A component that is missing is a failure, never a skip: a proof that was not run proves nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from evidence.events import RecordingAcquired, RecordingStored
from support.custody import CustodyLog
from support.outside import GO_PACKAGES, INTEROP, INTEROP_PYTHON, VERIFIER, RealLog, run

#: Sizes at which the log was sealed: around one full tile, and beyond.
SEALED_AT = (3, 4, 255, 256, 257, 300, 600)


@pytest.fixture(scope="session")
def real_log(tmp_path_factory: pytest.TempPathFactory) -> RealLog:
    root = tmp_path_factory.mktemp("interop")
    media = root / "recording.mp4"
    media.write_bytes(b"what the camera saw" * 50_000)
    log = CustodyLog(root)
    indices, older = [], []
    sealer = log.sealer()
    sealer.open_log(log.recorder)
    with contextlib.closing(sealer):
        for size in SEALED_AT:
            count = size - _sealed_size(log)
            if size == 300:
                indices = _enter_recording(log, media, _sealed_size(log))
                count -= len(indices)
            log.record_many(count)
            while sealer.seal_once():
                pass
            older.append(root / f"checkpoint-{size}")
            shutil.copy(log.primary / "checkpoint", older[-1])
    return RealLog(log.primary, log.vkey, tuple(older), media, *indices, log)


def _sealed_size(log: CustodyLog) -> int:
    with log.transactions() as outbox:
        head = outbox.head()
    return head.size if head else 0


def _enter_recording(log: CustodyLog, media: Path, size: int) -> list[int]:
    content = media.read_bytes()
    recording = log.counter.recording_id(log.clock.unix_ms)
    facts = {"recording": recording, "sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    log.record(RecordingAcquired(**facts, offload="off", sm3=hashlib.new("sm3", content).hexdigest(), blake3="0" * 64))
    log.record(RecordingStored(**facts, manifest_sha256="0" * 64, copies=[], manifest_copies=[], at=""))
    return [size, size + 1]


# --- the outside programs ---------------------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def go_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("go") is None or not (GO_PACKAGES / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        pytest.fail("install golang-go and golang-golang-x-mod-dev", pytrace=False)
    root = tmp_path_factory.mktemp("go")
    program = root / "check_log"
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GO_PACKAGES), "GOCACHE": str(root / "cache")}
    done = subprocess.run(
        ["go", "build", "-o", str(program), str(INTEROP / "go" / "check_log.go")],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return program


def _interop_script(name: str) -> list[str]:
    if not INTEROP_PYTHON.is_file():
        pytest.fail(
            "make .venv-interop: python3 -m venv .venv-interop && "
            ".venv-interop/bin/pip install --require-hashes --no-deps -r requirements/interop.txt",
            pytrace=False,
        )
    return [str(INTEROP_PYTHON), "-I", str(INTEROP / "outside" / name)]


Check = Callable[..., subprocess.CompletedProcess[str]]
OUTSIDERS = ("go x/mod/sumdb", "tlog-scales", "metamorphic-log", "liuhen_verify")


@pytest.fixture(scope="session", params=OUTSIDERS)
def check_log(request: pytest.FixtureRequest) -> Check:
    """``check_log(directory, vkey, *older)``: one outside program's judgement of a whole log."""
    match request.param:
        case "go x/mod/sumdb":
            command = [str(request.getfixturevalue("go_program")), "log"]
        case "tlog-scales":
            command = _interop_script("check_tlog_scales.py")
        case "metamorphic-log":
            command = _interop_script("check_metamorphic.py")
        case _:
            return _ours

    def check(directory: Path, vkey: str, *older: Path) -> subprocess.CompletedProcess[str]:
        return run(*command, directory, vkey, *older)

    return check


def _ours(directory: Path, vkey: str, *older: Path) -> subprocess.CompletedProcess[str]:
    for held in older or [None]:
        since = ["--since", held] if held else []
        done = run(sys.executable, "-I", VERIFIER, "log", directory, "--vkey", vkey, "--lang", "en", *since)
        if done.returncode:
            break
    return done
