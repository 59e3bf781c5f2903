"""The section of a case's page from which a package is made, and what it sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Form, Response

from api.dependencies import ServicesDep
from api.routes.packages import sent
from api.schemas.packages import PackageRequest
from api.security import csrf as forgery
from api.web.matter_parts import MATTER_PARTS, MatterContext, MatterPart
from api.web.session import PageSession
from cases.access_parts import PURPOSES
from cases.dossier_parts import DOSSIERS
from cases.package_form import KIND
from catalogue.matters import MatterFilter
from evidence.ids import MatterId
from evidence.model import Action, ObjectScope

router = APIRouter(include_in_schema=False)
_SHOWN = 20


def _package_part(context: MatterContext) -> Mapping[str, Any] | None:
    row = context.view.row
    own = any(person.agent == context.actor.agent for person in context.view.persons)
    scope = ObjectScope(unit=row.unit, officer=context.actor.agent if own else row.opened_by)
    if not context.services.gate.decide(context.actor, Action.CASE_EXPORT, scope).allowed:
        return None
    made = context.services.matters.find(context.actor, MatterFilter(kinds=(KIND,), target=row.id), limit=_SHOWN)
    form = context.services.matters.forms.of(KIND)
    return {
        "id": row.id, "purposes": PURPOSES,
        "made": [{"id": one.id, "number": one.number, "at": one.opened_at, "state": form.state(one.state)} for one in made],
    }  # fmt: skip


@router.post("/matters/one/{matter}/package")
def package(
    matter: str,
    services: ServicesDep,
    page: PageSession,
    csrf: Annotated[str, Form()],
    purpose: Annotated[str, Form(max_length=32)],
    recipient: Annotated[str, Form(min_length=1, max_length=200)],
    authority: Annotated[str, Form(max_length=200)] = "",
    publication: Annotated[str, Form(max_length=8)] = "",
) -> Response:
    """Make a package of a case and send it."""
    forgery.require_token(csrf, page.csrf)
    wanted = PackageRequest(
        form="publication" if publication else "full", purpose=purpose, recipient=recipient, authority=authority
    )
    return sent(services, page.actor, MatterId(matter), wanted)


def declare() -> None:
    """Put the section on the pages of every kind that can be packed."""
    for kind in DOSSIERS:
        standing = MATTER_PARTS.get(kind, ())
        if all(part.template != "package_part.html" for part in standing):
            MATTER_PARTS[kind] = (*standing, MatterPart(template="package_part.html", data=_package_part, place="side"))
