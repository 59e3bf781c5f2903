"""The form of one act: what was typed in, read from a page's form, and the widgets that show it again.

Names of inputs: ``f.<field>``, cells of a table ``f.<field>.<row>.<column>``, chosen links ``link.<role>`` (identities), what was
written about one ``note.<role>.<identity>``, links to be taken away ``unlink.<role>`` (``<identity>|<key>``), what is searched
for ``find.<role or field>``. A page works without JavaScript: searching sends the form and shows it again with everything in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.datastructures import ImmutableMultiDict

from api.matters.showing import Shower
from api.services import Services
from api.web import matter_pick, matter_words
from api.web.matter_pick import Match
from api.web.units import local_time
from catalogue.matters import LinkRow
from evidence.clock import from_text
from evidence.errors import InvalidInputError
from evidence.model import Actor
from matters.form import Act, Field, FieldKind, Form, LinkRole
from matters.turn import NewLink

Sent = ImmutableMultiDict[str, str]
#: Empty rows a table offers beyond those that are filled.
_SPARE_ROWS: Final = 3
#: A link shown with its own box to be taken away; of more only the number is told and the API takes them away.
UNLINKS_SHOWN: Final = 50
_PICKED: Final = {FieldKind.RECORDING: "rec", FieldKind.MATTER: "mat"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What was sent for an act."""

    values: dict[str, Any]
    links: list[NewLink]
    unlinks: list[NewLink]


def typed(act: Act, sent: Sent) -> Typed:
    """Read what a page's form sent for an act; whether it is right is the engine's to say."""
    values = {one.name: value for one in act.fields if (value := _value(one, sent)) is not None}
    links = [
        NewLink(role=role.role, target=target, words=sent.get(f"note.{role.role}.{target}", "").strip()[:2000])
        for role in act.links
        for target in dict.fromkeys(sent.getlist(f"link.{role.role}")) if target
    ]  # fmt: skip
    unlinks = []
    for role in act.links:
        for place in dict.fromkeys(sent.getlist(f"unlink.{role.role}")):
            target, _, key = place.partition("|")
            unlinks.append(NewLink(role=role.role, target=target, key=key))
    return Typed(values=values, links=links, unlinks=unlinks)


def _value(one: Field, sent: Sent) -> Any:
    name = f"f.{one.name}"
    match one.kind:
        case FieldKind.FLAG:
            return name in sent
        case FieldKind.CHOICES:
            return sent.getlist(name) or None
        case FieldKind.TABLE:
            return _table(one, sent) or None
    return sent.get(name)


def _table(one: Field, sent: Sent) -> list[dict[str, str]]:
    rows: dict[int, dict[str, str]] = {}
    columns = {column.code for column in one.columns}
    for key, text in sent.multi_items():
        parts = key.split(".")
        if (
            len(parts) == 4
            and parts[:2] == ["f", one.name]
            and parts[2].isdigit()
            and parts[3] in columns
            and text.strip()
        ):
            rows.setdefault(int(parts[2]), {})[parts[3]] = text.strip()
    return [rows[place] for place in sorted(rows)]


