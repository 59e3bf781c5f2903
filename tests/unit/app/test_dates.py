"""Dates that cannot be computed are told of, and nothing is due meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from app.dates import NOT_COMPUTED, compute_dates
from assurance.findings import FindingBook
from evidence.errors import InvalidInputError
from evidence.ids import MatterId
from retention.recompute import Recompute
from support.assured_home import make_home


def test_r10_a_schedule_that_cannot_be_read_is_a_finding_until_it_can(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    try:
        book = FindingBook(home.catalogue, recorder=home.recorder, clock=home.clock)
        duty = Recompute(home.catalogue, clock=home.clock)
        compute_dates(duty, home.catalogue, book)
        row = {
            "id": MatterId.new(1), "kind": "schedule", "number": "BG2026-0001", "state": "in-force", "opened_at": 1,
            "changed_at": 1, "version": 1, "facts": '{"version":1}', "words": "{}",
        }  # fmt: skip
        names = ", ".join(row)
        with home.catalogue.engine.begin() as connection:
            connection.execute(sa.text(f"INSERT INTO matters ({names}) VALUES (:{', :'.join(row)})"), row)
        for _ in range(2):
            with pytest.raises(InvalidInputError):
                compute_dates(duty, home.catalogue, book)
        with home.catalogue.read() as uow:
            assert [one.kind for one in uow.findings.open()] == [NOT_COMPUTED]
        with home.catalogue.engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM matters"))
        compute_dates(duty, home.catalogue, book)
        with home.catalogue.read() as uow:
            assert uow.findings.open() == []
    finally:
        home.close()
