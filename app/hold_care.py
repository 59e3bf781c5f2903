"""Holds of a home: the duty that links and keeps them, and the finding about reviews that are overdue."""

from __future__ import annotations

from typing import Final

from app.wiring import House
from assurance.findings import FindingBook
from catalogue.matters import MatterRow
from retention.hold_keeping import HoldKeeping

#: Holds whose review date has passed: they stand, and somebody is to look at them.
OVERDUE: Final = "hold-review-overdue"


def hold_keeping_of(house: House, book: FindingBook) -> HoldKeeping:
    """What links, holds and lets go, and tells overdue reviews as one finding that names the holds."""

    def tell(overdue: tuple[MatterRow, ...]) -> None:
        detail = ", ".join(row.number for row in sorted(overdue, key=lambda row: row.number))
        with house.catalogue.read() as uow:
            found = uow.findings.open_one(OVERDUE, recording=None, store="")
        if (found.detail if found is not None else "") == detail:
            return
        with house.catalogue.begin() as uow:
            book.close_in(uow, OVERDUE, reason="over")
            if detail:
                book.raise_in(uow, OVERDUE, detail=detail)

    return HoldKeeping(house.catalogue, desk=house.matters, clock=house.clock, tell=tell)
