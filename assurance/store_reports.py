"""How every store stands, for the page, the command and the API: what it is, what it holds, what it lacks, what went wrong.

Nothing here is guessed: what a store said carries the time at which it said it, counted figures carry the time of counting, and
what nobody knows is ``unknown``.

Source: docs/invariants.md 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from assurance.catch_up import count_store, look_in
from assurance.copies import KeepingParts
from catalogue.store_states import StoreStateRow
from evidence.model import Action, Actor
from evidence.ports import Authoriser, BlobStore

#: What a store last said counts for so long; then nobody knows.
FRESH: Final = timedelta(minutes=15)


class StoreStand(StrEnum):
    """How a store stands, the gravest that holds."""

    FAILING = "failing"
    DAMAGED = "damaged"
    BEHIND = "behind"
    UNKNOWN = "unknown"
    LEVEL = "level"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreReport:
    """One store.

    Attributes:
        name: Its name.
        kind: ``local`` or ``s3``.
        domain: Failure domain.
        location: Folder or address.
        protection: What keeps its objects from removal (docs/formats/store.md).
        old: Whether it was moved away from: it is read, but gets nothing new.
        stand: ``failing`` (does not do what it is asked), ``damaged`` (a copy was bad when last read), ``behind`` (lacks copies),
            ``level`` (answered lately and lacks nothing), ``unknown`` (nobody asked it lately, or it was never counted).
        bad_copies: Copies that were not good when last read.
        state: Figures and failures, each with its time.
    """

    name: str
    kind: str
    domain: str
    location: str
    protection: str
    old: bool
    stand: StoreStand
    bad_copies: int
    state: StoreStateRow


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageView:
    """Every store at one moment."""

    stores: Sequence[StoreReport]
    as_of: datetime


class StorageDesk:
    """The stores, for persons.

    Args:
        parts: Catalogue and stores.
        authoriser: Asked at every look.
    """

    def __init__(self, parts: KeepingParts, *, authoriser: Authoriser) -> None:
        self._parts = parts
        self._authoriser = authoriser

    def look(self, actor: Actor, *, anew: bool = False) -> StorageView:
        """How every store stands.

        Args:
            actor: Who asks.
            anew: Ask every store and count now (seconds with millions of objects) instead of telling what the service knows.

        Raises:
            AccessDeniedError: Not theirs to know (entered).
        """
        self._authoriser.require(actor, Action.SYSTEM_HEALTH, detail="storage")
        if anew:
            for store in self._parts.stores:
                count_store(self._parts, store.properties.name)
                look_in(self._parts, store)
        now = self._parts.clock.now().wall
        return StorageView(stores=[self._report(store, now) for store in self._parts.stores], as_of=now)

    def _report(self, store: BlobStore, now: datetime) -> StoreReport:
        properties = store.properties
        old = properties.name in self._parts.old()
        with self._parts.catalogue.read() as uow:
            state = uow.store_states.of(properties.name)
            bad = uow.store_states.bad_in(properties.name)
        if properties.name == self._parts.cold:  # it is not to have everything
            state = replace(state, behind_objects=0, behind_bytes=0)
        return StoreReport(
            name=properties.name, kind=properties.kind, domain=properties.domain, location=properties.location,
            protection=properties.protection, old=old, stand=stand_of(state, bad=bad, aside=old, now=now), bad_copies=bad,
            state=state,
        )  # fmt: skip


def stand_of(state: StoreStateRow, *, bad: int, aside: bool, now: datetime) -> StoreStand:
    """How a store stands by what is known of it.

    Args:
        state: Its figures and failures.
        bad: Its copies that were not good when last read.
        aside: Whether it is not to have everything (moved away from, cold).
        now: The moment.
    """
    if state.failing_since is not None:
        return StoreStand.FAILING
    if bad:
        return StoreStand.DAMAGED
    if state.behind_objects and not aside:
        return StoreStand.BEHIND
    times = (state.ok_at, state.counted_at)
    if any(time is None or abs(now - time) > FRESH for time in times):
        return StoreStand.UNKNOWN
    return StoreStand.LEVEL
