"""The JSON API, one module per kind of thing. Every route has a row in the role x route matrix (tests/security)."""

from __future__ import annotations

from fastapi import APIRouter

from api.routes import devices, people, recordings, retention, session, storage, system


def all_routers() -> list[APIRouter]:
    """Every router of the API."""
    return [session.router, recordings.router, devices.router, people.router, retention.router, storage.router, system.router]
