"""Pages of matters of every kind: the board, lists, one matter with its acts, and what starts from chosen recordings.

Everything that depends on a kind follows from its form; sections of their own are in :mod:`api.web.matter_parts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, BinaryIO, Final, cast
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import ImmutableMultiDict

from api import problems
from api.dependencies import ServicesDep, once_of
from api.matters.checkpoints import newest
from api.matters.marking import due_mark, state_mark
from api.matters.names import identities_in, names_for
from api.matters.printing import printable_of, sheet_of
from api.matters.registers import MEDIA_TYPES, Format, register_of, written
from api.matters.seeing import may_see, may_see_any
from api.matters.showing import Shower
from api.routes.matters import attachment, document_response
from api.security import csrf as forgery
from api.services import Services
from api.uploads import take_upload
from api.web import matter_offers, matter_words, words
from api.web.i18n import translate
from api.web.matter_fields import FormMaker, Sent, typed
from api.web.matter_parts import MatterContext, matter_parts
from api.web.matter_view import links_of, persons_of, refusal
from api.web.once import Told
from api.web.rendering import language_of, render
from api.web.session import PageSession
from catalogue.matters import DocumentRow, MatterFilter, MatterRow
from documents import print_document
from documents.values import local_time as bureau_time
from documents.words import Language
from evidence.clock import BUREAU_ZONE
from evidence.errors import (
    EvidenceError,
    InvalidInputError,
    LimitExceededError,
    NotFoundError,
    PolicyUnmetError,
    StateConflictError,
)
from evidence.ids import DocumentId, MatterId, RecordingId, UnitId
from evidence.model import Actor
from matters.form import Act, Form
from matters.looking import MatterView
from matters.values import FormError

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
_PAGE_ROWS: Final = 50
_LINKS_SHOWN: Final = 100
_BOARD_DAYS: Final = timedelta(days=7)
_SOON: Final = timedelta(hours=48)
_BOARD_ROWS: Final = 20
#: What a form answers on its own page; everything else is an error page.
_TOLD_HERE: Final = (PolicyUnmetError, StateConflictError, InvalidInputError, LimitExceededError)


async def _sent(request: Request) -> Sent:
    """The fields of a page's form; files have routes of their own."""
    form = await request.form()
    return ImmutableMultiDict([(name, text) for name, text in form.multi_items() if isinstance(text, str)])


SentForm = Annotated[Sent, Depends(_sent)]


def _lang(request: Request) -> Language:
    return "en" if language_of(request) == "en" else "zh-CN"


def _form(services: Services, kind: str) -> Form:
    try:
        return services.matters.forms.of(kind)
    except InvalidInputError as error:
        raise NotFoundError("there is no such kind of matter") from error


def _matter(untrusted: str) -> MatterId:
    try:
        return MatterId(untrusted)
    except InvalidInputError as error:
        raise NotFoundError("there is no such matter") from error


def _see(path: str) -> RedirectResponse:
    return RedirectResponse(path, status_code=303)


