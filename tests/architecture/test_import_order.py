"""Imports point only down, and the check that says so would notice if they did not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.repository import ROOT, rooms

LINT = Path(sys.executable).with_name("lint-imports")


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of the pyproject.toml in ``directory`` on the packages there."""
    environment = {**os.environ, "PYTHONPATH": str(directory)}
    return subprocess.run(
        [str(LINT), "--no-cache"], cwd=directory, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def twin(tmp_path: Path) -> Path:
    """A copy of the rooms in which a violation can be planted."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room in rooms():
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__", "static", "demo"))
    return tmp_path


def test_every_contract_is_kept():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("room", "planted"),
    [
        pytest.param("evidence", "import catalogue", id="upwards"),
        pytest.param("storage", "import media", id="sibling"),
        pytest.param("ingest", "import assurance", id="workflow-sibling"),
        pytest.param("chain_of_custody", "import sqlalchemy", id="framework-in-the-log"),
        pytest.param("people", "import fastapi", id="web-framework-below-the-web"),
        pytest.param("ingest", "import boto3", id="another-room's-library"),
    ],
)
def test_a_planted_violation_is_found(twin: Path, room: str, planted: str):
    (twin / room / "planted.py").write_text(f"{planted}\n", "utf-8")
    done = lint(twin)
    assert done.returncode != 0
    assert f"{room}.planted" in done.stdout


def test_every_top_level_package_is_under_the_contracts():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages == set(rooms())


def test_nothing_outside_imports_into_the_rooms_from_the_verifier():
    text = (ROOT / "verifier" / "liuhen_verify.py").read_text("utf-8")
    for room in rooms():
        assert f"import {room}\n" not in text
        assert f"from {room}" not in text
