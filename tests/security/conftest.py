"""One home with the web application over it, for all tests at the browser's side."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.services import ApiSettings
from evidence.model import Actor
from support.demo_matters import DEMO
from support.web_home import WebHome, fill, web_home

_OFFICER: dict[int, Actor] = {}


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHome]:
    """A home with two units, three recordings and an officer."""
    root = tmp_path_factory.mktemp("web")
    with web_home(root / "home", settings=ApiSettings(login_attempts_per_minute=10_000), forms=(DEMO,)) as made:
        _OFFICER[id(made)] = fill(made, root / "cards")
        yield made


@pytest.fixture(scope="session")
def officer(web: WebHome) -> Actor:
    """The officer who made the first two recordings."""
    return _OFFICER[id(web)]
