"""How a disc set stands by its discs. Pure but for :func:`follow`, which acts on the set in the disc's transaction.

Source: RULES R12; docs/formats/disc.md "States".
"""

from __future__ import annotations

from collections.abc import Iterable

from catalogue import UnitOfWork
from catalogue.matters import MatterRow
from evidence.ids import MatterId
from matters.turn import Turn
from retention import disc_terms as terms


def places_of(owner: MatterRow) -> list[tuple[int, str]]:
    """Every disc that the set must have: number and letter of the copy."""
    copies = list(terms.COPIES)[: int(owner.facts.get("copies") or 2)]
    return [(disc, copy) for disc in range(1, int(owner.facts.get("discs") or 0) + 1) for copy in copies]


def place_of(disc: MatterRow) -> tuple[int, str]:
    """Which disc of the set it is, and which copy."""
    return int(disc.facts.get("disc") or 0), str(disc.facts.get("copy") or "")


def held(discs: Iterable[MatterRow], states: Iterable[str]) -> set[tuple[int, str]]:
    """Places that have a disc in one of these states."""
    wanted = set(states)
    return {place_of(disc) for disc in discs if disc.state in wanted}


def standing_of(owner: MatterRow, discs: Iterable[MatterRow]) -> str:
    """The state that a set has by its discs: the weakest place counts."""
    places, known = set(places_of(owner)), list(discs)
    if places and places <= held(known, terms.KEPT):
        return terms.REGISTERED
    if places and places <= held(known, terms.GOOD):
        return terms.VERIFIED
    if owner.state in (terms.VERIFIED, terms.REGISTERED, terms.WANTING):
        return terms.WANTING
    if places and places <= held(known, (*terms.GOOD, terms.BURNT)):
        return terms.BURNT
    if held(known, (terms.DAMAGED, terms.LOST)) - held(known, (*terms.GOOD, terms.BURNT)):
        return terms.WANTING
    return owner.state


def complete_without(uow: UnitOfWork, owner: MatterRow, disc: MatterId) -> bool:
    """Whether the set still has every place filled with a registered disc when one is left out."""
    others = [one for one in uow.matters.linked_to(owner.id, kinds=(terms.DISC,)) if one.id != disc]
    return set(places_of(owner)) <= held(others, terms.KEPT)


def follow(turn: Turn, owner: MatterId) -> None:
    """Let the set's state follow after an act on one of its discs. The set is locked by it."""
    row = turn.uow.matters.lock(owner)
    if row.state not in terms.MADE:
        return
    state = standing_of(row, turn.uow.matters.linked_to(owner, kinds=(terms.DISC,)))
    if state != row.state:
        turn.also_act(owner, terms.FOLLOWS[state])
