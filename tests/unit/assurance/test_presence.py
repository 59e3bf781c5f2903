"""What became of a recording: per recording, with proof, and only for who may know."""

from __future__ import annotations

from pathlib import Path

import pytest

from assurance.brake import Brake
from assurance.presence import Answer, answers
from assurance.removal import Outcome, RemovalParts, Remover
from catalogue.references import BytesGoError
from devices.mass_storage.driver import MassStorageDriver
from evidence.errors import AccessDeniedError, StoreUnavailableError
from evidence.model import RecordingState
from ingest.store import ensure_stored
from people.roles import AUDITOR, OFFICER
from support.assured_home import AssuredHome
from support.footage import clips
from support.recorders import gb_name, make_gb_tree


@pytest.fixture
def told(home: AssuredHome, tmp_path: Path):
    clip = next(clips(tmp_path / "clips"))
    names = [gb_name(counter=1), gb_name(counter=2)]
    home.ingest({f"DCIM/{name}": clip for name in names})
    with home.catalogue.read() as uow:
        rows = [uow.recordings.get(identity) for identity in uow.recordings.all_ids()]
    kept = next(row for row in rows if row.duplicate_of is None)
    twin = next(row for row in rows if row.duplicate_of is not None)
    return kept, twin


def remover(home: AssuredHome) -> Remover:
    brake = Brake(home.catalogue, recorder=home.recorder, clock=home.clock)
    return Remover(
        RemovalParts(
            catalogue=home.catalogue,
            recorder=home.recorder,
            stores=home.stores,
            clock=home.clock,
            brake=brake,
            guards=(),
        )
    )


def let_go(home: AssuredHome, kept, twin) -> None:
    """Past the first locks of the copies."""
    home.clock.unix_ms += 400 * 86_400_000
    with home.catalogue.begin() as uow:
        uow.clock_marks.set_to(home.clock.now().wall)
    done = remover(home).release(
        kept.sha256, f"recording:{kept.id}", reason="disposed", together=[f"recording:{twin.id}"]
    )
    assert done.outcome is Outcome.REMOVED


def test_held_and_duplicate_and_never_received(home: AssuredHome, told) -> None:
    kept, twin = told
    auditor = home.agent("审计", AUDITOR)
    (found,) = answers(home.catalogue, home.gate, auditor, kept.id)
    assert (found.answer, [proof.event_type for proof in found.proofs]) == (Answer.HELD, ["recording.stored"])
    assert found.proofs[0].index is not None
    by_digest = {one.recording: one for one in answers(home.catalogue, home.gate, auditor, kept.sha256.hex)}
    assert by_digest[twin.id].answer is Answer.DUPLICATE
    assert (by_digest[twin.id].of, by_digest[twin.id].of_answer) == (kept.id, Answer.HELD)
    assert {one.recording for one in answers(home.catalogue, home.gate, auditor, twin.name)} >= {twin.id}
    assert answers(home.catalogue, home.gate, auditor, "0" * 64) == []
    assert answers(home.catalogue, home.gate, auditor, "nobody.mp4") == []


def test_what_was_cleared_is_told_with_the_entry_and_verify_stays_good(home: AssuredHome, told) -> None:
    kept, twin = told
    let_go(home, kept, twin)
    home.seal()
    auditor = home.agent("审计", AUDITOR)
    (found,) = answers(home.catalogue, home.gate, auditor, kept.id)
    assert found.answer is Answer.CLEARED
    assert found.proofs[-1].event_type == "bytes.released"
    (other,) = answers(home.catalogue, home.gate, auditor, twin.id)
    assert other.of_answer is Answer.CLEARED
    home.seal()
    report = home.verify(copies=2, domains=1)
    assert report.exit_code == 0, report.findings


def test_the_same_bytes_that_come_again_after_the_removal_are_stored_anew(home: AssuredHome, told) -> None:
    kept, twin = told
    with home.stores.primary.open(kept.sha256) as stream:
        data = stream.read()
    let_go(home, kept, twin)
    rows = home.ingest({f"DCIM/{gb_name(counter=9)}": data}, card="another-card")
    assert [row.state.value for row in rows] == ["stored"]
    auditor = home.agent("审计", AUDITOR)
    found = {one.recording: one.answer for one in answers(home.catalogue, home.gate, auditor, rows[0].sha256.hex)}
    assert found[rows[0].id] is Answer.HELD
    assert found[kept.id] is Answer.CLEARED
    home.seal()
    assert home.verify(copies=2, domains=1).exit_code == 0


def test_the_same_bytes_that_come_while_they_are_removed_wait_and_are_then_stored_anew(
    home: AssuredHome, told, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, twin = told
    with home.stores.primary.open(kept.sha256) as stream:
        data = stream.read()
    home.clock.unix_ms += 400 * 86_400_000
    with home.catalogue.begin() as uow:
        uow.clock_marks.set_to(home.clock.now().wall)
    removing = remover(home)

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("its disk is not there")

    with monkeypatch.context() as patch:
        patch.setattr(home.stores.named("second"), "delete", away)
        done = removing.release(
            kept.sha256, f"recording:{kept.id}", reason="disposed", together=[f"recording:{twin.id}"]
        )
    assert done.outcome is Outcome.REMOVING
    assert home.verify(copies=2, domains=1).exit_code == 0  # told as a note, no loss
    card = make_gb_tree(home.root / "third-card", {f"DCIM/{gb_name(counter=9)}": data})
    (arrived,) = home.intake.offload(MassStorageDriver.docked_at(card), home.service, register=True).acquired
    with pytest.raises(BytesGoError):
        ensure_stored(home.intake.parts, arrived)
    with home.catalogue.read() as uow:
        assert uow.recordings.get(arrived).state is RecordingState.ACQUIRED
    assert removing.go_on() == 1
    assert ensure_stored(home.intake.parts, arrived).state is RecordingState.STORED
    home.seal()
    assert home.verify(copies=2, domains=1).exit_code == 0


def test_who_may_not_know_everything_is_refused_alike_whether_there_is_something_or_not(
    home: AssuredHome, told
) -> None:
    kept, _ = told
    officer = home.agent("执法人员", OFFICER, code="X0000001")
    refusals = []
    for wanted in (kept.id, kept.name, kept.sha256.hex, "0" * 64, "nobody.mp4"):
        with pytest.raises(AccessDeniedError) as caught:
            answers(home.catalogue, home.gate, officer, wanted)
        refusals.append(str(caught.value))
    assert len(set(refusals)) == 1
    assert len(home.entries("access.denied")) == 5


def test_promise_7_what_no_copy_proves_is_not_told_as_held(home: AssuredHome, told) -> None:
    kept, _ = told
    auditor = home.agent("审计", AUDITOR)
    with home.catalogue.begin() as uow:
        for store in ("primary", "second"):
            uow.blobs.mark_bad(kept.sha256, store, home.clock.now().wall, "copy-missing")
    assert answers(home.catalogue, home.gate, auditor, kept.id)[0].answer is Answer.UNKNOWN
    with home.catalogue.begin() as uow:
        uow.references.drop_blob(kept.sha256)
    assert answers(home.catalogue, home.gate, auditor, kept.id)[0].answer is Answer.UNKNOWN
