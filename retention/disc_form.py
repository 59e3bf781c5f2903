"""One physical disc as a matter: burnt, read back, registered with place and keeper, lent and returned, looked at every year.

A disc counts as a copy only after a full read-back that was good; nobody can say so by hand. The sealed copy is never lent. Who
asks for a loan never approves it (R19).

Source: RULES R12, R19; docs/formats/disc.md "Register".
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from evidence.calendar import start_of
from evidence.clock import from_text
from evidence.errors import EvidenceError
from evidence.ids import AgentId, MatterId
from evidence.model import Action
from matters.form import Act, Choice, Column, Field, FieldKind, Form, LinkRole, State, Tone, plain_number
from matters.turn import Turn
from retention import disc_terms as terms
from retention.disc_follow import complete_without, follow


def _follow_set(turn: Turn) -> None:
    """The set's state follows its discs, in the same transaction."""
    for link in turn.links(terms.OF_SET):
        follow(turn, MatterId(link.target))


def _not_the_sealed_copy(turn: Turn) -> None:
    if turn.value("copy") == terms.SEALED:
        turn.refuse("the sealed copy is not lent", todo="Ask for the working copy (B).")


def _loan_is_over(turn: Turn) -> None:
    """The borrower's part ends with the loan; what was typed in for it stands in the history."""
    turn.asked.no_longer += [(terms.BORROWER, agent) for agent in turn.holders(terms.BORROWER)]
    if turn.value("loan_due") is not None:
        turn.asked.facts["loan_due"] = None


def _new_keeper(turn: Turn) -> None:
    named = turn.asked.facts.get("keeper")
    turn.asked.no_longer += [(terms.KEEPER, agent) for agent in turn.holders(terms.KEEPER) if agent != named]


def _borrower_asks(turn: Turn) -> None:
    if turn.agent is not None:
        turn.asked.persons.append((terms.BORROWER, AgentId(turn.agent)))


def _others_remain(turn: Turn) -> None:
    for link in turn.links(terms.OF_SET):
        owner = turn.uow.matters.get(MatterId(link.target))
        if owner.state != terms.MIGRATED and not complete_without(turn.uow, owner, turn.matter):
            turn.refuse(
                "the set would have fewer than its copies without this disc",
                todo="Burn, read back and register another one first.",
            )


def due_of(turn: Turn) -> datetime | None:
    """What comes first: the yearly look, or the day a loan is due."""
    dates = []
    for name in ("next_check", "loan_due"):
        text = turn.value(name)
        if isinstance(text, str) and text:
            dates.append(_moment(text))
    return min((one for one in dates if one is not None), default=None)


def _moment(text: str) -> datetime | None:
    try:
        return start_of(datetime.fromisoformat(text).date()) if len(text) == 10 else from_text(text)
    except (EvidenceError, ValueError):
        return None


_WHY: Final = Field(name="why", word="Reason", kind=FieldKind.WORDS, personal=True, required=True)
_PLACE: Final = (
    Field(name="place", word="Place", personal=True, required=True, hint="Room, cabinet, box."),
    Field(name="keeper", word="Keeper", kind=FieldKind.AGENT, required=True, part=terms.KEEPER),
    Field(name="secrecy", word="Secrecy", personal=True),
)
_READ: Final = (
    Field(name="read_at", word="Read back at", kind=FieldKind.MOMENT),
    Field(name="read_sha256", word="Digest read", kind=FieldKind.DIGEST),
    Field(name="read_sectors", word="Sectors read", kind=FieldKind.NUMBER),
    Field(name="unreadable", word="Sectors that could not be read", kind=FieldKind.NUMBER),
    Field(name="next_check", word="Next look", kind=FieldKind.DATE),
    Field(name="damage", word="Damage", kind=FieldKind.TABLE, most=500),
)
_MADE: Final = Action.DISC_MAKE
_HELD: Final = (terms.BURNT, *terms.GOOD, terms.DAMAGED)

