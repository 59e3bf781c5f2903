"""Legal review of major decisions, coercive measures and penalties before they are taken: a form and its clock (R22).

Who reviews handles no enforcement in the matter. The opinion is written and on file; a dispute about it goes to a leader.

Source: RULES R22 (S4 legal review 6 to 13; S2-main 3(3)6); docs/procedures.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cases import procedure_parts as parts
from cases.clocks import ClockRule, clock_fields, facts_after, next_due
from cases.procedure_parts import DOCUMENTS, LINKS, PARTS, RECUSED, WITHDRAWN, Timed, choices, line, words
from evidence.model import Action
from evidence.working_days import TimeUnit
from matters.form import Act, Column, Form, State, Tone, plain_number
from matters.turn import Turn

LEGAL_RULES: Final = (
    ClockRule(
        code="review", word="Legal review", starts="submit", ends=("opinion", "withdraw"), count=7, unit=TimeUnit.WORKING_DAY,
        extend_most=-1, source="S4 legal review art. 11",
    ),
)  # fmt: skip
_LEGAL: Final = Timed(kind="legal-review", rules=LEGAL_RULES)


def _legal_due(turn: Turn) -> datetime | None:
    return next_due(facts_after(turn), LEGAL_RULES)


LEGAL_REVIEW: Final = Form(
    kind="legal-review", word="Legal review", words="Legal reviews", number=plain_number("FS"),
    states=(
        State(code="submitted", word="Waits for review", tone=Tone.WARN),
        State(code="reviewing", word="Under review", tone=Tone.WARN),
        State(code="disputed", word="Opinion disputed", tone=Tone.WARN),
        State(code="passed", word="Passed", tone=Tone.GOOD, final=True),
        State(code="returned", word="Returned with remarks", tone=Tone.BAD, final=True),
        State(code=WITHDRAWN, word="Withdrawn", final=True),
    ),
    persons={**PARTS, "submitter": "Submitted by", "reviewer": "Reviewed by"},
    opening=Act(
        name="submit", word="Submit for legal review", after="submitted", action=Action.CASE_EDIT, role="submitter",
        fields=(
            line("title", "Title", required=True),
            choices(
                "decision_kind", "What is reviewed", ("major", "Major decision"), ("coercive", "Coercive measure"),
                ("penalty", "Penalty (not summary)"), ("other", "Other"),
            ),
            words("draft", "What is to be decided, facts, evidence, basis"),
        ),
        links=LINKS, guards=(_LEGAL.tick,),
    ),
    acts=(
        Act(
            name="take", word="Take over the review", before=("submitted",), after="reviewing", role="reviewer",
            action=Action.PROCEDURE_HANDLE, never=("submitter", RECUSED), guards=(parts.reviewer_unconcerned,),
        ),
        Act(
            name="pull", word="Pull footage in", before=("reviewing",), action=Action.PROCEDURE_HANDLE, only=("reviewer",),
            links=LINKS, guards=(parts.reviewer_unconcerned,),
        ),
        Act(
            name="recuse", word="Recuse", before=("reviewing",), after="submitted", action=Action.PROCEDURE_HANDLE,
            only=("reviewer",), fields=(words("recusal", "Why"),), guards=(parts.reviewer_leaves,),
        ),
        Act(
            name="opinion", word="Enter the written opinion", before=("reviewing",), after="passed",
            action=Action.PROCEDURE_HANDLE, only=("reviewer",), never=("submitter",), frozen=True,
            fields=(words("opinion", "Opinion"),), guards=(parts.reviewer_unconcerned, _LEGAL.tick),
        ),
        Act(
            name="return", word="Return with remarks", before=("reviewing",), after="returned",
            action=Action.PROCEDURE_HANDLE, only=("reviewer",), never=("submitter",), frozen=True,
            fields=(words("opinion", "Remarks"),), guards=(parts.reviewer_unconcerned, _LEGAL.tick),
        ),
        Act(
            name="dispute", word="Dispute the remarks", before=("reviewing",), after="disputed", action=Action.CASE_EDIT,
            only=("submitter",), fields=(words("dispute", "Why"),),
        ),
        Act(
            name="settle", word="Settle the dispute", before=("disputed",), after="reviewing", action=Action.PROCEDURE_DECIDE,
            never=("submitter", "reviewer"), fields=(words("settlement", "Decision"),),
        ),
        parts.extend_by(("submitted", "reviewing", "disputed"), _LEGAL, never=("submitter", "reviewer")),
        parts.recount(("submitted", "reviewing", "disputed"), _LEGAL),
        Act(
            name="withdraw", word="Withdraw", before=("submitted", "reviewing", "disputed"), after=WITHDRAWN,
            action=Action.CASE_EDIT, only=("submitter",), fields=(words("withdrawn", "Why"),), guards=(_LEGAL.tick,),
        ),
    ),
    see=Action.PROCEDURE_SEE, documents={**DOCUMENTS, "draft": "Draft", "opinion": "Written opinion"}, title="title",
    register=(
        Column(word="Number", name="number"), Column(word="Title", name="title"),
        Column(word="What is reviewed", name="decision_kind"), Column(word="Submitted", name="opened_at"),
        Column(word="Submitted by", name="person:submitter"), Column(word="Reviewed by", name="person:reviewer"),
        Column(word="State", name="state"), Column(word="Deadline", name="due_at"), Column(word="Closed", name="closed_at"),
    ),
    deadline=_legal_due, group="Procedures", kept_from=(RECUSED,),
    computed=clock_fields(LEGAL_RULES),
)  # fmt: skip
