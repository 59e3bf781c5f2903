"""The health page tells of matters past their deadline."""

from __future__ import annotations

from pathlib import Path

from assurance.health_facts import HealthParts, Level
from assurance.health_of_matters import matters
from chain_of_custody.checkpoint import NoteVerifier
from support.assured_home import AssuredHome, make_home
from support.demo_matters import DEMO


def _check(home: AssuredHome):
    [check] = matters(HealthParts(
        catalogue=home.catalogue, stores=home.stores.all, published=home.published,
        verifier=NoteVerifier.parse(home.vkey), clock=home.clock, policy=None, jobs=None, floor_bytes=0,
    ))  # fmt: skip
    return check


def test_overdue_matters_are_counted_until_they_are_closed(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    try:
        unit = home.administration.create_unit(home.administrator, name="执法一科").id
        asker, other = home.agent("甲", "unit_leader", unit=unit), home.agent("乙", "unit_leader", unit=unit)
        desk = home.desk(DEMO)
        row = desk.open(asker, "demo", {"title": "调看"})
        assert (_check(home).level, _check(home).reason) == (Level.OK, "matters-in-time")
        home.clock.unix_ms += 25 * 3_600_000
        late = _check(home)
        assert (late.level, late.reason, late.values) == (
            Level.WARN, "matters-overdue", {"matters_late": 1, "kinds_late": 1},
        )  # fmt: skip
        desk.act(other, row.id, "refuse", {"reason": "无需"})
        assert _check(home).level is Level.OK
    finally:
        home.close()
