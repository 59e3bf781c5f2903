"""The pages' routes: each asks the same services as the API and renders what they answer."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from access import SessionActor
from access.damage import KINDS as DAMAGE
from access.views import Count
from api import problems
from api.dependencies import (
    COOKIE,
    LANGUAGE_COOKIE,
    ServicesDep,
    SettingsDep,
    address_of,
    login_rate_of,
    session_behind,
)
from api.matters.names import Names
from api.matters.showing import Shower
from api.routes.session import set_cookie
from api.security import csrf as forgery
from api.services import Services
from api.web import (
    admin_pages,
    classify_pages,
    classify_words,
    clearing_pages,
    custody_words,
    disc_page,
    disc_words,
    dossier_parts,
    matter_offers,
    matter_pages,
    package_part,
    recording_view,
    retention_words,
    statistics_page,
    storage_page,
    use_pages,
    words,
)
from api.web.dock_view import place_of
from api.web.i18n import choose_language, translate
from api.web.rendering import language_of, render
from api.web.session import PageSession, back_path, page_session
from api.web.units import as_text
from catalogue.records import RecordingFilter, RecordingRow
from evidence.clock import BUREAU_ZONE
from evidence.errors import (
    AccessDeniedError,
    AuthenticationError,
    EvidenceError,
    InvalidInputError,
    LimitExceededError,
    NotFoundError,
    Retry,
)
from evidence.ids import DeviceId, RecordingId, UnitId
from evidence.model import Action, Actor, RecordingKind, RecordingState, Verdict
from matters.recording_facts import COLUMNS
from people import credentials
from retention.classification import is_unclassified

_SEE_OTHER = 303


def redirect(path: str) -> RedirectResponse:
    """After a POST, or to a page that must come first."""
    return RedirectResponse(path, status_code=_SEE_OTHER)


def error_page(request: Request, error: EvidenceError) -> Response:
    """An error as a page: the log-in page when nobody is logged in, else what happened, what was kept, what to do."""
    if isinstance(error, AuthenticationError) and request.url.path != "/login":
        if request.headers.get("hx-request"):
            return Response(status_code=401)
        # A form that was being sent cannot be sent again by going to its address: start at the first page.
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        query = urlencode({"back": back_path(here if request.method in forgery.SAFE_METHODS else "/")})
        return redirect(f"/login?{query}")
    if getattr(error, "reason", "") == "password-change-required":
        return redirect("/password")
    language = language_of(request)
    status = int(problems.status_of(error))
    title, advice = words.ERRORS.get(error.code, "This did not work"), words.RETRY[_retry(error)]
    told: list[str] = []
    if isinstance(error, forgery.ForgedRequestError):
        advice = "Load the page again and repeat the step."
    elif isinstance(error, AccessDeniedError):
        title, advice = "Access denied", ""
        reason = getattr(error, "reason", "")
        why = custody_words.DENIALS.get(reason, "Your roles do not allow this.")
        told = [translate(why, language), translate("The refusal has been entered in the chain of custody.", language)]
    return render(
        request, "error.html", session=_session_or_none(request, status), status=status, back=_came_from(request),
        title=translate(title, language), told=told, advice=translate(advice, language) if advice else "",
        code=error.code,
        # Sentences of the lower rooms are English: a Chinese page keeps them apart, to be passed on to who looks after it.
        details=[] if told else [text[:1].upper() + text[1:] for text in (error.what, error.kept, error.todo) if text],
    )  # fmt: skip


def _came_from(request: Request) -> str:
    """Our own page that a refused form stood on; the first page when the browser does not tell."""
    told = urlsplit(request.headers.get("referer", ""))
    if told.netloc != request.headers.get("host"):
        return "/"
    return back_path(told.path + (f"?{told.query}" if told.query else ""))


def _session_or_none(request: Request, status: int) -> SessionActor | None:
    """Whose page it is, so that a refusal does not look like having been logged out; not asked when the service is ill."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return None
    try:
        return session_behind(request)
    except EvidenceError:
        return None


def _retry(error: EvidenceError) -> Retry:
    """What nobody foresaw may well pass."""
    return Retry.LATER if type(error) is EvidenceError else error.retry


_pages = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


def router() -> APIRouter:
    """Every page."""
    package_part.declare()
    whole = APIRouter(include_in_schema=False)
    whole.include_router(_pages)
    whole.include_router(admin_pages.router)
    whole.include_router(storage_page.router)
    whole.include_router(statistics_page.router)
    whole.include_router(disc_page.router)
    whole.include_router(clearing_pages.router)
    whole.include_router(classify_pages.router)
    whole.include_router(dossier_parts.router)
    whole.include_router(package_part.router)
    whole.include_router(matter_pages.router)
    whole.include_router(use_pages.router)
    return whole


