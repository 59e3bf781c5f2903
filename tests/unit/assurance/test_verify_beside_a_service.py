"""A verification may take hours while the service works: what is added meanwhile is no finding, and nothing old is missed."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from assurance import CopyPolicy, Verdict, verify_home
from chain_of_custody.folder import LogFolder
from evidence.ports import BlobStore
from storage.layout import blob_key
from support.assured_home import AssuredHome
from support.recorders import gb_name

TWIN = os.urandom(3000)
FIRST = {f"DCIM/{gb_name(counter=1)}": b"a" * 5000, f"DCIM/{gb_name(counter=2)}": TWIN}


class Service:
    """Does everything a service does, once at each moment it is called for."""

    def __init__(self, home: AssuredHome) -> None:
        self._home = home
        self._turn = 10

    def work(self, *, seal: bool = True) -> None:
        self._turn += 1
        home, turn = self._home, self._turn
        unit = home.administration.create_unit(home.administrator, name=f"{turn} 科")
        person = home.agent(f"新人 {turn}", "officer", unit=unit.id, code=f"9{turn:05d}")
        other = home.administration.create_unit(home.administrator, name=f"{turn} 所")
        home.administration.transfer(home.administrator, agent=person.agent, unit=other.id)
        media = {
            f"DCIM/{gb_name(counter=10 * turn)}": os.urandom(2000 + turn),
            f"DCIM/{gb_name(counter=10 * turn + 1, mark='_IMP')}": TWIN,
        }
        home.ingest(media, card=f"card-{turn}")
        if not seal:
            home.administration.create_unit(home.administrator, name=f"{turn} 队")


def verified(home: AssuredHome, *, progress=None, published=None, stores=None):
    return verify_home(
        home.catalogue, stores=stores or home.stores, published=published or home.published, vkey=home.vkey,
        clock=home.clock, policy=CopyPolicy(copies=2, domains=1), progress=progress,
    )  # fmt: skip


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "waiting"])
@pytest.mark.parametrize("step", ["log", "copies", "catalogue"])
def test_what_is_added_at_any_step_is_no_finding(home: AssuredHome, step: str, *, sealed: bool) -> None:
    home.ingest(FIRST)
    service, seen = Service(home), []

    def progress(at: str, _done: int, _total: int) -> None:
        if at == step and not seen:
            seen.append(at)
            service.work(seal=sealed)

    report = verified(home, progress=progress)
    assert seen, "the service never worked"
    assert (report.findings, report.verdict) == ((), Verdict.GOOD)
    assert verified(home).verdict is Verdict.GOOD


class BusyFolder(LogFolder):
    """A published directory into which the sealer publishes between two looks."""

    def __init__(self, home: AssuredHome, position: int, before_checkpoint: Callable[[], None]) -> None:
        super().__init__(home.published[position])
        self._before_checkpoint = before_checkpoint

    def read(self, path: str, *, limit_bytes: int) -> bytes:
        if path == "checkpoint":
            self._before_checkpoint()
        return super().read(path, limit_bytes=limit_bytes)


def test_a_log_that_grows_while_its_directories_are_walked_is_not_rolled_back(home: AssuredHome) -> None:
    home.ingest(FIRST)
    service = Service(home)
    published = [BusyFolder(home, position, service.work) for position in (0, 1)]
    report = verified(home, published=published)
    assert (report.findings, report.verdict) == ((), Verdict.GOOD)


def test_bytes_of_a_recording_that_was_stored_while_the_store_was_listed_are_no_orphan(home: AssuredHome) -> None:
    home.ingest(FIRST)
    service = Service(home)

    class Listed:
        """The second store, whose list is asked for after the service has worked."""

        def __init__(self, inner: BlobStore) -> None:
            self._inner = inner

        def __getattr__(self, name: str):
            return getattr(self._inner, name)

        def list(self):
            service.work()
            return self._inner.list()

    stores = [home.stores.primary, Listed(home.stores.others[0])]
    assert verified(home, stores=stores).findings == ()


def test_what_is_tampered_with_while_the_service_works_is_still_found(home: AssuredHome) -> None:
    rows = home.ingest(FIRST)
    service, seen = Service(home), []

    def progress(at: str, _done: int, _total: int) -> None:
        if at == "catalogue" and not seen:
            seen.append(at)
            service.work()

    with home.catalogue.engine.begin() as connection:  # a second SQLite library would drop this one's locks
        connection.exec_driver_sql("UPDATE recordings SET officer_code = '1' WHERE id = ?", (rows[1].id,))
    (home.root / "stores/second" / blob_key(rows[0].sha256)).unlink()
    report = verified(home, progress=progress)
    assert {(one.kind, one.recording) for one in report.findings} >= {
        ("catalogue-differs", rows[1].id), ("copy-missing", rows[0].id),
    }  # fmt: skip
