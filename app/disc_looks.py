"""The regular look at discs: which are due is a finding until they were looked at, and images that are no longer needed go.

Source: RULES R12; docs/runbooks/discs.md.
"""

from __future__ import annotations

import logging
from typing import Final

from app.disc_making import disc_work, images_folder
from app.wiring import House
from assurance.findings import FindingBook
from evidence.errors import EvidenceError
from evidence.time_line import Belief, judge
from retention import disc_terms as terms
from retention.disc_queue import discs_due

KIND: Final = "disc-due"
_log = logging.getLogger(__name__)


def look_at_discs(house: House, book: FindingBook) -> int:
    """Raise a finding for each disc that is due, close those that are not any more, remove images of finished sets.

    Nothing becomes due by a clock that is not believed. Returns how many discs are due.
    """
    now = house.clock.now()
    with house.catalogue.begin() as uow:
        if judge(now, uow.clock_marks.highest()) is not Belief.BELIEVED:
            return 0
        due = {row.number for row in discs_due(uow, now.wall)}
        for number in sorted(due):
            book.raise_in(uow, KIND, store=number)
        for finding in uow.findings.open():
            if finding.kind == KIND and finding.store not in due:
                book.close_in(uow, KIND, store=finding.store, reason="looked-at")
    _tidy(house)
    return len(due)


def _tidy(house: House) -> None:
    folder = images_folder(house)
    if not folder.is_dir():
        return
    for below in sorted(folder.iterdir()):
        if not any(below.glob("disc-*.iso")):
            continue
        with house.catalogue.read() as uow:
            row = uow.matters.by_number(terms.DISC_SET, below.name)
        try:
            if row is not None:
                disc_work(house).tidy(row.id)
        except EvidenceError as error:
            _log.warning("images of %s stay for now: %s", below.name, error.diagnostics())
