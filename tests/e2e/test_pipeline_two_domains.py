"""Clearing recorders with two real failure domains: this machine's disk and a bucket behind a cable that a test can cut."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.home import Home
from app.wiring import House
from assurance.facts import evidence_facts
from assurance.rebuild import rebuild
from catalogue import Catalogue
from chain_of_custody.fsck import verify_published
from evidence.errors import LogRollbackError, StoreUnavailableError
from evidence.model import ClearingMode, RecordingState
from ingest.release import ClearResult
from ingest.session import OffloadService
from support import seaweed, whole_home
from support.footage import clips
from support.recorders import Cable, MtpRecorder, gb_name, make_gb_tree

pytestmark = pytest.mark.e2e
NAMES = [gb_name(counter=number) for number in (1, 2, 3)]


@dataclass
class Docked:
    """A recorder in the dock: its files as they lie on it, and the settings with which a station sees it."""

    card: Path
    docks: dict[str, object]

    def files(self) -> list[str]:
        return sorted(path.name for path in self.card.rglob("*.mp4"))


def card_with_footage(root: Path, *, device: str = "7654321") -> Path:
    names = [gb_name(counter=number, device=device) for number in (1, 2, 3)]
    clip = clips(root.with_name(f"{root.name}-clips"))
    return make_gb_tree(root, {f"DCIM/{name}": next(clip) for name in names})


@contextlib.contextmanager
def mass_storage(root: Path) -> Iterator[Docked]:
    card_with_footage(root)
    (root / "sn.txt").write_text("7654321")
    yield Docked(root, {"folders": [str(root)]})


@contextlib.contextmanager
def mtp(root: Path) -> Iterator[Docked]:
    with MtpRecorder(card_with_footage(root)) as recorder:
        yield Docked(root, {"usb_over_ip": [f"127.0.0.1:{recorder.address[1]}"]})


DockIt = Callable[[Path], AbstractContextManager[Docked]]
RECORDERS = pytest.mark.parametrize("dock_it", [mass_storage, mtp], ids=["mass storage", "MTP"])


@pytest.fixture
def far(tmp_path: Path) -> Iterator[tuple[Cable, dict[str, object]]]:
    """The way to the other building, and the settings of the store there."""
    server = seaweed.shared()
    target = urlsplit(server.http)
    cable = Cable((str(target.hostname), int(target.port or 0)))
    endpoint = f"http://127.0.0.1:{cable.address[1]}"
    yield cable, whole_home.bucket(server, tmp_path / "keys", endpoint=endpoint)
    cable.close()


def make(tmp_path: Path, store: dict[str, object], docks: dict[str, object], **storage: object) -> Home:
    text = whole_home.config(
        stores=[whole_home.local("primary", "stores/primary"), store], docks={"clearing": "automatic", **docks},
        storage=storage,
    )  # fmt: skip
    return whole_home.make(tmp_path / "home", text)


def offload(house: House, service: OffloadService) -> None:
    result = service.offload(whole_home.only_docked(house), whole_home.administrator(house), register=True)
    assert result.error is None
    for recording in result.acquired:
        service.secure(recording)


def clear(house: House, service: OffloadService, mode: ClearingMode = ClearingMode.MANUAL) -> ClearResult:
    return service.clear_recorder(whole_home.only_docked(house), whole_home.administrator(house), mode=mode)


def reasons(result: ClearResult) -> list[str]:
    return sorted(error.code for error in result.kept.values())


def entries(house: House, event_type: str) -> int:
    with house.catalogue.read() as uow:
        return sum(line.event_type == event_type for row in whole_home.rows(house) for line in uow.timeline(row.id))


@RECORDERS
def test_footage_leaves_a_recorder_only_when_both_domains_hold_and_prove_it(
    tmp_path: Path, far: tuple[Cable, dict[str, object]], dock_it: DockIt
) -> None:
    cable, store = far
    with dock_it(tmp_path / "card") as recorder:
        home = make(tmp_path, store, recorder.docks)
        with whole_home.at_rest(home) as (house, service):
            assert len(house.stores.all_domains()) == 2
            offload(house, service)
            # Not sealed: the entry is nowhere published.
            assert reasons(clear(house, service)) == ["policy-unmet"] * 3
            # The other building is away while sealing: published here alone, hence not sealed.
            cable.cut()
            with pytest.raises(StoreUnavailableError, match="lags"):
                house.sealer.seal_once()
            assert not any(row.sealed for row in whole_home.rows(house))
            assert reasons(clear(house, service)) == ["policy-unmet"] * 3
            cable.plug()
            whole_home.seal(house)
            assert all(row.sealed for row in whole_home.rows(house))
            # Sealed, but right now only one domain answers.
            cable.cut()
            assert reasons(clear(house, service)) == ["policy-unmet"] * 3
            assert recorder.files() == NAMES
            cable.plug()
            # Somebody changed a file on the recorder since: same name, size and time, other bytes.
            changed = recorder.card / "DCIM" / NAMES[1]
            before = changed.stat()
            changed.write_bytes(os.urandom(before.st_size))
            os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
            result = clear(house, service)
            assert (len(result.released), reasons(result)) == (2, ["source-changed"])
            assert recorder.files() == [NAMES[1]]
            assert (entries(house, "recording.released"), entries(house, "recording.release-refused")) == (2, 1)
            with house.catalogue.read() as uow:
                assert [finding.kind for finding in uow.findings.open()] == ["source-changed"]
            again = service.offload(whole_home.only_docked(house), whole_home.administrator(house))
            assert (again.acquired, again.error) == ([], None)
            whole_home.seal(house)
            report = whole_home.verify(house)
            assert (report.verdict, report.findings, report.recordings) == ("good", (), 3)
            for place in house.published:
                walked = verify_published(place, house.vkey)
                assert (walked.findings, walked.entries) == ([], report.entries)


@RECORDERS
def test_one_domain_suffices_only_where_a_setting_says_so(
    tmp_path: Path, far: tuple[Cable, dict[str, object]], dock_it: DockIt
) -> None:
    cable, store = far
    with dock_it(tmp_path / "card") as recorder:
        home = make(tmp_path, store, recorder.docks)
        with whole_home.at_rest(home) as (house, service):
            offload(house, service)
            whole_home.seal(house)
            cable.cut()
            assert reasons(clear(house, service)) == ["policy-unmet"] * 3
        cable.plug()
        text = home.config.read_text("utf-8")
        home.config.write_text(text.replace("[storage]\n", "[storage]\nsingle_domain = true\n"), "utf-8")
        with whole_home.at_rest(home) as (house, service):
            cable.cut()
            # One domain is allowed, but two copies are configured and only one can be read back now.
            assert reasons(clear(house, service)) == ["policy-unmet"] * 3
        cable.plug()
        home.config.write_text(text.replace("[storage]\n", "[storage]\nsingle_domain = true\ncopies = 1\n"), "utf-8")
        with whole_home.at_rest(home) as (house, service):
            cable.cut()
            result = clear(house, service)
            assert (len(result.released), result.kept, recorder.files()) == (3, {}, [])
            cable.plug()
            whole_home.seal(house)
            assert whole_home.verify(house).verdict == "good"


def test_docked_recorders_are_cleared_by_themselves_and_bring_nothing_twice(
    tmp_path: Path, far: tuple[Cable, dict[str, object]]
) -> None:
    _cable, store = far
    one = card_with_footage(tmp_path / "card")
    (one / "sn.txt").write_text("7654321")
    two = card_with_footage(tmp_path / "mtp", device="7654322")
    with MtpRecorder(two, serial="7654322") as recorder:
        docks = {"folders": [str(one)], "usb_over_ip": [f"127.0.0.1:{recorder.address[1]}"]}
        home = make(tmp_path, store, docks)
        with whole_home.at_rest(home) as (house, service):
            for docked in house.registry.scan():
                service.register_device(docked, whole_home.administrator(house))
        left = [path for card in (one, two) for path in card.rglob("*.mp4")]
        assert len(left) == 6
        with whole_home.at_work(home, docks=True) as run:
            # Until the cards are empty; the last commits follow the last removal.
            whole_home.until(lambda: not any(path.exists() for path in left), timeout_s=90)
            states = lambda: {row.state for row in whole_home.rows(run.house)}  # noqa: E731
            whole_home.until(lambda: states() == {RecordingState.RELEASED})
            whole_home.until(whole_home.all_done(run.house, 6))
        with whole_home.at_rest(home) as (house, service):
            for docked in house.registry.scan():
                again = service.offload(docked, whole_home.administrator(house))
                assert (again.recordings, again.error) == ([], None)
            whole_home.seal(house)
            report = whole_home.verify(house)
            assert (report.verdict, report.findings, report.recordings) == ("good", (), 6)
            assert entries(house, "recording.released") == 6
            # What the other building holds tells the same story, names from the local archive.
            house.archive.sync(house.catalogue)
            again = Catalogue.open(f"sqlite:///{tmp_path}/again.db", migrate=True)
            rebuild(
                again, published=house.published[-1], vkey=house.vkey, stores=[house.stores.named("bucket")],
                disclosures=house.archive.read_all(house.stores.primary.root),
            )  # fmt: skip
            assert evidence_facts(again) == evidence_facts(house.catalogue)
            again.close()
    report = whole_home.liuhen("verify", "--home", home.root)
    assert (report["verdict"], report["findings"]) == ("good", [])
    weak = ['storage.protect = "mode-only"', 'docks.clearing = "automatic"']  # what this home's settings give up
    assert report["notes"] == [
        {"kind": "weakened-setting", "recording": "", "store": "", "detail": one} for one in weak
    ]


def test_a_log_set_back_in_the_bucket_proves_nothing_and_is_told(
    tmp_path: Path, far: tuple[Cable, dict[str, object]]
) -> None:
    """Somebody with rights on the bucket puts an old checkpoint over the present one."""
    _cable, store = far
    with mass_storage(tmp_path / "card") as recorder:
        home = make(tmp_path, store, recorder.docks)
        with whole_home.at_rest(home) as (house, service):
            place = house.published[-1]
            old = place.read("checkpoint", limit_bytes=100_000)
            offload(house, service)
            whole_home.seal(house)
            present = place.read("checkpoint", limit_bytes=100_000)
            place.publish("checkpoint", old)
            assert reasons(clear(house, service)) == ["policy-unmet"] * 3
            assert [finding.kind for finding in whole_home.verify(house).findings] == ["log-replicas-differ"]
            place.publish("checkpoint", present)
            assert len(clear(house, service).released) == 3


def test_a_database_restored_from_a_backup_is_refused_by_the_bucket_alone(
    tmp_path: Path, far: tuple[Cable, dict[str, object]]
) -> None:
    """The machine burnt down; its old backup comes back without knowing what was published since."""
    import shutil

    _cable, store = far
    with mass_storage(tmp_path / "card") as recorder:
        home = make(tmp_path, store, recorder.docks)
        shutil.copytree(home.root, tmp_path / "backup")
        with whole_home.at_rest(home) as (house, service):
            offload(house, service)
            whole_home.seal(house)
        shutil.rmtree(home.root)
        (tmp_path / "backup").rename(home.root)
        with pytest.raises(LogRollbackError, match="bucket:log"), whole_home.at_rest(home):
            pass
