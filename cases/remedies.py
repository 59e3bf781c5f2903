"""Reconsideration, litigation, petitions, compensation: what is claimed, until when to answer, with which evidence (R27).

The list of evidence says of each item what it proves. Whatever is linked is kept until the matter is closed, which a leader does.

Source: RULES R27 (S4 decision tracking 2; S2 annex 2 art. 11); docs/procedures.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cases import procedure_parts as parts
from cases.procedure_parts import CLOSED, DOCUMENTS, HANDLER, LINKS, PARTS, WITHDRAWN, choices, line, words
from evidence.calendar import end_of
from evidence.model import Action
from matters.form import Act, Column, Field, FieldKind, Form, State, Tone, plain_number
from matters.turn import Turn


def _remedy_due(turn: Turn) -> datetime | None:
    given = turn.value("respond_by")
    answered = turn.value("responded_on")
    return end_of(datetime.fromisoformat(given).date()) if given and not answered else None


REMEDY: Final = Form(
    kind="remedy", word="Reconsideration, litigation, petition or compensation",
    words="Reconsiderations, lawsuits, petitions, compensations", number=plain_number("JJ"),
    states=(
        State(code="open", word="Runs", tone=Tone.WARN), State(code="decided", word="Decided", tone=Tone.WARN),
        State(code=CLOSED, word="Closed", tone=Tone.GOOD, final=True), State(code=WITHDRAWN, word="Withdrawn", final=True),
    ),
    persons={**PARTS, "agent": "Appears for the bureau"},
    opening=Act(
        name="open", word="Enter a claim", after="open", action=Action.PROCEDURE_HANDLE, role=HANDLER,
        fields=(
            choices(
                "type", "Kind", ("reconsideration", "Administrative reconsideration"), ("litigation", "Litigation"),
                ("petition", "Petition"), ("compensation", "State compensation"), ("other", "Other"),
            ),
            line("title", "Title", required=True), line("authority", "Court or authority"),
            line("authority_number", "Its number"),
            line("claimant", "Who brought it"),
            Field(name="respond_by", word="Answer and evidence due by", kind=FieldKind.DATE),
            words("claim", "What is asked for", required=False),
            Field(name="agent", word="Appears for the bureau", kind=FieldKind.AGENT, part="agent"),
        ),
        links=(*LINKS, parts.EVIDENCE),
    ),
    acts=(
        Act(
            name="evidence", word="Put evidence on the list", before=("open",), action=Action.PROCEDURE_HANDLE,
            links=(*LINKS, parts.EVIDENCE),
        ),
        Act(
            name="date", word="Set the date to answer by", before=("open",), action=Action.PROCEDURE_HANDLE,
            fields=(
                Field(name="respond_by", word="Answer and evidence due by", kind=FieldKind.DATE, required=True),
                words("date_words", "Why it changed", required=False),
            ),
        ),
        Act(
            name="respond", word="Enter that it was answered", before=("open",), action=Action.PROCEDURE_HANDLE,
            fields=(Field(name="responded_on", word="Answered on", kind=FieldKind.DATE, required=True),),
        ),
        Act(
            name="decide", word="Enter the decision", before=("open",), after="decided", action=Action.PROCEDURE_HANDLE,
            fields=(
                choices(
                    "outcome", "Decision", ("upheld", "The bureau's act stands"), ("changed", "Changed or revoked"),
                    ("settled", "Settled"), ("other", "Other"),
                ),
                words("decision", "What was decided"),
            ),
        ),
        Act(
            name="appeal", word="Enter an appeal", before=("decided",), after="open", action=Action.PROCEDURE_HANDLE,
            fields=(
                words("appeal", "Who appeals, where and why"),
                Field(name="respond_by", word="Answer and evidence due by", kind=FieldKind.DATE),
            ),
            guards=(parts.answer_again,),
        ),
        Act(
            name="close", word="Close", before=("decided",), after=CLOSED, action=Action.PROCEDURE_DECIDE,
            fields=(words("closing", "It is final because"),),
        ),
        Act(
            name="withdraw", word="Enter that it was withdrawn", before=("open",), after=WITHDRAWN,
            action=Action.PROCEDURE_DECIDE, fields=(words("withdrawn", "By whom and why"),),
        ),
    ),
    see=Action.PROCEDURE_SEE, documents=DOCUMENTS, title="title",
    register=(
        Column(word="Number", name="number"), Column(word="Kind", name="type"), Column(word="Title", name="title"),
        Column(word="Court or authority", name="authority"), Column(word="Its number", name="authority_number"),
        Column(word="Answer and evidence due by", name="respond_by"), Column(word="Answered on", name="responded_on"),
        Column(word="Evidence", name="links:evidence"), Column(word="Decision", name="outcome"),
        Column(word="State", name="state"), Column(word="Closed", name="closed_at"),
    ),
    deadline=_remedy_due, group="Procedures",
)  # fmt: skip
