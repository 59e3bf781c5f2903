"""The JSON API, one module per kind of thing. Every route has a row in the role x route matrix (tests/security)."""

from __future__ import annotations

from fastapi import APIRouter

from api.routes import devices, discs, matters, people, recordings, retention, session, statistics, storage, system


def all_routers() -> list[APIRouter]:
    """Every router of the API."""
    return [
        session.router,
        recordings.router,
        devices.router,
        people.router,
        matters.router,
        retention.router,
        discs.router,
        storage.router,
        statistics.router,
        system.router,
    ]
