"""The JSON API, one module per kind of thing. Every route has a row in the role x route matrix (tests/security)."""

from __future__ import annotations

from fastapi import APIRouter

from api.routes import (
    classification,
    clearing,
    devices,
    discs,
    dossiers,
    matters,
    packages,
    people,
    recordings,
    retention,
    session,
    statistics,
    storage,
    system,
    use,
)


def all_routers() -> list[APIRouter]:
    """Every router of the API."""
    return [
        session.router,
        recordings.router,
        classification.router,
        use.router,
        devices.router,
        people.router,
        matters.router,
        dossiers.router,
        packages.router,
        retention.router,
        clearing.router,
        discs.router,
        storage.router,
        statistics.router,
        system.router,
    ]
