"""Mode ``automatic`` (R10): only what a signed determination that holds names, and never what nobody may clear unseen."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from access import DeniedError
from evidence.calendar import local_date
from evidence.errors import EvidenceError, PolicyUnmetError
from matters.values import FormError
from support.assured_home import make_home
from support.clearing import CATEGORY, ClearingHome


@pytest.fixture
def here(tmp_path: Path) -> Iterator[ClearingHome]:
    made = make_home(tmp_path / "home")
    yield ClearingHome(made, mode="automatic")
    made.close()


def day(here: ClearingHome, days: int = 0) -> str:
    return (local_date(here.home.clock.now().wall) + timedelta(days=days)).isoformat()


def test_r10_the_service_clears_by_itself_what_a_determination_names(here: ClearingHome) -> None:
    rows = here.footage(2)
    [unclassified] = here.footage(classified=False)
    [other] = here.footage(classified=False)
    here.classify(other, category="elsewhere")
    here.due()
    order = here.determine(begins=day(here), ends=day(here, 364))
    here.run()
    [batch] = here.batches("notice")
    assert batch.facts["determination"] == order.id
    assert batch.approved_by is None
    here.later(days=31)
    here.run(3)
    assert all(here.cleared(row) for row in rows)
    assert not here.going(unclassified)
    assert not here.going(other)
    assert here.batch(batch.id).state == "cleared"
    with here.home.catalogue.read() as uow:
        [document] = uow.matters.documents(batch.id, role="certificate-json")
    text = here.papers.open(here.auditor, document.id)[1].read().decode()
    assert "园执〔2026〕12号" in text
    report = here.home.verify()
    assert report.verdict == "good", report.findings


@pytest.mark.parametrize("what", ["closed-case", "device-mark", "flag", "hold", "case-number"])
def test_r10_what_needs_eyes_is_left_to_persons(here: ClearingHome, what: str) -> None:
    [row] = here.footage()
    if what == "closed-case":
        case = here.case(row)
        here.dossiers.act(here.leader, case.id, "close")
    here.determine(begins=day(here), ends=day(here, 364))
    here.due()
    here.later(days=10)
    match what:
        case "device-mark":
            with here.home.catalogue.begin() as uow:
                uow.recordings.update(row.id, important=True)
        case "case-number":
            with here.home.catalogue.begin() as uow:
                uow.recordings.update(row.id, case_number="2026-17")
        case "flag":
            here.flag(row, "sensitive")
        case "hold":
            here.hold(row)
    here.recompute()
    here.run()
    assert here.batches("notice") == []
    here.later(days=60)
    here.run(2)
    assert not here.going(row)


@pytest.mark.parametrize("what", ["ended", "run-out", "mode", "case"])
def test_r10_what_ends_the_ground_ends_the_clearing(here: ClearingHome, what: str) -> None:
    [row] = here.footage()
    here.due()
    order = here.determine(begins=day(here), ends=day(here, 20 if what == "run-out" else 364))
    here.run()
    [batch] = here.batches("notice")
    match what:
        case "ended":
            here.desk.act(here.auditor, order.id, "end", {"reason": "制度修改"})
        case "mode":
            here.schedule(mode="review")
        case "case":
            case = here.case(row)
            here.dossiers.act(here.leader, case.id, "close")
    here.later(days=31 if what != "case" else 400)
    if what == "case":
        here.recompute()
    here.run(2)
    assert not here.going(row)
    assert here.in_stores(row) == ["primary", "second"]
    if what == "run-out":
        assert (
            any(kind == "determination-ends" for kind, _ in here.told.raised) or here.batch(order.id).state == "ended"
        )
    assert here.batch(batch.id).state == ("notice" if what == "mode" else "withdrawn")


def test_r10_a_determination_needs_its_signed_scan_a_second_person_and_a_year_at_most(here: ClearingHome) -> None:
    values = {
        "document_number": "1号", "signatory": "局长", "categories": [{"category": CATEGORY}], "valid_from": day(here),
        "valid_until": day(here, 365), "grounds": "无保存价值",
    }  # fmt: skip
    with pytest.raises(FormError):
        here.desk.open(here.manager, "clearing-determination", values | {"valid_until": day(here, 366)})
    with pytest.raises(FormError):
        here.desk.open(here.manager, "clearing-determination", values | {"categories": [{"category": "nosuch"}]})
    with pytest.raises(FormError):
        here.desk.open(here.manager, "clearing-determination", values | {"valid_until": day(here, -1)})
    row = here.desk.open(here.manager, "clearing-determination", values)
    with pytest.raises(PolicyUnmetError, match="signed-scan"):
        here.desk.act(here.leader, row.id, "confirm", seen=here.desk.view(here.leader, row.id).seen)
    with pytest.raises(EvidenceError):  # a text is no scan of a signed paper
        here.papers.file(here.manager, row.id, "signed-scan", "a.txt", io.BytesIO(b"not a scan"))
    here.home.grant_directly(here.manager.agent, "unit_leader")
    with pytest.raises(DeniedError, match="same-person"):
        here.desk.act(here.manager, row.id, "confirm", seen=here.desk.view(here.manager, row.id).seen)


def test_r10_a_determination_is_reminded_of_renewed_and_ends_by_itself(here: ClearingHome) -> None:
    first = here.determine(begins=day(here), ends=day(here, 40))
    here.run()
    assert not [kind for kind, _ in here.told.raised if kind == "determination-ends"]
    here.later(days=15)
    here.run()
    assert [kind for kind, _ in here.told.raised if kind == "determination-ends"]
    second = here.determine(begins=day(here), ends=day(here, 100), renews=first.id)
    assert here.batch(first.id).state == "renewed"
    here.later(days=120)
    here.run()
    assert here.batch(second.id).state == "ended"


def test_r10_what_a_person_kept_with_the_whole_batch_is_not_listed_again_the_next_day(here: ClearingHome) -> None:
    [row] = here.footage()
    here.determine(begins=day(here), ends=day(here, 364))
    here.due()
    here.run()
    [batch] = here.batches("notice")
    here.desk.act(here.leader, batch.id, "restore", {"reason": "当事人可能申诉"})
    here.later(days=8)
    here.run()
    here.later(days=70)
    here.run(3)
    assert ([one.number for one in here.batches()], here.going(row)) == ([batch.number], False)
    here.later(days=20)
    here.run()
    assert len(here.batches("notice")) == 1, "after three months it is asked again"