# --- log-in -----------------------------------------------------------------------------------------------------------
@_pages.get("/login")
def login_form(request: Request, back: str = "/", changed: str = "") -> Response:
    """The log-in page; who is logged in already goes on."""
    with suppress(EvidenceError):
        session = session_behind(request)
        return redirect("/password" if session.must_change else back_path(back))
    return _login_page(request, back=back, changed=bool(changed))


def _login_page(
    request: Request, *, back: str, message: str = "", login: str = "", changed: bool = False, status: int = 200
) -> HTMLResponse:
    back = back_path(back)
    return render(
        request, "login.html", status=status, message=message, back_to=back, login=login, changed=changed,
        back=f"/login?{urlencode({'back': back})}",
    )  # fmt: skip


@_pages.post("/login")
def log_in(
    request: Request,
    services: ServicesDep,
    settings: SettingsDep,
    login: Annotated[str, Form()],
    password: Annotated[str, Form()],
    back: Annotated[str, Form()] = "/",
) -> Response:
    """Check the password; on success go where the person wanted to be."""
    forgery.require_same_origin(request)
    try:
        login_rate_of(request).note(address_of(request))
        made = services.identity.log_in(login, password=password, address=address_of(request), via="web")
    except (AuthenticationError, LimitExceededError) as error:
        message = translate(
            "Too many attempts. Wait a minute." if isinstance(error, LimitExceededError)
            else "Log-in name or password is wrong, or the account is locked.", language_of(request),
        )  # fmt: skip
        status = int(problems.status_of(error))
        return _login_page(request, back=back, message=message, login=login, status=status)
    response = redirect("/password" if made.must_change else back_path(back))
    set_cookie(response, made.token, secure=settings.secure_cookies)
    return response


_session_only = page_session(allow_one_time=True)


@_pages.post("/logout")
def log_out(
    request: Request,
    services: ServicesDep,
    page: Annotated[SessionActor, Depends(_session_only)],
    csrf: Annotated[str, Form()],
) -> Response:
    """End the session, also one that may do nothing but change its one-time password."""
    forgery.require_token(csrf, page.csrf)
    services.identity.log_out(request.cookies.get(COOKIE, ""))
    response = redirect("/login")
    response.delete_cookie(COOKIE, path="/")
    return response


@_pages.get("/password")
def password_form(request: Request, page: Annotated[SessionActor, Depends(_session_only)]) -> HTMLResponse:
    """The page to change one's own password."""
    return _password_page(request, page)


@_pages.post("/password")
def change_password(
    request: Request,
    services: ServicesDep,
    page: Annotated[SessionActor, Depends(_session_only)],
    csrf: Annotated[str, Form()],
    old: Annotated[str, Form()],
    new: Annotated[str, Form()],
    again: Annotated[str, Form()],
) -> Response:
    """Change it; everybody with that password is logged out, this browser too."""
    forgery.require_token(csrf, page.csrf)
    language = language_of(request)
    try:
        if new != again:
            raise InvalidInputError("the two new passwords differ")
        services.identity.change_password(page.actor, old=old, new=new)
    except LimitExceededError:
        message = translate("Too many attempts. Wait a minute.", language)
    except AuthenticationError:
        message = translate("The present password is wrong, or the account is locked.", language)
    except InvalidInputError as error:
        same = "The two new passwords differ." if new != again else "The new password is too weak or the old one."
        message = translate(same, language) + ("" if language == "zh-CN" or new != again else f" {error.what}")
    else:
        return redirect("/login?changed=1")
    return _password_page(request, page, message=message, status=422)


def _password_page(request: Request, page: SessionActor, *, message: str = "", status: int = 200) -> HTMLResponse:
    return render(
        request, "password.html", session=page, status=status, back="/password", must_change=page.must_change, message=message,
        mixed=credentials.PASSWORD_CHARS_MIN, plain=credentials.PASSPHRASE_CHARS_MIN, longest=credentials.PASSWORD_CHARS_MAX,
    )  # fmt: skip


@_pages.get("/language")
def language(lang: str = "", back: str = "/") -> Response:
    """Switch the language and go back."""
    response = redirect(back_path(back))
    response.set_cookie(LANGUAGE_COOKIE, choose_language(lang), samesite="strict", max_age=31_536_000, path="/")
    return response


