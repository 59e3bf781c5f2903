"""The bureau's list of what is to be recorded, as a matter: proposed from a file, approved by a second person, dated.

A long list does not fit into one entry: it is entered in parts, all in one transaction, and a list with a part missing is never
in force. What is in force follows from the day alone: the approved list with the latest day that has come.

Source: RULES R3, R11; docs/formats/record-list.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from catalogue import Catalogue, UnitOfWork
from catalogue.matters import MatterFilter, MatterRow
from evidence.calendar import local_date
from evidence.canonical import dumps
from evidence.clock import Clock
from evidence.digest import sha256_of
from evidence.errors import InvalidInputError, PolicyUnmetError, StateConflictError
from evidence.model import Action, Actor
from evidence.ports import Authoriser
from matters.desk import MatterDesk
from matters.form import (
    APPROVER,
    PROPOSER,
    Act,
    Column,
    Field,
    FieldKind,
    Form,
    State,
    Tone,
    plain_number,
)
from matters.turn import Asked, Turn
from retention.facts import schedules_of
from retention.record_list import Difference, ListItem, ReadList, compared, from_row, read_list

RECORD_LIST: Final = "record-list"
PROPOSED, APPROVED, REFUSED, WITHDRAWN = "proposed", "approved", "refused", "withdrawn"
_MORE: Final = "more"
_ROWS: Final = "rows"
#: What fits into one entry with room for the rest.
_PART_BYTES: Final = 40_000
_PARTS_MAX: Final = 40
_VERSIONS_MAX: Final = 200


# --- what is in force -------------------------------------------------------------------------------------------------
def items_of(row: MatterRow) -> list[ListItem]:
    """The entries of a list.

    Raises:
        InvalidInputError: A part is missing, or cannot be read.
    """
    parts = int(row.facts.get("parts", 0))
    found: list[ListItem] = []
    for number in range(1, parts + 1):
        rows = row.facts.get(_part_name(number))
        if not isinstance(rows, list):
            raise InvalidInputError(f"part {number} of {parts} of {row.number} is missing", todo="Run liuhen verify.")
        found += [from_row(one) for one in rows]
    return found


def list_in_force(uow: UnitOfWork, today: date) -> MatterRow | None:
    """The approved list with the latest day that has come; None while the bureau has none."""
    stand = [
        row for row in uow.matters.find(MatterFilter(kinds=(RECORD_LIST,), states=(APPROVED,)), limit=_VERSIONS_MAX)
        if date.fromisoformat(str(row.facts["in_force_from"])) <= today
    ]  # fmt: skip
    return max(stand, key=lambda row: (str(row.facts["in_force_from"]), row.changed_at, row.number), default=None)


def items_in_force(uow: UnitOfWork, today: date) -> list[ListItem]:
    """Its entries; none while there is no list."""
    row = list_in_force(uow, today)
    return [] if row is None else items_of(row)


def _part_name(number: int) -> str:
    return _ROWS if number == 1 else f"{_ROWS}_{number}"


# --- proposing --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class ListPreview:
    """What a file would bring.

    Attributes:
        read: Its rows, what is wrong with others, and what a person is to know.
        difference: What it changes.
        in_force: Number of the list it is compared with; empty without one.
        sha256: Of the file.
    """

    read: ReadList
    difference: Difference
    in_force: str
    sha256: str


class RecordLists:
    """Previews and proposes lists.

    Args:
        catalogue: Where lists stand.
        desk: Enters them.
        authoriser: Asked first.
        clock: Injected time.
    """

    def __init__(self, catalogue: Catalogue, *, desk: MatterDesk, authoriser: Authoriser, clock: Clock) -> None:
        self._catalogue = catalogue
        self._desk = desk
        self._authoriser = authoriser
        self._clock = clock

    def preview(self, actor: Actor, data: bytes) -> ListPreview:
        """What a file would change; nothing is entered but a refusal.

        Raises:
            AccessDeniedError: Not theirs to propose (entered). InvalidInputError, LimitExceededError: No such file.
        """
        self._authoriser.require(actor, Action.SCHEDULE_PROPOSE, detail="record-list preview")
        with self._catalogue.read() as uow:
            return self._preview(uow, data)

    def propose(
        self, actor: Actor, data: bytes, *, title: str, in_force_from: date, looked_at: str = ""
    ) -> MatterRow:  # fmt: skip
        """Propose a list from a file. Durable on return.

        Args:
            actor: Who proposes it.
            data: The file.
            title: What it is called.
            in_force_from: The day it comes into force, if it is approved by then.
            looked_at: SHA-256 of the file that was looked at before; another file is refused.

        Raises:
            StateConflictError: Another file was looked at.
            AccessDeniedError: Not theirs to propose (entered).
            PolicyUnmetError: Rows cannot be read, or nothing is changed; nothing was entered.
            InvalidInputError, LimitExceededError: No such file.
        """
        self._authoriser.require(actor, Action.SCHEDULE_PROPOSE, detail="record-list.propose")
        if not title.strip() or len(title) > 200:
            raise InvalidInputError("the list needs a title", kept="Nothing was entered.")
        if looked_at and looked_at != sha256_of(data).hex:
            raise StateConflictError(
                "this is not the file that was looked at", kept="Nothing was entered.", todo="Look at this one first."
            )
        with self._catalogue.begin() as uow:
            found = self._preview(uow, data)
            if found.read.unreadable:
                rows = ", ".join(f"{one.row} ({one.code})" for one in found.read.unreadable[:20])
                raise PolicyUnmetError(
                    f"{len(found.read.unreadable)} rows cannot be taken: {rows}", kept="Nothing was entered.",
                    todo="Correct these rows of the file and bring it in again.",
                )  # fmt: skip
            change = found.difference
            if not (change.new or change.changed or change.dropped):
                raise PolicyUnmetError("the list in force says the same already", kept="Nothing was entered.")
            parts = _parts(found.read.items)
            facts: dict[str, Any] = {
                "in_force_from": in_force_from.isoformat(), "parts": len(parts), _ROWS: parts[0],
                "entries": len(found.read.items), "new": len(change.new), "changed": len(change.changed),
                "dropped": len(change.dropped), "file_sha256": sha256_of(data).hex,
            }  # fmt: skip
            asked = Asked(facts=facts, words={"title": title.strip()})
            row = self._desk.open_within(uow, RECORD_LIST, asked, actor=actor)
            for number, part in enumerate(parts[1:], start=2):
                row = self._desk.act_within(
                    uow, row.id, _MORE, Asked(facts={_part_name(number): part}), actor=actor
                )  # fmt: skip
            return row

    def compare(self, actor: Actor, row: MatterRow) -> Difference:
        """What a proposed list changes in the one in force now; for whoever decides."""
        self._authoriser.require(actor, Action.SCHEDULE_SEE, detail=f"record-list {row.number}")
        with self._catalogue.read() as uow:
            return compared(items_in_force(uow, self._today()), items_of(row))

    def _preview(self, uow: UnitOfWork, data: bytes) -> ListPreview:
        read = read_list(data, schedules_of(uow).current.rows)
        stands = list_in_force(uow, self._today())
        before = [] if stands is None else items_of(stands)
        return ListPreview(
            read=read, difference=compared(before, read.items), in_force=stands.number if stands is not None else "",
            sha256=sha256_of(data).hex,
        )  # fmt: skip

    def _today(self) -> date:
        return local_date(self._clock.now().wall)


def _parts(items: Sequence[ListItem]) -> list[list[dict[str, str]]]:
    parts: list[list[dict[str, str]]] = [[]]
    size = 0
    for item in items:
        row = item.to_row()
        more = len(dumps(row)) + 1
        if size + more > _PART_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(row)
        size += more
    if len(parts) > _PARTS_MAX:
        raise InvalidInputError("the list is longer than can be entered", todo="Shorten its words, or split it.")
    return parts


# --- guards -----------------------------------------------------------------------------------------------------------
def _must_be_whole(turn: Turn) -> None:
    """Every part is there, and every category is one of the schedule in force on this day."""
    items = items_of(turn.row)
    known = schedules_of(turn.uow).current.rows
    strange = sorted({one.category for one in items if one.category and one.category not in known})
    if strange:
        turn.refuse(
            "the schedule in force has no category {categories}", todo="Bring in the schedule first.",
            categories=", ".join(strange[:10]),
        )  # fmt: skip


_WHY: Final = Field(name="refusal", word="Reason", kind=FieldKind.WORDS, personal=True, required=True)

FORM: Final = Form(
    kind=RECORD_LIST,
    word="List of what is to be recorded",
    words="Lists of what is to be recorded",
    number=plain_number("QD"),
    states=(
        State(code=PROPOSED, word="Proposed", tone=Tone.WARN),
        State(code=APPROVED, word="Approved", tone=Tone.GOOD, final=True),
        State(code=REFUSED, word="Refused", tone=Tone.BAD, final=True),
        State(code=WITHDRAWN, word="Withdrawn", final=True),
    ),
    opening=Act(
        name="open", word="Propose a list", after=PROPOSED, action=Action.SCHEDULE_PROPOSE, role=PROPOSER, hidden=True,
        fields=(
            Field(name="title", word="Title", personal=True, required=True),
            Field(name="in_force_from", word="In force from", kind=FieldKind.DATE, required=True),
            Field(name="entries", word="Entries", kind=FieldKind.NUMBER),
            Field(name="new", word="New entries", kind=FieldKind.NUMBER),
            Field(name="changed", word="Changed entries", kind=FieldKind.NUMBER),
            Field(name="dropped", word="Dropped entries", kind=FieldKind.NUMBER),
            Field(name="file_sha256", word="Digest of the file", kind=FieldKind.DIGEST),
            Field(name=_ROWS, word="Entries of the list", kind=FieldKind.TABLE),
        ),
    ),
    acts=(
        Act(name=_MORE, word="Further entries", before=(PROPOSED,), action=Action.SCHEDULE_PROPOSE, hidden=True),
        Act(
            name="approve", word="Approve", before=(PROPOSED,), after=APPROVED, action=Action.SCHEDULE_APPROVE,
            role=APPROVER, never=(PROPOSER,), frozen=True, guards=(_must_be_whole,),
            fields=(Field(name="opinion", word="Opinion", kind=FieldKind.WORDS, personal=True),),
        ),
        Act(
            name="refuse", word="Refuse", before=(PROPOSED,), after=REFUSED, action=Action.SCHEDULE_APPROVE,
            never=(PROPOSER,), fields=(_WHY,),
        ),
        Act(
            name="withdraw", word="Withdraw", before=(PROPOSED,), after=WITHDRAWN, action=Action.SCHEDULE_PROPOSE,
            only=(PROPOSER,),
        ),
    ),
    see=Action.SCHEDULE_SEE,
    persons={PROPOSER: "Proposed by", APPROVER: "Approved by"},
    documents={"source": "The list as a file"},
    register=(
        Column(word="Number", name="number"), Column(word="Title", name="title"), Column(word="State", name="state"),
        Column(word="In force from", name="in_force_from"), Column(word="Entries", name="entries"),
        Column(word="New entries", name="new"), Column(word="Changed entries", name="changed"),
        Column(word="Dropped entries", name="dropped"), Column(word="Proposed by", name=f"person:{PROPOSER}"),
        Column(word="Approved by", name=f"person:{APPROVER}"),
    ),
    group="Retention",
)  # fmt: skip
