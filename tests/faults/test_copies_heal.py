"""Stores that go away, lose bits or fall silent, on real parts: nothing is lost, all goes on by itself, verify says good.

Disks are loop devices whose image is hurt below the file system, the bucket is a SeaweedFS that is stopped and killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.home import Home
from app.wiring import House, build
from assurance.catch_up import CatchUp
from assurance.report import VerifyReport
from assurance.verify import verify_home
from catalogue.records import RecordingRow
from evidence.clock import SystemClock
from evidence.errors import IntegrityError, StoreUnavailableError
from flow import InlineEngine
from ingest.session import OffloadService
from storage.layout import blob_key
from storage.s3 import S3Store
from support import seaweed, whole_home
from support.home import RunningClock
from support.mounts import loop_ext4
from support.recorders import gb_name, make_gb_tree

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts disks")


@dataclass
class Station:
    """A home at rest with a clock that a test moves."""

    house: House
    service: OffloadService
    clock: RunningClock
    card: Path
    cards: int = 0

    def take_in(self, *numbers: int) -> list[RecordingRow]:
        """Dock a card with a recording for each number, and secure what comes in; its rows."""
        names = {f"DCIM/{gb_name(counter=number)}": os.urandom(200_000 + number) for number in numbers}
        make_gb_tree(self.card, names)
        result = self.service.offload(whole_home.only_docked(self.house), self.house.service_actor(), register=True)
        assert result.error is None
        for recording in result.acquired:
            self.service.secure(recording)
        with self.house.catalogue.read() as uow:
            return [uow.recordings.get(recording) for recording in result.acquired]

    def catch_up(self) -> int:
        """Everything a duty would do in the next hours."""
        made = 0
        duty = CatchUp(self.house.keeping, hint=self.house.healing.hint)
        for _ in range(3):
            self.clock.advance(minutes=31)
            made += duty.run()
        return made

    def seal(self) -> None:
        whole_home.seal(self.house)
        self.house.archive.sync(self.house.catalogue)

    def verify(self) -> VerifyReport:
        house = self.house
        return verify_home(
            house.catalogue, stores=house.stores, published=house.published, vkey=house.vkey, clock=house.clock,
            disclosures=house.archive, policy=house.policy,
        )  # fmt: skip

    def kinds(self) -> set[tuple[str, str]]:
        with self.house.catalogue.read() as uow:
            return {(one.kind, one.store) for one in uow.findings.open()}

    def path(self, store: str, row: RecordingRow) -> Path:
        assert row.sha256 is not None
        return Path(self.house.stores.named(store).properties.location) / blob_key(row.sha256)


def make(tmp_path: Path, third: Path) -> Home:
    stores = [whole_home.local(name, f"stores/{name}") for name in ("primary", "second")]
    text = whole_home.config(
        stores=[*stores, whole_home.local("third", third)], docks={"folders": [str(tmp_path / "card")]},
        storage={"domains": 1, "single_domain": True},
    )  # fmt: skip
    return whole_home.make(tmp_path / "home", text)


@contextlib.contextmanager
def station(home: Home, card: Path) -> Iterator[Station]:
    clock = RunningClock(SystemClock().now().wall)
    house = build(home, home.require(), clock=clock)
    try:
        with house.sealer:
            jobs = InlineEngine()
            service = house.offloads(jobs)
            service.start_up()
            jobs.start()
            yield Station(house, service, clock, card)
    finally:
        house.close()


@pytest.mark.parametrize("when", ["at the start", "during intake"])
def test_a_disk_that_is_taken_out_and_put_back_catches_up_with_bytes_log_and_names(tmp_path: Path, when: str) -> None:
    mount, image = tmp_path / "disk", tmp_path / "disk.img"
    with contextlib.ExitStack() as stack:
        with loop_ext4(mount, image):
            home = make(tmp_path, mount / "store")
        if when == "during intake":
            disk = stack.enter_context(contextlib.ExitStack())
            disk.enter_context(loop_ext4(mount, image))
        here = stack.enter_context(station(home, tmp_path / "card"))
        if when == "during intake":
            here.take_in(1)
            here.seal()
            disk.close()
        rows = here.take_in(2, 3)
        assert {row.state for row in rows} == {"stored"}
        assert here.kinds() == {("copy-behind", "third")}
        with pytest.raises(StoreUnavailableError):
            here.seal()  # published here; recorders stay as they are until the third place is level
        with pytest.raises(StoreUnavailableError):
            here.house.archive.sync(here.house.catalogue)
        assert here.catch_up() == 0
        assert list(mount.iterdir()) == []  # nothing was written below the empty mount point
        stack.enter_context(loop_ext4(mount, image))
        assert here.catch_up() >= 2 * len(rows)
        assert here.kinds() == set()
        here.seal()
        report = here.verify()
        assert (report.verdict, report.recordings) == ("good", 3 if when == "during intake" else 2)
        assert report.copies % 3 == 0


def _first_block(path: Path) -> int:
    """Where the file's bytes begin on its file system's device."""
    text = subprocess.run(["filefrag", "-e", "-b1", str(path)], capture_output=True, text=True, check=True).stdout
    return int(next(line for line in text.splitlines() if line.strip().startswith("0:")).split(":")[2].split("..")[0])


@pytest.mark.parametrize("fault", ["bit rot", "sectors that cannot be read"])
def test_a_disk_that_loses_bits_or_sectors_below_its_file_system_is_repaired(tmp_path: Path, fault: str) -> None:
    mount, image = tmp_path / "disk", tmp_path / "disk.img"
    with loop_ext4(mount, image):
        home = make(tmp_path, mount / "store")
        with station(home, tmp_path / "card") as here:
            (row,) = here.take_in(1)
            here.seal()
            path = here.path("third", row)
            subprocess.run(["sync", "-f", str(mount)], check=True)
            at = _first_block(path) + 70_000 // 4096 * 4096
            if fault == "bit rot":
                with image.open("r+b") as file:
                    file.seek(at)
                    byte = file.read(1)[0]
                    file.seek(at)
                    file.write(bytes([byte ^ 1]))
            else:
                os.truncate(image, at)  # a loop device answers EIO beyond the end of its image
            assert row.sha256 is not None
            here.house.healing.hint(row.sha256)
            # Whatever else lay beyond the missing sectors is found by the same look.
            (done,) = [one for one in here.house.healing.run() if one.sha256 == row.sha256]
            assert [one.outcome for one in done.looks] == [
                "good",
                "good",
                "bad" if fault == "bit rot" else "unreadable",
            ]
            assert done.repaired == ["third"]
            assert here.kinds() == {("copy-repaired", "third")}
            here.seal()
            report = here.verify()
            assert report.verdict == "good"
            assert (mount / "store/damaged" / f"{row.sha256.hex}.0").exists()


def test_a_bucket_that_falls_silent_and_is_killed_catches_up_when_it_is_back(tmp_path: Path) -> None:
    server, process = seaweed.start()
    folder = tmp_path / "keys"
    stores = [whole_home.local(name, f"stores/{name}") for name in ("primary", "second")]
    bucket = whole_home.bucket(server, folder)
    text = whole_home.config(
        stores=[*stores, bucket], docks={"folders": [str(tmp_path / "card")]}, storage={"domains": 1, "single_domain": True}
    )  # fmt: skip
    home = whole_home.make(tmp_path / "home", text)
    with station(home, tmp_path / "card") as here:
        (first,) = here.take_in(1)
        here.seal()
        os.killpg(process.pid, signal.SIGKILL)  # our own server, started above in a group of its own
        process.wait()
        rows = here.take_in(2)
        assert {row.state for row in rows} == {"stored"}
        assert here.kinds() == {("copy-behind", "bucket")}
        assert here.catch_up() == 0
        with here.house.catalogue.read() as uow:
            state = uow.store_states.of("bucket")
        assert (state.error_code, state.behind_objects, state.tries > 1) == ("store-unavailable", 2, True)
        again = subprocess.Popen(
            process.args, cwd=server.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "GOMEMLIMIT": "384MiB", "HOME": str(server.folder)},
        )  # fmt: skip
        try:
            store = here.house.stores.named("bucket")
            assert isinstance(store, S3Store)
            whole_home.until(lambda: _answers(store), timeout_s=60)
            assert here.catch_up() == 2
            assert here.kinds() == set()
            here.seal()
            report = here.verify()
            assert (report.verdict, report.recordings) == ("good", 2)
            # And a version that somebody replaced in the bucket: the copy is made again, the other version kept.
            assert first.sha256 is not None
            store._client.put_object(Bucket=store._settings.bucket, Key=blob_key(first.sha256), Body=b"not it")
            here.house.healing.hint(first.sha256)
            (done,) = here.house.healing.run()
            assert (done.repaired, here.kinds()) == (["bucket"], {("copy-repaired", "bucket")})
            with here.house.catalogue.read() as uow:
                (told,) = uow.findings.open()
            assert "version" in told.detail
            here.seal()
            assert here.verify().verdict == "good"
        finally:
            os.killpg(again.pid, signal.SIGKILL)
            again.wait()


def _answers(store: S3Store) -> bool:
    try:
        next(iter(store.list()), None)
    except (StoreUnavailableError, IntegrityError):
        return False
    except Exception:  # the server is still starting
        return False
    return True


def test_a_serving_home_repairs_and_catches_up_by_itself(tmp_path: Path) -> None:
    """No person, no test helper: the duties of ``liuhen serve`` alone."""
    third = tmp_path / "third"
    home = make(tmp_path, third)
    with station(home, tmp_path / "card") as here:
        third.rename(tmp_path / "away")
        (row,) = here.take_in(1)
        path = here.path("primary", row)
        path.chmod(0o640)
        path.write_bytes(b"?" + path.read_bytes()[1:])
        assert row.sha256 is not None
        with here.house.catalogue.begin() as uow:  # as a round that read it leaves it
            uow.blobs.mark_bad(row.sha256, "primary", here.clock.now().wall, "copy-bad")
            uow.store_states.worked("third", here.clock.now().wall)  # nothing is remembered of its absence
    (tmp_path / "away").rename(third)
    with whole_home.at_work(home) as run:

        def healed() -> bool:
            with run.house.catalogue.read() as uow:
                kinds = {one.kind for one in uow.findings.open()}
                state = uow.store_states.of("third")
            return kinds - {"late"} == {"copy-repaired"} and state.failing_since is None and state.behind_objects == 0

        whole_home.until(healed, timeout_s=150)
    with station(home, tmp_path / "card") as here:
        here.seal()
        report = here.verify()
        assert (report.verdict, report.copies) == ("good", 6)
