"""What a stand-in does not see: a matter that concerns the very person they stand in for.

Source: RULES R17, R23; docs/use-of-footage.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from catalogue import UnitOfWork
from catalogue.matters import MatterRow
from evidence.model import Actor
from evidence.ports import Authoriser
from matters import looking
from matters.delegations import standing_in
from matters.form import Forms
from matters.use_grants import latest
from matters.writing import folded_of


def without_lent(
    uow: UnitOfWork, authoriser: Authoriser, actor: Actor, rows: Sequence[MatterRow], *, forms: Forms, now: datetime
) -> list[MatterRow]:
    """Rows without those that the actor only sees by standing in for somebody whom they concern."""
    principals = [one.principal for one in standing_in(uow, actor.agent, latest(uow, now))]
    if not principals:
        return list(rows)
    told = []
    for row in rows:
        form = forms.of(row.kind)
        folded = folded_of(uow, row) if form.kept_from else None
        if folded is not None and any(looking.is_kept_from(folded, form, one) for one in principals):
            by = authoriser.decide(actor, form.see, looking.scope_of(folded, actor.agent)).on_behalf_of
            if by is not None and looking.is_kept_from(folded, form, by):
                continue
        told.append(row)
    return told
