"""Shift draw and return (领用/归还): before duty the recorder is checked, and an officer signs for it (R2).

What can be read is read from the last docking (battery, room, clock) and judged; what only eyes can see is ticked. A recorder
that is not ready for issue (sealed, cleared or with room enough, charged, clock set) is handed out only with a reason, which
is entered.

Source: RULES R2 (art. 4), R5; docs/duty-records.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from catalogue import UnitOfWork
from catalogue.matters import MatterFilter
from catalogue.records import OffloadRow
from evidence.clock import from_text, to_text
from evidence.ids import DeviceId
from evidence.model import Action, DeviceState, OffloadState
from matters.form import Act, Choice, Column, Field, FieldKind, Form, LinkRole, State, Tone, plain_number
from matters.turn import Turn

KIND: Final = "shift"
DRAWN: Final = "drawn"
#: Below these a recorder is not ready for issue.
BATTERY_PERCENT_MIN: Final = 80
FREE_PERCENT_MIN: Final = 50
CLOCK_OFFSET_MS_MAX: Final = 30_000
#: A reading older than this tells nothing of today.
READING_AGE: Final = timedelta(hours=24)
#: A recorder that is not back so long after it was drawn is asked for.
BACK_AFTER: Final = timedelta(hours=24)

#: Stable codes of why a recorder is not ready; translated by the interfaces through the choices of the computed field.
NOT_READY: Final = (
    Choice(code="never-docked", word="Never docked here"),
    Choice(code="reading-old", word="Not docked within a day"),
    Choice(code="offload-open", word="Footage is still being taken off it"),
    Choice(code="not-sealed", word="Footage of it is not sealed yet"),
    Choice(code="battery", word="Not charged"),
    Choice(code="battery-unknown", word="Battery not known"),
    Choice(code="room", word="Not enough room"),
    Choice(code="clock", word="Clock not set"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What was read of a recorder, and what speaks against handing it out (codes of :data:`NOT_READY`; empty: ready)."""

    against: tuple[str, ...]
    docked_at: datetime | None = None
    battery_percent: int | None = None
    free_percent: int | None = None
    clock_offset_ms: int | None = None


def readiness(uow: UnitOfWork, device: DeviceId, now: datetime) -> Readiness:
    """Whether a recorder is ready for issue, from its last docking."""
    last = uow.offloads.last_of(device)
    if last is None:
        return Readiness(against=("never-docked",))
    free = last.free_bytes * 100 // last.capacity_bytes if last.free_bytes is not None and last.capacity_bytes else None
    against = list(_against(last, free, now))
    if uow.recordings.unsealed_of(device):
        against.append("not-sealed")
    return Readiness(
        against=tuple(against), docked_at=last.started_at, battery_percent=last.battery_percent, free_percent=free,
        clock_offset_ms=last.clock_offset_ms if last.clock_known else None,
    )  # fmt: skip


def _against(last: OffloadRow, free_percent: int | None, now: datetime) -> Sequence[str]:
    found = []
    if now - last.started_at > READING_AGE:
        found.append("reading-old")
    if last.state is not OffloadState.COMPLETE:
        found.append("offload-open")
    if last.battery_percent is None:
        found.append("battery-unknown")
    elif last.battery_percent < BATTERY_PERCENT_MIN:
        found.append("battery")
    if free_percent is not None and free_percent < FREE_PERCENT_MIN:
        found.append("room")
    if not last.clock_set and (not last.clock_known or abs(last.clock_offset_ms) > CLOCK_OFFSET_MS_MAX):
        found.append("clock")
    return found


def _check(turn: Turn) -> None:
    """Read what can be read, judge it, and refuse without a reason what is not ready or out already."""
    [link] = turn.links("recorder")
    device = DeviceId(link.target)
    if turn.uow.devices.get(device).state is not DeviceState.REGISTERED:
        turn.refuse("this recorder is not in use", todo="Register it first.")
    out = turn.uow.matters.find(MatterFilter(kinds=(KIND,), open=True, target=str(device)), limit=1)
    if out:
        turn.refuse("this recorder is out already: {number}", todo="Enter its return first.", number=out[0].number)
    read = readiness(turn.uow, device, turn.now.wall)
    facts = {
        "against": list(read.against), "docked_at": to_text(read.docked_at) if read.docked_at is not None else None,
        "battery_percent": read.battery_percent, "free_percent": read.free_percent,
        "clock_offset_ms": read.clock_offset_ms,
    }  # fmt: skip
    turn.asked.facts.update({name: value for name, value in facts.items() if value is not None})
    seen = {
        "battery": "seen_battery",
        "battery-unknown": "seen_battery",
        "clock": "seen_clock",
        "reading-old": "seen_clock",
    }
    left = [code for code in read.against if not (code in seen and turn.value(seen[code]))]
    if left and not turn.value("despite"):
        turn.refuse(
            "the recorder is not ready for issue: {lacks}",
            todo="Dock, charge and set it, tick what you saw yourself, or enter why it is handed out all the same.",
            lacks=[one.word for one in NOT_READY if one.code in left],
        )


