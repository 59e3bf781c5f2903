"""What an act may link and take away, as its form declares it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from evidence.errors import InvalidInputError
from matters.form import Act
from matters.turn import NewLink


def require_linkable(act: Act, links: Sequence[NewLink], unlinks: Sequence[NewLink]) -> None:
    """Pass what the act may link and take away.

    Raises:
        InvalidInputError: The act links nothing of that kind; or what it would take away stays: what a hold holds and a procedure
            looks at is not forgotten by taking a link away.
    """
    by_role = {one.role: one for one in act.links}
    for link in [*links, *unlinks]:
        if link.role not in by_role or link.target.partition("_")[0] not in by_role[link.role].targets:
            raise InvalidInputError(f"{act.name} links nothing as {link.role[:64]!r} to {link.target[:64]!r}")
    for link in unlinks:
        if by_role[link.role].stays:
            raise InvalidInputError(
                f"{act.name} takes nothing away that is linked as {link.role!r}", kept="Nothing was entered.",
                todo="Use the act that ends it, with the second person it needs.",
            )  # fmt: skip
