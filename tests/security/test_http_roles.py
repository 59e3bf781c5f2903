"""Every route x every role, at the browser's side, over real recordings. A new route without a row fails here.

A row says what an allowed person is answered and who is allowed; everybody else is refused, and each refusal is an entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

import pytest
from fastapi import FastAPI

from api.routes import devices as dock_routes
from app.dates import dry_runs_of
from evidence.calendar import local_date
from evidence.model import Actor
from matters.turn import NewLink
from people.roles import ROLES
from support import footage
from support.web_home import Visitor, WebHome

SEES = {"officer", "station_operator", "unit_leader", "legal_reviewer", "auditor", "retention_manager"}
WATCHES = {"officer", "unit_leader", "legal_reviewer"}
COPIES = {"unit_leader", "legal_reviewer"}
REGISTERS = {"unit_leader", "legal_reviewer", "auditor", "retention_manager", "audit_administrator"}
DOCKS = {"station_operator"}
LEDGER = {"station_operator", "unit_leader", "auditor", "retention_manager", "system_administrator"}
FINDS = {
    "station_operator", "unit_leader", "legal_reviewer", "auditor", "retention_manager", "system_administrator",
    "audit_administrator",
}  # fmt: skip
KNOWS_PEOPLE = {"unit_leader", "auditor", "security_administrator", "audit_administrator"}
MANAGES = {"security_administrator"}
HEALTH = {"station_operator", "auditor", "system_administrator", "security_administrator", "audit_administrator"}
COUNTS = {"unit_leader", "legal_reviewer", "auditor", "retention_manager"}
CHECKS = {"auditor", "system_administrator", "audit_administrator"}
CLEARS = {"unit_leader", "legal_reviewer", "auditor", "retention_manager", "audit_administrator"}
JUDGES = {"officer", "unit_leader", "retention_manager"}
HOLDS = {"unit_leader", "legal_reviewer", "auditor", "retention_manager"}
SCHEDULED = SEES | {"audit_administrator"}
#: Who may handle a case at all.
SORTS = {"officer", "unit_leader", "legal_reviewer"}
ALL = set(ROLES)
#: Who may see, and who may open, the kind of matter that the table asks for (support/demo_matters.py).
SEES_DEMO = {"unit_leader", "legal_reviewer", "auditor", "retention_manager", "audit_administrator"}
OPENS_DEMO = {"officer", "unit_leader", "legal_reviewer", "auditor"}


@dataclass(frozen=True)
class Row:
    """What one route answers. ``anyone``: it needs no session, and answers this."""

    allowed: frozenset[str]
    status: frozenset[int]
    body: dict[str, object] = field(default_factory=dict)
    form: bool = False
    anyone: int | None = None


def row(allowed: set[str], *status: int, anyone: int | None = None, form: bool = False, **body: object) -> Row:
    return Row(frozenset(allowed), frozenset(status), body, form, anyone)


A = "/api/v1"
TABLE: dict[tuple[str, str], Row] = {
    ("GET", f"{A}/openapi.json"): row(ALL, 200, anyone=200),
    ("POST", f"{A}/session"): row(ALL, 401, anyone=401, login="nobody", password="wrong"),
    ("GET", f"{A}/session"): row(ALL, 200),
    ("DELETE", f"{A}/session"): row(ALL, 204),
    ("PUT", f"{A}/session/password"): row(ALL, 401, old="wrong", new="something much longer"),
    ("GET", f"{A}/recordings"): row(SEES, 200),
    ("GET", f"{A}/recordings/{{recording}}"): row(SEES, 200),
    ("GET", f"{A}/recordings/{{recording}}/timeline"): row(SEES, 200),
    ("GET", f"{A}/recordings/{{recording}}/retention"): row(SEES, 200),
    ("GET", f"{A}/retention/due"): row(CLEARS, 200),
    ("GET", f"{A}/absence/{{sha256}}"): row(CLEARS, 200),
    ("GET", f"{A}/clearing"): row(CLEARS, 200),
    ("GET", "/absence"): row(CLEARS, 200),
    ("GET", "/clearing"): row(CLEARS, 200),
    ("POST", "/clearing/propose"): row({"retention_manager"}, 303, form=True),
    ("GET", "/clearing/{matter}/poster/{recording}"): row(SEES_DEMO, 404),
    ("GET", f"{A}/retention/lists/{{schedule}}"): row(CLEARS | {"station_operator"}, 200),
    ("GET", f"{A}/classification/choices"): row(SCHEDULED, 200),
    ("GET", f"{A}/classification/worklist"): row(SEES, 200),
    ("POST", f"{A}/classification/plan"): row(JUDGES, 422, recordings=["{recording}"], category="nosuch"),
    ("POST", f"{A}/classification"): row(JUDGES, 422, recordings=["{recording}"], category="nosuch"),
    ("POST", f"{A}/classification/retract"): row(JUDGES, 200, recording="{recording}", words="x"),
    ("POST", f"{A}/classification/flags"): row(
        SEES - {"auditor"}, 200, recordings=["{recording}"], flag="sensitive", ground="major", words="x"
    ),
    ("POST", f"{A}/holds/try-out"): row(HOLDS, 200, place="鹭江"),
    ("GET", f"{A}/holds/{{hold}}/keeps"): row(HOLDS | {"audit_administrator"}, 200),
    ("POST", f"{A}/record-lists/preview"): row(ALL, 422),
    ("POST", f"{A}/record-lists"): row(ALL, 422),
    ("GET", f"{A}/discs/waiting"): row(SEES, 200),
    ("GET", f"{A}/recordings/{{recording}}/discs"): row(SEES, 200),
    ("GET", f"{A}/discs/{{disc}}/paper"): row(ALL, 404),
    ("POST", f"{A}/recordings/{{recording}}/verify"): row(SEES, 200),
    ("GET", f"{A}/recordings/{{recording}}/proof"): row(SEES, 200),
    ("POST", f"{A}/recordings/{{recording}}/viewings"): row(WATCHES, 200),
    ("POST", f"{A}/recordings/{{recording}}/viewing-copy"): row(WATCHES, 202),
    ("GET", f"{A}/recordings/{{recording}}/media"): row(WATCHES, 200),
    ("HEAD", f"{A}/recordings/{{recording}}/media"): row(WATCHES, 200),
    ("GET", f"{A}/recordings/{{recording}}/pictures/{{kind}}"): row(WATCHES, 200),
    ("POST", f"{A}/recordings/{{recording}}/copies"): row(COPIES, 200, kind="original"),
    ("POST", "/recordings/{recording}/copies"): row(COPIES, 200, form=True),
    ("GET", f"{A}/use-register"): row(REGISTERS, 200),
    ("GET", f"{A}/use-register/{{book}}"): row(REGISTERS, 200),
    ("GET", "/use-register"): row(REGISTERS, 200),
    ("GET", "/my/use"): row(ALL, 200),
    ("GET", "/use-register/{book}"): row(REGISTERS, 200),
    ("GET", f"{A}/docks"): row(SEES, 200),
    ("GET", f"{A}/docks/events"): row(SEES, 200),
    ("POST", f"{A}/docks/register"): row(DOCKS, 200, slot="{slot}", label="资产 1"),
    ("POST", f"{A}/docks/retry"): row(DOCKS, 202, slot="{slot}"),
    ("GET", f"{A}/devices"): row(LEDGER, 200),
    ("PUT", f"{A}/devices/{{device}}"): row(DOCKS, 200, label="资产 {n}"),
    ("GET", f"{A}/offloads"): row(SEES, 200),
    ("GET", f"{A}/units"): row(KNOWS_PEOPLE, 200),
    ("POST", f"{A}/units"): row(MANAGES, 201, name="执法{n}科"),
    ("GET", f"{A}/agents"): row(KNOWS_PEOPLE, 200),
    ("POST", f"{A}/agents"): row(MANAGES, 201, name="甲{n}", login="login{n}"),
    ("POST", f"{A}/agents/{{agent}}/roles"): row(MANAGES, 204, role="auditor"),
    ("POST", f"{A}/agents/{{agent}}/roles/revoke"): row(MANAGES, 204, role="auditor"),
    ("POST", f"{A}/agents/{{agent}}/transfer"): row(MANAGES, 204, unit="{unit}"),
    ("POST", f"{A}/agents/{{agent}}/deactivate"): row(MANAGES, 204),
    ("POST", f"{A}/agents/{{agent}}/password"): row(MANAGES, 200),
    ("GET", f"{A}/health"): row(HEALTH, 200),
    ("GET", f"{A}/storage"): row(HEALTH, 200),
    ("GET", f"{A}/statistics"): row(COUNTS, 200),
    ("GET", f"{A}/findings"): row(FINDS, 200),
    ("POST", f"{A}/verification"): row(CHECKS, 202, 409),
    ("GET", f"{A}/verification"): row(HEALTH, 200),
    ("GET", f"{A}/log"): row(HEALTH, 200),
    ("GET", f"{A}/matters/kinds"): row(ALL, 200),
    ("GET", f"{A}/matters"): row(ALL, 200),
    ("POST", f"{A}/matters"): row(OPENS_DEMO, 422, kind="demo"),
    ("GET", f"{A}/matters/registers/{{matter_kind}}/{{written_as}}"): row(SEES_DEMO | OPENS_DEMO, 200),
    ("GET", f"{A}/matters/{{matter}}"): row(SEES_DEMO, 200),
    ("GET", f"{A}/matters/{{matter}}/history"): row(SEES_DEMO, 200),
    ("GET", f"{A}/matters/{{matter}}/print"): row(SEES_DEMO, 200),
    ("POST", f"{A}/matters/{{matter}}/acts"): row({"unit_leader"}, 422, act="refuse"),
    ("POST", f"{A}/matters/{{matter}}/documents"): row(ALL, 422),
    ("GET", f"{A}/matters/{{matter}}/documents/{{document}}"): row(ALL, 404),
    ("GET", f"{A}/dossiers/unsorted"): row(SORTS, 200),
    ("GET", f"{A}/dossiers/{{matter}}"): row(SEES_DEMO, 404),
    ("GET", f"{A}/dossiers/{{matter}}/timeline"): row(SEES_DEMO, 404),
    ("GET", f"{A}/dossiers/{{matter}}/papers/{{paper}}"): row(SEES_DEMO, 404),
    ("GET", "/unsorted"): row(SORTS, 200),
    ("GET", "/matters/one/{matter}/papers/{paper}"): row(SEES_DEMO, 404),
    ("GET", "/matters"): row(ALL, 200),
    ("GET", "/matters/start"): row(ALL, 200),
    ("GET", "/matters/one/{matter}"): row(SEES_DEMO, 200),
    ("GET", "/matters/one/{matter}/print"): row(SEES_DEMO, 200),
    ("POST", "/matters/one/{matter}/package"): row(SEES_DEMO, 404, form=True, purpose="litigation", recipient="法院"),
    ("POST", f"{A}/cases/{{case}}/package"): row(SEES_DEMO, 404, purpose="litigation", recipient="法院"),
    ("POST", "/matters/one/{matter}/act"): row({"unit_leader"}, 422, form=True, act="refuse"),
    ("POST", "/matters/one/{matter}/documents"): row(ALL, 422, form=True),
    ("GET", "/matters/one/{matter}/documents/{document}"): row(ALL, 404),
    ("GET", "/matters/{matter_kind}"): row(SEES_DEMO | OPENS_DEMO, 200),
    ("GET", "/matters/{matter_kind}/register/{written_as}"): row(SEES_DEMO | OPENS_DEMO, 200),
    ("GET", "/matters/{matter_kind}/new"): row(OPENS_DEMO, 200),
    ("POST", "/matters/{matter_kind}/new"): row(OPENS_DEMO, 422, form=True),
    ("GET", "/"): row(ALL, 303),
    ("GET", "/login"): row(ALL, 303, anyone=200),
    ("POST", "/login"): row(ALL, 401, anyone=401, form=True, login="nobody", password="wrong"),
    ("POST", "/logout"): row(ALL, 303, form=True),
    ("GET", "/password"): row(ALL, 200),
    ("POST", "/password"): row(ALL, 422, form=True, old="wrong", new="something much longer", again="something else"),
    ("GET", "/language"): row(ALL, 303, anyone=303),
    ("GET", "/wall"): row(SEES, 200),
    ("GET", "/recordings"): row(SEES, 200),
    ("GET", "/recordings/{recording}"): row(SEES, 200),
    ("GET", "/recordings/{recording}/text"): row(WATCHES, 404),
    ("POST", "/recordings/{recording}/verify"): row(SEES, 200),
    ("POST", "/recordings/{recording}/viewing-copy"): row(WATCHES, 303, form=True),
    ("GET", "/my"): row(SEES, 200),
    ("GET", "/my/unclassified"): row(SEES, 200),
    ("GET", "/classify"): row(SCHEDULED, 422),
    ("POST", "/classify"): row(JUDGES, 422, form=True, recording="{recording}", category="nosuch", sha256="0"),
    ("POST", "/recordings/{recording}/classify"): row(JUDGES, 422, form=True, category="nosuch"),
    ("POST", "/recordings/{recording}/unclassify"): row(JUDGES, 303, form=True, said="x"),
    ("POST", "/recordings/{recording}/flag"): row(
        SEES - {"auditor"}, 303, form=True, ground="sensitive:major", said="x"
    ),
    ("GET", "/record-lists/new"): row({"retention_manager"}, 200),
    ("POST", "/record-lists/preview"): row(ALL, 422, form=True),
    ("POST", "/record-lists"): row(ALL, 422, form=True),
    ("GET", "/discs"): row(SEES, 200),
    ("GET", "/devices"): row(LEDGER, 200),
    ("POST", "/devices/change"): row(DOCKS, 303, form=True, device="{device}", label="资产 {n}"),
    ("POST", "/docks/register"): row(DOCKS, 303, form=True, slot="{slot}"),
    ("POST", "/docks/retry"): row(DOCKS, 303, form=True, slot="{slot}"),
    ("GET", "/people"): row(KNOWS_PEOPLE, 200),
    ("POST", "/people/agent"): row(MANAGES, 303, form=True, name="乙{n}", login="person{n}"),
    ("POST", "/people/unit"): row(MANAGES, 303, form=True, name="执法{n}队"),
    ("POST", "/people/role"): row(MANAGES, 303, 409, form=True, agent="{agent}", role="auditor", change="grant"),
    ("POST", "/people/transfer"): row(MANAGES, 303, form=True, agent="{agent}", unit="{unit}"),
    ("POST", "/people/deactivate"): row(MANAGES, 303, form=True, agent="{agent}"),
    ("POST", "/people/password"): row(MANAGES, 303, form=True, agent="{agent}"),
    ("GET", "/findings"): row(FINDS, 200),
    ("POST", "/findings/close"): row(CHECKS, 404, form=True, finding="fnd_01a21a5ea63372baa2bc02343479f2de", reason="已核实"),
    ("GET", "/storage"): row(HEALTH, 200),
    ("GET", "/statistics"): row(COUNTS, 200),
    ("GET", "/statistics/register.{form}"): row(COUNTS, 422),
    ("GET", "/system"): row(HEALTH, 200),
    ("POST", "/system/verify"): row(CHECKS, 303, 409, form=True),
}  # fmt: skip


def routes_of(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Every method and path this application answers; mounted folders of static files have no methods."""
    for route in app.routes:
        if hasattr(route, "effective_route_contexts"):
            for inner in route.effective_route_contexts():
                yield from ((method, inner.path) for method in inner.methods or ())
        else:
            yield from ((method, route.path) for method in getattr(route, "methods", None) or () if method != "HEAD")


