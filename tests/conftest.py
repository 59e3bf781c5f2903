"""Fixtures that every test may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogue import Catalogue
from support.databases import PostgresServer


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Address of a database file that does not exist yet."""
    return f"sqlite:///{tmp_path}/app.db"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The private server of this test process, started at its first use."""
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """Address of a new, empty PostgreSQL database."""
    url = postgres_server.fresh_url()
    yield url
    postgres_server.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Address of a new, empty database of each kind."""
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


@pytest.fixture
def catalogue(database_url: str) -> Iterator[Catalogue]:
    """An empty catalogue of each kind."""
    opened = Catalogue.open(database_url, migrate=True)
    yield opened
    opened.close()
