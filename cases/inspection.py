"""Irregular inspection (抽查, R6): a random, stratified, frozen sample; what was seen in each; findings until they are closed.

The sample is drawn by the service, not chosen: at random within each officer, so that nobody is left out and nobody
picks. The seed and
the list stand in the entry; whoever has the same catalogue draws the same sample from it. What an inspector finds
becomes a matter of
its own: finding, explanation, correction, second look, closed (发现, 说明, 整改, 复查, 销号).

Source: RULES R3, R6 (art. 15); docs/inspection.md.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final

from catalogue import UnitOfWork
from evidence.calendar import end_of, start_of
from evidence.ids import UnitId
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
from matters.turn import Asked, NewLink, Turn

SAMPLING, FINDING = "sampling", "inspection-finding"
_SIZE_MAX: Final = 200
_ANSWERS: Final = (
    Choice(code="yes", word="Yes"), Choice(code="no", word="No"), Choice(code="unclear", word="Cannot be told"),
    Choice(code="not-applicable", word="Does not apply"),
)  # fmt: skip
#: What is looked at in each recording (R3).
QUESTIONS: Final = (
    ("worn", "Worn at left shoulder or chest"), ("told", "Party told beforehand"), ("whole", "Whole process recorded"),
)  # fmt: skip


def draw(candidates: Mapping[str, Sequence[str]], size: int, seed: str) -> list[str]:
    """A sample: at random within each stratum, strata taken in turn so that none is left out while another has two.

    Args:
        candidates: By stratum (officer).
        size: How many at most.
        seed: Hexadecimal; the same seed draws the same sample from the same candidates.
    """

    def rank(one: str) -> str:
        return hashlib.sha256(f"{seed}:{one}".encode()).hexdigest()

    strata = [
        sorted(items, key=rank) for _name, items in sorted(candidates.items(), key=lambda pair: rank(pair[0])) if items
    ]
    drawn: list[str] = []
    while strata and len(drawn) < size:
        for stratum in strata:
            if len(drawn) < size:
                drawn.append(stratum.pop(0))
        strata = [stratum for stratum in strata if stratum]
    return sorted(drawn)


def _candidates(uow: UnitOfWork, turn: Turn) -> dict[str, list[str]]:
    begins, ends = date.fromisoformat(turn.value("from")), date.fromisoformat(turn.value("to"))
    if ends < begins or ends - begins > timedelta(days=400):
        turn.refuse("the period ends before it begins, or is longer than a year", todo="Correct the days.")
    unit = turn.value("of_unit")
    found: dict[str, list[str]] = {}
    for recording, officer in uow.recordings.of_period(
        start_of(begins), end_of(ends), unit=UnitId(unit) if unit else None
    ):  # fmt: skip
        found.setdefault(officer or "", []).append(recording)
    return found


def _draw(turn: Turn) -> None:
    """Draw and freeze the sample."""
    candidates = _candidates(turn.uow, turn)
    seed = secrets.token_hex(16)
    sample = draw(candidates, int(turn.asked.facts["size"]), seed)
    if not sample:
        turn.refuse("nothing was recorded there in that period", todo="Take another period or department.")
    turn.asked.facts.update(
        {
            "seed": seed, "candidates": sum(map(len, candidates.values())), "officers": len(candidates),
            "list_sha256": hashlib.sha256("\n".join(sample).encode()).hexdigest(),
        }
    )  # fmt: skip
    turn.asked.links += [NewLink(role="sample", target=one) for one in sample]


def _look(turn: Turn) -> None:
    """What was seen in one of the sample stands with its link."""
    item = str(turn.asked.facts.pop("item"))
    if item not in {link.target for link in turn.links("sample")}:
        turn.refuse("this recording is not in the sample", todo="Choose one of the sample.")
    facts = {name: str(turn.asked.facts.pop(name)) for name, _word in QUESTIONS}
    words = str(turn.asked.words.pop("seen", "") or "")
    turn.asked.links.append(NewLink(role="sample", target=item, facts=facts, words=words))


def _all_looked_at(turn: Turn) -> None:
    left = [link.target for link in turn.links("sample") if not link.facts]
    if left:
        turn.refuse("{n} recordings of the sample were not looked at yet", todo="Look at each.", n=len(left))


def _raise(turn: Turn) -> None:
    """A finding is a matter of its own."""
    words = {name: turn.row.words[name] for name in ("finding_title", "finding_words") if name in turn.row.words}
    facts = turn.row.facts
    asked = Asked(
        facts={"responsible": facts["responsible"], "answer_by": facts["answer_by"]},
        words={"title": words.get("finding_title", ""), "finding": words.get("finding_words", "")},
        persons=[("responsible", facts["responsible"]), *((PROPOSER, one) for one in [turn.agent] if one is not None)],
        links=[NewLink(role="sampling", target=turn.matter)],
    )  # fmt: skip
    if facts.get("finding_item"):
        asked.links.append(NewLink(role="footage", target=facts["finding_item"]))
    turn.also_open(FINDING, asked=asked, unit=turn.row.unit)


SAMPLING_FORM: Final = Form(
    kind=SAMPLING, word="Inspection", words="Inspections", number=plain_number("CC"),
    states=(
        State(code="drawn", word="Being looked at", tone=Tone.WARN),
        State(code="looked-at", word="Notice to be made", tone=Tone.WARN),
        State(code="published", word="Notice given", tone=Tone.GOOD, final=True),
        State(code="withdrawn", word="Withdrawn", final=True),
    ),
    persons={PROPOSER: "Inspected by", APPROVER: "Notice approved by"}, documents={"notice": "Notice", "record": "Record"},
    opening=Act(
        name="draw", word="Draw a sample", after="drawn", action=Action.SAMPLING_RUN, role=PROPOSER,
        fields=(
            Field(name="title", word="Title", personal=True, required=True),
            Field(name="from", word="Recorded from", kind=FieldKind.DATE, required=True),
            Field(name="to", word="Recorded until", kind=FieldKind.DATE, required=True),
            Field(name="of_unit", word="Department", kind=FieldKind.UNIT, hint="Empty: all"),
            Field(name="size", word="How many", kind=FieldKind.NUMBER, required=True, least=1, most=_SIZE_MAX),
        ),
        guards=(_draw,),
    ),
    acts=(
        Act(
            name="look", word="Enter what was seen", before=("drawn",), action=Action.SAMPLING_RUN,
            fields=(
                Field(name="item", word="Recording", kind=FieldKind.RECORDING, required=True),
                *(
                    Field(name=name, word=word, kind=FieldKind.CHOICE, choices=_ANSWERS, required=True) for name, word in
                    QUESTIONS
                ),
                Field(name="seen", word="Remark", kind=FieldKind.WORDS, personal=True),
            ),
            guards=(_look,),
        ),
        Act(
            name="raise", word="Raise a finding", before=("drawn", "looked-at"), action=Action.SAMPLING_RUN, role=PROPOSER,
            fields=(
                Field(name="finding_item", word="Recording", kind=FieldKind.RECORDING),
                Field(name="finding_title", word="Finding", personal=True, required=True),
                Field(name="finding_words", word="What was found", kind=FieldKind.WORDS, personal=True, required=True),
                Field(name="responsible", word="Who is to explain it", kind=FieldKind.AGENT, required=True),
                Field(name="answer_by", word="To be explained by", kind=FieldKind.DATE, required=True),
            ),
            effects=(_raise,),
        ),
        Act(
            name="finish", word="Everything was looked at", before=("drawn",), after="looked-at", action=Action.SAMPLING_RUN,
            role=PROPOSER,
            fields=(Field(name="summary", word="Summary", kind=FieldKind.WORDS, personal=True, required=True),),
            guards=(_all_looked_at,),
        ),
        Act(
            name="publish", word="Approve the notice", before=("looked-at",), after="published", action=Action.EXCEPTION_REVIEW,
            role=APPROVER, never=(PROPOSER,), frozen=True,
            fields=(Field(name="notice", word="Where the notice was given", kind=FieldKind.WORDS, personal=True, required=True),),
        ),
        Act(
            name="withdraw", word="Withdraw", before=("drawn",), after="withdrawn", action=Action.SAMPLING_RUN, only=(PROPOSER,),
            fields=(Field(name="withdrawn", word="Why", kind=FieldKind.WORDS, personal=True, required=True),),
        ),
    ),
    see=Action.REGISTER_SEE, title="title", group="Inspection",
    computed=(
        Field(name="candidates", word="Drawn from", kind=FieldKind.NUMBER),
        Field(name="officers", word="Officers", kind=FieldKind.NUMBER),
        Field(name="seed", word="Seed of the draw"),
        Field(name="list_sha256", word="Digest of the sample", kind=FieldKind.DIGEST),
    ),
    register=(
        Column(word="Number", name="number"), Column(word="Title", name="title"), Column(word="Recorded from", name="from"),
        Column(word="Recorded until", name="to"), Column(word="Department", name="of_unit"),
        Column(word="Drawn from", name="candidates"),
        Column(word="Sample", name="links:sample"), Column(word="Inspected by", name=f"person:{PROPOSER}"),
        Column(word="State", name="state"), Column(word="Summary", name="summary"), Column(word="Closed", name="closed_at"),
    ),
)  # fmt: skip


def _finding_due(turn: Turn) -> datetime | None:
    state = turn.act.after or (turn.before.row.state if turn.before is not None else "")
    name = {"raised": "answer_by", "correcting": "correct_by"}.get(state)
    given = turn.value(name) if name is not None else None
    return end_of(date.fromisoformat(given)) if given else None


def _words(name: str, word: str, *, required: bool = True) -> Field:
    return Field(name=name, word=word, kind=FieldKind.WORDS, personal=True, required=required)


FINDING_FORM: Final = Form(
    kind=FINDING, word="Finding of an inspection", words="Findings of inspections", number=plain_number("WT"),
    states=(
        State(code="raised", word="To be explained", tone=Tone.WARN), State(code="explained", word="Explained", tone=Tone.WARN),
        State(code="correcting", word="To be corrected", tone=Tone.WARN),
        State(code="corrected", word="To be looked at again", tone=Tone.WARN),
        State(code="closed", word="Closed", tone=Tone.GOOD, final=True),
    ),
    persons={PROPOSER: "Found by", "responsible": "To explain", "rechecker": "Looked at again by"}, documents={"proof": "Proof"},
    opening=Act(
        name="raise", word="Raise a finding", after="raised", action=Action.SAMPLING_RUN, role=PROPOSER,
        fields=(
            Field(name="title", word="Finding", personal=True, required=True), _words("finding", "What was found"),
            Field(name="responsible", word="Who is to explain it", kind=FieldKind.AGENT, required=True, part="responsible"),
            Field(name="answer_by", word="To be explained by", kind=FieldKind.DATE, required=True),
        ),
        links=(
            LinkRole(role="footage", word="Footage", targets=("rec",)),
            LinkRole(role="sampling", word="Inspection", targets=("mat",), kinds=("sampling", "activity")),
        ),
    ),
    acts=(
        Act(
            name="explain", word="Explain", before=("raised",), after="explained", action=Action.SAMPLING_ANSWER,
            only=("responsible",), fields=(_words("explanation", "Explanation"),),
        ),
        Act(
            name="order", word="Order a correction", before=("raised", "explained", "corrected"), after="correcting",
            action=Action.SAMPLING_RUN, never=("responsible",),
            fields=(
                Field(name="correct_by", word="To be corrected by", kind=FieldKind.DATE, required=True),
                _words("correction", "What is to be corrected"),
            ),
        ),
        Act(
            name="correct", word="Enter the correction", before=("correcting",), after="corrected", action=Action.SAMPLING_ANSWER,
            only=("responsible",), fields=(_words("corrected", "What was done"),),
        ),
        Act(
            name="close", word="Close", before=("explained", "corrected"), after="closed",
            action=Action.SAMPLING_RUN, role="rechecker", never=("responsible",),
            fields=(_words("closing", "What was seen at the second look"),),
        ),
    ),
    see=Action.REGISTER_SEE, title="title", deadline=_finding_due, group="Inspection",
    register=(
        Column(word="Number", name="number"), Column(word="Finding", name="title"), Column(word="Found", name="opened_at"),
        Column(word="Found by", name=f"person:{PROPOSER}"), Column(word="To explain", name="person:responsible"),
        Column(word="To be explained by", name="answer_by"), Column(word="Explanation", name="explanation"),
        Column(word="To be corrected by", name="correct_by"), Column(word="What was done", name="corrected"),
        Column(word="State", name="state"), Column(word="Closed", name="closed_at"),
    ),
)  # fmt: skip

FORMS: Final = (SAMPLING_FORM, FINDING_FORM)
