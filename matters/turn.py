"""One act while it is being done: what guards and effects see, and what they can do in its transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from catalogue import UnitOfWork
from catalogue.matters import LinkRow, MatterRow
from evidence.clock import TimeReading
from evidence.errors import PolicyUnmetError
from evidence.events import Event
from evidence.ids import AgentId, EntryId, MatterId
from evidence.model import Actor
from matters.fold import Folded
from matters.form import Act, Form


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLink:
    """Something to link a matter to; ``facts`` are public texts about the link, ``words`` what a person wrote about it."""

    role: str
    target: str
    key: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    words: str = ""


@dataclass(slots=True, kw_only=True)
class Asked:
    """What an act was asked with, checked: guards may add computed facts to it before it is entered.

    Attributes:
        facts: Public fields.
        words: Personal fields.
        links: What is linked.
        unlinks: What is taken away.
        persons: Parts given: (role, agent).
        no_longer: Parts ended: (role, agent).
    """

    facts: dict[str, Any] = field(default_factory=dict)
    words: dict[str, Any] = field(default_factory=dict)
    links: list[NewLink] = field(default_factory=list)
    unlinks: list[NewLink] = field(default_factory=list)
    persons: list[tuple[str, AgentId]] = field(default_factory=list)
    no_longer: list[tuple[str, AgentId]] = field(default_factory=list)


class ActRefusedError(PolicyUnmetError):
    """A guard refused an act. Its sentences are message identities, so that people read them in their own language.

    Attributes:
        message: Why, with ``{name}`` fields.
        advice: What to do, likewise; may be empty.
        values: What the fields stand for; a list is one of message identities.
    """

    def __init__(self, message: str, advice: str, values: Mapping[str, object]) -> None:
        def told(text: str) -> str:
            plain = {name: ", ".join(one) if isinstance(one, list) else one for name, one in values.items()}
            return text.format(**plain) if values else text

        super().__init__(told(message), kept="Nothing was entered.", todo=told(advice))
        self.message = message
        self.advice = advice
        self.values = dict(values)


class Turn:
    """An act in its transaction. The matter is locked; everything that is done here is committed with it or not at all.

    Attributes:
        uow: The transaction.
        form: What kind of matter it is.
        act: What is being done.
        actor: Who does it; None for the service itself.
        now: The moment of the act.
        before: The matter as it was; None for the act that opens it.
        asked: What was typed in.
        after: The matter as it is now; None while guards run.
        matter: Its identity.
    """

    def __init__(
        self, *, uow: UnitOfWork, form: Form, act: Act, actor: Actor | None, now: TimeReading, before: Folded | None,
        asked: Asked, matter: MatterId, recorder: Callable[[Event], EntryId], perform: Callable[..., MatterRow],
    ) -> None:  # fmt: skip
        self.uow = uow
        self.form = form
        self.act = act
        self.actor = actor
        self.now = now
        self.before = before
        self.asked = asked
        self.matter = matter
        self.after: Folded | None = None
        self._record = recorder
        self._perform = perform

    @property
    def agent(self) -> AgentId | None:
        """Who acts; None for the service itself."""
        return self.actor.agent if self.actor is not None else None

    @property
    def row(self) -> MatterRow:
        """The matter as it stands at this point of the act: before it in guards, after it in effects."""
        folded = self.after or self.before
        if folded is None:
            raise PolicyUnmetError("the matter is not open yet")
        return folded.row

    def value(self, name: str) -> Any:
        """A field as it will be after the act: what was typed in, else what stood there before; None for nothing."""
        for given in (self.asked.facts, self.asked.words):
            if name in given:
                return given[name]
        if self.before is None:
            return None
        return self.before.row.facts.get(name, self.before.row.words.get(name))

    def links(self, role: str) -> list[LinkRow]:
        """Links of a role as they will be (guards) or are (effects)."""
        folded = self.after or self.before
        kept = [row for (of, _to, _key), row in (folded.links.items() if folded else ()) if of == role]
        if self.after is not None:
            return kept
        gone = {(one.target, one.key) for one in self.asked.unlinks if one.role == role}
        new = [
            LinkRow(
                matter=self.matter, role=role, target=one.target, key=one.key, facts=dict(one.facts), since=self.now.wall
            )
            for one in self.asked.links if one.role == role
        ]  # fmt: skip
        replaced = {(one.target, one.key) for one in new}
        return [row for row in kept if (row.target, row.key) not in gone | replaced] + new

    def holders(self, role: str) -> list[AgentId]:
        """Who has a part in the matter, as it stands at this point of the act."""
        folded = self.after or self.before
        return [row.agent for (of, _agent), row in (folded.persons.items() if folded else ()) if of == role]

    def refuse(self, what: str, *, todo: str = "", **values: object) -> NoReturn:
        """Refuse the act: nothing of it is entered.

        Args:
            what: Why, as a message identity with ``{name}`` fields: pages and commands tell it in the reader's language.
            todo: What to do, likewise.
            **values: What the fields stand for.

        Raises:
            ActRefusedError: Always.
        """
        raise ActRefusedError(what, todo, values)

    def record(self, event: Event) -> EntryId:
        """Enter a further event in this transaction."""
        return self._record(event)

    def also_open(
        self, kind: str, *, asked: Asked, unit: Any = None, links: Sequence[NewLink] = ()
    ) -> MatterRow:  # fmt: skip
        """Open another matter in this transaction, in the same person's name. Rights are not asked again; guards are."""
        asked.links.extend(links)
        return self._perform(kind=kind, matter=None, act="", asked=asked, unit=unit, parent=self)

    def also_act(self, matter: MatterId, act: str, *, asked: Asked | None = None) -> MatterRow:
        """Act on another matter in this transaction, in the same person's name. Rights are not asked again; guards are."""
        return self._perform(kind="", matter=matter, act=act, asked=asked or Asked(), unit=None, parent=self)
