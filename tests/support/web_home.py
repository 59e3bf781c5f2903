"""The web application over a whole home with real recordings: real gate, log, stores; jobs run when a test says so."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from unittest import mock

from fastapi import FastAPI

from api.app import create_app
from api.dependencies import COOKIE
from api.security.csrf import HEADER
from api.services import ApiSettings
from app.matter_forms import all_forms
from app.web_services import ViewingCopies, web_services
from app.wiring import House, build
from catalogue.records import RecordingRow, WebSessionRow
from chain_of_custody import parse_entry
from devices.mass_storage.driver import MassStorageDriver
from evidence.ids import AgentId, UnitId
from evidence.model import Actor
from evidence.ports import DockedDevice
from flow import InlineEngine
from ingest.session import OffloadService
from matters.form import Form, Forms
from support import footage, whole_home
from support.recorders import gb_name, make_gb_tree

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would like another client library than the one we have
    from fastapi.testclient import TestClient

BASE = "http://127.0.0.1"
#: A file name that would run a script wherever it is not escaped.
HOSTILE = "<img src=x onerror=alert(1)>\"'.png"
TALK = gb_name(counter=1)


class Visitor(TestClient):
    """A browser with (or without) somebody's session; unsafe requests carry the session's token unless told otherwise."""

    def __init__(self, app: FastAPI, *, csrf: str = "", token: str = "") -> None:
        super().__init__(app, base_url=BASE, raise_server_exceptions=False, follow_redirects=False)
        self.csrf = csrf
        if token:
            self.cookies.set(COOKIE, token, domain="127.0.0.1")
        if csrf:
            self.headers[HEADER] = csrf


@dataclass
class WebHome:
    """Parts of the home, the people in it, and browsers for them."""

    house: House
    service: OffloadService
    app: FastAPI
    docked: list[DockedDevice] = field(default_factory=list)
    units: dict[str, UnitId] = field(default_factory=dict)
    recordings: dict[str, RecordingRow] = field(default_factory=dict)

    @property
    def administrator(self) -> Actor:
        return whole_home.administrator(self.house)

    def person(self, name: str, *roles: str, unit: UnitId | None = None, code: str = "") -> Actor:
        """A person without a log-in, with roles for ``unit`` (everywhere without one)."""
        made = self.house.administration.create_agent(self.administrator, name=name, officer_code=code).agent
        for role in roles:
            self.house.administration.grant_role(self.administrator, agent=made.id, role=role, unit=unit)
        return Actor(made.id, made.name, "web", "testclient")

    def visitor(self, actor: Actor | None = None) -> Visitor:
        """A browser in which that person is logged in; nobody without one. The session is a real row."""
        if actor is None:
            return Visitor(self.app)
        token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
        now = self.house.clock.now().wall
        row = WebSessionRow(
            token_sha256=hashlib.sha256(token.encode()).hexdigest(), agent=actor.agent, csrf=csrf, created_at=now,
            seen_at=now, expires_at=now + timedelta(hours=1), address="testclient",
        )  # fmt: skip
        with self.house.catalogue.begin() as uow:
            uow.sessions.add(row)
        return Visitor(self.app, csrf=csrf, token=token)

    def dock(self, card: Path, media: dict[str, bytes | Path]) -> DockedDevice:
        """Put a recorder with these files into a slot."""
        docked = MassStorageDriver.docked_at(make_gb_tree(card, media))
        self.docked.append(docked)
        return docked

    def take_in(
        self, docked: DockedDevice, *, unit: UnitId | None, officer: AgentId | None = None
    ) -> list[RecordingRow]:
        """Register a recorder and take everything in: stored, examined, sealed on return."""
        self.service.register_device(
            docked, self.administrator, unit=unit, officer=officer, label=f"资产 {docked.slot[-9:]}"
        )
        result = self.service.offload(docked, self.administrator)
        assert result.error is None
        for recording in result.acquired:
            self.service.secure(recording)
        whole_home.seal(self.house)
        with self.house.catalogue.read() as uow:
            return [uow.recordings.get(recording) for recording in result.acquired]

    def entries(self, event_type: str) -> list[dict]:
        """Public facts of all entries of a type."""
        whole_home.seal(self.house)
        with self.house.catalogue.read() as uow:
            head = uow.outbox.head()
            rows = uow.outbox.rows(0, head.size)
        return [parse_entry(row.envelope).data for row in rows if row.event_type == event_type]


@contextlib.contextmanager
def web_home(
    root: Path, *, settings: ApiSettings | None = None, config: str = "", forms: Sequence[Form] = ()
) -> Iterator[WebHome]:
    """An empty home (of these settings, with these kinds of matters besides its own) and the web application over it."""
    with mock.patch("app.wiring.all_forms", return_value=Forms([*all_forms(), *forms])):
        yield from _web_home(root, settings, config)


def _web_home(root: Path, settings: ApiSettings | None, config: str) -> Iterator[WebHome]:
    home = whole_home.make(root, config or whole_home.config())
    house = build(home, home.require())
    try:
        with house.sealer:
            jobs = InlineEngine()
            service = house.offloads(jobs)
            viewings = ViewingCopies(service.parts, jobs=jobs, gate=house.gate, scope=house.reading.scope)
            viewings.declare_jobs()
            service.start_up()
            jobs.start()
            docked: list[DockedDevice] = []
            services = web_services(
                house, jobs=jobs, offloads=service, docked=lambda: docked, hint=lambda: None, viewings=viewings
            )
            yield WebHome(house, service, create_app(services, settings), docked)
    finally:
        house.close()


def fill(web: WebHome, cards: Path) -> Actor:
    """Two units; an officer's recorder of one of them (a talk, a picture with a hostile name), one recorder of the other.

    Returns the officer.
    """
    create = web.house.administration.create_unit
    web.units = {name: create(web.administrator, name=name).id for name in ("执法一科", "执法二科")}
    officer = web.person("执法员", "officer", code="900123")
    mine = web.dock(cards / "mine", {f"DCIM/{TALK}": footage.talking_mp4(), f"DCIM/{HOSTILE}": footage.photo_png()})
    other = web.dock(
        cards / "other", {f"DCIM/{gb_name(counter=5, officer='900777', extension='wav')}": footage.voice_wav()}
    )
    rows = web.take_in(mine, unit=web.units["执法一科"], officer=officer.agent)
    rows += web.take_in(other, unit=web.units["执法二科"])
    names = {TALK: "talk", HOSTILE: "hostile"}
    web.recordings = {names.get(row.name, "other"): row for row in rows}
    return officer
