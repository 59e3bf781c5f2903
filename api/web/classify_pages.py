"""Pages of classification: one recording, many, one's own that wait, the bureau's list; and which stores keep a hold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, BinaryIO, Final

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api.dependencies import ServicesDep, once_of
from api.routes.classification import whole
from api.schemas.classification import day_of
from api.security import csrf as forgery
from api.services import Services
from api.uploads import take_upload
from api.web import classify_words
from api.web.matter_parts import (
    MATTER_PARTS,
    RECORDING_PARTS,
    MatterContext,
    MatterPart,
    RecordingContext,
    RecordingPart,
)
from api.web.once import Told
from api.web.rendering import language_of, render
from api.web.session import PageSession
from catalogue.matters import MatterRow
from evidence.calendar import local_date
from evidence.errors import InvalidInputError, NotFoundError
from evidence.ids import RecordingId
from evidence.model import Action
from retention import flags
from retention.classification import Outcome, Plan
from retention.record_list_form import ListPreview

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
#: Rows of a list's changes on a page; the numbers beside them are whole.
_SHOWN: Final = 200


def _see(path: str) -> RedirectResponse:
    return RedirectResponse(path, status_code=303)


def _known(untrusted: str) -> RecordingId:
    try:
        return RecordingId(untrusted)
    except InvalidInputError as error:
        raise NotFoundError("there is no such recording") from error


# --- sections of other pages ------------------------------------------------------------------------------------------
def _classify_part(context: RecordingContext) -> Mapping[str, Any] | None:
    """What a recording is, what can be said of it, and what was."""
    services, view = context.services, context.view
    if Action.SCHEDULE_SEE not in services.gate.offered(context.actor):
        return None
    choices = services.classifier.choices(context.actor)
    scope = services.reading.scope(view.row)

    def may(action: Action) -> bool:
        return view.row.duplicate_of is None and services.gate.decide(context.actor, action, scope).allowed

    return {
        "unclassified": classify_words.said(view.row, view.rules, None, context.language) if not view.rules.category else "",
        "mark": classify_words.UNCLASSIFIED,
        "said": classify_words.said(view.row, view.rules, choices, context.language),
        "category": view.rules.category,
        "flags": [one.word for one in flags.FLAGS if one.code in flags.standing(view.rules)],
        "may_classify": may(Action.RECORDING_CLASSIFY), "may_flag": may(Action.RECORDING_FLAG),
        "may_lift": services.matters.may_open(context.actor, flags.FLAG_LIFT) and bool(flags.standing(view.rules)),
        "for_good": classify_words.for_good(choices),
        "categories": classify_words.category_options(choices, context.language), "items": classify_words.item_options(choices),
        "grounds": [(one, flags.GROUNDS[one.code]) for one in flags.FLAGS], "names": services.directory.names(),
        "history": classify_words.history(view.timeline, choices, context.language),
    }  # fmt: skip


def _hold_part(context: MatterContext) -> Mapping[str, Any] | None:
    """Which stores keep a hold, and what is still on its way."""
    keeps = context.services.holds.keeps_of(context.view)
    mark = classify_words.KEPT_SOMEWHERE
    if context.view.row.closed_at is not None:
        mark = classify_words.OVER
    elif keeps.stores and keeps.kept_in == len(keeps.stores):
        mark = classify_words.KEPT_EVERYWHERE
    elif keeps.linked and not any(one.held for one in keeps.stores):
        mark = classify_words.KEPT_NOWHERE
    return {"keeps": keeps, "mark": mark}


def _list_part(context: MatterContext) -> Mapping[str, Any] | None:
    """What a proposed list changes in the one in force now."""
    if context.view.row.closed_at is not None:
        return None
    change = context.services.record_lists.compare(context.actor, context.view.row)
    return _changes(change.new, [new for _old, new in change.changed], change.dropped)


def _changes(new: Any, changed: Any, dropped: Any) -> dict[str, Any]:
    groups = [("New entries", new), ("Changed entries", changed), ("Dropped entries", dropped)]
    return {
        "groups": [(word, len(some), list(some)[:_SHOWN]) for word, some in groups], "duties": classify_words.DUTIES,
    }  # fmt: skip


RECORDING_PARTS.append(RecordingPart(template="classify_part.html", data=_classify_part))
MATTER_PARTS["hold"] = [MatterPart(template="hold_part.html", data=_hold_part, place="side")]
MATTER_PARTS["record-list"] = [MatterPart(template="record_list_part.html", data=_list_part)]


# --- one recording ----------------------------------------------------------------------------------------------------
@router.post("/recordings/{recording}/classify")
def classify_one(
    recording: str, request: Request, services: ServicesDep, page: PageSession, csrf: Annotated[str, Form()],
    category: Annotated[str, Form()] = "", item: Annotated[str, Form()] = "", said: Annotated[str, Form()] = "",
) -> Response:  # fmt: skip
    """Judge what one recording is."""
    forgery.require_token(csrf, page.csrf)
    known = _known(recording)
    outcome = services.classifier.classify(page.actor, [known], category=category, item=item, words=said)
    once_of(request).put(page.csrf, Told(message="classified" if outcome.done else "classified-already"))
    return _see(f"/recordings/{known}#classification")


@router.post("/recordings/{recording}/unclassify")
def unclassify(
    recording: str, services: ServicesDep, page: PageSession, csrf: Annotated[str, Form()],
    said: Annotated[str, Form()] = "",
) -> Response:  # fmt: skip
    """Take a judgement back."""
    forgery.require_token(csrf, page.csrf)
    known = _known(recording)
    services.classifier.retract(page.actor, known, words=said)
    return _see(f"/recordings/{known}#classification")


@router.post("/recordings/{recording}/flag")
def flag_one(
    recording: str, services: ServicesDep, page: PageSession, csrf: Annotated[str, Form()],
    ground: Annotated[str, Form()] = "", said: Annotated[str, Form()] = "",
) -> Response:  # fmt: skip
    """Put a flag on one recording; flag and ground stand in one choice."""
    forgery.require_token(csrf, page.csrf)
    known = _known(recording)
    flag, _, code = ground.partition(":")
    services.classifier.flag(page.actor, [known], flag=flag, ground=code, words=said)
    return _see(f"/recordings/{known}#classification")


# --- many -------------------------------------------------------------------------------------------------------------
@router.get("/classify")
def plan_many(
    request: Request, services: ServicesDep, page: PageSession,
    recording: Annotated[list[str] | None, Query()] = None, category: str = "", item: str = "",
) -> HTMLResponse:  # fmt: skip
    """Chosen recordings, and what classifying them would do, exactly."""
    chosen = [_known(one) for one in recording or ()]
    choices = services.classifier.choices(page.actor)
    plan = services.classifier.plan(page.actor, chosen, category=category, item=item)
    return _many_page(request, page, choices, plan, asked=bool(category or item))


def _many_page(
    request: Request, page: Any, choices: Any, plan: Plan, *, asked: bool, outcome: Outcome | None = None
) -> HTMLResponse:
    language = language_of(request)
    titles = {one.category: one.title for one in choices.categories}
    return render(
        request, "classify.html", session=page, plan=plan, asked=asked, outcome=outcome, titles=titles,
        back="/recordings", left_words=classify_words.LEFT, for_good=classify_words.for_good(choices),
        categories=classify_words.category_options(choices, language), items=classify_words.item_options(choices),
    )  # fmt: skip


@router.post("/classify")
def classify_many(
    request: Request, services: ServicesDep, page: PageSession, csrf: Annotated[str, Form()],
    recording: Annotated[list[str], Form()], sha256: Annotated[str, Form()], category: Annotated[str, Form()] = "",
    item: Annotated[str, Form()] = "", said: Annotated[str, Form()] = "",
) -> HTMLResponse:  # fmt: skip
    """Do exactly what was looked at; what was left and why is told on the same page."""
    forgery.require_token(csrf, page.csrf)
    chosen = [_known(one) for one in recording]
    choices = services.classifier.choices(page.actor)
    outcome = services.classifier.classify(
        page.actor, chosen, category=category, item=item, words=said, sha256=sha256
    )  # fmt: skip
    plan = services.classifier.plan(page.actor, chosen, category=category, item=item)
    return _many_page(request, page, choices, plan, asked=True, outcome=outcome)


@router.get("/my/unclassified")
def my_unclassified(request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """One's own recordings that nobody has classified."""
    work = services.classifier.worklist(page.actor)
    return render(
        request, "unclassified.html", session=page, work=work,
        may_choose=Action.RECORDING_CLASSIFY in services.gate.offered(page.actor),
    )  # fmt: skip


