"""Documents of matters: kept like recordings, read by whoever sees the matter, refused when they are not what they say."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from access import DeniedError
from assurance import DisclosureArchive, evidence_facts, rebuild
from assurance.brake import Brake
from assurance.catch_up import CatchUp
from assurance.copies import KeepingParts
from assurance.disclosures import generate_key
from assurance.fixity import FixityPolicy, Scrub
from assurance.removal import RemovalParts, Remover
from assurance.repair import Mended, repair_blob
from assurance.strays import StrayParts, Strays
from catalogue import Catalogue
from evidence.digest import sha256_of
from evidence.errors import (
    IntegrityError,
    InvalidInputError,
    LimitExceededError,
    NotFoundError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from evidence.model import Action
from matters import papers as papers_module
from matters.form import Act, Form, State, plain_number
from support.assured_home import AssuredHome, make_home

PDF = b"%PDF-1.7\n" + os.urandom(6000).hex().encode() + b"\n%%EOF\n"
FORM = Form(
    kind="thing", word="Thing", words="Things", number=plain_number("T"), see=Action.CASE_SEE,
    states=(State(code="open", word="Open"), State(code="closed", word="Closed", final=True)),
    persons={"keeper": "Keeper"},
    opening=Act(name="open", word="Open", after="open", action=Action.CASE_EDIT, role="keeper"),
    acts=(
        Act(name="edit", word="Edit", before=("open",), action=Action.CASE_EDIT),
        Act(name="close", word="Close", before=("open",), after="closed", action=Action.CASE_CLOSE),
    ),
    documents={"decision": "Decision", "fixation-scan": "Signed scan", "letter": "Letter"},
    papers_seen_by={"letter": ("keeper",)},
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Iterator[AssuredHome]:
    made = make_home(tmp_path / "home", more_stores=("third",))
    yield made
    made.close()


@pytest.fixture
def unit(home: AssuredHome):
    return home.administration.create_unit(home.administrator, name="执法一科").id


@pytest.fixture
def leader(home: AssuredHome, unit):
    return home.agent("负责人", "unit_leader", unit=unit)


@pytest.fixture
def opened(home: AssuredHome, leader):
    return home.desk(FORM).open(leader, "thing", {})


def file(home: AssuredHome, actor, matter, data: bytes = PDF, role: str = "decision", name: str = "决定书.pdf"):
    return home.papers(FORM).file(actor, matter.id, role, name, io.BytesIO(data))


def test_r13_a_document_is_written_once_read_back_and_its_entry_names_every_copy(home, leader, opened) -> None:
    row = file(home, leader, opened, name="..\\文书\\决定书.pdf")
    assert (row.name, row.media_type, row.size_bytes) == ("决定书.pdf", "application/pdf", len(PDF))
    [entry] = home.entries("document.filed")
    assert {copy["store"] for copy in entry["copies"]} == {"primary", "second", "third"}
    assert all(copy["read_back_at"] for copy in entry["copies"])
    assert file(home, leader, opened).id == row.id, "the same again is the same"
    assert len(home.entries("document.filed")) == 1
    found, stream = home.papers(FORM).open(leader, row.id)
    with stream:
        assert stream.read() == PDF
    assert found == row
    assert home.entries("access.allowed")[-1]["action"] == Action.CASE_SEE
    published = b"".join(path.read_bytes() for path in home.published[0].rglob("*") if path.is_file())
    assert "决定书".encode() not in published
    assert home.verify(copies=3).findings == ()
    assert list((home.root / "cache").iterdir()) == []


@pytest.mark.parametrize(
    ("role", "data", "refusal"),
    [
        ("decision", b"", InvalidInputError),
        ("decision", b"MZ\x90\x00 a program called decision.pdf", InvalidInputError),
        ("decision", PDF[:3000], InvalidInputError),
        ("fixation-scan", b"typed words, no scan", InvalidInputError),
        ("nosuch", PDF, InvalidInputError),
    ],
)
def test_what_is_not_what_it_says_is_refused_and_nothing_is_kept(home, leader, opened, role, data, refusal) -> None:
    with pytest.raises(refusal):
        file(home, leader, opened, data, role)
    assert home.entries("document.filed") == []
    assert [one.kind for one in home.verify().findings] == []


def test_a_document_that_is_too_large_is_refused_while_it_comes_in(home, leader, opened, monkeypatch) -> None:
    monkeypatch.setattr(papers_module, "DOCUMENT_BYTES_MAX", 1 << 20)
    with pytest.raises(LimitExceededError):
        file(home, leader, opened, PDF + b" " * (1 << 20))
    assert list((home.root / "cache").iterdir()) == []


def test_who_has_nothing_to_do_with_a_matter_files_and_reads_nothing(home, leader, opened) -> None:
    elsewhere = home.administration.create_unit(home.administrator, name="执法二科").id
    stranger = home.agent("乙", "unit_leader", unit=elsewhere)
    auditor = home.agent("丙", "auditor")
    with pytest.raises(DeniedError):
        file(home, stranger, opened)
    with pytest.raises(DeniedError, match="nothing-to-do"):
        file(home, auditor, opened)
    row = file(home, leader, opened)
    with pytest.raises(DeniedError):
        home.papers(FORM).open(stranger, row.id)
    found, stream = home.papers(FORM).open(auditor, row.id)
    stream.close()
    assert found.id == row.id


def test_r23_a_confidential_document_is_neither_listed_named_nor_given(home, leader, unit, opened) -> None:
    other = home.agent("另一", "unit_leader", unit=unit)
    row = file(home, leader, opened, role="letter", name="投诉人信件.pdf")
    desk = home.desk(FORM)
    assert desk.view(other, opened.id).documents == []
    assert "投诉人" not in str(desk.history(other, opened.id))
    with pytest.raises(NotFoundError):
        home.papers(FORM).open(other, row.id)
    assert "投诉人" in str(desk.history(leader, opened.id))


def test_a_store_that_is_away_catches_up_and_verify_knows_the_later_copy(
    home, leader, opened, monkeypatch, tmp_path
) -> None:
    third = home.stores.named("third")

    def away(*_args: object, **_kwargs: object) -> None:
        raise StoreUnavailableError("injected")

    with monkeypatch.context() as patch:
        patch.setattr(third, "exists", away)
        row = file(home, leader, opened)
    assert {copy["store"] for copy in home.entries("document.filed")[0]["copies"]} == {"primary", "second"}
    keeping = KeepingParts(catalogue=home.catalogue, recorder=home.recorder, clock=home.clock, stores=home.stores.all)
    made = 0
    for _ in range(5):
        made += CatchUp(keeping, hint=lambda _sha256: None).run()
    assert third.exists(row.sha256)
    assert made == 1
    [entry] = home.entries("copy.made")
    assert (entry["recording"], entry["blob_sha256"]) == ("", row.sha256.hex)
    assert home.verify(copies=3).findings == ()
    # A copy that rots is mended like one of a recording, and what was said of it is over.
    path = next((home.root / "stores/third").rglob(row.sha256.hex))
    path.chmod(0o640)
    path.write_bytes(b"x" * row.size_bytes)
    assert home.verify(copies=3).verdict == "tampered"
    assert repair_blob(keeping, row.sha256).outcome is Mended.REPAIRED
    with home.catalogue.read() as uow:
        assert uow.findings.open_one("copy-bad", store="third") is None
    home.seal()
    assert home.verify(copies=3).findings == ()
    archive = DisclosureArchive(generate_key(tmp_path / "key"), [home.root / "stores/second"])
    archive.sync(home.catalogue)
    empty = Catalogue.open(f"sqlite:///{tmp_path}/rebuilt.db", migrate=True)
    rebuild(
        empty, published=home.published[0], vkey=home.vkey, disclosures=archive.read_all(home.root / "stores/second"),
        stores=home.stores,
    )  # fmt: skip
    assert evidence_facts(empty) == evidence_facts(home.catalogue)
    empty.close()


def test_too_few_stores_or_a_full_disk_file_nothing(home, leader, opened, monkeypatch) -> None:
    def away(*_args: object, **_kwargs: object) -> None:
        raise StoreUnavailableError("injected")

    with monkeypatch.context() as patch:
        for name in ("second", "third"):
            patch.setattr(home.stores.named(name), "put", away)
        with pytest.raises(StoreError, match="only 1 stores"):
            file(home, leader, opened)

    def full(_fd: int, _data: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(StoreFullError):
            file(home, leader, opened)
    assert home.entries("document.filed") == []
    assert [one.kind for one in home.verify().findings] == ["orphan-blob"]
    assert file(home, leader, opened).size_bytes == len(PDF), "the bytes that lay there are read back and used"
    assert home.verify(copies=3).findings == ()


def test_a_crash_before_the_entry_leaves_bytes_that_the_next_filing_takes(home, leader, opened, monkeypatch) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise IntegrityError("injected")

    with monkeypatch.context() as patch:
        patch.setattr(home.recorder, "record", fail)
        with pytest.raises(IntegrityError):
            file(home, leader, opened)
    assert {one.kind for one in home.verify().findings} == {"orphan-blob"}
    row = file(home, leader, opened)
    with home.catalogue.read() as uow:
        assert uow.references.needed_by_rows(row.sha256)
        assert uow.blobs.get(row.sha256).holders == (f"document:{row.id}",)
    assert home.verify(copies=3).findings == ()


def test_a_document_whose_bytes_or_row_vanish_is_told(home, leader, opened) -> None:
    row = file(home, leader, opened)
    home.seal()
    with home.catalogue.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM blob_holders WHERE holder LIKE 'document:%'")
    found = home.verify().findings
    assert any(one.kind == "blob-unrecorded" and row.id in one.detail for one in found)
    with home.catalogue.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM matter_documents")
    assert any("documents (dropped" in one.detail for one in home.verify().findings)


def test_two_who_file_the_same_at_once_file_one_document(tmp_path: Path, database_url: str) -> None:
    home = make_home(tmp_path / "twice", database=database_url)
    unit = home.administration.create_unit(home.administrator, name="执法一科").id
    leader = home.agent("负责人", "unit_leader", unit=unit)
    matter = home.desk(FORM).open(leader, "thing", {})
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda _number: file(home, leader, matter), range(4)))
    assert len({row.id for row in rows}) == 1
    assert len(home.entries("document.filed")) == 1
    assert home.verify().findings == ()
    home.close()


def test_the_scrub_reads_documents_and_a_copy_that_rots_is_made_again(home, leader, opened) -> None:
    row = file(home, leader, opened)
    keeping = KeepingParts(
        catalogue=home.catalogue, recorder=home.recorder, clock=home.clock, stores=list(home.stores)
    )  # fmt: skip
    path = next((home.root / "stores/second").rglob(row.sha256.hex))
    path.chmod(0o640)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    path.chmod(0o440)
    home.clock.unix_ms += _days(1)
    scrub = Scrub(keeping, FixityPolicy(), load=lambda: 0.0)
    assert scrub.current() is not None
    home.clock.unix_ms += _days(30)
    done = scrub.tick()
    assert (done.good, sum(done.bad.values())) == (2, 1)
    outcomes = {(one["store"], one["outcome"]) for one in home.entries("fixity.checked") if one["round"] == 1}
    assert ("primary", "document-good") in outcomes
    assert any(store == "second" and outcome.startswith("document-") for store, outcome in outcomes)
    repair_blob(keeping, row.sha256)
    home.seal()
    assert home.verify(copies=3).findings == ()


def test_what_a_crash_left_goes_after_a_long_time_and_a_filed_document_never(home, leader, opened, monkeypatch) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise IntegrityError("injected")

    other = PDF.replace(b"%PDF-1.7", b"%PDF-1.6")
    with monkeypatch.context() as patch:
        patch.setattr(home.recorder, "record", fail)
        with pytest.raises(IntegrityError):
            file(home, leader, opened, other)
    row = file(home, leader, opened)
    brake = Brake(home.catalogue, recorder=home.recorder, clock=home.clock)
    remover = Remover(
        RemovalParts(
            catalogue=home.catalogue, recorder=home.recorder, stores=home.stores, clock=home.clock, brake=brake
        )
    )
    strays = Strays(StrayParts(catalogue=home.catalogue, stores=home.stores, clock=home.clock, remover=remover))
    gone = 0
    for _ in range(8):
        home.clock.unix_ms += _days(30)
        gone += strays.run()
        remover.go_on()
    assert not any(store.exists(sha256_of(other)) for store in home.stores)
    assert all(store.exists(row.sha256) for store in home.stores)
    home.seal()
    assert home.verify(copies=3).findings == ()


def _days(count: int) -> int:
    return count * 86_400_000