def _due(turn: Turn) -> datetime | None:
    given = turn.value("back_by")
    if given:
        return from_text(given)
    return (turn.before.row.opened_at if turn.before is not None else turn.now.wall) + BACK_AFTER


FORM: Final = Form(
    kind=KIND, word="Shift draw and return", words="Shift draws and returns", number=plain_number("LY"),
    states=(
        State(code=DRAWN, word="Handed out, to be signed for", tone=Tone.WARN),
        State(code="signed", word="On duty", tone=Tone.GOOD),
        State(code="returned", word="Handed back", tone=Tone.GOOD, final=True),
        State(code="refused", word="Not taken", final=True),
        State(code="lost", word="Not returned", tone=Tone.BAD, final=True),
    ),
    persons={"clerk": "Handed out by", "officer": "Officer", "taker": "Taken back by"},
    opening=Act(
        name="draw", word="Hand out", after=DRAWN, action=Action.DEVICE_ISSUE, role="clerk",
        fields=(
            Field(name="officer", word="Officer", kind=FieldKind.AGENT, required=True, part="officer"),
            Field(name="seen_battery", word="Seen: battery full", kind=FieldKind.FLAG),
            Field(name="seen_clock", word="Seen: date and time right", kind=FieldKind.FLAG),
            Field(name="seen_works", word="Seen: it records and plays", kind=FieldKind.FLAG),
            Field(name="back_by", word="To be returned by", kind=FieldKind.MOMENT),
            Field(
                name="despite", word="Why it is handed out although it is not ready", kind=FieldKind.WORDS, personal=True,
            ),
        ),
        links=(LinkRole(role="recorder", word="Recorder", targets=("dev",), least=1, most=1),), guards=(_check,),
    ),
    acts=(
        Act(
            name="sign", word="Sign for it", before=(DRAWN,), after="signed", action=Action.DEVICE_CARRY, only=("officer",),
            fields=(Field(name="remark", word="Remark", kind=FieldKind.WORDS, personal=True),),
        ),
        Act(
            name="refuse", word="Not take it", before=(DRAWN,), after="refused", action=Action.DEVICE_CARRY, only=("officer",),
            fields=(Field(name="refusal", word="Why", kind=FieldKind.WORDS, personal=True, required=True),),
        ),
        Act(
            name="return", word="Take it back", before=(DRAWN, "signed"), after="returned", action=Action.DEVICE_ISSUE,
            role="taker",
            fields=(
                Field(
                    name="condition", word="Condition", kind=FieldKind.CHOICE, required=True,
                    choices=(
                        Choice(code="sound", word="In good order"), Choice(code="damaged", word="Damaged: a ticket follows"),
                    ),
                ),
                Field(name="condition_words", word="Remark", kind=FieldKind.WORDS, personal=True),
            ),
        ),
        Act(
            name="lose", word="Enter that it is lost", before=(DRAWN, "signed"), after="lost", action=Action.EXCEPTION_REVIEW,
            never=("officer",),
            fields=(Field(name="loss", word="What happened, what was done", kind=FieldKind.WORDS, personal=True, required=True),),
        ),
    ),
    see=Action.DEVICE_LIST, title="number", deadline=_due, group="Duty",
    computed=(
        Field(name="against", word="Against it", kind=FieldKind.CHOICES, choices=NOT_READY),
        Field(name="docked_at", word="Last docked", kind=FieldKind.MOMENT),
        Field(name="battery_percent", word="Battery (%)", kind=FieldKind.NUMBER),
        Field(name="free_percent", word="Room (%)", kind=FieldKind.NUMBER),
        Field(name="clock_offset_ms", word="Clock offset (ms)", kind=FieldKind.NUMBER),
    ),
    register=(
        Column(word="Number", name="number"), Column(word="Recorder", name="links:recorder"),
        Column(word="Officer", name="person:officer"),
        Column(word="Handed out", name="opened_at"), Column(word="Handed out by", name="person:clerk"),
        Column(word="Battery (%)", name="battery_percent"), Column(word="Room (%)", name="free_percent"),
        Column(word="Clock offset (ms)", name="clock_offset_ms"), Column(word="Against it", name="against"),
        Column(word="Why it is handed out although it is not ready", name="despite"), Column(word="State", name="state"),
        Column(word="Handed back", name="closed_at"), Column(word="Taken back by", name="person:taker"),
        Column(word="Condition", name="condition"),
    ),
)  # fmt: skip
