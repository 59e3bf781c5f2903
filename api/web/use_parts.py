"""What pages of recordings and of grants show about the use of footage (R17)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from access.reading import COPIED, ORIGINAL
from api.services import Services
from api.use_words import KINDS, RIGHTS
from catalogue.matters import MatterFilter, MatterRow
from evidence.clock import from_text
from evidence.events import AccessAllowed
from evidence.ids import RecordingId
from evidence.model import Action
from matters import use_grants

if TYPE_CHECKING:  # that module names these parts
    from api.web.matter_parts import MatterContext, RecordingContext


def recording_part(context: RecordingContext) -> Mapping[str, Any] | None:
    """What the reader may do with a recording's footage, under which grant, and where to ask for more."""
    view, services = context.view, context.services
    if view.row.stored_at is None or view.row.duplicate_of is not None:
        return None
    asks = Action.ACCESS_ASK in services.gate.offered(context.actor)
    copies = view.notice is not None and Action.RECORDING_COPY in view.notice.rights and view.notice.uses_left != 0
    if not asks and view.notice is None:
        return None
    made = {one.kind for one in view.derivatives} & COPIED
    waiting = services.matters.find(
        context.actor,
        MatterFilter(kinds=("access-request",), open=True, person=context.actor.agent, target=view.row.id), limit=20,
    )  # fmt: skip
    ask = {"link.footage": view.row.id, **({"unit": view.row.unit} if view.row.unit else {})}
    return {
        "notice": view.notice, "archived": view.archived, "rights": RIGHTS, "kinds": KINDS,
        "actions": {code: action in view.notice.rights for code, action in use_grants.ACTIONS.items()} if view.notice else {},
        "copies": [ORIGINAL, *sorted(made)] if copies else [], "recording": view.row.id, "waiting": waiting,
        "ask": f"/matters/access-request/new?{urlencode(ask)}" if asks and view.archived else "",
    }  # fmt: skip


def grant_part(context: MatterContext) -> Mapping[str, Any] | None:
    """Every use of a grant; the same lines stand in the register."""
    history = context.services.matters.history(context.actor, context.view.row.id)
    uses = [one for one in history if one.event_type == AccessAllowed.TYPE and int(one.public.get("use", 0)) > 0]
    most = int(context.view.row.facts.get(use_grants.USES_MOST, 0))
    actions = {action.value: RIGHTS[code] for code, action in use_grants.ACTIONS.items()}
    about = context.services.reading.about(context.actor, {RecordingId(str(one.public["recording"])) for one in uses})
    return {
        "files": {str(one): row.name for one, (row, _device) in about.items()},
        "uses": uses, "most": most, "actions": actions, "names": context.services.directory.names(),
    }  # fmt: skip


def grants_part(context: MatterContext) -> Mapping[str, Any] | None:
    """The grants that rest on a request, a paper or a supervised viewing: until when, and how they stand."""
    services = context.services
    wanted = MatterFilter(kinds=(use_grants.KIND,), target=context.view.row.id)
    rows = services.matters.find(context.actor, wanted, limit=20)
    return {"grants": own_lines(services, rows)} if rows else None


def own_lines(services: Services, rows: Sequence[MatterRow]) -> list[tuple[MatterRow, str, datetime | None]]:
    """Matters with the word of their state and until when they count."""
    return [
        (
            row, services.matters.forms.of(row.kind).state(row.state).word,
            from_text(row.facts[use_grants.ENDS]) if use_grants.ENDS in row.facts else None,
        )
        for row in rows
    ]  # fmt: skip