# --- widgets ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A choice as a page offers it; ``group`` is its heading."""

    code: str
    word: str
    chosen: bool = False
    group: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Widget:
    """A field on a page.

    Attributes:
        name: Name of its input.
        field: What the form declares.
        word: Its label.
        hint: A sentence below it.
        wrong: What is wrong with what was typed; empty for nothing.
        value: What stands in it.
        options: Of choices and pickers.
        head: Columns of a table: key and title.
        rows: Cells of a table, with spare ones.
        find: What is searched for, where it is searched.
        find_hint: What the search looks in.
        nothing: Whether a search found nothing.
    """

    name: str
    field: Field
    word: str
    hint: str = ""
    wrong: str = ""
    value: Any = ""
    options: Sequence[Option] = ()
    head: Sequence[tuple[str, str]] = ()
    rows: Sequence[Mapping[str, str]] = ()
    find: str = ""
    find_hint: str = ""
    nothing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkWidget:
    """What an act links, on a page: what is chosen, what a search found, what can be taken away."""

    role: LinkRole
    word: str
    wrong: str = ""
    chosen: Sequence[tuple[Match, str]] = ()
    found: Sequence[Match] = ()
    present: Sequence[tuple[Match, str, bool]] = ()
    present_total: int = 0
    find: str = ""
    find_hint: str = ""
    nothing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ActForm:
    """One act as a page offers it.

    Attributes:
        act: What it is.
        word: What the button says.
        fields: Its widgets.
        links: What it links.
        wrong: What else is wrong, as sentences.
        after: Word of the state that follows; empty where it stays.
    """

    act: Act
    word: str
    fields: Sequence[Widget]
    links: Sequence[LinkWidget]
    wrong: Sequence[str] = ()
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormMaker:
    """Makes the forms of a kind for one reader.

    Attributes:
        services: Where choices come from.
        actor: The reader.
        shower: Their language and names.
        form: The kind.
        present: Values that stand now, for acts that change them.
        links: What is linked now.
        prefill: What was "typed" only came with the address: what it does not name keeps what stands there.
    """

    services: Services
    actor: Actor
    shower: Shower
    form: Form
    present: Mapping[str, Any] = field(default_factory=dict)
    links: Sequence[LinkRow] = ()
    prefill: bool = False

    def made(self, act: Act, sent: Sent | None = None, wrong: Mapping[str, str] | None = None) -> ActForm:
        """The form of an act.

        Args:
            act: What it is.
            sent: What was typed before; None for a fresh form.
            wrong: Name of a field or a link role -> code of what is wrong with it.
        """
        told = dict(wrong or {})
        fields = [self._widget(act, one, sent, told.pop(one.name, "")) for one in act.fields]
        links = [self._links(role, sent, told.pop(role.role, "")) for role in act.links]
        rest = [
            self.shower.say(matter_words.ENGINE_FIELDS[name])
            if name in matter_words.ENGINE_FIELDS else f"{name}: {self._wrong(code)}"
            for name, code in told.items()
        ]  # fmt: skip
        after = self.shower.say(self.form.state(act.after).word) if act.after else ""
        return ActForm(
            act=act, word=self.shower.say(act.word), fields=fields, links=links, wrong=rest, after=after
        )  # fmt: skip

    def _wrong(self, code: str) -> str:
        word = matter_words.WRONG.get(code)
        return self.shower.say(word) if word else code

    def _widget(self, act: Act, one: Field, sent: Sent | None, wrong: str) -> Widget:
        name = f"f.{one.name}"
        named = sent is not None and (not self.prefill or any(key.startswith(name) for key in sent))
        value = _value(one, sent) if sent is not None and named else self._start(act, one)
        find = sent.get(f"find.{one.name}", "") if sent is not None else ""
        options: list[Option] = []
        found: list[Match] = []
        if one.kind in _PICKED:
            found = matter_pick.matches(self.services, self.actor, self.shower, [_PICKED[one.kind]], find)
            options = self._picked(str(value or ""), found)
        elif one.kind is not FieldKind.TABLE:
            options = self._options(one, value)
        columns = [(column.code, self.shower.say(column.word)) for column in one.columns]
        rows = [*(value or []), *({} for _ in range(_SPARE_ROWS))] if one.kind is FieldKind.TABLE and columns else []
        return Widget(
            name=name, field=one, word=self.shower.say(one.word), hint=self.shower.say(one.hint) if one.hint else "",
            wrong=self._wrong(wrong) if wrong else "", value=self._typed_text(one, value), options=options, head=columns,
            rows=rows, find=find, nothing=bool(find.strip()) and not found,
            find_hint=self.shower.say(matter_words.FIND[_PICKED[one.kind]]) if one.kind in _PICKED else "",
        )  # fmt: skip

    def _start(self, act: Act, one: Field) -> Any:
        """What stands in a fresh form: what is there now, where the act changes fields and not the state, or makes a draft."""
        opened_with = {other.name for other in self.form.opening.fields}
        changes = not act.after or act.after in act.before
        return self.present.get(one.name) if changes and one.name in opened_with else None

    def _typed_text(self, one: Field, value: Any) -> Any:
        if one.kind is FieldKind.MOMENT and isinstance(value, str) and value:
            try:
                return local_time(from_text(value), seconds=False)[:16].replace(" ", "T")
            except InvalidInputError:
                return value
        return "" if value is None else value

    def _options(self, one: Field, value: Any) -> list[Option]:
        match one.kind:
            case FieldKind.CHOICE | FieldKind.CHOICES:
                chosen = set(value) if isinstance(value, list) else {value}
                return [
                    Option(code=choice.code, word=self.shower.say(choice.word), chosen=choice.code in chosen)
                    for choice in one.choices
                ]
            case FieldKind.AGENT:
                return _chosen(matter_pick.agents(self.services), value, grouped=True)
            case FieldKind.UNIT:
                return _chosen(matter_pick.units(self.services), value)
            case FieldKind.DEVICE:
                return _chosen(matter_pick.devices(self.services, self.actor), value)
        return []

    def _picked(self, value: str, found: Sequence[Match]) -> list[Option]:
        names = self.shower.names
        options = [Option(code=value, word=names.name(value), chosen=True)] if value else []
        return options + [Option(code=one.id, word=one.name, detail=one.detail) for one in found if one.id != value]

    def _links(self, role: LinkRole, sent: Sent | None, wrong: str) -> LinkWidget:
        find = sent.get(f"find.{role.role}", "") if sent is not None else ""
        picked = list(dict.fromkeys(sent.getlist(f"link.{role.role}"))) if sent is not None else []
        away = set(sent.getlist(f"unlink.{role.role}")) if sent is not None else set()
        found = matter_pick.matches(self.services, self.actor, self.shower, role.targets, find, kinds=role.kinds)
        known = {one.id: one for one in found}
        notes = {one: sent.get(f"note.{role.role}.{one}", "") if sent is not None else "" for one in picked}
        present = [one for one in self.links if one.role == role.role and not role.stays]
        return LinkWidget(
            role=role, word=self.shower.say(role.word), wrong=self._wrong(wrong) if wrong else "", find=find,
            chosen=[(known.get(one) or self._match(one), notes[one]) for one in picked if one],
            found=[one for one in found if one.id not in picked],
            present=[
                (self._match(one.target), place, place in away)
                for one in present[:UNLINKS_SHOWN] for place in [f"{one.target}|{one.key}"]
            ],
            present_total=len(present), nothing=bool(find.strip()) and not found,
            find_hint=" · ".join(self.shower.say(matter_words.FIND[target]) for target in role.targets),
        )  # fmt: skip

    def _match(self, identity: str) -> Match:
        names = self.shower.names
        row = names.recordings.get(identity)
        detail = local_time(row.started_at or row.discovered_at, seconds=False) if row is not None else ""
        return Match(id=identity, name=names.name(identity), detail=detail)


def _chosen(found: Sequence[Match], value: Any, *, grouped: bool = False) -> list[Option]:
    return [
        Option(
            code=one.id, word=one.name, chosen=one.id == value, group=one.detail if grouped else "",
            detail="" if grouped else one.detail,
        )
        for one in found
    ]  # fmt: skip