# --- the wall ---------------------------------------------------------------------------------------------------------
@_pages.get("/")
def first_page(services: ServicesDep, page: PageSession) -> Response:
    """Where a person's work begins: the docks, the recordings, their own recordings, or the system."""
    offered = services.gate.offered(page.actor)
    if {Action.DEVICE_LIST, Action.OFFLOAD_LIST} <= offered:
        return redirect("/wall")
    if Action.RECORDING_LIST in offered:
        return redirect("/recordings" if Action.FINDING_LIST in offered else "/my")
    return redirect("/system")


@_pages.get("/wall")
def wall(request: Request, services: ServicesDep, page: PageSession) -> Response:
    """The docks, live, and how the recordings stand."""
    offered = services.gate.offered(page.actor)
    overview = services.reading.overview(page.actor)
    ledger = services.reading.devices(page.actor) if Action.DEVICE_LIST in offered else []
    devices = {row.id: row for row in ledger}

    def of(states: str) -> Count:
        return Count(total=sum(overview.by_state.get(state, 0) for state in _states(states)))

    tiles = [
        ("kept", of(words.KEPT), f"/recordings?state={words.KEPT}"),
        ("moving", of(words.MOVING), f"/recordings?state={words.MOVING}"),
        ("interrupted", of(RecordingState.INTERRUPTED), "/recordings?state=interrupted"),
        ("quarantined", overview.quarantined, "/recordings?quarantined=true"),
        ("late", overview.late, "/recordings?late=true"),
        ("damaged", overview.damaged, "/recordings?damaged=true"),
    ]  # fmt: skip
    if overview.open_findings is not None:
        tiles.append(("findings", Count(total=overview.open_findings), "/findings"))
    lang = language_of(request)
    texts: dict[str, Any] = {key: translate(word, lang) for key, word in words.WALL.items()}
    texts["unknown"] = {"tone": "unknown", "icon": "question", "word": translate("Unknown", lang)}
    return render(
        request, "wall.html", session=page, words=texts, as_of=overview.as_of,
        tiles=[(words.TILES[name], count, href, name == "damaged" and count.total) for name, count, href in tiles],
        place_of=place_of, stored_message=partial(words.stored_message, language=lang),
        offloads=[(row, devices.get(row.device)) for row in services.reading.offloads(page.actor, limit=12)],
    )  # fmt: skip


# --- recordings -------------------------------------------------------------------------------------------------------
def _day(text: str, *, end: bool = False) -> datetime | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
        moment = datetime.combine(day + timedelta(days=1 if end else 0), time.min, tzinfo=BUREAU_ZONE)
        moment.astimezone(UTC)  # the first and the last days of the calendar have no moment in every zone
    except (ValueError, OverflowError) as error:
        raise InvalidInputError("a day looks like 2026-11-22") from error
    return moment


def _states(text: str) -> frozenset[RecordingState]:
    """Recording states as an address names them: one, or several with commas between."""
    try:
        return frozenset(RecordingState(state) for state in text.split(",")) if text else frozenset()
    except ValueError as error:
        raise InvalidInputError("unknown state") from error


def _choice(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text)


def _filter(query: dict[str, str]) -> RecordingFilter:
    return RecordingFilter(
        started_from=_day(query.get("from", "")), started_to=_day(query.get("to", ""), end=True),
        device=DeviceId(query["device"]) if query.get("device") else None,
        unit=UnitId(query["unit"]) if query.get("unit") else None,
        states=_states(query.get("state", "")),
        quarantined=_choice(query.get("quarantined", "")), late=_choice(query.get("late", "")),
        important=_choice(query.get("important", "")), category=query.get("category", "")[:200],
        flags=frozenset(COLUMNS) if _choice(query.get("flagged", "")) else frozenset(),
        unclassified=_choice(query.get("unclassified", "")), held=_choice(query.get("held", "")),
        text=query.get("text", "")[:200],
        findings=DAMAGE if _choice(query.get("damaged", "")) else frozenset(),
    )  # fmt: skip


def _categories(services: Services, actor: Actor, language: str) -> list[tuple[str, str]]:
    """Categories a list can be narrowed to; none for who may not see the schedule."""
    if Action.SCHEDULE_SEE not in services.gate.offered(actor):
        return []
    return classify_words.category_options(services.classifier.choices(actor), language)


def _chips(query: dict[str, str]) -> list[tuple[str, bool, str, str]]:
    """Quick filters: name, whether it is on, its word, and the same list with it turned on or off."""
    found = []
    for name, word in words.CHIPS.items():
        on = query.get(name) == "true"
        rest = {key: value for key, value in query.items() if key != name}
        address = urlencode(rest if on else {**rest, name: "true"})
        found.append((name, on, word, "/recordings" + (f"?{address}" if address else "")))
    return found


