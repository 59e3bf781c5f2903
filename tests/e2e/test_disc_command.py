"""Long-term footage from the queue to two registered discs by the commands a person types; then proved from the disc alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from app.cli.main import run
from app.disc_making import images_folder
from app.home import Home
from app.setup import set_up
from app.wiring import build
from assurance.report import Verdict
from catalogue.records import RoleRow
from devices.mass_storage.driver import MassStorageDriver
from discs.image import image_path
from discs.media import SECTOR_BYTES
from evidence.clock import to_text
from evidence.events import RecordingFlagged, RoleChanged
from ingest.store import ensure_stored
from matters.recording_facts import say
from support import footage, whole_home
from support.recorders import gb_name, make_gb_tree

ENCRYPTED = """
[storage.encryption]
enabled = true
passphrase_file = "keys/master.passphrase"
"""


@pytest.fixture
def home(tmp_path, request):
    other = "due" in request.node.name  # the second test: PostgreSQL, and footage encrypted at rest
    database = request.getfixturevalue("postgres_url") if other else ""
    text = whole_home.config(database=database) + (ENCRYPTED if other else "")
    made = Home(tmp_path / "home")
    set_up(made, config=text, login="admin", os_uid=os.getuid(), passphrase="a sentence" if other else "")
    card = make_gb_tree(
        tmp_path / "card", {gb_name(counter=n): footage.photo_png().read_bytes() + b"x" * n for n in (1, 2)}
    )
    with whole_home.at_rest(made) as (house, service):
        found = service.offload(MassStorageDriver.docked_at(card), house.service_actor(), register=True).acquired
        for recording in found:
            ensure_stored(service.parts, recording)
        whole_home.seal(house)
        admin = whole_home.administrator(house)
        for row in whole_home.rows(house):
            now = house.clock.now()
            with house.catalogue.begin() as uow:
                event = RecordingFlagged(
                    actor=admin.agent, recording=row.id, sha256=row.sha256.hex, flag="long-term", standing=True,
                    ground="sensitive", at=to_text(now.wall),
                )  # fmt: skip
                say(uow, lambda one, uow=uow: house.recorder.record(uow.outbox, one, at=house.clock.now()), event)
        for role in ("station_operator", "auditor"):
            with house.catalogue.begin() as uow:
                uow.people.grant(RoleRow(agent=admin.agent, role=role))
                event = RoleChanged(agent=admin.agent, role=role)
                house.recorder.record(uow.outbox, event, at=house.clock.now())
        whole_home.seal(house)
        images = images_folder(house)
    yield made
    shutil.rmtree(images, ignore_errors=True)  # where footage is encrypted they lie in memory


@pytest.fixture
def liuhen(capsys):
    """The program, in this process: its JSON answer."""

    def ran(*arguments: str | Path, expect: int = 0):
        capsys.readouterr()
        status = run([*map(str, arguments), "--json"])
        said = capsys.readouterr()
        assert status == expect, (status, said.out, said.err)
        return json.loads(said.out or said.err.splitlines()[-1])

    return ran


def test_r12_from_the_queue_to_two_discs_by_commands(home, liuhen, tmp_path):
    at = ("--home", home.root)
    waiting = liuhen("disc", "waiting", *at)["waiting"]
    assert len(waiting) == 2
    plan = liuhen("disc", "plan", "--waiting", "--title", "张三占道经营案", "--case-number", "厦园罚〔2026〕12号", *at)
    assert (plan["state"], plan["files"], plan["discs_planned"]) == ("planned", 2, 1)
    assert liuhen("disc", "waiting", *at)["waiting"] == []
    assert liuhen("disc", "build", plan["number"], *at)["state"] == "built"
    image = image_path(home.root / "discs" / plan["number"], 1)
    assert image.is_file()
    discs = {}
    for copy in "AB":
        drive = f"stdio:{tmp_path}/{copy}.iso"
        disc = liuhen("disc", "burn", plan["number"], "--copy", copy, "--drive", drive, *at)
        assert disc["state"] == "burnt"
        assert liuhen("disc", "verify", disc["number"], "--drive", drive, *at)["good"] is True
        found = liuhen("disc", "register", disc["number"], "--place", "三楼档案室", "--keeper", "admin", *at)
        assert found["state"] == "registered"
        discs[copy] = disc
    (told,) = liuhen("disc", "status", plan["number"], *at)
    assert (told["state"], [one["copy"] for one in told["discs"]]) == ("registered", ["A", "B"])
    assert not image.exists()  # images hold footage in clear: they go once both copies are in their place
    for paper in ("label", "wrap"):
        pdf = tmp_path / f"{paper}.pdf"
        liuhen("disc", "label", discs["A"]["number"], "-o", pdf, *(("--wrap",) if paper == "wrap" else ()), *at)
        text = subprocess.run(
            ["pdftotext", "-layout", str(pdf), "-"], check=True, capture_output=True, text=True
        ).stdout
        for wanted in ("站点一", "admin", "张三占道经营案", "厦园罚〔2026〕12号", plan["number"]):
            assert wanted in text, (paper, wanted, text)
    alone = liuhen("disc", "check", tmp_path / "B.iso")
    assert alone["good"] is True
    assert alone["manifest_sha256"] == told["manifest_sha256"]
    out = tmp_path / "out"
    subprocess.run(["7z", "x", f"-o{out}", f"{tmp_path}/B.iso"], check=True, capture_output=True)
    # A court's check of one recording with nothing but the disc and the log's key from elsewhere.
    manifest = json.loads((out / "清单/manifest.json").read_bytes())
    first = next(one for one in manifest["files"] if one["key"])
    proof = out / "保管链" / f"{Path(first['path']).name}.proof"
    house = build(home, home.require())
    try:
        vkey = house.vkey
        assert whole_home.verify(house).verdict is Verdict.GOOD
    finally:
        house.close()
    checked = subprocess.run(
        [
            sys.executable, out / "核对程序/liuhen_verify.py", "proof", proof, "--recording", out / first["path"],
            "--vkey", vkey,
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
    (tmp_path / "A.iso").chmod(0o640)
    with (tmp_path / "A.iso").open("r+b") as stream:
        stream.seek(40 * SECTOR_BYTES)
        stream.write(b"\xff" * (100 * SECTOR_BYTES))
    bad = liuhen("disc", "verify", discs["A"]["number"], "--drive", f"stdio:{tmp_path}/A.iso", *at, expect=1)
    assert bad["good"] is False
    assert bad["damaged"]
    assert bad["disc"]["state"] == "damaged"
    assert liuhen("disc", "status", plan["number"], *at)[0]["state"] == "wanting"
    refused = liuhen(
        "disc", "burn", plan["number"], "--copy", "A", "--drive", f"stdio:{tmp_path}/B.iso", *at, expect=66
    )
    assert refused["error"]["code"] == "disc"


def test_r12_a_disc_that_is_due_is_a_finding_until_it_was_looked_at(home, liuhen, tmp_path):
    from app.disc_looks import look_at_discs
    from assurance.findings import FindingBook

    at = ("--home", home.root)
    owner = liuhen("disc", "plan", "--waiting", "--title", "案", "--case-number", "1", *at)["number"]
    liuhen("disc", "build", owner, *at)
    drive = f"stdio:{tmp_path}/A.iso"
    disc = liuhen("disc", "burn", owner, "--copy", "A", "--drive", drive, *at)["number"]
    assert liuhen("disc", "verify", disc, "--drive", drive, *at)["disc"]["due_at"]
    with whole_home.at_rest(home) as (house, _service):
        book = FindingBook(house.catalogue, recorder=house.recorder, clock=house.clock)
        assert look_at_discs(house, book) == 0
        images = images_folder(house)
        assert images.parent == house.scratch  # an image holds footage in clear: never on a disk in the open
        assert image_path(images / owner, 1).is_file()  # the second copy is still to be burnt
        with house.catalogue.begin() as uow:
            row = uow.matters.by_number("disc", disc)
            (due,) = [one for one in [row] if one.due_at]
        real = house.clock

        class Later:
            def now(self):
                reading = real.now()
                return type(reading)(due.due_at + timedelta(hours=1), reading.monotonic_ns, "synchronised", 3)

        house.clock = Later()
        late = FindingBook(house.catalogue, recorder=house.recorder, clock=real)
        assert look_at_discs(house, late) == 1
        assert look_at_discs(house, late) == 1
        with house.catalogue.read() as uow:
            assert [(one.kind, one.store) for one in uow.findings.open()] == [("disc-due", disc)]
        house.clock = real
        assert look_at_discs(house, book) == 0
        with house.catalogue.read() as uow:
            assert uow.findings.open() == []
        whole_home.seal(house)
        assert whole_home.verify(house).verdict is Verdict.GOOD
