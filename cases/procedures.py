"""The procedures that need footage, as a table: who brings them, their steps, clocks and decisions (R22 to R27).

Whatever a procedure links is kept until it ends: an open one means so to :mod:`retention`, which knows nothing else of it. The
numbers are those of the documents named in each row; a bureau changes them by :mod:`cases.clock_rules`.

"7 days" in the systems of fault tolerance are days, not working days: earlier is safe.

Source: RULES R22 to R27; docs/procedures.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cases import procedure_parts as parts
from cases.clock_rules import clock_rules_form
from cases.clocks import ClockRule, clock_fields, facts_after, next_due
from cases.legal_review import LEGAL_REVIEW, LEGAL_RULES
from cases.procedure_parts import (
    ACCEPTED,
    CLOSED,
    COMPLAINANT,
    CORRECTING,
    DECIDED,
    DECIDER,
    DECLINED,
    DOCUMENTS,
    HANDLER,
    INVESTIGATOR,
    LINKS,
    PARTS,
    RECEIVED,
    RECUSED,
    REGISTRAR,
    RESPONDENT,
    REVIEWED,
    TOLD,
    WITHDRAWN,
    Timed,
    choices,
    line,
    words,
)
from cases.remedies import REMEDY
from evidence.calendar import end_of
from evidence.model import Action
from evidence.working_days import TimeUnit
from matters.form import Act, Column, Field, FieldKind, Form, Guard, State, Tone, plain_number
from matters.turn import Turn

_DAY, _WORKING_DAY = TimeUnit.DAY, TimeUnit.WORKING_DAY
_OPEN: Final = (RECEIVED, ACCEPTED, DECIDED, TOLD, CORRECTING, REVIEWED)
_STATES: Final = (
    State(code=RECEIVED, word="Received", tone=Tone.WARN),
    State(code=ACCEPTED, word="Under investigation", tone=Tone.WARN),
    State(code=DECIDED, word="Decided, not yet told", tone=Tone.WARN),
    State(code=TOLD, word="Told", tone=Tone.WARN),
    State(code=CORRECTING, word="To be corrected", tone=Tone.WARN),
    State(code=REVIEWED, word="Decision under review", tone=Tone.WARN),
    State(code=CLOSED, word="Closed", tone=Tone.GOOD, final=True),
    State(code=DECLINED, word="Not accepted", final=True),
    State(code=WITHDRAWN, word="Withdrawn", final=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """One kind of investigation with a decision.

    Attributes:
        kind: Stable name.
        word: One of them, on the screen.
        words: Many of them.
        letters: Of its numbers.
        source: What the complaint or application comes from.
        outcomes: What can be decided.
        rules: Its clocks.
        investigators: How many are needed before a decision.
        heard: Whether the person concerned must be heard.
        corrects: Whether a correction with a deadline may follow.
        reviewable: Whether the decision can be looked at again.
        applies: Whether people may apply for themselves.
        guards: Further conditions of the decision.
    """

    kind: str
    word: str
    words: str
    letters: str
    source: Sequence[tuple[str, str]]
    outcomes: Sequence[tuple[str, str]]
    rules: Sequence[ClockRule]
    investigators: int = 1
    heard: bool = True
    corrects: bool = False
    reviewable: bool = False
    applies: bool = False
    guards: Sequence[Guard] = field(default=())


def _accept(count: int, unit: TimeUnit, source: str) -> ClockRule:
    return ClockRule(
        code="accept", word="Accept it", starts="receive", ends=("accept", "decline", "withdraw"), count=count, unit=unit,
        source=source,
    )  # fmt: skip


def _investigate(count: int, extend_most: int, source: str, *, pausable: bool = False) -> ClockRule:
    return ClockRule(
        code="investigate", word="Decide", starts="accept", ends=("decide", "withdraw"), count=count, unit=_DAY,
        extend_most=extend_most, pausable=pausable, source=source,
    )  # fmt: skip


def _tell(source: str) -> ClockRule:
    return ClockRule(
        code="tell", word="Tell the decision", starts="decide", ends=("tell",), count=7, unit=_DAY, source=source
    )  # fmt: skip


_CHANNELS: Final = (
    ("complaint", "Complaint or report"),
    ("supervision", "Found by supervision"),
    ("transfer", "Handed over by a superior or another body"),
    ("media", "Media or the public"),
)
PROCEDURES: Final = (
    Procedure(
        kind="complaint", word="Complaint", words="Complaints", letters="TS", source=_CHANNELS,
        outcomes=(("upheld", "Justified"), ("partly", "Partly justified"), ("unfounded", "Not justified")),
        rules=(
            _accept(3, _WORKING_DAY, "bureau default"), _investigate(30, -1, "bureau default"), _tell("bureau default"),
        ),
        heard=False, corrects=True,
    ),
    Procedure(
        kind="wrong-case", word="Wrong-case accountability", words="Wrong-case accountability", letters="CA",
        source=_CHANNELS,
        outcomes=(("fault", "Fault found"), ("no-fault", "No fault"), ("crime", "Handed to criminal justice")),
        rules=(_accept(3, _WORKING_DAY, "S2 annex 2 art. 9"), _investigate(30, -1, "S2 annex 2 art. 9")),
        reviewable=True,
    ),
    Procedure(
        kind="fault-tolerance", word="Fault-tolerance determination", words="Fault-tolerance determinations", letters="RC",
        source=(("application", "Application"), *_CHANNELS),
        outcomes=(("tolerated", "Tolerated"), ("mitigated", "Mitigated"), ("not-tolerated", "Not tolerated")),
        rules=(_tell("S0 art. 14, S1 art. 13"),), corrects=True, applies=True,
    ),
    Procedure(
        kind="fault-tolerance-supervised", word="Supervised fault-tolerance case", words="Supervised fault-tolerance cases",
        letters="RJ", source=(("supervision", "Found by supervision"), ("application", "Application")),
        outcomes=(("tolerated", "Tolerated"), ("not-tolerated", "Not tolerated")),
        rules=(
            _investigate(30, 30, "S3 art. 17", pausable=True), _tell("S3 art. 17"),
            ClockRule(
                code="handed", word="Result of the agency it was handed to", starts="hand-over", ends=("handed-back",),
                count=30, unit=_DAY, pausable=True, source="S3 art. 15",
            ),
            ClockRule(
                code="file-result", word="File the result", starts="handed-back", ends=("result-filed",), count=7,
                unit=_DAY, source="S3 art. 15",
            ),
            ClockRule(
                code="review-ask", word="Review can be asked for", starts="tell", ends=("ask-review", "close"), count=15,
                unit=_DAY, source="S3 art. 19",
            ),
            ClockRule(
                code="review", word="Decide the review", starts="ask-review", ends=("decide-review",), count=30,
                unit=_DAY, source="S3 art. 19",
            ),
        ),
        investigators=2, corrects=True, reviewable=True, applies=True,
    ),
    Procedure(
        kind="fault-accountability", word="Accountability for a fault", words="Accountability for faults", letters="GC",
        source=_CHANNELS, outcomes=(("fault", "Fault found"), ("no-fault", "No fault")), rules=(), corrects=True,
    ),
)  # fmt: skip


def _form(procedure: Procedure) -> Form:
    timed = Timed(kind=procedure.kind, rules=procedure.rules)
    working = (ACCEPTED, CORRECTING, REVIEWED)

    def deadline(turn: Turn) -> datetime | None:
        facts = facts_after(turn)
        due = [next_due(facts, procedure.rules)]
        if facts.get("correct_by") and facts.get("recheck") != "corrected":
            due.append(end_of(datetime.fromisoformat(facts["correct_by"]).date()))
        return min((one for one in due if one is not None), default=None)

    return Form(
        kind=procedure.kind, word=procedure.word, words=procedure.words, number=plain_number(procedure.letters),
        states=_STATES, opening=_receive(procedure, timed),
        acts=(
            *_beginning(timed), *_investigating(procedure, timed), *_deciding(procedure, timed),
            *(_correcting(timed) if procedure.corrects else ()), *(_reviewing(timed) if procedure.reviewable else ()),
            *(_handing_over(timed) if procedure.kind == "fault-tolerance-supervised" else ()),
            *((parts.extend((*_OPEN,), timed),) if any(rule.extend_most for rule in procedure.rules) else ()),
            *(
                (parts.appraise(working), parts.appraised(working, timed))
                if any(rule.pausable for rule in procedure.rules) else ()
            ),
            parts.recount(_OPEN, timed), *_ending(procedure, timed),
        ),
        see=Action.PROCEDURE_SEE, persons=PARTS, documents=DOCUMENTS, title="title", register=_REGISTER, deadline=deadline,
        papers_seen_by=parts.PAPERS_OF_COMPLAINANT,
        kept_from=(RESPONDENT, RECUSED), computed=clock_fields(procedure.rules),
        group="Procedures",
    )  # fmt: skip


def _receive(procedure: Procedure, timed: Timed) -> Act:
    return Act(
        name="receive", word="Receive", after=RECEIVED, role=REGISTRAR,
        action=Action.PROCEDURE_SEE if procedure.applies else Action.PROCEDURE_HANDLE,
        fields=(
            line("title", "Title", required=True), choices("source", "How it came", *procedure.source),
            *COMPLAINANT, line("unit_concerned", "Unit concerned"),
            Field(name="respondent", word="Person concerned", kind=FieldKind.AGENT, part=RESPONDENT),
            Field(name="happened_on", word="When it happened", kind=FieldKind.DATE), line("place", "Place"),
            words("matter", "What is said"),
        ),
        links=LINKS, guards=(parts.named_complainant, timed.tick),
    )  # fmt: skip


def _beginning(timed: Timed) -> tuple[Act, ...]:
    return (
        Act(
            name="accept", word="Accept", before=(RECEIVED,), after=ACCEPTED, action=Action.PROCEDURE_HANDLE, role=HANDLER,
            never=(RESPONDENT, RECUSED), fields=(line("filing_number", "Filing number"),),
            guards=(parts.unconcerned, timed.tick),
        ),
        Act(
            name="decline", word="Do not accept", before=(RECEIVED,), after=DECLINED, action=Action.PROCEDURE_HANDLE,
            never=(RESPONDENT, RECUSED), fields=(words("declined", "Why, and who is told"),), guards=(timed.tick,),
        ),
    )  # fmt: skip


def _investigating(procedure: Procedure, timed: Timed) -> tuple[Act, ...]:
    before = (RECEIVED, ACCEPTED, CORRECTING, REVIEWED)
    hearing = (
        Act(
            name="hear", word="Hear the person concerned", before=(ACCEPTED, REVIEWED), action=Action.PROCEDURE_HANDLE,
            never=(RESPONDENT, RECUSED), fields=parts.hear(), guards=(parts.unconcerned,),
        ),
    ) if procedure.heard else ()  # fmt: skip
    return (
        parts.assign(before), parts.name_concerned(before), parts.recusal(before), parts.add(before, timed), *hearing,
        Act(
            name="report", word="Enter the result of the investigation", before=(ACCEPTED, REVIEWED),
            action=Action.PROCEDURE_HANDLE, role=INVESTIGATOR, only=(HANDLER, INVESTIGATOR), never=(RESPONDENT, RECUSED),
            fields=(words("report", "What was found"), words("proposal", "What is proposed", required=False)),
            guards=(parts.unconcerned,),
        ),
    )  # fmt: skip


def _deciding(procedure: Procedure, timed: Timed) -> tuple[Act, ...]:
    guards = [parts.unconcerned, parts.at_least(INVESTIGATOR, procedure.investigators)]
    if procedure.heard:
        guards.append(parts.statement_heard)
    return (
        parts.decide((ACCEPTED,), timed, *procedure.outcomes, guards=(*guards, *procedure.guards)),
        Act(
            name="tell", word="Enter that it was told", before=(DECIDED,), after=TOLD, action=Action.PROCEDURE_HANDLE,
            never=(RESPONDENT, RECUSED),
            fields=(
                Field(name="told_on", word="Told on", kind=FieldKind.DATE, required=True),
                words("told_whom", "Who was told, and how", seen_by=parts.KNOWS_COMPLAINANT),
            ),
            guards=(timed.tick,),
        ),
        Act(
            name="answer", word="Answer the complainant", before=(DECIDED, TOLD, CORRECTING), action=Action.PROCEDURE_HANDLE,
            only=(REGISTRAR, HANDLER, INVESTIGATOR),
            fields=(
                choices(
                    "answered", "How", ("named", "Told to the complainant"),
                    ("explained", "Explained within limits (anonymous)"), ("none", "Nobody to answer"),
                ),
                words("answer", "What was said", required=False, seen_by=parts.KNOWS_COMPLAINANT),
            ),
        ),
        Act(
            name="clear-name", word="Clear a name", before=(DECIDED, TOLD, CORRECTING), action=Action.PROCEDURE_HANDLE,
            never=(RECUSED,), fields=(words("cleared", "Whose name, how and in which circle"),),
        ),
    )  # fmt: skip


def _correcting(timed: Timed) -> tuple[Act, ...]:
    by = Field(name="correct_by", word="To be corrected by", kind=FieldKind.DATE, required=True)
    return (
        Act(
            name="order-correction", word="Order a correction", before=(DECIDED, TOLD), after=CORRECTING,
            action=Action.PROCEDURE_HANDLE, never=(RESPONDENT, RECUSED),
            fields=(by, words("correction", "What is to be corrected")), guards=(parts.still_future("correct_by"), timed.tick),
        ),
        Act(
            name="extend-correction", word="Extend the correction", before=(CORRECTING,), action=Action.PROCEDURE_DECIDE,
            never=(RESPONDENT, RECUSED, HANDLER), fields=(by, words("correction_extension", "Why")),
            guards=(parts.still_future("correct_by"),),
        ),
        Act(
            name="recheck", word="Look at the correction", before=(CORRECTING,), action=Action.PROCEDURE_HANDLE,
            never=(RESPONDENT, RECUSED),
            fields=(
                choices("recheck", "Corrected?", ("corrected", "Corrected"), ("not-yet", "Not yet")),
                words("recheck_words", "What was seen"),
            ),
        ),
    )  # fmt: skip


def _reviewing(timed: Timed) -> tuple[Act, ...]:
    return (
        Act(
            name="ask-review", word="Enter a request for review", before=(TOLD, CORRECTING), after=REVIEWED,
            action=Action.PROCEDURE_HANDLE,
            fields=(
                Field(name="asked_on", word="Asked on", kind=FieldKind.DATE, required=True), words("review_request", "Grounds"),
            ),
            guards=(timed.tick,),
        ),
        Act(
            name="decide-review", word="Decide the review", before=(REVIEWED,), after=TOLD, action=Action.PROCEDURE_DECIDE,
            never=(RESPONDENT, RECUSED, INVESTIGATOR, DECIDER), frozen=True,
            fields=(
                choices("review_outcome", "Decision", ("upheld", "The decision stands"), ("changed", "The decision is changed")),
                words("review_decision", "Reasons of the decision"),
            ),
            guards=(parts.nothing_appraised, timed.tick),
        ),
    )  # fmt: skip


def _handing_over(timed: Timed) -> tuple[Act, ...]:
    return (
        Act(
            name="hand-over", word="Hand to the agency", before=(ACCEPTED,), action=Action.PROCEDURE_HANDLE,
            never=(RESPONDENT, RECUSED), fields=(line("agency", "Agency", required=True),), guards=(timed.tick,),
        ),
        Act(
            name="handed-back", word="The agency has finished", before=(ACCEPTED,), action=Action.PROCEDURE_HANDLE,
            never=(RESPONDENT, RECUSED), fields=(words("agency_result", "Its result"),), guards=(timed.tick,),
        ),
        Act(
            name="result-filed", word="The result was filed", before=(ACCEPTED, DECIDED), action=Action.PROCEDURE_HANDLE,
            never=(RESPONDENT, RECUSED), guards=(timed.tick,),
        ),
    )  # fmt: skip


def _ending(procedure: Procedure, timed: Timed) -> tuple[Act, ...]:
    before = (TOLD, CORRECTING) if any(rule.code == "tell" for rule in procedure.rules) else (DECIDED, TOLD, CORRECTING)
    return (
        Act(
            name="close", word="Close and file", before=before, after=CLOSED, action=Action.PROCEDURE_HANDLE,
            never=(RESPONDENT, RECUSED),
            fields=(
                Field(name="personnel_file", word="Entered in the personnel file", kind=FieldKind.FLAG),
                words("closing", "What follows", required=False),
            ),
            guards=(parts.corrected, timed.tick, timed.met("tell", "review", "handed", "file-result")),
        ),
        Act(
            name="withdraw", word="Enter that it was withdrawn", before=(RECEIVED, ACCEPTED), after=WITHDRAWN,
            action=Action.PROCEDURE_DECIDE, never=(RESPONDENT, RECUSED), fields=(words("withdrawn", "By whom and why"),),
            guards=(timed.tick,),
        ),
    )  # fmt: skip


_REGISTER: Final = (
    Column(word="Number", name="number"), Column(word="Title", name="title"), Column(word="How it came", name="source"),
    Column(word="Received", name="opened_at"), Column(word="State", name="state"), Column(word="Deadline", name="due_at"),
    Column(word="Handled by", name=f"person:{HANDLER}"), Column(word="Investigated by", name=f"person:{INVESTIGATOR}"),
    Column(word="Concerns", name=f"person:{RESPONDENT}"), Column(word="Decision", name="outcome"),
    Column(word="Told on", name="told_on"), Column(word="Footage", name="links:footage"), Column(word="Closed", name="closed_at"),
)  # fmt: skip

#: Every clock a bureau may set, by procedure.
CLOCKS: Final = {**{one.kind: one.rules for one in PROCEDURES}, "legal-review": LEGAL_RULES}
FORMS: Final = (
    LEGAL_REVIEW, *(_form(one) for one in PROCEDURES), REMEDY, clock_rules_form(CLOCKS),
)  # fmt: skip
