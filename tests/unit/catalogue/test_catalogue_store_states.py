"""How stores do, and what each of them lacks, on both databases."""

from __future__ import annotations

from datetime import timedelta

from catalogue import Catalogue
from catalogue.records import FindingRow
from catalogue.store_states import FIRST_WAIT, LONGEST_WAIT, StoreStateRow
from evidence.clock import unix_ms
from evidence.digest import Digest
from evidence.ids import FindingId, RecordingId
from evidence.model import Copy
from support.catalogue_rows import T0, after


def blob(number: int) -> Digest:
    return Digest("sha256", f"{number:064x}")


def copy(store: str, *, read: bool = True, at=T0) -> Copy:
    return Copy(store=store, domain="d", key="k", read_back_at=at if read else None)


def test_what_a_store_lacks_is_derived_oldest_first_and_counted_with_its_time(catalogue: Catalogue) -> None:
    held = [RecordingId.new(unix_ms(after(days=day))) for day in range(4)]
    with catalogue.begin() as uow:
        for number, recording in reversed(list(enumerate(held))):  # entered newest first
            kind = "manifest" if number % 2 else "recording"
            uow.blobs.add_holder(blob(9 - number), 100 + number, None, f"{kind}:{recording}")
            uow.blobs.put_copy(blob(9 - number), copy("primary", at=after(hours=number)))
        uow.blobs.put_copy(blob(8), copy("second"))
        lacking = uow.store_states.lacking("second", limit=10)
        assert [one.sha256 for one in lacking] == [blob(9), blob(7), blob(6)]
        assert [one.sha256 for one in uow.store_states.lacking("second", limit=1)] == [blob(9)]
        assert uow.store_states.lacking("primary", limit=10) == []
        for store in ("primary", "second"):
            uow.store_states.keep(store, uow.store_states.figures(store), after(days=9))
        second = uow.store_states.of("second")
        assert (second.objects, second.size_bytes, second.behind_objects, second.behind_bytes) == (1, 101, 3, 305)
        assert (second.counted_at, second.oldest_at) == (after(days=9), T0)
        primary = uow.store_states.of("primary")
        assert (primary.objects, primary.behind_objects, primary.oldest_at) == (4, 0, T0)
        uow.blobs.put_copy(blob(6), copy("second", read=False))
        assert uow.store_states.figures("second").oldest_at is None  # one was never read: nobody knows


def test_failures_wait_longer_each_time_and_are_forgotten_but_readable_when_it_works(catalogue: Catalogue) -> None:
    at = T0
    waits = []
    with catalogue.begin() as uow:
        assert uow.store_states.of("far") == StoreStateRow(store="far")
        for _ in range(12):
            uow.store_states.failed("far", at, code="store-unavailable", error="x" * 5000)
            state = uow.store_states.of("far")
            assert state.next_try_at is not None
            waits.append(state.next_try_at - at)
            # Somebody else who asks before is no further try.
            uow.store_states.failed("far", at + timedelta(seconds=1), code="store", error="y")
            assert uow.store_states.of("far").tries == state.tries
            at = state.next_try_at
        assert waits[:3] == [FIRST_WAIT, FIRST_WAIT * 2, FIRST_WAIT * 4]
        assert waits[-1] == LONGEST_WAIT
        state = uow.store_states.of("far")
        assert (state.failing_since, state.tries, state.error) == (T0, 12, "y")
        uow.store_states.worked("far", at)
        state = uow.store_states.of("far")
        assert (state.failing_since, state.tries, state.next_try_at, state.error_code) == (None, 0, None, "store")


def test_bad_copies_are_found_until_they_are_good_again(catalogue: Catalogue) -> None:
    recording = RecordingId.new(unix_ms(T0))
    with catalogue.begin() as uow:
        for number in (1, 2):
            uow.blobs.add_holder(blob(number), 1, None, f"recording:{recording}")
            uow.blobs.put_copy(blob(number), copy("primary"))
        assert uow.store_states.bad_copies() == []
        assert uow.blobs.mark_bad(blob(2), "primary", after(days=1), "copy-bad")
        assert not uow.blobs.mark_bad(blob(2), "second", after(days=1), "copy-bad")
        assert (uow.store_states.bad_copies(), uow.store_states.bad_in("primary")) == ([(blob(2), "primary")], 1)
        assert uow.store_states.bad_copies(after=blob(2)) == []
        assert uow.blobs.checks(blob(2))["primary"].outcome == "copy-bad"
        uow.blobs.mark_checked(blob(2), "primary", after(days=2))
        assert uow.store_states.bad_copies() == []


def test_a_copy_is_bad_as_long_as_a_finding_says_so(catalogue: Catalogue) -> None:
    recording, finding = RecordingId.new(unix_ms(T0)), FindingId.new(unix_ms(T0))
    with catalogue.begin() as uow:
        uow.blobs.add_holder(blob(1), 1, None, f"recording:{recording}")
        uow.blobs.put_copy(blob(1), copy("primary"))
        row = FindingRow(
            id=finding, kind="copy-damaged", recording=recording, store="primary", detail="", raised_at=T0
        )  # fmt: skip
        uow.findings.raise_(row)
        assert (uow.store_states.bad_in("primary"), uow.store_states.bad_in("second")) == (1, 0)
        assert uow.store_states.bad_copies() == []  # the finding itself leads the repair there
        uow.findings.close(finding, after(days=1))
        assert uow.store_states.bad_in("primary") == 0
