"""What a kind of matter is, declared: its fields, states and acts. To add a kind, declare a :class:`Form`; the rest follows.

From a form come the checks of what is typed in, who may act, the custody entry, list and page and form on the screen, API,
command line, printed document and register. Words are message identities (English); the interfaces translate them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from evidence.errors import InvalidInputError
from evidence.limits import TEXT_CHARS_MAX
from evidence.model import Action

if TYPE_CHECKING:
    from matters.turn import Turn

#: Roles of persons that the database keeps apart: who asked and who agreed.
PROPOSER: Final = "proposer"
APPROVER: Final = "approver"
#: Name of the act that opens a matter, unless the form says otherwise.
OPEN: Final = "open"
#: Longer lines are words.
LINE_CHARS_MAX: Final = 200


class FieldKind(StrEnum):
    """What a field holds; the stored value is JSON as told here."""

    LINE = "line"
    """One line of text."""
    WORDS = "words"
    """Text with line breaks."""
    NUMBER = "number"
    """A whole number."""
    FLAG = "flag"
    """True or false."""
    CHOICE = "choice"
    """The code of one of the field's choices."""
    CHOICES = "choices"
    """A list of such codes."""
    DATE = "date"
    """``2026-11-27``, a day of the bureau."""
    MOMENT = "moment"
    """``evidence.clock.to_text``; forms may give bureau time without a zone."""
    AGENT = "agent"
    """An active person's identity."""
    UNIT = "unit"
    """A department's identity."""
    DEVICE = "device"
    """A recorder's identity."""
    RECORDING = "recording"
    """A recording's identity."""
    MATTER = "matter"
    """Another matter's identity."""
    DIGEST = "digest"
    """A SHA-256 in hexadecimal."""
    CLOCK = "clock"
    """A statutory clock (``cases.clocks``): computed, never typed in."""
    TABLE = "table"
    """A list of objects of texts, bounded; what it holds is the form's own business."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of the values of a field."""

    code: str
    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Something that is typed in.

    Attributes:
        name: Its key in ``facts`` or ``words``.
        word: What the screen calls it.
        kind: What it holds.
        required: Whether the act is refused without it.
        personal: It names or describes a person: it becomes a disclosure, never a public fact. Whatever people write in
            their own words is personal.
        choices: Of a choice.
        columns: Of a table: key and word of each column, in order; pages then offer cells to type in.
        hint: A sentence below the field.
        least: Smallest number.
        most: Largest number, or most characters.
        seen_by: Roles in the matter whose holders may see it; empty for everybody who sees the matter.
        part: The person named here gets this part in the matter.
    """

    name: str
    word: str
    kind: FieldKind = FieldKind.LINE
    required: bool = False
    personal: bool = False
    choices: Sequence[Choice] = ()
    columns: Sequence[Choice] = ()
    hint: str = ""
    least: int = 0
    most: int = 0
    seen_by: Sequence[str] = ()
    part: str = ""

    @property
    def chars_max(self) -> int:
        """Most characters of a text."""
        return self.most or (TEXT_CHARS_MAX if self.kind is FieldKind.WORDS else LINE_CHARS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRole:
    """What an act may link the matter to.

    Attributes:
        role: Name of the link.
        word: What the screen calls it.
        targets: Prefixes of identities: ``rec``, ``dev``, ``agt``, ``unt``, ``mat``.
        kinds: Kinds of matters it takes; empty for any.
        needs: What the actor must be allowed to do with a linked recording.
        least: The act is refused with fewer.
        most: The act is refused with more; 0 without bound.
        stays: What was linked is never taken away by this act, only by what the form's own guards do: links that keep footage.
    """

    role: str
    word: str
    targets: Sequence[str] = ("rec",)
    kinds: Sequence[str] = ()
    needs: Action = Action.RECORDING_LIST
    least: int = 0
    most: int = 0
    stays: bool = False


class Tone(StrEnum):
    """How a state looks; the page adds its icon."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a matter can stand. ``final``: it is closed."""

    code: str
    word: str
    tone: Tone = Tone.UNKNOWN
    final: bool = False


