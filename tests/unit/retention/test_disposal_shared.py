"""What shares the fate of bytes (duplicates, side files, documents), and where copies lie: nothing goes early or is mistold."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from assurance.clearing import RecordingBytes
from assurance.copies import KeepingParts
from assurance.inventory import DropPolicy, Inventory
from assurance.presence import AbsenceDesk
from catalogue.records import RecordingRow
from documents import Checkpoint, Table
from evidence.errors import PolicyUnmetError, StoreUnavailableError
from evidence.lock_dates import LockPolicy, lock_until
from retention.disposal_certificate import printable
from retention.disposal_checks import LIVED, Judge, not_now
from storage.stores import StoreSet
from support import footage
from support.assured_home import make_home
from support.clearing import ClearingHome
from support.recorders import gb_name


@pytest.fixture
def here(tmp_path: Path) -> Iterator[ClearingHome]:
    made = make_home(tmp_path / "home")
    yield ClearingHome(made)
    made.close()


def twins(here: ClearingHome) -> tuple[RecordingRow, RecordingRow]:
    [kept] = here.footage(classified=False)
    data = here.home.stores.primary.open(kept.sha256).read()
    [twin] = here.home.ingest({gb_name(counter=9000, extension="mp3"): data}, card="again")
    assert twin.duplicate_of == kept.id
    return kept, twin


def with_side_file(here: ClearingHome, *, mark: str = "") -> tuple[RecordingRow, RecordingRow]:
    at = here.home.clock.now().wall - timedelta(hours=2)
    name = gb_name(counter=777, stamp=f"{at:%Y%m%d%H%M%S}", mark=mark, extension="mp3")
    media = {name: footage.voice_mp3().read_bytes() + b"+", f"{name[:-3]}txt": b"words"}
    owner, side = sorted(here.home.ingest(media, card="side"), key=lambda row: row.attached_to is not None)
    return owner, side


def sound(here: ClearingHome) -> None:
    here.home.seal()
    report = here.home.verify()
    assert report.verdict == "good", report.findings


def test_r10_what_keeps_a_duplicate_keeps_its_bytes_and_is_told_of_them(here: ClearingHome) -> None:
    kept, twin = twins(here)
    here.classify(kept)
    here.due()
    here.flag(twin)
    here.recompute()
    with here.home.catalogue.read() as uow:
        found = uow.rules.date_of(kept.id)
        [facts] = uow.copy_locks.facts_of([kept.sha256]).values()
    assert (found.state, found.due_at) == ("permanent", None)
    assert any(one.endless for one in facts), "the locks of its bytes roll on"


def test_r10_a_side_file_is_kept_as_long_as_its_recording(here: ClearingHome) -> None:
    owner, side = with_side_file(here, mark="_IMP")
    assert (side.attached_to, owner.important) == (owner.id, True)
    here.classify(side)
    here.due()
    with pytest.raises(PolicyUnmetError, match="no-date"):  # nobody has judged the mark of its recording
        here.propose(side)
    here.classify(owner)
    with here.home.catalogue.begin() as uow:  # the recording itself came in a year after its side file
        uow.recordings.update(owner.id, acquired_at=owner.acquired_at + timedelta(days=365))
    here.recompute()
    with here.home.catalogue.read() as uow:
        assert uow.rules.date_of(side.id).due_at == uow.rules.date_of(owner.id).due_at > here.home.clock.now().wall
    with pytest.raises(PolicyUnmetError, match="keep"):
        here.propose(side)


def test_r10_nothing_is_begun_while_a_store_with_a_copy_is_not_configured(here: ClearingHome) -> None:
    [row] = here.footage()
    here.due()
    batch = here.approved(row)
    here.later(days=31)
    fewer = RecordingBytes(replace(here.removal, stores=StoreSet(here.home.stores.primary)))
    here.make_duty(bytes=fewer).run()
    assert not here.going(row)
    assert "second" in here.waits(batch)[row.id]["why"]
    here.run(3)
    assert here.cleared(row)
    sound(here)


def test_r10_bytes_that_a_document_needs_stay_and_are_never_called_gone(here: ClearingHome) -> None:
    """The picture of a recording was filed with a matter as a document: the recording is cleared, the document stays."""
    [row] = here.home.ingest({"PHOTO1.jpg": footage.photo_jpg()}, card="photo")
    here.classify(row)
    here.due()
    batch = here.approved(row)
    hold = here.hold(since="2020-01-01T00:00:00Z", until="2020-01-02T00:00:00Z")
    data = footage.photo_jpg().read_bytes()
    document = here.papers.file(here.legal, hold.id, "authority", "photo.jpg", io.BytesIO(data))
    here.later(days=31)
    here.run(3)
    assert here.cleared(row), here.waits(batch)
    assert here.in_stores(row) == ["primary", "second"], "the document keeps its bytes"
    assert here.papers.open(here.legal, document.id)[1].read() == data
    with here.home.catalogue.read() as uow:
        [found] = uow.matters.documents(batch.id, role="certificate-json")
    payload = json.loads(here.papers.open(here.auditor, found.id)[1].read())["payload"]
    [item] = payload["items"]
    told = printable(payload, b"{}", checkpoint=Checkpoint(origin="o", size=1, root="r"), at=here.home.clock.now().wall)
    opening, table = told.blocks[0].text, next(one for one in told.blocks if isinstance(one, Table))
    assert ("均未找到。" in opening, "仍予保留" in opening) == (False, True), "it certifies no more than was found"
    assert "原件" in table.rows[0][-1]
    assert next(one for one in item["objects"] if one["what"] == "recording")["shared_in"] == ["primary", "second"]
    asked = AbsenceDesk(here.home.catalogue, gate=here.home.gate).ask(here.auditor, row.sha256.hex)
    assert (asked.answer, asked.found[0].answer) == ("held-otherwise", "lawfully-cleared")
    assert AbsenceDesk(here.home.catalogue, gate=here.home.gate).ask(here.auditor, found.sha256.hex).answer == (
        "held-otherwise"
    ), "a document is in the log: nobody is told that it was never received"
    sound(here)


def test_promise_5_no_lock_is_moved_for_what_is_past_the_point_of_no_return(
    here: ClearingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    [row] = here.footage()
    here.due()
    here.approved(row)
    here.later(days=31)
    with monkeypatch.context() as patch:
        patch.setattr(here.bytes, "remove", lambda *_a, **_k: (_ for _ in ()).throw(StoreUnavailableError("cut")))
        here.run(2)
    assert here.going(row)
    here.recompute()
    now = here.home.clock.now().wall
    with here.home.catalogue.read() as uow:
        [facts] = uow.copy_locks.facts_of([row.sha256]).values()
    assert lock_until(facts, now, LockPolicy()).until is None


def test_r10_a_clock_that_jumps_forward_shortens_no_notice_below_seven_days(here: ClearingHome) -> None:
    """By less than a month an unsynchronised clock is believed; the service must have seen seven days of the notice go by."""
    [row] = here.footage()
    here.due()
    batch = here.approved(row)
    real = here.home.clock.now
    here.home.clock.now = lambda: replace(real(), source="unsynchronised", uncertainty_ms=-1)
    here.run()
    here.later(days=31)  # in one leap
    here.run(3)
    with here.home.catalogue.read() as uow:
        told = not_now(Judge.of(uow, here.home.clock.now()), here.batch(batch.id))
    assert ([one.code for one in told], here.batch(batch.id).state) == (["notice-not-lived"], "notice")
    for _ in range(4):
        here.later(hours=25)
        here.run(2)
    assert not here.going(row)
    for _ in range(2):
        here.later(hours=25)
        here.run(2)
    assert here.going(row)
    here.home.clock.now = real  # the stores of this home saw no time go by either
    here.run(2)
    assert here.cleared(row), here.waits(batch)
    with here.home.catalogue.read() as uow:
        assert uow.settings.get(LIVED + batch.id) is None
    sound(here)


def test_r10_what_leaves_a_store_long_after_the_point_of_no_return_is_no_loss_to_its_inventory(
    here: ClearingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store was away for days in the middle of a clearing: nobody is told that it lost objects, and no brake is pulled."""
    home = here.home
    rows = here.footage(4)
    here.due()
    here.approved(*rows)
    here.later(days=31)
    parts = KeepingParts(
        catalogue=home.catalogue, recorder=home.recorder, clock=home.clock, stores=list(home.stores.all)
    )
    inventory = Inventory(parts, brake=here.brake, policy=DropPolicy(objects=2))
    inventory.tick()

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("its disk is not there")

    with monkeypatch.context() as patch:
        patch.setattr(home.stores.named("second"), "delete", away)
        here.run(2)
        for _ in range(2):
            here.later(hours=25)
            assert [row.outcome for row in inventory.tick()] == ["good", "good"]
    here.run(2)
    assert all(here.cleared(row) for row in rows)
    here.later(hours=25)
    assert [row.outcome for row in inventory.tick()] == ["good", "good"]
    sound(here)


def test_r11_a_flag_on_a_recording_and_the_clearing_of_its_side_file_that_meet_never_both_win(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_home(tmp_path / "home", database=postgres_url)
    here = ClearingHome(made)
    owner, side = with_side_file(here)
    here.classify(owner)
    here.due()
    here.approved(side)
    here.later(days=31)
    inside, go_on, order = threading.Event(), threading.Event(), []
    real = here.bytes.require_allowed

    def slowly(*given: Any, **named: Any) -> None:
        inside.set()
        go_on.wait(20)
        order.append("clearing")
        real(*given, **named)

    def flag() -> None:
        here.flag(owner)
        order.append("flag")

    monkeypatch.setattr(here.bytes, "require_allowed", slowly)
    clearing, flagging = threading.Thread(target=here.run), threading.Thread(target=flag)
    clearing.start()
    assert inside.wait(20)
    flagging.start()
    flagging.join(1)
    go_on.set()
    for one in (clearing, flagging):
        one.join(30)
    assert order == ["clearing", "flag"], "the flag waits: what was decided without it was decided before it"
    made.close()
