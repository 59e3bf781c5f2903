"""What pages, API and command line ask about holds beyond the matter itself: what a description would hold, and who holds it.

Source: RULES R27; docs/holds.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catalogue import Catalogue
from evidence.clock import Clock
from evidence.ids import MatterId
from evidence.model import Action, Actor
from evidence.ports import Authoriser
from matters.desk import MatterDesk
from matters.looking import MatterView
from matters.values import checked
from retention.hold_form import FORM
from retention.holds import DESCRIPTION, described_of, preview

#: Where counting stops.
COUNT_CAP = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreKeeps:
    """How many copies one store holds under a hold, of how many."""

    store: str
    held: int
    wanted: int

    @property
    def whole(self) -> bool:
        """Whether it holds all of them."""
        return self.held == self.wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldKeeps:
    """How a hold is kept.

    Attributes:
        stores: Every store that has copies of what is held.
        linked: Recordings that it holds by link.
        let_go: Recordings that it let go.
        to_link: Recordings that it holds by its description and that are linked within minutes, counted up to a cap.
        overdue: Its review date has passed, by a clock that may not be believed.
    """

    stores: tuple[StoreKeeps, ...]
    linked: int
    let_go: int
    to_link: int
    overdue: bool

    @property
    def kept_in(self) -> int:
        """Stores that hold everything."""
        return sum(one.whole for one in self.stores)


class HoldDesk:
    """Answers about holds; changes nothing. Thread-safe.

    Args:
        catalogue: Where they stand.
        desk: Asked for the hold, as the reader may see it.
        authoriser: Asked before a description is tried.
        clock: Injected time.
    """

    def __init__(self, catalogue: Catalogue, *, desk: MatterDesk, authoriser: Authoriser, clock: Clock) -> None:
        self._catalogue = catalogue
        self._desk = desk
        self._authoriser = authoriser
        self._clock = clock

    def try_out(self, actor: Actor, values: Mapping[str, Any]) -> int:
        """How many recordings a description would hold now, of those the actor may hold; counted up to :data:`COUNT_CAP`.

        Args:
            actor: Who is about to place a hold.
            values: ``since``, ``until``, ``place``, ``officer``, ``within_unit``, ``device``, as the form takes them.

        Raises:
            AccessDeniedError: They may hold nothing (entered). FormError, InvalidInputError: No such description.
        """
        within = self._authoriser.visibility(actor, Action.HOLD_PLACE)
        if not within.everything and not within.units:
            self._authoriser.require(actor, Action.HOLD_PLACE, detail="hold try-out")
        fields = [one for one in FORM.opening.fields if one.name in DESCRIPTION]
        facts, words = checked(fields, values)
        with self._catalogue.read() as uow:
            return preview(uow, {**facts, **words}, within=within, at=self._clock.now().wall, cap=COUNT_CAP)

    def keeps(self, actor: Actor, matter: MatterId) -> HoldKeeps:
        """How a hold is kept; raises as ``MatterDesk.view``."""
        return self.keeps_of(self._desk.view(actor, matter))

    def keeps_of(self, view: MatterView) -> HoldKeeps:
        """As :meth:`keeps` for a hold that the reader was shown."""
        row = view.row
        roles = [link.role for link in view.links]
        with self._catalogue.read() as uow:
            stores = uow.holds.in_stores(str(row.id))
            stored = uow.matters.get(row.id)
            to_link = 0
            if stored.closed_at is None and stored.facts.get("described"):
                found = uow.holds.fitting_unlinked(described_of(uow, stored), matter=row.id, limit=1000)
                to_link = len(found)
        return HoldKeeps(
            stores=tuple(StoreKeeps(store=name, held=held, wanted=wanted) for name, (held, wanted) in stores.items()),
            linked=roles.count("held"), let_go=roles.count("released"), to_link=to_link,
            overdue=row.closed_at is None and row.due_at is not None and row.due_at <= self._clock.now().wall,
        )  # fmt: skip
