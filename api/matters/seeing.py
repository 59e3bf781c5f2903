"""Who may open the list or the register of a kind."""

from __future__ import annotations

from typing import Protocol

from catalogue.matters import MatterFilter
from evidence.model import Actor
from evidence.ports import Authoriser
from matters.desk import MatterDesk
from matters.form import Form


class _Sources(Protocol):
    @property
    def matters(self) -> MatterDesk: ...

    @property
    def gate(self) -> Authoriser: ...


def may_see(sources: _Sources, actor: Actor, form: Form) -> None:
    """Pass who may see or open matters of a kind, and who has a part in one of them.

    Raises:
        AccessDeniedError: Nobody of these (entered).
    """
    if any(one.kind == form.kind for one in sources.matters.kinds(actor)):
        return
    if not sources.matters.find(actor, MatterFilter(kinds=(form.kind,), person=actor.agent), limit=1):
        sources.gate.require(actor, form.see, detail=f"{form.kind} list")


def may_see_any(sources: _Sources, actor: Actor) -> None:
    """Pass who may see or open matters of any kind, and who has a part in one of them.

    Raises:
        AccessDeniedError: Nobody of these (entered).
    """
    if sources.matters.kinds(actor) or sources.matters.find(actor, MatterFilter(person=actor.agent), limit=1):
        return
    for form in sources.matters.forms:
        sources.gate.require(actor, form.see, detail="matters")
