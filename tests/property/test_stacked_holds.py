"""Holds against the simplest model of them: for each recording a set of holds. Whatever is done in whatever order, both agree."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from access import Gate
from catalogue import Catalogue
from catalogue.holds import HELD, TO_RELEASE
from chain_of_custody import EntryRecorder
from evidence.model import RecordingState
from matters.desk import DeskParts, MatterDesk
from matters.form import Forms
from matters.turn import Asked, NewLink
from retention.hold_form import FORM
from retention.hold_keeping import HoldKeeping
from retention.holds import holds_of_each
from support.catalogue_rows import make_bureau, recording
from support.custody import TickingClock, fixed_key

PUBLIC = {"type": "other", "review_on": "2026-12-31"}


class StackedHolds(RuleBasedStateMachine):
    """The model: ``stands[hold]`` is the set of recordings under it; ``open_to`` the recorder a hold describes."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="holds-"))
        self.catalogue = Catalogue.open(f"sqlite:///{self.folder}/app.db", migrate=True)
        clock, recorder = TickingClock(), EntryRecorder(fixed_key("station"), station="station-1")
        gate = Gate(self.catalogue, recorder=recorder, clock=clock)
        self.desk = MatterDesk(
            DeskParts(
                catalogue=self.catalogue, authoriser=gate, recorder=recorder, clock=clock, forms=Forms([FORM])
            )
        )  # fmt: skip
        self.keeping = HoldKeeping(self.catalogue, desk=self.desk, clock=clock)
        with self.catalogue.begin() as uow:
            self.bureaus = [make_bureau(uow, officer_code=f"A{number:07d}") for number in range(2)]
        self.rows: list[tuple[str, int]] = []
        self.stands: dict[str, set[str]] = {}
        self.open_to: dict[str, int] = {}
        self.released: set[str] = set()
        self.comes_in(0)

    @rule(by=st.integers(0, 1))
    def comes_in(self, by: int) -> None:
        row = recording(self.bureaus[by], state=RecordingState.STORED)
        with self.catalogue.begin() as uow:
            uow.recordings.add(row)
        self.rows.append((str(row.id), by))
        for hold, device in self.open_to.items():
            if device == by:
                self.stands[hold].add(str(row.id))

    def _place(self, asked: Asked) -> str:
        with self.catalogue.begin() as uow:
            row = self.desk.open_within(uow, "hold", asked)
        return row.number

    @rule(data=st.data())
    def place_by_name(self, data) -> None:
        chosen = data.draw(st.sets(st.sampled_from([one for one, _ in self.rows]), min_size=1, max_size=4))
        links = [NewLink(role=HELD, target=one) for one in sorted(chosen)]
        self.stands[self._place(Asked(facts=dict(PUBLIC), links=links))] = set(chosen)

    @rule(by=st.integers(0, 1))
    def place_by_description(self, by: int) -> None:
        number = self._place(Asked(facts={**PUBLIC, "device": self.bureaus[by].device}))
        self.stands[number] = {one for one, device in self.rows if device == by}
        self.open_to[number] = by

    def _act(self, hold: str, act: str, links: list[NewLink] | None = None) -> None:
        with self.catalogue.begin() as uow:
            matter = uow.matters.by_number("hold", hold)
            self.desk.act_within(uow, matter.id, act, Asked(links=links or []))

    @precondition(lambda self: self.stands)
    @rule(data=st.data())
    def release_whole(self, data) -> None:
        hold = data.draw(st.sampled_from(sorted(self.stands)))
        self._act(hold, "ask-release")
        self._act(hold, "approve")
        self.released |= self.stands.pop(hold)
        self.open_to.pop(hold, None)

    @precondition(lambda self: any(self.stands.values()))
    @rule(data=st.data(), refused=st.booleans())
    def release_part(self, data, *, refused: bool) -> None:
        self.keeping.run()  # what is described is linked: only links can be let go singly
        hold = data.draw(st.sampled_from(sorted(one for one, held in self.stands.items() if held)))
        part = data.draw(st.sets(st.sampled_from(sorted(self.stands[hold])), min_size=1, max_size=3))
        self._act(hold, "ask-part", [NewLink(role=TO_RELEASE, target=one) for one in sorted(part)])
        self._act(hold, "refuse" if refused else "approve-part")
        if not refused:
            self.stands[hold] -= part
            self.released |= part

    @rule()
    def the_duty_runs(self) -> None:
        self.keeping.run()

    @invariant()
    def both_agree(self) -> None:
        with self.catalogue.read() as uow:
            found = holds_of_each(uow, [row for row, _ in self.rows])
        for one, of in found.items():
            assert {order.subject for order in of.standing} == {
                n for n, held in self.stands.items() if str(one) in held
            }
            assert (of.last_release is not None) == (str(one) in self.released)

    def teardown(self) -> None:
        if hasattr(self, "catalogue"):
            self.catalogue.close()
            shutil.rmtree(self.folder)


TestStackedHolds = StackedHolds.TestCase
TestStackedHolds.settings = settings(
    max_examples=12, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
)
