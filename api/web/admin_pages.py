"""Pages of those who run the house: recorders, people, findings, system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from access.damage import Damage
from api import problems
from api.dependencies import ServicesDep, once_of
from api.security import csrf as forgery
from api.services import Services
from api.web import marks, words
from api.web.dock_view import slot_view
from api.web.i18n import translate
from api.web.once import Told
from api.web.rendering import language_of, render
from api.web.session import PageSession
from assurance.health_facts import Check, Level
from catalogue.records import UnitRow
from evidence.errors import EvidenceError, InvalidInputError, PolicyUnmetError, StateConflictError
from evidence.ids import AgentId, DeviceId, FindingId, UnitId
from evidence.model import Action
from people.roles import broken_separation

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


def verdict_mark(verdict: str) -> marks.Mark:
    """How the verdict of a check looks."""
    return {
        "good": marks.Mark(marks.GOOD, "seal", "Everything matches"),
        "tampered": marks.Mark(marks.BAD, "stop", "Tamper or loss found"),
        "policy-unmet": marks.Mark(marks.WARN, "warn", "Sound, but a policy is not met"),
    }.get(verdict, marks.NOT_KNOWN)


def _see(path: str, **query: str) -> RedirectResponse:
    return RedirectResponse(path + (f"?{urlencode(query)}" if query else ""), status_code=303)


def _optional_unit(text: str) -> UnitId | None:
    return UnitId(text) if text else None


# --- recorders --------------------------------------------------------------------------------------------------------
@router.get("/devices")
def devices(request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """The ledger, and what is docked without being in it."""
    offered = services.gate.offered(page.actor)
    language = language_of(request)
    cards = services.docks.cards(page.actor) if Action.OFFLOAD_LIST in offered else []
    reading, registers = services.reading, Action.DEVICE_REGISTER in offered
    changes = Action.DEVICE_CHANGE in offered
    now = services.clock.now().wall
    told = once_of(request).take(page.csrf)
    return render(
        request, "devices.html", session=page, message=translate(words.DONE[told.message], language) if told else "",
        devices=reading.devices(page.actor), may_change=changes, driver_words=words.DRIVERS,
        serial_words=words.SERIAL_SOURCES, holders=reading.holders(page.actor, Action.DEVICE_CHANGE) if changes else [],
        own_units=[unit for unit in reading.units(page.actor, Action.DEVICE_CHANGE) if _exists(unit, now)],
        unregistered=[slot_view(card, language, offered) for card in cards if card.state == "unregistered"],
        may_register=registers, people=reading.holders(page.actor) if registers else [],
        units=[unit for unit in reading.units(page.actor, Action.DEVICE_REGISTER) if _exists(unit, now)],
        unit_names=services.directory.unit_names(), officer_names=services.directory.names(),
    )  # fmt: skip


@router.post("/docks/register")
def register(
    services: ServicesDep,
    page: PageSession,
    csrf: Annotated[str, Form()],
    slot: Annotated[str, Form()],
    label: Annotated[str, Form(max_length=200)] = "",
    unit: Annotated[str, Form()] = "",
    officer: Annotated[str, Form()] = "",
) -> Response:
    """A person registers the recorder of a slot; the dock reads it next."""
    forgery.require_token(csrf, page.csrf)
    services.docks.register(
        page.actor, slot, label=label.strip(), unit=_optional_unit(unit), officer=AgentId(officer) if officer else None
    )
    return _see("/wall")


@router.post("/devices/change")
def change_device(
    request: Request,
    services: ServicesDep,
    page: PageSession,
    csrf: Annotated[str, Form()],
    device: Annotated[str, Form()],
    label: Annotated[str, Form(max_length=200)] = "",
    unit: Annotated[str, Form()] = "",
    officer: Annotated[str, Form()] = "",
) -> Response:
    """Say anew whose a recorder is; what it brought before stays as it was."""
    forgery.require_token(csrf, page.csrf)
    services.administration.change_device(
        page.actor, device=DeviceId(device), label=label, unit=_optional_unit(unit),
        officer=AgentId(officer) if officer else None,
    )  # fmt: skip
    once_of(request).put(page.csrf, Told(message="device"))
    return _see("/devices")


@router.post("/docks/retry")
def retry(
    services: ServicesDep, page: PageSession, csrf: Annotated[str, Form()], slot: Annotated[str, Form()]
) -> Response:
    """Try a slot again now."""
    forgery.require_token(csrf, page.csrf)
    services.docks.retry(page.actor, slot)
    return _see("/wall")


def _exists(unit: UnitRow, now: datetime) -> bool:
    return unit.valid_from <= now and (unit.valid_to is None or now < unit.valid_to)


# --- people -----------------------------------------------------------------------------------------------------------
def _people_page(
    request: Request, services: Services, page: PageSession, *, status: int = 200, **values: Any
) -> HTMLResponse:
    people = services.administration.people(page.actor)
    units = services.administration.units(page.actor)
    defaults: dict[str, Any] = {"message": "", "form": {}, "told": once_of(request).take(page.csrf)}
    return render(
        request, "people.html", session=page, status=status, back="/people", people=people, units=units,
        done_words=words.DONE,
        unit_names={unit.id: unit.name for unit in units}, role_words=words.ROLES, roles=list(words.ROLES.items()),
        may_manage=Action.PEOPLE_MANAGE in services.gate.offered(page.actor),
        unseparated={one.agent.id for one in people if broken_separation(grant.role for grant in one.roles)},
        **{**defaults, **values},
    )  # fmt: skip


@router.get("/people")
def people(request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """People, units and roles."""
    return _people_page(request, services, page)


def _refused(
    request: Request,
    services: Services,
    page: PageSession,
    error: EvidenceError,
    *,
    taken: str = "",
    form: dict[str, str] | None = None,
) -> HTMLResponse:
    """The page again with what is wrong and what was typed in."""
    if isinstance(error, PolicyUnmetError):
        word = "Nobody would be left who can manage people."
    elif isinstance(error, StateConflictError) and taken:
        word = words.TAKEN[taken]
    elif isinstance(error, InvalidInputError) and form is not None:
        word = "A name has 1 to 60 characters; a log-in name has no spaces; nothing holds control characters."
    else:
        word = "That is not possible."
    language = language_of(request)
    told = language == "zh-CN" or (taken and isinstance(error, StateConflictError))
    message = translate(word, language) + ("" if told else f" ({error.what})")
    status = int(problems.status_of(error))
    return _people_page(request, services, page, status=status, message=message, form=form or {})


def _done(request: Request, page: PageSession, done: str, *, about: str = "", secret: str = "") -> RedirectResponse:
    """To the page itself, which tells it once: loading that again repeats nothing."""
    once_of(request).put(page.csrf, Told(message=done, about=about, secret=secret))
    return _see("/people")


@router.post("/people/agent")
def add_agent(
    request: Request,
    services: ServicesDep,
    page: PageSession,
    csrf: Annotated[str, Form()],
    name: Annotated[str, Form()] = "",
    login: Annotated[str, Form()] = "",
    officer_code: Annotated[str, Form()] = "",
    unit: Annotated[str, Form()] = "",
) -> Response:
    """Add a person; the one-time password is shown once."""
    forgery.require_token(csrf, page.csrf)
    try:
        made = services.administration.create_agent(
            page.actor, name=name, login=login.strip(), officer_code=officer_code.strip(), unit=_optional_unit(unit)
        )
    except (StateConflictError, InvalidInputError) as error:
        typed = {"name": name, "login": login, "officer_code": officer_code, "unit": unit}
        return _refused(request, services, page, error, taken="agent", form=typed)
    return _done(request, page, "agent", about=made.agent.name, secret=made.one_time_password)


@router.post("/people/unit")
def add_unit(
    request: Request,
    services: ServicesDep,
    page: PageSession,
    csrf: Annotated[str, Form()],
    name: Annotated[str, Form()] = "",
    code: Annotated[str, Form()] = "",
    parent: Annotated[str, Form()] = "",
) -> Response:
    """Add a department."""
    forgery.require_token(csrf, page.csrf)
    try:
        made = services.administration.create_unit(page.actor, name=name, code=code, parent=_optional_unit(parent))
    except (StateConflictError, InvalidInputError) as error:
        typed = {"unit_name": name, "code": code, "parent": parent}
        return _refused(request, services, page, error, taken="unit", form=typed)
    return _done(request, page, "unit", about=made.name)


@router.post("/people/role")
def change_role(
    request: Request,
    services: ServicesDep,
    page: PageSession,
    csrf: Annotated[str, Form()],
    agent: Annotated[str, Form()],
    role: Annotated[str, Form()],
    change: Annotated[str, Form()],
    unit: Annotated[str, Form()] = "",
) -> Response:
    """Grant a role or take it away."""
    forgery.require_token(csrf, page.csrf)
    act = services.administration.grant_role if change == "grant" else services.administration.revoke_role
    try:
        act(page.actor, agent=AgentId(agent), role=role, unit=_optional_unit(unit))
    except (PolicyUnmetError, InvalidInputError) as error:
        return _refused(request, services, page, error)
    return _done(request, page, "role", about=services.directory.name(AgentId(agent)))


@router.post("/people/transfer")
def transfer(
    request: Request,
    services: ServicesDep,
    page: PageSession,
    csrf: Annotated[str, Form()],
    agent: Annotated[str, Form()],
    unit: Annotated[str, Form()],
) -> Response:
    """Move a person to another unit from now on; what they recorded before stays with the unit of its day."""
    forgery.require_token(csrf, page.csrf)
    try:
        services.administration.transfer(page.actor, agent=AgentId(agent), unit=UnitId(unit))
    except InvalidInputError as error:
        return _refused(request, services, page, error)
    return _done(request, page, "transfer", about=services.directory.name(AgentId(agent)))


@router.post("/people/deactivate")
def deactivate(
    request: Request,
    services: ServicesDep,
    page: PageSession,
    csrf: Annotated[str, Form()],
    agent: Annotated[str, Form()],
) -> Response:
    """End the account of somebody who left; their past stays."""
    forgery.require_token(csrf, page.csrf)
    try:
        services.administration.deactivate(page.actor, agent=AgentId(agent))
    except PolicyUnmetError as error:
        return _refused(request, services, page, error)
    return _done(request, page, "deactivate", about=services.directory.name(AgentId(agent)))


@router.post("/people/password")
def reset_password(
    request: Request,
    services: ServicesDep,
    page: PageSession,
    csrf: Annotated[str, Form()],
    agent: Annotated[str, Form()],
) -> Response:
    """A new one-time password, shown once."""
    forgery.require_token(csrf, page.csrf)
    secret = services.administration.reset_password(page.actor, agent=AgentId(agent))
    name = services.directory.name(AgentId(agent))
    return _done(request, page, "password", about=name, secret=secret)


# --- findings and system ----------------------------------------------------------------------------------------------
@router.get("/findings")
def findings(request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """What an auditor must look at."""
    found = services.checks.findings(page.actor)
    about = services.reading.about(page.actor, {row.recording for row in found if row.recording})
    return render(
        request, "findings.html", session=page, findings=found, finding_words=words.FINDINGS, about=about,
        officer_names=services.directory.names(), may_close=Action.VERIFY_RUN in services.gate.offered(page.actor),
    )  # fmt: skip


@router.post("/findings/close")
def close_finding(
    services: ServicesDep, page: PageSession, csrf: Annotated[str, Form()], finding: Annotated[str, Form()],
    reason: Annotated[str, Form()] = "",
) -> Response:  # fmt: skip
    """Say that a person has looked at a finding; who and why is entered."""
    forgery.require_token(csrf, page.csrf)
    services.checks.close_finding(page.actor, FindingId(finding), reason=reason)
    return _see("/findings")


def _still(mark: marks.Mark, *, outdated: bool) -> marks.Mark:
    """A verdict that was good is not good any more once something was found after it."""
    if mark.tone == marks.GOOD and outdated:
        return marks.Mark(marks.UNKNOWN, "question", "Everything matched then")
    return mark


def _with_damage(checks: Sequence[Check], damage: Damage) -> list[Check]:
    """Open findings of tamper or loss are bad, not merely something to attend to like a late hand-in."""
    return [
        replace(check, level=Level.BAD, reason="damage", values={**check.values, "damage": damage.open})
        if check.name == "findings" and damage.open else check
        for check in checks
    ]  # fmt: skip


@router.get("/system")
def system(request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """True health, and the check of everything."""
    health = services.checks.health(page.actor)
    damage = services.reading.damage(page.actor, Action.SYSTEM_HEALTH)
    last = services.checks.last_verification()
    verify: dict[str, Any] | None = None
    if last is not None:
        running = marks.Mark(marks.BUSY, "clock", "Verification is running")
        later = damage.last_at if damage.last_at is not None and damage.last_at > last.at else None
        verify = {
            "mark": running if last.running else _still(verdict_mark(last.verdict), outdated=later is not None),
            "at": last.at, "text": words.verification_text(last, language_of(request)), "running": last.running,
            "outdated": None if last.running else later,
        }  # fmt: skip
    return render(
        request, "system.html", session=page, checks=_with_damage(health.checks, damage), as_of=health.as_of, verify=verify,
        health_words=words.HEALTH, reason_words=words.HEALTH_REASONS,
        values_text=partial(words.values_text, language=language_of(request)), error_words=words.ERRORS,
        may_verify=Action.VERIFY_RUN in services.gate.offered(page.actor),
        log_directory=services.log.directory, vkey=services.log.vkey,
    )  # fmt: skip


@router.post("/system/verify")
def verify_all(services: ServicesDep, page: PageSession, csrf: Annotated[str, Form()]) -> Response:
    """Start the check of the whole home in the background."""
    forgery.require_token(csrf, page.csrf)
    services.checks.start_verification(page.actor)
    return _see("/system")
