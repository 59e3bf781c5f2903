"""The tree of departments, with its past.

A department that was reorganised keeps its rows and its recordings. The department that carries its code afterwards is its
successor and inherits what it could see, from the day it exists; a department planned for later inherits nothing yet.

Source: RULES R9.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from evidence.ids import UnitId


class Unit(Protocol):
    """What the tree needs to know of a department."""

    @property
    def id(self) -> UnitId:
        """Its identity."""
        ...

    @property
    def parent(self) -> UnitId | None:
        """The department above it."""
        ...

    @property
    def code(self) -> str:
        """The bureau's own code; empty when it has none."""
        ...

    @property
    def valid_from(self) -> datetime:
        """From when it exists."""
        ...

    @property
    def valid_to(self) -> datetime | None:
        """Until when it existed; None while it does."""
        ...


class Post(Protocol):
    """What is needed to know of a membership."""

    @property
    def unit(self) -> UnitId:
        """The department."""
        ...

    @property
    def valid_from(self) -> datetime:
        """From when."""
        ...

    @property
    def valid_to(self) -> datetime | None:
        """Until when; None while it lasts."""
        ...


class UnitTree:
    """Answers which departments lie inside of another. Rows that form a circle are no error: each is visited once."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self._units = {unit.id: unit for unit in units}
        self._children: dict[UnitId, list[UnitId]] = {}
        self._by_code: dict[str, list[Unit]] = {}
        for unit in self._units.values():
            if unit.parent is not None:
                self._children.setdefault(unit.parent, []).append(unit.id)
            if unit.code:
                self._by_code.setdefault(unit.code, []).append(unit)

    def within(self, unit: UnitId, *, at: datetime | None) -> frozenset[UnitId]:
        """The department, those below it, and those they succeeded (with what lies below those).

        Args:
            unit: Where to start; an unknown department has nothing, not even itself, inside of it.
            at: The moment of the question. A department that does not exist yet gives nothing; None leaves succession
                out, which is the narrower answer.
        """
        found: set[UnitId] = set()
        waiting = [unit]
        while waiting:
            next_id = waiting.pop()
            known = self._units.get(next_id)
            if known is None or next_id in found or (at is not None and known.valid_from > at):
                continue
            found.add(next_id)
            waiting.extend(self._children.get(next_id, ()))
            if at is not None:
                waiting.extend(self._predecessors(known))
        return frozenset(found)

    def _predecessors(self, unit: Unit) -> list[UnitId]:
        return [
            other.id
            for other in self._by_code.get(unit.code, ())
            if other.valid_to is not None and other.valid_to <= unit.valid_from
        ]


def unit_at(posts: Sequence[Post], at: datetime) -> UnitId | None:
    """The department an agent belonged to at a moment; the post begun last wins, None outside of all posts.

    A transfer keeps the past: what was recorded before it stays with the department of that day.
    """
    valid = [post for post in posts if post.valid_from <= at and (post.valid_to is None or at < post.valid_to)]
    return max(valid, key=lambda post: (post.valid_from, post.unit)).unit if valid else None
