"""A small real home for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.assured_home import AssuredHome, make_home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[AssuredHome]:
    made = make_home(tmp_path / "home")
    yield made
    made.close()
