"""Random histories of holds, cases, flags, batches, stops and time, in both modes, against a simple model.

What the model knows is what a person would say: nothing that is held, permanent, flagged, unclassified or in an open case is ever
cleared; everything cleared has its tombstone and its certificate and is absent everywhere; cleared bytes that are docked again
wait for a person.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from catalogue.matters import MatterRow
from catalogue.records import RecordingRow
from evidence.calendar import local_date
from evidence.errors import EvidenceError
from evidence.lock_dates import due_at
from retention.disposal_list import ITEM
from support.assured_home import AssuredHome, make_home
from support.clearing import ClearingHome
from support.recorders import gb_name

PICK = st.integers(0, 99)


class Clearing(RuleBasedStateMachine):
    """The model: for each recording, what keeps it now, as plain sets."""

    @initialize(mode=st.sampled_from(["review", "automatic"]))
    def begin(self, mode: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="clearing-"))
        self.home: AssuredHome = make_home(self.folder / "home")
        self.here = ClearingHome(self.home, mode=mode, notice_days=7)
        self.mode = mode
        self.rows: list[RecordingRow] = []
        self.bytes: dict[str, bytes] = {}
        self.unclassified: set[str] = set()
        self.flagged: set[str] = set()
        self.holds: dict[str, tuple[str, MatterRow]] = {}
        self.cases: dict[str, tuple[str, MatterRow]] = {}
        self.gone: set[str] = set()
        self.came_back: set[str] = set()
        self.cards = itertools.count(1)
        if mode == "automatic":
            self.renew()
        self.some_footage(classified=True)

    def teardown(self) -> None:
        if hasattr(self, "here"):
            try:
                self.settle()
            finally:
                self.home.close()
                shutil.rmtree(self.folder, ignore_errors=True)

    def pick(self, number: int) -> RecordingRow:
        return self.rows[number % len(self.rows)]

    # --- what happens -------------------------------------------------------------------------------------------------
    @rule(classified=st.booleans())
    def some_footage(self, classified: bool) -> None:
        if len(self.rows) > 5:
            return
        for row in self.here.footage(2, classified=classified):
            self.rows.append(row)
            self.bytes[row.id] = self.home.stores.primary.open(row.sha256).read()
            if not classified:
                self.unclassified.add(row.id)

    @rule(number=PICK)
    def somebody_classifies(self, number: int) -> None:
        row = self.pick(number)
        if row.id not in self.gone:
            self.here.classify(row)
            self.unclassified.discard(row.id)

    @rule(number=PICK, standing=st.booleans())
    def somebody_flags(self, number: int, standing: bool) -> None:
        row = self.pick(number)
        if row.id not in self.gone:
            self.here.flag(row, standing=standing)
            (self.flagged.add if standing else self.flagged.discard)(row.id)

    @rule(number=PICK)
    def somebody_places_a_hold(self, number: int) -> None:
        row = self.pick(number)
        try:
            hold = self.here.hold(row)
        except EvidenceError:
            assert row.id in self.gone, "a hold is refused only when it is too late"
        else:
            assert row.id not in self.gone
            self.holds[hold.id] = (row.id, hold)

    @precondition(lambda self: self.holds)
    @rule(number=PICK)
    def somebody_releases_a_hold(self, number: int) -> None:
        identity = sorted(self.holds)[number % len(self.holds)]
        desk = self.here.desk
        desk.act(self.here.legal, identity, "ask-release", {"release_why": "已结案"})
        desk.act(self.here.leader, identity, "approve", seen=desk.view(self.here.leader, identity).seen)
        del self.holds[identity]

    @rule(number=PICK)
    def a_case_is_opened(self, number: int) -> None:
        row = self.pick(number)
        if row.id not in self.gone:
            case = self.here.case(row)
            self.cases[case.id] = (row.id, case)

    @precondition(lambda self: self.cases)
    @rule(number=PICK)
    def a_case_is_closed(self, number: int) -> None:
        identity = sorted(self.cases)[number % len(self.cases)]
        self.here.dossiers.act(self.here.leader, identity, "close")
        del self.cases[identity]

    @rule(days=st.sampled_from([1, 40]))
    def time_goes_on(self, days: int) -> None:
        self.here.later(days=days)
        self.here.recompute()

    @rule()
    def half_a_year_goes_by(self) -> None:
        """What is due by then is proposed, and persons look at it."""
        self.here.later(days=220)
        if self.mode == "automatic":
            self.renew()
        self.here.recompute()
        self.work()
        self.persons_do_what_waits_for_them()

    @rule()
    def the_notice_runs_out(self) -> None:
        self.here.later(days=9)
        self.here.recompute()
        self.work()

    def renew(self) -> None:
        today = local_date(self.home.clock.now().wall)
        self.here.determine(begins=today.isoformat(), ends=(today + timedelta(days=360)).isoformat())

    @rule(days=st.sampled_from([2, 300]))
    def the_clock_is_wrong_for_a_while(self, days: int) -> None:
        self.home.clock.unix_ms -= days * 86_400_000
        before = set(self.gone)
        self.work()
        self.home.clock.unix_ms += days * 86_400_000
        assert self.gone == before

    @rule()
    def somebody_stops_it_for_a_while(self) -> None:
        self.learn()
        before = set(self.gone)
        stop = self.here.desk.open(self.here.auditor, "clearing-stop", {"reason": "核对"})
        self.work()
        assert self.gone == before, "nothing is begun while a stop stands"
        self.here.desk.act(self.here.leader, stop.id, "go-on", {"looked_at": "已核对"})

    @rule()
    def persons_do_what_waits_for_them(self) -> None:
        desk = self.here.desk
        for batch in self.here.batches("proposed"):
            if batch.facts["mode"] == "review":
                with contextlib.suppress(EvidenceError):
                    self.here.review(batch)
        for batch in self.here.batches("awaiting-approval"):
            with contextlib.suppress(EvidenceError):
                desk.act(self.here.leader, batch.id, "approve", seen=desk.view(self.here.leader, batch.id).seen)

    @rule(number=PICK)
    def somebody_keeps_an_item(self, number: int) -> None:
        row = self.pick(number)
        for batch in self.here.batches("awaiting-approval", "notice", "executing"):
            with contextlib.suppress(EvidenceError):
                values = {"recording": row.id, "ground": "needed", "reason": "要用"}
                self.here.desk.act(self.here.manager, batch.id, "keep", values)

    @rule()
    def the_service_works(self) -> None:
        self.work()

    @precondition(lambda self: self.gone - self.came_back)
    @rule(number=PICK)
    def cleared_bytes_are_docked_again(self, number: int) -> None:
        identity = sorted(self.gone - self.came_back)[number % len(self.gone - self.came_back)]
        card = next(self.cards)
        [again] = self.home.ingest(
            {gb_name(counter=5000 + card, extension="mp3"): self.bytes[identity]}, card=f"again{card}"
        )
        self.came_back.add(identity)
        assert (again.state, again.quarantine_reason) == ("stored", "came-back-after-clearing")
        assert len(self.here.in_stores(again)) == 2
        self.rows.append(again)
        self.bytes[again.id] = self.bytes[identity]
        self.unclassified.add(again.id)
        self.came_back.add(again.id)

    # --- what must hold -----------------------------------------------------------------------------------------------
    def protected(self) -> set[str]:
        """What the model says may not go now."""
        young = set()
        now = self.home.clock.now().wall
        for row in self.rows:
            if due_at(row.acquired_at, row.ended_at) > now:
                young.add(row.id)
        held = {row for row, _hold in self.holds.values()} | {row for row, _case in self.cases.values()}
        return self.unclassified | self.flagged | held | young

    def learn(self) -> set[str]:
        with self.home.catalogue.read() as uow:
            rules = uow.rules.of_each([row.id for row in self.rows])
        going = {one.recording for one in rules.values() if one.disposing_at is not None}
        fresh = going - self.gone
        self.gone = going
        return fresh

    def work(self) -> None:
        self.learn()
        protected = self.protected()
        self.here.run()
        fresh = self.learn()
        assert not fresh & protected, "what is protected was cleared"

    @invariant()
    def what_is_protected_is_here_and_what_is_cleared_is_nowhere(self) -> None:
        if not hasattr(self, "home"):
            return
        with self.home.catalogue.read() as uow:
            rules = uow.rules.of_each([row.id for row in self.rows])
        for row in self.rows:
            if rules[row.id].disposed_at is not None:
                others = [one for one in self.rows if one.id != row.id and one.sha256 == row.sha256]
                back = any(rules[one.id].disposed_at is None for one in others)
                assert back or self.here.in_stores(row) == []
                assert rules[row.id].disposed_entry is not None
            elif rules[row.id].disposing_at is None:
                assert len(self.here.in_stores(row)) == 2

    def settle(self) -> None:
        """At the end: what was begun is finished, everything cleared is in a certificate, and verify says good."""
        for _ in range(3):
            self.work()
        with self.home.catalogue.read() as uow:
            for row in self.rows:
                rules = uow.rules.of(row.id)
                if rules.disposed_at is not None:
                    batch = uow.matters.get(rules.disposal)
                    assert batch.state in {"cleared", "partly", "executing"}
                    if batch.closed_at is not None:
                        assert uow.matters.documents(batch.id, role="certificate")
                        assert row.id in {one.target for one in uow.matters.links(batch.id, role=ITEM)}
        report = self.home.verify()
        assert report.verdict == "good", report.findings


TestClearing = Clearing.TestCase
TestClearing.settings = settings(
    max_examples=6, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