@_pages.get("/recordings")
def recordings(request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """The list with its filters."""
    query = {name: value for name, value in request.query_params.items() if value and name != "lang"}
    wanted = _filter(query)
    found = services.reading.list_recordings(page.actor, wanted=wanted, cursor=query.pop("cursor", ""))
    offered = services.gate.offered(page.actor)
    backwards = wanted.started_from and wanted.started_to and wanted.started_from >= wanted.started_to
    return render(
        request, "recordings.html", session=page, page=found, filter=wanted, query=query, states=list(words.STATES.items()),
        kinds=words.KINDS, reason_words=words.REASONS, chips=_chips(query), backwards=bool(backwards),
        devices=services.reading.devices(page.actor) if Action.DEVICE_LIST in offered else [],
        units=services.reading.units(page.actor, Action.RECORDING_LIST),
        officers=services.directory.names(), next_query=urlencode({**query, "cursor": found.cursor}),
        posters=services.reading.may_watch(page.actor, [item.row for item in found.items if _has_poster(item.row)]),
        may_choose=matter_offers.may_begin(services, page.actor),
        unclassified={item.row.id for item in found.items if is_unclassified(item.row, item.rules)},
        unclassified_mark=classify_words.UNCLASSIFIED, categories=_categories(services, page.actor, language_of(request)),
    )  # fmt: skip


def _has_poster(row: RecordingRow) -> bool:
    return (
        row.described
        and row.kind in (RecordingKind.VIDEO, RecordingKind.PHOTO, RecordingKind.AUDIO)
        and row.verdict in (Verdict.INTACT, Verdict.DAMAGED, Verdict.TRUNCATED)
    )


@_pages.get("/recordings/{recording}")
def recording(recording: str, request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """One recording."""
    view = services.reading.show(page.actor, known_recording(recording))
    values = recording_view.values(services, view, language_of(request), reader=page.actor)
    values |= retention_words.part(services.retention, page.actor, view.row, language_of(request))
    values |= disc_words.part(services.discs, view.row)
    return render(request, "recording.html", session=page, **values)


def known_recording(untrusted: str) -> RecordingId:
    """The identity in an address; what has not even the form of one is an address where nothing is."""
    try:
        return RecordingId(untrusted)
    except InvalidInputError as error:
        raise NotFoundError("there is no such recording") from error


#: So much of a text file is shown.
_TEXT_BYTES_MAX: Final = 64 << 10


@_pages.get("/recordings/{recording}/text")
def text(recording: str, request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """What a text file holds, as text and nothing else; the look is entered like every other."""
    shown = services.reading.text_of(page.actor, known_recording(recording))
    length = min(shown.size_bytes, _TEXT_BYTES_MAX)
    with services.blobs.open(shown.sha256, offset=0, length=length) as file:
        held = as_text(file.read(length)) if length else ""
    return render(
        request, "text_part.html", session=page, text=held, whole=length == shown.size_bytes, shown_bytes=length
    )


@_pages.post("/recordings/{recording}/verify")
def verify(recording: str, request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """Verify now; the answer replaces the button."""
    forgery.require_token(request.headers.get(forgery.HEADER), page.csrf)
    known = known_recording(recording)
    outcome = services.checks.verify_recording(page.actor, known)
    return render(
        request, "verify_part.html", session=page, outcome=outcome, recording=known, back=f"/recordings/{known}",
        verdict_mark=admin_pages.verdict_mark(outcome.verdict),
    )  # fmt: skip


@_pages.post("/recordings/{recording}/viewing-copy")
def viewing_copy(recording: str, services: ServicesDep, page: PageSession, csrf: Annotated[str, Form()]) -> Response:
    """Ask for a viewing copy."""
    forgery.require_token(csrf, page.csrf)
    known = known_recording(recording)
    services.viewings.request(page.actor, known)
    return redirect(f"/recordings/{known}")


@_pages.get("/my")
def my(
    request: Request, services: ServicesDep, page: PageSession, day: Annotated[str, Query(max_length=10)] = ""
) -> HTMLResponse:
    """Are my recordings in?"""
    try:
        chosen = date.fromisoformat(day) if day else services.clock.now().wall.astimezone(BUREAU_ZONE).date()
        before, after = chosen - timedelta(days=1), chosen + timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise InvalidInputError("a day looks like 2026-11-22") from error
    answer = services.reading.my_day(page.actor, day=chosen)
    shower = Shower(Names(), language_of(request))
    polled = "hx-request" in request.headers  # the part that refreshes itself does not hold what waits
    return render(
        request, "my.html", session=page, day=answer, before=before.isoformat(), after=after.isoformat(),
        waits=None if polled else matter_offers.waits(services, page.actor, shower),
    )  # fmt: skip