def test_r18_every_route_has_a_row_in_the_table(web: WebHome) -> None:
    found = set(routes_of(web.app))
    assert len(found) > 50
    assert found == set(TABLE)


@pytest.fixture(scope="module")
def values(web: WebHome, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the paths and bodies of the table are filled in with: a recording, a slot nobody has registered, a person."""
    fresh = web.dock(tmp_path_factory.mktemp("fresh") / "card", {"DCIM/new.wav": footage.voice_wav()})
    spare = web.house.administration.create_agent(web.administrator, name="备用", login="spare").agent
    other = web.dock(tmp_path_factory.mktemp("ledger") / "card", {"DCIM/other.wav": footage.voice_wav()})
    device = web.service.register_device(other, web.administrator, label="资产")
    return {
        "disc": "mat_01a21a5ea63372baa2bc02343479f2de", "device": device.id, "recording": web.recordings["talk"].id,
        "kind": "poster", "paper": "cover", "form": "nosuch", "slot": fresh.slot, "agent": spare.id, "sha256": "ab" * 32,
        "unit": web.units["执法二科"], "book": "csv", "schedule": tried_schedule(web), "hold": a_hold(web),
        "matter": (demo := demo_matter(web)), "case": demo, "matter_kind": "demo", "written_as": "csv",
        "document": "doc_01a21a5ea63372baa2bc02343479f2de",
    }  # fmt: skip


def demo_matter(web: WebHome) -> str:
    """A request that somebody of no department asked for."""
    asker = web.person("请求人", "unit_leader")
    return web.house.matters.open(asker, "demo", {"title": "调看"}).id


def a_hold(web: WebHome) -> str:
    """A hold on a recording."""
    given = {"type": "audit", "title": "a", "why": "a", "review_on": in_a_month(web)}
    links = [NewLink(role="held", target=web.recordings["other"].id)]
    return web.house.matters.open(web.person("审计员", "auditor"), "hold", given, links=links).id


def in_a_month(web: WebHome) -> str:
    """A day to come, by the home's clock."""
    return local_date(web.house.clock.now().wall + timedelta(days=30)).isoformat()


def tried_schedule(web: WebHome) -> str:
    """A proposed schedule with the list of what it would date otherwise."""
    manager = web.person("管理员", "retention_manager")
    given = {"title": "一年", "authority": "a", "in_force_from": "2026-12-01", "ordinary_months": 12}
    row = web.house.matters.open(manager, "schedule", given)
    dry_runs_of(web.house).enter(row.id)
    return row.id


_NUMBERS = count(1)


def ask(visitor: Visitor, method: str, path: str, wanted: Row, values: dict[str, str]):
    filled = {**values, "n": next(_NUMBERS)}
    body = {
        name: [one.format(**filled) for one in value] if isinstance(value, list) else str(value).format(**filled)
        for name, value in wanted.body.items()
    }
    where = path.format(**filled)
    if wanted.form:
        return visitor.request(
            method, where, data={"csrf": visitor.csrf, **body}, headers={"origin": "http://127.0.0.1"}
        )
    return visitor.request(method, where, **({"json": body} if body else {}))


@pytest.fixture
def short_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall's live events end after the first picture instead of after ten minutes."""
    monkeypatch.setattr(dock_routes, "_EVENTS_MAX", 1)
    monkeypatch.setattr(dock_routes, "_EVERY_S", 0.0)


@pytest.mark.usefixtures("short_events")
@pytest.mark.parametrize("role", sorted(ROLES))
def test_r09_r18_each_role_reaches_exactly_its_routes_and_each_refusal_is_entered(
    web: WebHome, values: dict[str, str], officer: Actor, role: str
) -> None:
    actor = officer if role == "officer" else web.person(role, role)
    # The home is shared and the order of tests is chance: what other tests had this person refused is not counted here.
    before = len(denials(web, actor))
    wrong: list[str] = []
    refusals = 0
    for (method, path), wanted in TABLE.items():
        answer = ask(web.visitor(actor), method, path, wanted, values)
        allowed = role in wanted.allowed or wanted.anyone is not None
        refusals += answer.status_code == 403
        if answer.status_code not in (wanted.status if allowed else {403}):
            wrong.append(
                f"{method} {path}: {answer.status_code} {answer.text[:200] if answer.status_code >= 400 else ''}"
            )
    assert wrong == []
    assert len(denials(web, actor)) - before == refusals


def denials(web: WebHome, actor: Actor) -> list[dict]:
    return [entry for entry in web.entries("access.denied") if entry["actor"] == actor.agent]


def test_r09_nobody_reaches_anything_without_a_session(web: WebHome, values: dict[str, str]) -> None:
    for (method, path), wanted in TABLE.items():
        answer = ask(web.visitor(), method, path, wanted, values)
        if wanted.anyone is not None:
            assert answer.status_code == wanted.anyone, path
        elif path.startswith("/api/"):
            assert answer.status_code == 401, path
            assert answer.headers["content-type"] == "application/problem+json"
        else:
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/login?back=%2F"), path


def test_r18_a_role_for_one_unit_ends_at_that_unit_in_lists_and_on_pages(web: WebHome) -> None:
    leader = web.person("一科负责人", "unit_leader", unit=web.units["执法一科"])
    visitor = web.visitor(leader)
    mine, other = web.recordings["talk"].id, web.recordings["other"].id
    listed = {item["id"] for item in visitor.get(f"{A}/recordings").json()["recordings"]}
    assert mine in listed
    assert other not in listed
    for path in (f"{A}/recordings/{other}", f"/recordings/{other}", f"{A}/recordings/{other}/media"):
        assert visitor.get(path).status_code == 403, path
    assert visitor.post(f"{A}/recordings/{other}/viewings").json()["reason"] == "outside-unit"
    assert other not in visitor.get("/recordings").text
    assert visitor.get(f"{A}/recordings/{mine}").status_code == 200


def test_r18_an_officer_reaches_their_own_recordings_and_no_others(web: WebHome, officer: Actor) -> None:
    visitor = web.visitor(officer)
    listed = {item["id"] for item in visitor.get(f"{A}/recordings").json()["recordings"]}
    assert listed == {web.recordings["talk"].id, web.recordings["hostile"].id}
    refused = visitor.get(f"{A}/recordings/{web.recordings['other'].id}")
    assert refused.status_code == 403
    assert refused.json()["reason"] == "not-own"


def test_a_person_who_left_is_nobody_at_once(web: WebHome) -> None:
    leaver = web.person("离职者", "auditor")
    visitor = web.visitor(leaver)
    assert visitor.get(f"{A}/recordings").status_code == 200
    web.house.administration.deactivate(web.administrator, agent=leaver.agent)
    assert visitor.get(f"{A}/recordings").status_code == 401


def test_a_role_taken_away_ends_within_the_same_session(web: WebHome) -> None:
    person = web.person("调岗者", "auditor")
    visitor = web.visitor(person)
    assert visitor.get("/findings").status_code == 200
    web.house.administration.revoke_role(web.administrator, agent=person.agent, role="auditor")
    assert visitor.get("/findings").status_code == 403


def test_nothing_of_this_table_is_left_over_from_a_role_that_is_gone() -> None:
    named = set().union(*(wanted.allowed for wanted in TABLE.values()))
    assert named == set(ROLES)