#: Raises to refuse an act; called in the act's transaction with the matter locked.
Guard = Callable[["Turn"], None]
#: Does what else an act means, in its transaction.
Effect = Callable[["Turn"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that can be done with a matter.

    Attributes:
        name: Stable code, entered.
        word: What the button says.
        before: States it may be done in; empty for the act that opens.
        after: The state that follows; empty where it stays.
        action: The right it needs, on the matter's unit or on one's own matter.
        fields: What is typed in.
        links: What may be linked (or, by the same roles, unlinked) with it.
        documents: Roles of documents that must be on file before it.
        role: The actor gets this part in the matter.
        only: Who may do it must have one of these parts; empty for anybody with the right.
        never: Who has one of these parts may not do it (the asker never approves).
        frozen: The actor decides on what they saw: the digest of the view is asked for and entered.
        guards: Further conditions.
        effects: What else follows.
        hidden: Not offered to persons: the service or another act does it.
        hint: What follows from it, told before it is done.
    """

    name: str
    word: str
    before: Sequence[str] = ()
    after: str = ""
    action: Action
    fields: Sequence[Field] = ()
    links: Sequence[LinkRole] = ()
    documents: Sequence[str] = ()
    role: str = ""
    only: Sequence[str] = ()
    never: Sequence[str] = ()
    frozen: bool = False
    guards: Sequence[Guard] = ()
    effects: Sequence[Effect] = ()
    hidden: bool = False
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a register.

    Attributes:
        word: Its head.
        name: A field, or ``number``, ``state``, ``unit``, ``opened_at``, ``closed_at``, ``due_at``, ``person:<role>``,
            ``links:<role>``, ``documents:<role>``.
    """

    word: str
    name: str


def plain_number(prefix: str) -> Callable[[int, int], str]:
    """``DY2026-0001``: letters, the bureau's year, a number that grows without gaps within the year."""

    def number(year: int, serial: int) -> str:
        return f"{prefix}{year}-{serial:04d}"

    return number


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A kind of matter.

    Attributes:
        kind: Stable name, entered.
        word: One of them, on the screen.
        words: Many of them.
        number: Makes a number from the bureau's year and the serial within it; each kind has a series per year.
        states: Where it can stand; the order is that of lists.
        opening: The act that opens one.
        acts: Everything else that can be done.
        see: The right to see those of one's units. Who has a part in one sees it in any case.
        persons: Parts people can have: role -> what the screen calls it.
        documents: Roles of documents: role -> what the screen calls it. Who may act on the matter may file them.
        made: Roles of documents that only the program files (:meth:`matters.papers.PaperDesk.file_made`): acts rest on them.
        papers_seen_by: Role of a document -> parts whose holders may see it; those not named here are seen with the matter.
        title: The personal or public field that names one in lists.
        signed_by: Lines to sign on the printed document: a part, whose holder's name is printed, or a personal field that
            holds the name -> what the line is called.
        register: Columns of the printed and downloaded register.
        deadline: When the next deadline of a matter runs out, from what it is after an act; None for none.
        group: Heading under which menus list it.
        kept_from: Parts whose holders neither see it nor act on it, whatever their rights: whom it is about, who was recused.
            Whoever opened it is never kept from it.
        computed: Facts that guards enter and nobody types in, so that pages and registers know their words.
    """

    kind: str
    word: str
    words: str
    number: Callable[[int, int], str]
    states: Sequence[State]
    opening: Act
    acts: Sequence[Act] = ()
    see: Action
    persons: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)
    made: Sequence[str] = ()
    papers_seen_by: Mapping[str, Sequence[str]] = field(default_factory=dict)
    title: str = "title"
    signed_by: Mapping[str, str] = field(default_factory=dict)
    register: Sequence[Column] = ()
    deadline: Callable[[Turn], datetime | None] | None = None
    group: str = ""
    computed: Sequence[Field] = ()
    kept_from: Sequence[str] = ()

    @property
    def brought(self) -> dict[str, str]:
        """Roles of documents that persons file."""
        return {role: word for role, word in self.documents.items() if role not in self.made}

    def state(self, code: str) -> State:
        """One of its states; one that an older version knew is shown by its code."""
        return next((one for one in self.states if one.code == code), State(code=code, word=code))

    def act(self, name: str) -> Act:
        """One of its acts; InvalidInputError for an unknown one."""
        for one in (self.opening, *self.acts):
            if one.name == name:
                return one
        raise InvalidInputError(f"{self.kind} knows no act {name[:64]!r}")

    @property
    def confidential(self) -> bool:
        """Whether some of its fields are for few eyes."""
        return any(one.seen_by for one in self.fields().values())

    def fields(self) -> dict[str, Field]:
        """Every field of every act, and what is computed."""
        typed = {one.name: one for act in (self.opening, *self.acts) for one in act.fields}
        return {**typed, **{one.name: one for one in self.computed}}


class Forms:
    """The kinds of matters this home knows.

    Args:
        forms: Every form once.

    Raises:
        ValueError: Two of one kind, or one whose acts name unknown states: a mistake of a programmer.
    """

    def __init__(self, forms: Sequence[Form]) -> None:
        self._forms = {one.kind: one for one in forms}
        if len(self._forms) != len(forms):
            raise ValueError("two forms of one kind")
        for form in forms:
            _require_sound(form)

    def __iter__(self) -> Any:
        return iter(self._forms.values())

    def __contains__(self, kind: object) -> bool:
        return kind in self._forms

    def of(self, kind: str) -> Form:
        """The form of a kind; InvalidInputError for an unknown one."""
        try:
            return self._forms[kind]
        except KeyError as error:
            raise InvalidInputError(f"there is no kind of matter {kind[:64]!r}") from error


def _require_sound(form: Form) -> None:
    states = {one.code for one in form.states}
    names = [form.opening.name, *(one.name for one in form.acts)]
    if len(names) != len(set(names)):
        raise ValueError(f"{form.kind}: two acts of one name")
    if form.opening.after not in states or form.opening.before:
        raise ValueError(f"{form.kind}: the opening act leads to no state")
    for act in form.acts:
        strange = (set(act.before) | ({act.after} if act.after else set())) - states
        if strange or not act.before:
            raise ValueError(f"{form.kind}.{act.name}: unknown states {sorted(strange)} or none")
    if set(form.papers_seen_by) - set(form.documents) or {
        role for roles in form.papers_seen_by.values() for role in roles
    } - set(form.persons):
        raise ValueError(f"{form.kind}: unknown documents or parts are kept for few eyes")
    for act in (form.opening, *form.acts):
        parts = {one.part for one in act.fields} | {role for one in act.fields for role in one.seen_by}
        roles = {act.role, *act.only, *act.never, *parts} - {""} - set(form.persons)
        if roles or set(act.documents) - set(form.documents):
            raise ValueError(f"{form.kind}.{act.name}: unknown parts or documents")
        for one in act.fields:
            if one.kind in (FieldKind.LINE, FieldKind.WORDS) and not one.personal:
                raise ValueError(f"{form.kind}.{one.name}: what people write is personal")
    for column in form.register:
        name, _, part = column.name.partition(":")
        if not part and name not in form.fields() and name not in {
            "number", "state", "unit", "opened_at", "closed_at", "due_at",
        }:  # fmt: skip
            raise ValueError(f"{form.kind}: a register's column {column.name} is no field")
