"""Each driver states what it can be relied on for, and names proofs that exist."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from evidence.model import Cap

REPOSITORY = Path(__file__).parents[3]
SHEETS = sorted((REPOSITORY / "devices").glob("*/quality.toml"))


def test_every_driver_has_a_sheet():
    drivers = {path.parent for path in (REPOSITORY / "devices").glob("*/driver.py")}
    assert {sheet.parent for sheet in SHEETS} == drivers


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.parent.name)
def test_a_sheet_names_its_driver_only_known_capabilities_and_proofs_that_exist(sheet):
    quality = tomllib.loads(sheet.read_text("utf-8"))
    assert quality["driver"] == sheet.parent.name
    assert set(quality["capabilities"]) <= {cap.value for cap in Cap}
    for proof in quality["proved-by"].values():
        assert (REPOSITORY / proof).is_file(), proof
    assert quality["limits"]