# --- the bureau's list ------------------------------------------------------------------------------------------------
@router.get("/record-lists/new")
def new_list(request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """The form that brings a list in."""
    services.gate.require(page.actor, Action.SCHEDULE_PROPOSE, detail="record-list")
    return _list_page(request, services, page, None, "")


def _list_page(
    request: Request, services: Services, page: Any, found: ListPreview | None, name: str
) -> HTMLResponse:  # fmt: skip
    tomorrow = local_date(services.clock.now().wall + timedelta(days=1)).isoformat()
    change = found.difference if found is not None else None
    return render(
        request, "record_list.html", session=page, found=found, name=name, tomorrow=tomorrow, back="/record-lists/new",
        troubles=classify_words.TROUBLES,
        part=_changes(change.new, [new for _old, new in change.changed], change.dropped) if change is not None else None,
    )  # fmt: skip


@router.post("/record-lists/preview")
async def preview_list(request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """What a file would bring; the form's token stands before the file."""

    def take(fields: Mapping[str, str], name: str, stream: BinaryIO) -> tuple[ListPreview, str]:
        forgery.require_token(fields.get("csrf"), page.csrf)
        return services.record_lists.preview(page.actor, whole(stream)), name

    found, name = await take_upload(request, take)
    return _list_page(request, services, page, found, name)


@router.post("/record-lists")
async def propose_list(request: Request, services: ServicesDep, page: PageSession) -> Response:
    """Propose a list; the same file that was looked at."""

    def take(fields: Mapping[str, str], _name: str, stream: BinaryIO) -> MatterRow:
        forgery.require_token(fields.get("csrf"), page.csrf)
        return services.record_lists.propose(
            page.actor, whole(stream), title=fields.get("title", ""), in_force_from=day_of(fields.get("in_force_from", "")),
            looked_at=fields.get("sha256", ""),
        )  # fmt: skip

    row = await take_upload(request, take)
    once_of(request).put(page.csrf, Told(message="matter-opened"))
    return _see(f"/matters/one/{row.id}")
