"""Values of a matter as people read them, in the reader's language: fields with labels, links by name, acts as sentences.

Only what a view holds is shown: fields that were left out for the reader are not here to be told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from api.matters.names import Names
from api.web.custody_lines import entry_line
from api.web.custody_words import EVENTS
from api.web.i18n import translate
from api.web.units import local_time, size_text
from catalogue.matters import LinkRow, MatterRow
from catalogue.records import TimelineRow
from evidence.clock import from_text
from evidence.errors import InvalidInputError
from matters.desk import ON_BEHALF_OF
from matters.fold import NUMBERS
from matters.form import Field, FieldKind, Form
from matters.looking import MatterView

#: Facts that the engine itself adds to what was typed in.
ENGINE_FACTS: Final = {
    "seen_sha256": "Digest of what was seen", ON_BEHALF_OF: "On behalf of", "described": "Described by time, place or person",
    "within": "Reach", "entered_at": "Entered at", "principal": "Absent leader", "order": "Place in the order",
    "by": "Brought in by", "duplicate": "The original of a duplicate", "case": "Case", "disc": "Disc",
    "schedule": "Schedule in force", "due": "Due since", "sha256": "SHA-256", "size": "Bytes",
}  # fmt: skip
#: Facts of links for machines: the list of a clearing batch tells its reasons itself.
CODED: Final = frozenset({"why"})
#: Columns of tables that the service itself enters.
COLUMNS: Final = {
    "disc": "Disc", "record_sha256": "Digest of the image record", "sectors": "Sectors", "sha256": "SHA-256",
    "volume": "Name of the volume", "drive": "Drive", "kind": "Kind",
}  # fmt: skip
#: Periods of a schedule or a list, as :meth:`retention.periods.RetentionClass.text` writes them; months are told by number.
PERIODS: Final = {
    "long-term": "long-term preservation", "case-archive": "as the case file", "until-reviewed": "until reviewed",
}  # fmt: skip
#: Values of such facts, which are codes.
FACT_VALUES: Final = {
    ("within", "all"): "All units",
    ("by", "description"): "by the description",
    ("by", "duplicate"): "as what keeps the bytes of a duplicate",
    ("by", "name"): "named one by one",
}
#: Personal words about a link stand beside the fields under this prefix.
LINK_WORDS: Final = "link:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One field as it is read.

    Attributes:
        name: Of the field.
        label: What the screen calls it.
        text: Its value; line breaks are kept.
        href: Our page of what it names, empty for none.
        head: Column titles of a table.
        rows: Cells of a table.
        mono: A digest or another text of signs.
    """

    name: str
    label: str
    text: str
    href: str = ""
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    mono: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    """One entry of a matter's history.

    Attributes:
        entry: The custody entry as the reader may see it.
        what: What was done.
        who: By whom.
        state: The state that followed; empty where the entry names none.
        told: What was typed in, linked and said.
    """

    entry: TimelineRow
    what: str
    who: str
    state: str = ""
    told: Sequence[Shown] = field(default=())


