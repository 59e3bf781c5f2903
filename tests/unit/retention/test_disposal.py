"""Clearing (R10): what is due goes by an approved list after a notice, everything else stays; and how each step refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.assured_home import make_home
from support.clearing import ClearingHome


@pytest.fixture
def here(tmp_path: Path, database_url: str) -> Iterator[ClearingHome]:
    made = make_home(tmp_path / "home", database=database_url)
    yield ClearingHome(made)
    made.close()


def test_r10_from_proposal_to_certificate(here: ClearingHome) -> None:
    one, two = here.footage(2)
    here.due()
    batch = here.propose(one, two)
    assert (batch.facts["items"], batch.facts["mode"]) == (2, "review")
    here.review(batch)
    approved = here.approve(batch)
    assert approved.state == "notice"
    here.run()
    assert not here.going(one), "the notice runs"
    here.later(days=31)
    here.run(3)
    assert here.batch(batch.id).state == "cleared"
    assert [here.in_stores(row) for row in (one, two)] == [[], []]
    assert [here.cleared(row) for row in (one, two)] == [True, True]
    with here.home.catalogue.read() as uow:
        assert {doc.role for doc in uow.matters.documents(batch.id)} == {"certificate", "certificate-json"}
    assert here.home.verify().verdict == "good", here.home.verify().findings
