"""The duties that keep dates of keeping, with a finding while they cannot: nobody waits for dates that never come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from app.wiring import House
from assurance.findings import FindingBook
from catalogue import Catalogue
from evidence.errors import EvidenceError
from retention.dry_run import DryRuns
from retention.recompute import Recompute

NOT_COMPUTED: Final = "dates-not-computed"


def recompute_of(house: House) -> Recompute:
    """Dates of keeping, computed anew where something changed."""
    return Recompute(house.catalogue, clock=house.clock, desk=house.matters)


def dry_runs_of(house: House, *, stop: Callable[[], bool] = lambda: False) -> DryRuns:
    """Tries what was proposed for the schedule."""
    return DryRuns(house.catalogue, clock=house.clock, desk=house.matters, filer=house.papers, stop=stop)


def compute_dates(recompute: Recompute, catalogue: Catalogue, book: FindingBook) -> None:
    """A slice of :class:`retention.recompute.Recompute`.

    Raises:
        EvidenceError: It failed; unless that is fatal, an open finding tells of it. The next slice that works closes it.
    """
    try:
        recompute.run()
    except EvidenceError as error:
        if not error.fatal:
            book.raise_one(NOT_COMPUTED, detail=error.what)
        raise
    with catalogue.read() as uow:
        over = uow.findings.open_one(NOT_COMPUTED, recording=None, store="") is not None
    if over:
        with catalogue.begin() as uow:
            book.close_in(uow, NOT_COMPUTED, reason="over")