DISC_FORM: Final = Form(
    kind=terms.DISC,
    word="Disc",
    words="Discs",
    number=plain_number("PD"),
    states=(
        State(code=terms.BURNING, word="Being burnt", tone=Tone.WARN),
        State(code=terms.BURNT, word="Burnt, not read back yet", tone=Tone.WARN),
        State(code=terms.VERIFIED, word="Read back, not registered yet", tone=Tone.WARN),
        State(code=terms.REGISTERED, word="In its place", tone=Tone.GOOD),
        State(code=terms.LOAN_ASKED, word="Loan asked for", tone=Tone.GOOD),
        State(code=terms.LOAN_APPROVED, word="Loan approved", tone=Tone.GOOD),
        State(code=terms.LENT, word="Lent", tone=Tone.WARN),
        State(code=terms.DAMAGED, word="Damaged", tone=Tone.BAD),
        State(code=terms.SPOILT, word="Spoilt while burning", final=True),
        State(code=terms.LOST, word="Lost", tone=Tone.BAD, final=True),
        State(code=terms.MIGRATED, word="Replaced by a new set", final=True),
        State(code=terms.DESTROYED, word="Destroyed", final=True),
    ),
    opening=Act(
        name="open", word="Burn a disc", after=terms.BURNING, action=_MADE, role=terms.PRODUCER, hidden=True,
        fields=(
            Field(name="title", word="Case or activity", personal=True),
            Field(name="copy", word="Copy", kind=FieldKind.CHOICE, required=True, choices=tuple(
                Choice(code=letter, word=word) for letter, word in terms.COPIES.items()
            )),
            Field(name="disc", word="Disc of the set", kind=FieldKind.NUMBER, required=True, least=1, most=10_000),
            Field(name="discs", word="Of how many", kind=FieldKind.NUMBER, required=True, least=1, most=10_000),
            Field(name="image_sha256", word="Digest of the image", kind=FieldKind.DIGEST, required=True),
            Field(name="manifest_sha256", word="Digest of the list", kind=FieldKind.DIGEST, required=True),
            Field(name="record_sha256", word="Digest of the image's record", kind=FieldKind.DIGEST, required=True),
            Field(name="sectors", word="Sectors", kind=FieldKind.NUMBER, required=True),
            Field(name="medium", word="Kind of disc", kind=FieldKind.TABLE),
        ),
        links=(LinkRole(role=terms.OF_SET, word="Disc set", targets=("mat",), least=1, most=1),),
    ),
    acts=(
        Act(
            name=terms.FINISH, word="Burnt", before=(terms.BURNING,), after=terms.BURNT, action=_MADE, hidden=True,
            effects=(_follow_set,), fields=(Field(name="burnt_at", word="Burnt at", kind=FieldKind.MOMENT),),
        ),
        Act(
            name=terms.SPOIL, word="Spoilt", before=(terms.BURNING,), after=terms.SPOILT, action=_MADE, hidden=True,
            fields=(Field(name="trouble", word="Trouble", personal=True),),
        ),
        Act(
            name=terms.READ_GOOD, word="Read back good", before=(terms.BURNT, terms.DAMAGED), after=terms.VERIFIED,
            action=_MADE, hidden=True, fields=_READ, effects=(_follow_set,),
        ),
        Act(
            name=f"{terms.READ_GOOD}-again", word="Looked at, good", before=terms.GOOD, action=_MADE, hidden=True,
            fields=_READ, effects=(_follow_set,),
        ),
        Act(
            name=terms.READ_BAD, word="Read back, damaged", before=_HELD, after=terms.DAMAGED, action=_MADE, hidden=True,
            fields=_READ, effects=(_follow_set,),
        ),
        Act(
            name="register", word="Register", before=(terms.VERIFIED,), after=terms.REGISTERED, action=_MADE, fields=_PLACE,
            guards=(_new_keeper,), effects=(_follow_set,),
        ),
        Act(
            name="move", word="Change place or keeper", before=(terms.REGISTERED,), action=_MADE, fields=_PLACE,
            guards=(_new_keeper,),
        ),
        Act(
            name="measure", word="Enter measured error rates", before=terms.KEPT, action=_MADE,
            fields=(
                Field(name="method", word="Method and device", personal=True, required=True),
                Field(name="rates", word="Measured", personal=True, required=True, hint="BLER, PI SUM8, POF, LDC, BIS."),
                Field(name="grade", word="Grade", kind=FieldKind.NUMBER, least=1, most=5),
            ),
        ),
        Act(
            name="ask-loan", word="Ask to borrow", before=(terms.REGISTERED,), after=terms.LOAN_ASKED, action=Action.DISC_SEE,
            guards=(_not_the_sealed_copy, _borrower_asks),
            fields=(
                Field(name="purpose", word="Purpose", kind=FieldKind.WORDS, personal=True, required=True),
                Field(name="loan_due", word="Due back", kind=FieldKind.DATE, required=True),
            ),
        ),
        Act(
            name="approve-loan", word="Approve the loan", before=(terms.LOAN_ASKED,), after=terms.LOAN_APPROVED,
            action=Action.DISC_LEND, never=(terms.BORROWER,),
            fields=(Field(name="opinion", word="Opinion", kind=FieldKind.WORDS, personal=True),),
        ),
        Act(
            name="refuse-loan", word="Refuse the loan", before=(terms.LOAN_ASKED, terms.LOAN_APPROVED),
            after=terms.REGISTERED, action=Action.DISC_LEND, never=(terms.BORROWER,), fields=(_WHY,), guards=(_loan_is_over,),
        ),
        Act(name="hand-out", word="Hand out", before=(terms.LOAN_APPROVED,), after=terms.LENT, action=_MADE),
        Act(
            name="return", word="Take back", before=(terms.LENT,), after=terms.REGISTERED, action=_MADE,
            guards=(_loan_is_over,),
            fields=(Field(name="condition", word="Condition", personal=True, required=True),),
        ),
        Act(
            name="lose", word="Report as lost", before=_HELD, after=terms.LOST, action=_MADE, fields=(_WHY,),
            effects=(_follow_set,),
        ),
        Act(
            name="destroy", word="Destroy", before=(terms.REGISTERED, terms.DAMAGED), after=terms.DESTROYED,
            action=Action.DISC_LEND, never=(terms.PRODUCER,), fields=(_WHY,), guards=(_others_remain,),
            effects=(_follow_set,),
        ),
        Act(
            name=terms.MIGRATE, word="Replace by a new set", before=(terms.VERIFIED, terms.REGISTERED, terms.DAMAGED),
            after=terms.MIGRATED, action=_MADE, hidden=True,
        ),
    ),
    see=Action.DISC_SEE,
    persons={terms.PRODUCER: "Producer", terms.KEEPER: "Keeper", terms.BORROWER: "Borrower"},
    register=(
        Column(word="Number", name="number"), Column(word="State", name="state"),
        Column(word="Disc set", name=f"links:{terms.OF_SET}"), Column(word="Copy", name="copy"),
        Column(word="Disc of the set", name="disc"), Column(word="Of how many", name="discs"),
        Column(word="Case or activity", name="title"), Column(word="Producer", name=f"person:{terms.PRODUCER}"),
        Column(word="Burnt at", name="burnt_at"), Column(word="Kind of disc", name="medium"),
        Column(word="Digest of the image", name="image_sha256"), Column(word="Digest of the list", name="manifest_sha256"),
        Column(word="Read back at", name="read_at"), Column(word="Secrecy", name="secrecy"),
        Column(word="Place", name="place"), Column(word="Keeper", name=f"person:{terms.KEEPER}"),
        Column(word="Next look", name="next_check"), Column(word="Measured", name="rates"),
        Column(word="Borrower", name=f"person:{terms.BORROWER}"), Column(word="Due back", name="loan_due"),
    ),
    deadline=due_of,
    group="Discs",
)  # fmt: skip
