"""What was cleared, or was being cleared, comes back from the log as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from assurance import DisclosureArchive, evidence_facts, rebuild, verify_home
from assurance.disclosures import generate_key
from assurance.verify import CopyPolicy
from catalogue import Catalogue
from evidence.errors import StoreUnavailableError
from support.assured_home import make_home
from support.clearing import ClearingHome


def test_promise_3_a_clearing_that_is_done_and_one_half_way_come_back_with_a_rebuild(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_home(tmp_path / "home")
    here = ClearingHome(home)
    [done] = here.footage()
    here.due()
    first = here.approved(done)
    here.later(days=31)
    here.run(3)
    [half] = here.footage()
    here.due()
    second = here.approved(half)
    here.later(days=31)

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("its disk is not there")

    with monkeypatch.context() as patch:
        patch.setattr(home.stores.named("second"), "delete", away)
        here.run(2)
    assert (here.cleared(done), here.going(half), here.cleared(half)) == (True, True, False)
    home.seal()
    archive = DisclosureArchive(
        generate_key(tmp_path / "key"), [home.root / "stores/primary", home.root / "stores/second"]
    )
    archive.sync(home.catalogue)
    empty = Catalogue.open(f"sqlite:///{tmp_path}/rebuilt.db", migrate=True)
    rebuild(
        empty, published=home.published[0], vkey=home.vkey, disclosures=archive.read_all(home.root / "stores/second"),
        stores=home.stores,
    )  # fmt: skip
    before, after = evidence_facts(home.catalogue), evidence_facts(empty)
    assert after["rules"] == before["rules"]
    assert after["matters"] == before["matters"]
    with empty.read() as uow:
        assert uow.rules.of(done.id).disposed_at is not None
        assert uow.rules.of(half.id).disposed_at is None
        assert uow.matters.get(first.id).state == "cleared"
        assert uow.matters.get(second.id).state == "executing"
    for catalogue in (home.catalogue, empty):  # the rebuilt one names a copy that is gone already: no loss
        report = verify_home(
            catalogue, stores=home.stores, published=home.published, vkey=home.vkey, clock=home.clock,
            policy=CopyPolicy(copies=2, domains=1),
        )  # fmt: skip
        assert report.verdict == "good", report.findings
        assert "being-removed" in {one.kind for one in report.findings}
    empty.close()
    home.close()
