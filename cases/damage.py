"""Damage ticket (报修): a recorder that is damaged comes to the information centre within 24 hours of its discovery (R5).

The clock runs from the discovery to the moment the centre has the recorder in hand, whenever the ticket was written; late
stays late. What is still on the recorder is told before anybody repairs it, because a repair can destroy it.

Source: RULES R5 (art. 14); docs/duty-records.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from evidence.calendar import after_hours
from evidence.clock import from_text, to_text
from evidence.ids import DeviceId
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
from matters.turn import Turn

KIND: Final = "damage-ticket"
#: Hours from discovery until the recorder must be at the information centre.
HOURS: Final = 24
_EXPORTED: Final = (
    Choice(code="all", word="Everything was handed in"),
    Choice(code="part", word="Only a part was handed in"),
    Choice(code="none", word="Nothing was handed in"),
    Choice(code="unknown", word="Not known"),
)


def _plausible(turn: Turn) -> None:
    if from_text(turn.value("discovered_at")) > turn.now.wall:
        turn.refuse("it was discovered in the future", todo="Correct the time.")
    [device] = turn.links("recorder")
    holder = turn.uow.devices.get(DeviceId(device.target)).officer
    if holder is not None:
        turn.asked.persons.append(("holder", holder))


def _due(turn: Turn) -> datetime | None:
    if turn.value("received_at"):
        return None
    return after_hours(from_text(turn.value("discovered_at")), HOURS)


def _received(turn: Turn) -> None:
    """The clock ends here; whether it was in time is entered."""
    due = after_hours(from_text(turn.value("discovered_at")), HOURS)
    turn.asked.facts["received_at"] = to_text(turn.now.wall)
    turn.asked.facts["in_time"] = turn.now.wall <= due


def _footage_safe(turn: Turn) -> None:
    """Nobody repairs what still holds footage nobody tried to save."""
    if turn.value("exported") != "all" and not turn.value("saving"):
        turn.refuse(
            "the recorder may still hold footage that was not handed in",
            todo="Dock it or have its medium read first, and enter what was done to save it.",
        )


FORM: Final = Form(
    kind=KIND, word="Damage ticket", words="Damage tickets", number=plain_number("BX"),
    states=(
        State(code="reported", word="Reported, to be brought in", tone=Tone.WARN),
        State(code="at-centre", word="At the information centre", tone=Tone.WARN),
        State(code="repair", word="In repair", tone=Tone.WARN),
        State(code="back", word="Back, cost and liability open", tone=Tone.WARN),
        State(code="closed", word="Closed", tone=Tone.GOOD, final=True),
        State(code="withdrawn", word="Withdrawn", final=True),
    ),
    persons={
        PROPOSER: "Reported by", APPROVER: "Approved by", "holder": "Holder", "clerk": "Received by",
    },
    documents={"photo": "Photograph of the damage", "invoice": "Invoice", "report": "Report of the repair"},
    opening=Act(
        name="report", word="Report damage", after="reported", action=Action.DAMAGE_REPORT, role=PROPOSER,
        fields=(
            Field(name="title", word="What is damaged", personal=True, required=True),
            Field(name="discovered_at", word="Discovered", kind=FieldKind.MOMENT, required=True),
            Field(name="symptom", word="What it does or does not do", kind=FieldKind.WORDS, personal=True, required=True),
            Field(name="exported", word="Footage on it", kind=FieldKind.CHOICE, choices=_EXPORTED, required=True),
        ),
        links=(LinkRole(role="recorder", word="Recorder", targets=("dev",), least=1, most=1),), guards=(_plausible,),
    ),
    acts=(
        Act(
            name="receive", word="Receive the recorder", before=("reported",), after="at-centre", role="clerk",
            action=Action.DAMAGE_HANDLE, guards=(_received,),
            fields=(Field(name="condition", word="Condition seen", kind=FieldKind.WORDS, personal=True),),
        ),
        Act(
            name="save", word="Enter what was done to save footage", before=("at-centre", "repair"),
            action=Action.DAMAGE_HANDLE,
            fields=(
                Field(name="exported", word="Footage on it", kind=FieldKind.CHOICE, choices=_EXPORTED, required=True),
                Field(name="saving", word="What was done, by whom, with which result", kind=FieldKind.WORDS, personal=True,
                      required=True),
            ),
        ),
        Act(
            name="send", word="Send to repair", before=("at-centre",), after="repair", action=Action.DAMAGE_HANDLE,
            guards=(_footage_safe,),
            fields=(
                Field(name="repairer", word="Who repairs it", personal=True, required=True),
                Field(name="replacement", word="Recorder given instead", kind=FieldKind.DEVICE),
            ),
        ),
        Act(
            name="return", word="It is back", before=("repair", "at-centre"), after="back", action=Action.DAMAGE_HANDLE,
            role="clerk", guards=(_footage_safe,),
            fields=(
                Field(
                    name="result", word="Result", kind=FieldKind.CHOICE, required=True,
                    choices=(
                        Choice(code="repaired", word="Repaired"), Choice(code="replaced", word="Replaced"),
                        Choice(code="written-off", word="Not worth repairing"), Choice(code="sound", word="It was sound"),
                    ),
                ),
                Field(
                    name="cause", word="Cause", kind=FieldKind.CHOICE, required=True,
                    choices=(
                        Choice(code="wear", word="Wear"), Choice(code="accident", word="Accident"),
                        Choice(code="misuse", word="Misuse"), Choice(code="wilful", word="Wilful damage"),
                        Choice(code="unknown", word="Not known"),
                    ),
                ),
                Field(name="cost_fen", word="Cost (fen)", kind=FieldKind.NUMBER, most=10**12),
                Field(name="handling", word="What was done", kind=FieldKind.WORDS, personal=True, required=True),
            ),
        ),
        Act(
            name="close", word="Approve and close", before=("back",), after="closed", action=Action.EXCEPTION_REVIEW,
            role=APPROVER, never=(PROPOSER, "holder", "clerk"), frozen=True,
            fields=(Field(name="liability", word="Liability", kind=FieldKind.WORDS, personal=True, required=True),),
        ),
        Act(
            name="withdraw", word="Withdraw", before=("reported",), after="withdrawn", action=Action.DAMAGE_REPORT,
            only=(PROPOSER,), fields=(Field(name="withdrawn", word="Why", kind=FieldKind.WORDS, personal=True, required=True),),
        ),
    ),
    see=Action.REGISTER_SEE, title="title", deadline=_due, group="Duty",
    computed=(
        Field(name="received_at", word="Brought in", kind=FieldKind.MOMENT),
        Field(name="in_time", word="Within 24 hours", kind=FieldKind.FLAG),
    ),
    register=(
        Column(word="Number", name="number"), Column(word="Recorder", name="links:recorder"),
        Column(word="Holder", name="person:holder"),
        Column(word="What is damaged", name="title"), Column(word="Discovered", name="discovered_at"),
        Column(word="Reported", name="opened_at"), Column(word="Brought in", name="received_at"),
        Column(word="Within 24 hours", name="in_time"), Column(word="What it does or does not do", name="symptom"),
        Column(word="Cause", name="cause"), Column(word="Footage on it", name="exported"),
        Column(word="What was done", name="handling"),
        Column(word="Result", name="result"), Column(word="Recorder given instead", name="replacement"),
        Column(word="Cost (fen)", name="cost_fen"), Column(word="Liability", name="liability"),
        Column(word="Approved by", name=f"person:{APPROVER}"), Column(word="State", name="state"),
    ),
)  # fmt: skip