# --- the board --------------------------------------------------------------------------------------------------------
@router.get("/matters")
def board(request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """Every kind the reader may see or open, with what is open and what is due."""
    may_see_any(services, page.actor)
    desk, actor, now = services.matters, page.actor, services.clock.now().wall
    language = language_of(request)
    asked = (MatterFilter(open=True), MatterFilter(due_before=now), MatterFilter(due_before=now + _SOON))
    opened, overdue, near = (_by_kind(counted) for counted in desk.tallies(actor, asked))
    groups: dict[str, list[dict[str, Any]]] = {}
    shown = {form.kind for form in desk.kinds(actor)} | set(opened)
    for form in (form for form in desk.forms if form.kind in shown):
        group = translate(form.group or matter_words.NO_GROUP[""], language)
        late = overdue.get(form.kind, 0)
        groups.setdefault(group, []).append({
            "kind": form.kind, "words": translate(form.words, language), "open": opened.get(form.kind, 0), "overdue": late,
            "soon": near.get(form.kind, 0) - late, "may_open": desk.may_open(actor, form.kind),
            "opens": translate(form.opening.word, language),
        })  # fmt: skip
    due = sorted(
        desk.find(actor, MatterFilter(due_before=now + _BOARD_DAYS), limit=200), key=lambda row: row.due_at or now
    )
    shower = Shower(names_for(services, actor), language)
    return render(
        request, "matters.html", session=page, groups=list(groups.items()), now=now,
        waits=matter_offers.waits(services, actor, shower),
        due=[_item(services, shower, row, now) for row in due[:_BOARD_ROWS]],
    )  # fmt: skip


def _by_kind(counts: Mapping[tuple[str, str], int]) -> dict[str, int]:
    kinds: dict[str, int] = {}
    for (kind, _state), number in counts.items():
        kinds[kind] = kinds.get(kind, 0) + number
    return kinds


def _item(services: Services, shower: Shower, row: MatterRow, now: datetime) -> dict[str, Any]:
    form = services.matters.forms.of(row.kind)
    return {
        "row": row, "word": shower.say(form.word), "title": shower.title(form, row), "state": state_mark(form, row),
        "due": due_mark(row, now),
    }  # fmt: skip


# --- from chosen recordings -------------------------------------------------------------------------------------------
@router.get("/matters/start")
def start(request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """What can be done with the recordings that were chosen in a list."""
    may_see_any(services, page.actor)
    asked = [RecordingId(one) for one in dict.fromkeys(request.query_params.getlist("recording")) if one]
    about = services.reading.about(page.actor, asked) if asked else {}
    chosen = [about[one][0] for one in asked if one in about]
    shower = Shower(names_for(services, page.actor), language_of(request))
    text = request.query_params.get("text", "")[:200]
    offers = matter_offers.to_open(services, page.actor, shower, count=len(chosen))
    groups: dict[str, list[Any]] = {}
    for group, offer in offers:
        groups.setdefault(group, []).append(offer)
    return render(
        request, "matter_start.html", session=page, chosen=chosen, unknown=len(asked) - len(chosen), text=text,
        groups=list(groups.items()),
        standing=matter_offers.standing(services, page.actor, shower, text=text, count=len(chosen)) if chosen else [],
    )  # fmt: skip


# --- one matter -------------------------------------------------------------------------------------------------------
@router.get("/matters/one/{matter}")
def one(matter: str, request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """One matter: what it is, what can be done now, what it concerns, its history."""
    view = services.matters.view(page.actor, _matter(matter))
    told = once_of(request).take(page.csrf)
    message = translate(words.DONE[told.message], language_of(request)) if told else ""
    wanted = request.query_params.get("act", "")
    sent = _prefilled(request)
    return _one_page(request, services, page, view, open_act=wanted, sent=sent, prefill=True, message=message)


def _one_page(
    request: Request, services: Services, page: PageSession, view: MatterView, *, open_act: str = "",
    sent: Sent | None = None, wrong: Mapping[str, str] | None = None, refused: EvidenceError | None = None,
    message: str = "", status: int = 200, prefill: bool = False,
) -> HTMLResponse:  # fmt: skip
    language, actor, row = language_of(request), page.actor, view.row
    named = [*identities_in(view.form, [row], view.links), *(_named_in(sent) if sent is not None else [])]
    history = services.matters.history(actor, row.id)
    named += [str(link.get("to") or "") for entry in history for link in entry.public.get("links") or []]
    shower = Shower(names_for(services, actor, dict.fromkeys(named)), language)
    maker = FormMaker(
        services=services,
        actor=actor,
        shower=shower,
        form=view.form,
        present={**row.facts, **row.words},
        links=view.links,
        prefill=prefill,
    )
    acts = [
        maker.made(act, sent if act.name == open_act else None, wrong if act.name == open_act else None)
        for act in view.acts
    ]
    context = MatterContext(
        services=services, actor=actor, language=language, view=view, query=dict(request.query_params.items())
    )
    return render(
        request, "matter.html", session=page, status=status, back=f"/matters/one/{row.id}", view=view, message=message,
        title=shower.title(view.form, row), form_word=shower.say(view.form.word), form_words=shower.say(view.form.words),
        state=state_mark(view.form, row), due=due_mark(row, services.clock.now().wall), names=shower.names,
        facts=shower.fields(view.form, row.facts, row.words), hidden=shower.masked(view), acts=acts, open_act=open_act,
        history=shower.history(view.form, history), persons=persons_of(shower, view), links_shown=_LINKS_SHOWN,
        links=links_of(services, actor, shower, view, shown=_LINKS_SHOWN), parts=matter_parts(context),
        refused=refusal(refused, language),
    )  # fmt: skip


def _named_in(sent: Sent) -> list[str]:
    return [text for name, text in sent.multi_items() if name.startswith(("link.", "f."))]


@router.post("/matters/one/{matter}/act")
def act(matter: str, request: Request, services: ServicesDep, page: PageSession, sent: SentForm) -> Response:
    """Do one of its acts; what cannot be entered is told beside its field, with everything that was typed."""
    forgery.require_token(sent.get("csrf"), page.csrf)
    known, name = _matter(matter), sent.get("act", "")
    view = services.matters.view(page.actor, known)
    if sent.get("do") == "find":
        return _one_page(request, services, page, view, open_act=name, sent=sent)
    given = typed(view.form.act(name), sent)
    try:
        services.matters.act(
            page.actor, known, name, given.values, links=given.links, unlinks=given.unlinks, seen=sent.get("seen", ""),
            version=_version(sent),
        )  # fmt: skip
    except FormError as error:
        return _one_page(request, services, page, view, open_act=name, sent=sent, wrong=error.fields, status=422)
    except _TOLD_HERE as error:
        fresh = services.matters.view(page.actor, known)
        status = int(problems.status_of(error))
        return _one_page(request, services, page, fresh, open_act=name, sent=sent, refused=error, status=status)
    once_of(request).put(page.csrf, Told(message="matter-acted"))
    return _see(f"/matters/one/{known}")


def _version(sent: Sent) -> int | None:
    text = sent.get("version", "")
    return int(text) if text.isdigit() and len(text) < 10 else None


@router.post("/matters/one/{matter}/documents")
async def file_document(matter: str, request: Request, services: ServicesDep, page: PageSession) -> Response:
    """File a document; the form's token and role stand before the file."""
    known = _matter(matter)

    def take(fields: Mapping[str, str], name: str, stream: BinaryIO) -> DocumentRow:
        forgery.require_token(fields.get("csrf"), page.csrf)
        return services.papers.file(page.actor, known, fields.get("role", ""), name, stream)

    await take_upload(request, take)
    once_of(request).put(page.csrf, Told(message="matter-filed"))
    return _see(f"/matters/one/{known}")


@router.get("/matters/one/{matter}/documents/{document}")
def open_document(matter: str, document: str, services: ServicesDep, page: PageSession) -> Response:
    """A document, to be saved; that it was opened is entered."""
    try:
        known = DocumentId(document)
    except InvalidInputError as error:
        raise NotFoundError("there is no such document") from error
    return document_response(services.papers.open(page.actor, known), _matter(matter))


@router.get("/matters/one/{matter}/print")
def printed(matter: str, request: Request, services: ServicesDep, page: PageSession) -> Response:
    """The matter as a PDF in the page's language."""
    checkpoint = newest(services.log.directory, services.log.vkey)
    sheet = sheet_of(services, page.actor, _matter(matter), now=services.clock.now().wall, checkpoint=checkpoint)
    headers = {"content-disposition": attachment(f"{sheet.view.row.number}.pdf")}
    return Response(print_document(printable_of(sheet, _lang(request))), media_type="application/pdf", headers=headers)


# --- a kind -----------------------------------------------------------------------------------------------------------
def _day(text: str, *, end: bool = False) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.combine(date.fromisoformat(text) + timedelta(days=int(end)), time.min, tzinfo=BUREAU_ZONE)
        moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInputError("a day looks like 2026-11-22") from error
    return moment


def _filter(query: Mapping[str, str], form: Form, actor: Actor) -> tuple[str, MatterFilter]:
    scope = query.get("show", "open" if "state" not in query else "all")
    scope = scope if scope in matter_words.SCOPES else "open"
    return scope, MatterFilter(
        kinds=(form.kind,), states=(query["state"],) if query.get("state") else (), text=query.get("text", "")[:200],
        open={"open": True, "closed": False}.get(scope), person=actor.agent if query.get("person") == "me" else None,
        opened_from=_day(query.get("from", "")), opened_to=_day(query.get("to", ""), end=True),
    )  # fmt: skip


def _query(request: Request) -> dict[str, str]:
    return {name: value for name, value in request.query_params.items() if value and name != "lang"}


@router.get("/matters/{matter_kind}")
def listed(matter_kind: str, request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """Matters of a kind, newest first."""
    form, query = _form(services, matter_kind), _query(request)
    may_see(services, page.actor, form)
    cursor = query.pop("cursor", "")
    scope, wanted = _filter(query, form, page.actor)
    after = _matter(cursor) if cursor else None
    rows = services.matters.find(page.actor, wanted, after=after, limit=_PAGE_ROWS)
    shower = Shower(names_for(services, page.actor), language_of(request))
    now = services.clock.now().wall
    return render(
        request, "matter_list.html", session=page, form=form, form_words=shower.say(form.words), query=query, scope=scope,
        scopes=list(matter_words.SCOPES.items()), items=[_item(services, shower, row, now) for row in rows],
        names=shower.names, may_open=services.matters.may_open(page.actor, matter_kind), register_query=urlencode(query),
        next_query=urlencode({**query, "cursor": rows[-1].id}) if len(rows) == _PAGE_ROWS else "",
    )  # fmt: skip


@router.get("/matters/{matter_kind}/register/{written_as}")
def register(matter_kind: str, written_as: str, request: Request, services: ServicesDep, page: PageSession) -> Response:
    """The register of what the list shows, as CSV, XLSX or PDF."""
    known = _form(services, matter_kind)
    may_see(services, page.actor, known)
    if written_as not in MEDIA_TYPES:
        raise NotFoundError("a register comes as csv, xlsx or pdf")
    wanted_as = cast("Format", written_as)
    _scope, wanted = _filter(_query(request), known, page.actor)
    now = services.clock.now().wall
    book = register_of(
        services, page.actor, known, wanted, language=_lang(request), now=now, printed=written_as == "pdf",
        checkpoint=newest(services.log.directory, services.log.vkey),
    )  # fmt: skip
    name = f"{translate(known.words, language_of(request))} {bureau_time(now):%Y-%m-%d}.{written_as}"
    headers = {"content-disposition": attachment(name)}
    return Response(b"".join(written(book, wanted_as)), media_type=MEDIA_TYPES[written_as], headers=headers)


# --- opening ----------------------------------------------------------------------------------------------------------
@router.get("/matters/{matter_kind}/new")
def new(matter_kind: str, request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """The form that opens one; what the address names is filled in already."""
    form = _form(services, matter_kind)
    if not services.matters.may_open(page.actor, matter_kind):
        services.gate.require(page.actor, form.opening.action, detail=f"{matter_kind} form")
        raise NotFoundError("persons do not open matters of this kind")
    return _new_page(request, services, page, form, sent=_prefilled(request), prefill=True)


def _new_page(
    request: Request, services: Services, page: PageSession, form: Form, *, sent: Sent | None = None,
    wrong: Mapping[str, str] | None = None, refused: EvidenceError | None = None, status: int = 200, prefill: bool = False,
) -> HTMLResponse:  # fmt: skip
    language = language_of(request)
    named = _named_in(sent) if sent is not None else []
    shower = Shower(names_for(services, page.actor, dict.fromkeys(named)), language)
    maker = FormMaker(services=services, actor=page.actor, shower=shower, form=form, prefill=prefill)
    return render(
        request, "matter_new.html", session=page, status=status, back=f"/matters/{form.kind}/new", form=form,
        form_word=shower.say(form.word), form_words=shower.say(form.words), refused=refusal(refused, language),
        opening=maker.made(form.opening, sent, wrong), units=_units(services, page.actor, form.opening),
        has_unit=services.matters.unit_of(page.actor) is not None,
        chosen_unit=sent.get("unit", "") if sent is not None else "",
    )  # fmt: skip


def _prefilled(request: Request) -> Sent | None:
    """What an address fills in; None when it names nothing."""
    query = request.query_params
    return query if any(name.startswith(("f.", "link.")) for name in query) else None


def _units(services: Services, actor: Actor, opening: Act) -> Sequence[Any]:
    now = services.clock.now().wall
    present = {unit.id for unit in services.directory.present_units(now)}
    return [unit for unit in services.reading.units(actor, opening.action) if unit.id in present]


@router.post("/matters/{matter_kind}/new")
def opened(matter_kind: str, request: Request, services: ServicesDep, page: PageSession, sent: SentForm) -> Response:
    """Open one; what cannot be entered is told beside its field, with everything that was typed."""
    forgery.require_token(sent.get("csrf"), page.csrf)
    form = _form(services, matter_kind)
    if sent.get("do") == "find":
        return _new_page(request, services, page, form, sent=sent)
    given = typed(form.opening, sent)
    unit = UnitId(sent["unit"]) if sent.get("unit") else None
    try:
        row = services.matters.open(page.actor, matter_kind, given.values, unit=unit, links=given.links)
    except FormError as error:
        return _new_page(request, services, page, form, sent=sent, wrong=error.fields, status=422)
    except _TOLD_HERE as error:
        status = int(problems.status_of(error))
        return _new_page(request, services, page, form, sent=sent, refused=error, status=status)
    once_of(request).put(page.csrf, Told(message="matter-opened"))
    return _see(f"/matters/one/{row.id}")
