"""Flags of R11 and their grounds: any officer may set one with words; only an approval lifts it.

A complaint, an obstruction or a sensitive circumstance makes footage long-term (长期保存), and so does a category of that class.
Long-term stands by itself from then on: lifting the flag it came from does not end it, it has to be named in an approval of its
own (or the same), and it is the last to go.

Source: RULES R10, R11; docs/retention.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from catalogue.rules import RulesRow
from evidence.clock import to_text
from evidence.errors import InvalidInputError
from evidence.events import RecordingFlagged
from evidence.ids import RecordingId
from evidence.model import Action
from matters.form import (
    APPROVER,
    PROPOSER,
    Act,
    Choice,
    Column,
    Field,
    FieldKind,
    Form,
    LinkRole,
    State,
    Tone,
    plain_number,
)
from matters.recording_facts import COLUMNS, say
from matters.turn import Turn

FLAG_LIFT: Final = "flag-lift"
COMPLAINT, OBSTRUCTION, SENSITIVE, LONG_TERM = "complaint", "obstruction", "sensitive", "long-term"
#: Flags in the order in which screens show them.
FLAGS: Final[Sequence[Choice]] = (
    Choice(code=COMPLAINT, word="Complaint"),
    Choice(code=OBSTRUCTION, word="Obstruction"),
    Choice(code=SENSITIVE, word="Sensitive"),
    Choice(code=LONG_TERM, word="Long-term preservation"),
)
#: Ground of a long-term flag that follows from a category.
BY_CLASS: Final = "class"
_LIFTED: Final = "lifted"
_OF_ARTICLE: Final = (
    Choice(code="objection", word="The party objects and may complain or petition"),
    Choice(code="obstruction", word="Evasion, refusal, obstruction, abuse, insult or assault"),
    Choice(code="major", word="Other major or sensitive circumstances"),
)
#: Grounds a person can give, by flag (article 12).
GROUNDS: Final[Mapping[str, Sequence[Choice]]] = {
    COMPLAINT: (
        Choice(code="objection", word="The party objects and may complain or petition"),
        Choice(code="complained", word="A complaint or petition has come in"),
    ),
    OBSTRUCTION: (
        Choice(code="evasion", word="Evasion"), Choice(code="refusal", word="Refusal"),
        Choice(code="hindrance", word="Hindrance"), Choice(code="insult", word="Abuse or insult"),
        Choice(code="assault", word="Assault"),
    ),
    SENSITIVE: (
        Choice(code="injury", word="Injury or death"), Choice(code="property", word="Major damage to property"),
        Choice(code="public-attention", word="Public attention"),
        Choice(code="major", word="Other major or sensitive circumstances"),
    ),
    LONG_TERM: _OF_ARTICLE,
}  # fmt: skip


def require_ground(flag: str, ground: str) -> None:
    """InvalidInputError unless the flag is known and the ground is one of its."""
    if flag not in GROUNDS:
        raise InvalidInputError(f"there is no flag {flag[:40]!r}", todo=f"One of {', '.join(GROUNDS)}.")
    known = [one.code for one in GROUNDS[flag]]
    if ground not in known:
        raise InvalidInputError(f"{ground[:40]!r} is no ground of {flag}", todo=f"One of {', '.join(known)}.")


def standing(rules: RulesRow) -> frozenset[str]:
    """Flags that stand on a recording."""
    return frozenset(flag for flag, column in COLUMNS.items() if getattr(rules, column))


# --- lifting ----------------------------------------------------------------------------------------------------------
def _must_stand(turn: Turn) -> None:
    wanted = frozenset(turn.value("flags") or ())
    for link in sorted(turn.links("flagged"), key=lambda one: one.target):
        rules = turn.uow.rules.lock(RecordingId(link.target))
        stand = standing(rules)
        if rules.disposing_at is not None or not stand & wanted:
            turn.refuse(
                "none of these flags stands on {recording}",
                todo="Choose recordings that bear them.",
                recording=link.target,
            )
        if LONG_TERM in wanted and stand - wanted - {LONG_TERM}:
            turn.refuse(
                "long-term preservation of {recording} stands as long as {flags} does",
                todo="Ask for these flags too, or leave long-term preservation out.", recording=link.target,
                flags=", ".join(sorted(stand - wanted)),
            )  # fmt: skip


def _must_be_the_same(turn: Turn) -> None:
    """A flag that somebody set anew since the question was asked is not lifted by the answer to the old one."""
    asked_at, wanted = turn.row.opened_at, frozenset(turn.row.facts.get("flags") or ())
    for link in turn.links("flagged"):
        for entry in turn.uow.timeline(RecordingId(link.target)):
            set_anew = (
                entry.event_type == RecordingFlagged.TYPE and entry.public.get("standing") and entry.at > asked_at
            )
            if set_anew and entry.public.get("flag") in wanted:
                turn.refuse(
                    "{flag} was set on {recording} again after this was asked",
                    todo="Refuse it, look at the new ground, and ask anew.", flag=entry.public["flag"],
                    recording=link.target,
                )  # fmt: skip
    _must_stand(turn)


def _lift(turn: Turn) -> None:
    wanted = frozenset(turn.row.facts.get("flags") or ())
    for link in turn.links("flagged"):
        recording = RecordingId(link.target)
        digest = turn.uow.recordings.get(recording).sha256
        stand = standing(turn.uow.rules.of(recording))
        for flag in (one.code for one in FLAGS if one.code in wanted & stand):
            event = RecordingFlagged(
                actor=turn.agent or "", recording=recording, sha256=digest.hex if digest is not None else "", flag=flag,
                standing=False, ground=_LIFTED, at=to_text(turn.now.wall), matter=turn.matter,
            )  # fmt: skip
            say(turn.uow, turn.record, event)


FORM: Final = Form(
    kind=FLAG_LIFT,
    word="Lifting of a flag",
    words="Liftings of flags",
    number=plain_number("JB"),
    states=(
        State(code="asked", word="Asked for", tone=Tone.WARN),
        State(code="lifted", word="Lifted", final=True),
        State(code="refused", word="Refused", tone=Tone.BAD, final=True),
        State(code="withdrawn", word="Withdrawn", final=True),
    ),
    opening=Act(
        name="ask", word="Ask for a flag to be lifted", after="asked", action=Action.RECORDING_FLAG, role=PROPOSER,
        fields=(
            Field(name="title", word="Title", personal=True, required=True),
            Field(name="flags", word="Flags", kind=FieldKind.CHOICES, choices=FLAGS, required=True),
            Field(name="why", word="Reason", kind=FieldKind.WORDS, personal=True, required=True),
        ),
        links=(LinkRole(role="flagged", word="Recordings", needs=Action.RECORDING_FLAG, least=1, most=500),),
        guards=(_must_stand,),
    ),
    acts=(
        Act(
            name="approve", word="Approve", before=("asked",), after="lifted", action=Action.FLAG_LIFT, role=APPROVER,
            never=(PROPOSER,), frozen=True, guards=(_must_be_the_same,), effects=(_lift,),
            fields=(Field(name="opinion", word="Opinion", kind=FieldKind.WORDS, personal=True),),
        ),
        Act(
            name="refuse", word="Refuse", before=("asked",), after="refused", action=Action.FLAG_LIFT, never=(PROPOSER,),
            fields=(Field(name="refusal", word="Reason", kind=FieldKind.WORDS, personal=True, required=True),),
        ),
        Act(
            name="withdraw", word="Withdraw", before=("asked",), after="withdrawn", action=Action.RECORDING_FLAG,
            only=(PROPOSER,),
        ),
    ),
    see=Action.HOLD_SEE,
    persons={PROPOSER: "Asked for by", APPROVER: "Approved by"},
    documents={"basis": "Document it rests on"},
    register=(
        Column(word="Number", name="number"), Column(word="Title", name="title"), Column(word="Flags", name="flags"),
        Column(word="State", name="state"), Column(word="Recordings", name="links:flagged"),
        Column(word="Asked for by", name=f"person:{PROPOSER}"), Column(word="Approved by", name=f"person:{APPROVER}"),
        Column(word="Closed at", name="closed_at"),
    ),
    group="Retention",
)  # fmt: skip