class Shower:
    """Shows matters of one reader.

    Args:
        names: What identities are called.
        language: The reader's.
    """

    def __init__(self, names: Names, language: str) -> None:
        self.names = names
        self.language = language

    def say(self, message: str, **values: object) -> str:
        """A message in the reader's language."""
        return translate(message, self.language, **values)

    # --- values -------------------------------------------------------------------------------------------------------
    def text(self, one: Field | None, value: Any) -> str:  # noqa: PLR0911 - one form a kind
        """A field's value."""
        if value is None:
            return ""
        if isinstance(value, bool):
            return self.say("Yes") if value else self.say("No")
        if one is None:
            return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        match one.kind:
            case FieldKind.CHOICE:
                return self._choice(one, value)
            case FieldKind.CHOICES if isinstance(value, list):
                return ("、" if self.language == "zh-CN" else ", ").join(self._choice(one, code) for code in value)
            case FieldKind.MOMENT:
                return _moment(value)
            case FieldKind.AGENT | FieldKind.UNIT | FieldKind.DEVICE | FieldKind.RECORDING | FieldKind.MATTER:
                return self.names.name(str(value))
            case FieldKind.CLOCK if isinstance(value, Mapping):
                return self._clock(value)
            case FieldKind.TABLE if isinstance(value, list):
                return "\n".join(" | ".join(cells) for cells in self._rows(one, value))
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def _clock(self, clock: Mapping[str, Any]) -> str:
        """A statutory clock: its last day, how it is counted, and whether it was met in time."""
        told = [self.say("until {day}", day=clock.get("last_day", ""))]
        count = _int(clock.get("count")) or 0
        extended = _int(clock.get("extended")) or 0
        told.append(f"{count + extended} {self.say(CLOCK_UNITS.get(str(clock.get('unit')), ''))}")
        if extended:
            told.append(self.say("extended by {n}", n=extended))
        if clock.get("provisional"):
            told.append(self.say("provisional: the calendar is not published yet"))
        if clock.get("met"):
            late = str(clock["met"]) >= str(clock.get("due"))
            told.append(f"{self.say('met late' if late else 'met in time')} {_moment(clock['met'])}")
        return " · ".join(told)

    def _choice(self, one: Field, code: Any) -> str:
        return next((self.say(choice.word) for choice in one.choices if choice.code == code), str(code))

    def _columns(self, one: Field, rows: Sequence[Any]) -> list[tuple[str, str]]:
        """Key and title of each column: those declared, then whatever else the rows hold."""
        known = {column.code: self.say(column.word) for column in one.columns}
        for row in rows:
            for key in row if isinstance(row, dict) else ():
                known.setdefault(str(key), self.say(COLUMNS.get(str(key), str(key))))
        return list(known.items())

    def _rows(self, one: Field, rows: Sequence[Any]) -> list[list[str]]:
        keys = [key for key, _title in self._columns(one, rows)]
        return [
            [self._cell(one, key, row.get(key, "")) if isinstance(row, dict) else str(row) for key in keys]
            for row in rows
        ]

    def _cell(self, one: Field, column: str, value: object) -> str:
        """A cell: the word of a choice of the field, a period, a moment, or the name of what it identifies."""
        text = str(value)
        if column == "keeps":
            count = text.removeprefix("months:")
            return self.say(PERIODS.get(text, text)) if count == text else self.say("{count} months", count=count)
        for choice in one.choices:
            if choice.code == text:
                return self.say(choice.word)
        return _moment(text) if _MOMENT.fullmatch(text) else self.names.name(text)

    def shown(self, form: Form, name: str, value: Any) -> Shown:
        """One field with its label."""
        one = form.fields().get(name)
        label = self.say(one.word) if one is not None else self.say(ENGINE_FACTS.get(name, name.replace("_", " ")))
        if one is None and name in ENGINE_FACTS and not isinstance(value, bool):
            told = value if isinstance(value, list) else [value]
            return Shown(
                name=name, label=label, text="、".join(self._fact(name, part) for part in told if part),
                mono=name == "seen_sha256",
            )  # fmt: skip
        table = one is not None and one.kind is FieldKind.TABLE and isinstance(value, list)
        return Shown(
            name=name, label=label, text=self.text(one, value),
            href=self.names.href(str(value)) if one is not None and one.kind in _LINKED else "",
            head=[title for _key, title in self._columns(one, value)] if one is not None and table else (),
            rows=self._rows(one, value) if one is not None and table else (),
            mono=one is None or one.kind is FieldKind.DIGEST,
        )  # fmt: skip

    def fields(self, form: Form, facts: Mapping[str, Any], words: Mapping[str, Any]) -> list[Shown]:
        """Fields in the order in which the form declares them, then what else stands there."""
        values = {**facts, **{name: value for name, value in words.items() if not name.startswith(LINK_WORDS)}}
        values.pop(NUMBERS, None)  # told by the numbers themselves
        order = [name for name in form.fields() if name in values]
        return [self.shown(form, name, values[name]) for name in [*order, *sorted(set(values) - set(order))]]

    def title(self, form: Form, row: MatterRow) -> str:
        """What names it in lists; empty where nothing does or the reader may not see it."""
        value = row.words.get(form.title, row.facts.get(form.title))
        return self.text(form.fields().get(form.title), value).partition("\n")[0]

    def masked(self, view: MatterView) -> list[str]:
        """Labels of the fields that the reader may not see: nobody takes what is shown for everything."""
        fields = view.form.fields()
        return [self.say(fields[name].word) for name in fields if name in view.masked]

    # --- links and persons --------------------------------------------------------------------------------------------
    def part(self, form: Form, role: str) -> str:
        """What a part is called."""
        return self.say(form.persons.get(role, role))

    def link_role(self, form: Form, role: str) -> str:
        """What a kind of link is called."""
        for act in (form.opening, *form.acts):
            for one in act.links:
                if one.role == role:
                    return self.say(one.word)
        return role

    def link_text(self, form: Form, row: MatterRow, link: LinkRow) -> str:
        """What was written about a link, and its public facts."""
        words = row.words.get(f"{LINK_WORDS}{link.role}:{link.target}:{link.key}")
        facts = [
            f"{self._fact_word(form, name)}: {self._fact(name, text)}"
            for name, text in link.facts.items()
            if text and name not in CODED
        ]
        return " · ".join([*([link.key] if link.key else []), *facts, *([str(words)] if words else [])])

    def _fact_word(self, form: Form, name: str) -> str:
        one = form.fields().get(name)
        return self.say(one.word) if one is not None else self.say(ENGINE_FACTS.get(name, name))

    def _fact(self, name: str, value: object) -> str:
        """The value of a fact that no form declares: the word of a code, a moment, or the name of what it identifies."""
        text = str(value)
        if (name, text) in FACT_VALUES:
            return self.say(FACT_VALUES[name, text])
        return _moment(text) if _MOMENT.fullmatch(text) else self.names.name(text)

    # --- history ------------------------------------------------------------------------------------------------------
    def history(self, form: Form, timeline: Sequence[TimelineRow]) -> list[HistoryLine]:
        """The entries as sentences, newest last."""
        return [self._line(form, entry) for entry in timeline]

    def _line(self, form: Form, entry: TimelineRow) -> HistoryLine:
        who = self.names.name(entry.actor) if entry.actor else self.say("the service")
        public, disclosed = entry.public, entry.disclosed
        if entry.event_type == "matter.acted":
            told = self.fields(form, _mapping(public.get("facts")), _mapping(disclosed.get("words")))
            return HistoryLine(
                entry=entry, who=who, what=act_word(form, str(public.get("act") or ""), self.language),
                state=self.say(form.state(str(public.get("state") or "")).word),
                told=[*told, *self._persons(form, public), *self._links(form, public)],
            )  # fmt: skip
        if entry.event_type == "document.filed":
            role = str(public.get("role") or "")
            told = [
                Shown(
                    name="name", label=self.say(form.documents.get(role, role)), text=str(disclosed.get("name") or "—")
                ),
                Shown(name="size", label=self.say("Size"), text=size_text(_int(public.get("size_bytes")))),
                Shown(name="sha256", label="SHA-256", text=str(public.get("blob_sha256") or ""), mono=True),
            ]
            return HistoryLine(entry=entry, who=who, what=self.say(EVENTS["document.filed"]), told=told)
        word = EVENTS.get(entry.event_type, entry.event_type)
        line = entry_line(entry, self.language)
        told = [Shown(name="", label="", text=line)] if line else []
        return HistoryLine(entry=entry, who=who, what=self.say(word), told=told)

    def _persons(self, form: Form, public: Mapping[str, Any]) -> list[Shown]:
        shown = []
        for one in public.get("persons") or []:
            word = self.part(form, str(one.get("role") or ""))
            ended = one.get("op") == "remove"
            label = self.say("No longer: {part}", part=word) if ended else word
            shown.append(Shown(name="person", label=label, text=self.names.name(str(one.get("agent") or ""))))
        return shown

    def _links(self, form: Form, public: Mapping[str, Any]) -> list[Shown]:
        by_role: dict[tuple[str, str], list[str]] = {}
        for one in public.get("links") or []:
            place = (str(one.get("op") or ""), str(one.get("role") or ""))
            by_role.setdefault(place, []).append(self.names.name(str(one.get("to") or "")))
        shown = []
        for (op, role), targets in by_role.items():
            word = self.link_role(form, role)
            label = self.say("Taken away: {what}", what=word) if op == "remove" else word
            more = len(targets) - _LINKS_TOLD
            text = "\n".join(targets[:_LINKS_TOLD]) + (f"\n… +{more}" if more > 0 else "")
            shown.append(Shown(name="links", label=label, text=text))
        return shown


#: A moment as entries write it.
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
#: What a clock is counted in.
CLOCK_UNITS: Final = {"hour": "hours", "day": "days", "working-day": "working days", "month": "months"}
_LINKED: Final = (FieldKind.RECORDING, FieldKind.MATTER)
_LINKS_TOLD: Final = 20


def act_word(form: Form | None, name: str, language: str) -> str:
    """What an act is called; its code where the form knows none of that name."""
    if form is not None:
        for act in (form.opening, *form.acts):
            if act.name == name:
                return translate(act.word, language)
    return name


def _moment(value: Any) -> str:
    try:
        return local_time(from_text(str(value)), seconds=False)
    except InvalidInputError:
        return str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _int(value: Any) -> int | None:
    return value if isinstance(value, int) else None
