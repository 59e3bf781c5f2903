"""A schedule as a matter: what is typed in, who may not be the same person, and when it comes into force.

Proposed, then tried: the service computes which recordings it would date otherwise and files that list
(:mod:`retention.dry_run`); somebody else approves on what the list says; it comes into force on its date, and the one before it
stays as what it was. Nothing becomes due earlier by that (:mod:`retention.schedule`): a *re-schedule* is a matter of its own,
names its recordings, and is tried and approved like a schedule.

Source: RULES R10; docs/retention.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from catalogue.matters import MatterFilter, MatterRow
from evidence.calendar import start_of
from evidence.canonical import dumps
from evidence.clock import from_text, to_text
from evidence.digest import sha256_of
from evidence.errors import InvalidInputError
from evidence.model import Action
from evidence.time_line import Belief, judge
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
from retention.periods import MONTHS_MAX, MONTHS_MIN
from retention.schedule import DAYS_MAX, NOTICE_DAYS_MIN, DisposalMode, Schedule, class_rows

SCHEDULE: Final = "schedule"
RESCHEDULE: Final = "reschedule"
#: Role of the list of recordings that would be dated otherwise.
DRY_RUN: Final = "dry-run"
#: Role of links of a re-schedule.
FREED: Final = "freed"
PROPOSED, APPROVED, IN_FORCE_NOW = "proposed", "approved", "in-force"
SUPERSEDED, REFUSED, WITHDRAWN = "superseded", "refused", "withdrawn"
#: States of versions that came into force.
IN_FORCE: Final = (IN_FORCE_NOW, SUPERSEDED)
ENTER, SUPERSEDE, TRIED = "enter", "supersede", "tried"
#: Where the sweep over all recordings stands (:mod:`retention.recompute`); emptied when a version comes into force.
SWEEP: Final = "retention.sweep"
_NUMBERS: Final = ("ordinary_months", "litigation_months", "cool_off_days", "notice_days")
_ROWS_MAX: Final = 300
#: What fits into one entry with room for the rest.
_ROWS_BYTES_MAX: Final = 48_000


def schedule_of(row: MatterRow, *, version: int = 0) -> Schedule:
    """The schedule that a matter holds.

    Args:
        row: A matter of the kind.
        version: What it is to count as while it is not in force.

    Raises:
        InvalidInputError: What it holds is no schedule.
    """
    return _schedule({**row.words, **row.facts}, number=row.number, version=version)


def _schedule(values: Mapping[str, Any], *, number: str, version: int) -> Schedule:
    try:
        begins = start_of(date.fromisoformat(str(values["in_force_from"])))
        if values.get("entered_at"):
            begins = max(begins, from_text(str(values["entered_at"])))
        given = {name: int(values[name]) for name in _NUMBERS if values.get(name) is not None}
        return Schedule(
            version=int(values.get("version") or version),
            number=number,
            authority=str(values.get("authority") or number),
            in_force_from=begins,
            rows=class_rows(values.get("rows") or ()),
            mode=DisposalMode(values.get("mode") or DisposalMode.REVIEW),
            **given,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInputError("this is no schedule", todo="Give its date, rows and authority.") from error


# --- guards and effects -----------------------------------------------------------------------------------------------
def _must_be_sound(turn: Turn) -> None:
    values = {name: turn.value(name) for name in ("in_force_from", "rows", "mode", "authority", *_NUMBERS)}
    if len(dumps(values["rows"] or [])) > _ROWS_BYTES_MAX:
        turn.refuse(
            "the rows of the schedule are longer than one entry can hold", todo="Shorten titles and authorities."
        )
    proposed = _schedule(values, number="new", version=1)
    # The one written form is what is entered, whatever was typed.
    turn.asked.facts["rows"] = proposed.terms()["rows"]


def _must_be_tried(turn: Turn) -> None:
    """The list must be the list of this very text (R10: nobody approves what they have not seen the effect of)."""
    lists = {one.sha256.hex for one in turn.uow.matters.documents(turn.matter, role=DRY_RUN)}
    if turn.value("tried_sha256") != terms_digest(turn.row) or turn.value("list_sha256") not in lists:
        turn.refuse(
            "which recordings this would date otherwise has not been computed yet",
            todo="The service computes it within minutes; or run: liuhen retention dry-run.",
        )


def terms_digest(row: MatterRow) -> str:
    """SHA-256 over what was proposed: a schedule's terms, or the version and recordings of a re-schedule."""
    if row.kind == SCHEDULE:
        return schedule_of(row).digest().hex
    return str(row.facts.get("terms_sha256", ""))


def _must_be_believed(turn: Turn) -> None:
    if judge(turn.now, turn.uow.clock_marks.highest()) is not Belief.BELIEVED:
        turn.refuse("the clock contradicts what this home has seen: no schedule comes into force by it")


def _take_place(turn: Turn) -> None:
    """The version before steps back."""
    for row in turn.uow.matters.find(MatterFilter(kinds=(SCHEDULE,), states=(IN_FORCE_NOW,)), limit=1000):
        if row.id != turn.matter:
            turn.also_act(row.id, SUPERSEDE)


def _count_on(turn: Turn) -> None:
    """The next version. Every recording is computed anew; who comes into force at the same moment waits at that row."""
    turn.uow.settings.put(SWEEP, "")
    stand = turn.uow.matters.find(MatterFilter(kinds=(SCHEDULE,), states=IN_FORCE), limit=10_000)
    turn.asked.facts["version"] = max((int(row.facts.get("version", 0)) for row in stand), default=0) + 1
    turn.asked.facts["entered_at"] = to_text(turn.now.wall)


def _enter_at_once(turn: Turn) -> None:
    """A date that has come needs no waiting; the duty does the rest where the clock is in doubt."""
    if (
        schedule_of(turn.row).in_force_from <= turn.now.wall
        and judge(turn.now, turn.uow.clock_marks.highest()) is Belief.BELIEVED
    ):
        turn.also_act(turn.matter, ENTER)


def _whole_months(name: str, word: str, least: int, hint: str = "") -> Field:
    return Field(name=name, word=word, kind=FieldKind.NUMBER, least=least, most=MONTHS_MAX, hint=hint)


_FIELDS: Final = (
    Field(name="title", word="Title", personal=True, required=True),
    Field(
        name="authority", word="Authority", kind=FieldKind.WORDS, personal=True, required=True,
        hint="The document it rests on, with its number.",
    ),
    Field(name="in_force_from", word="In force from", kind=FieldKind.DATE, required=True),
    Field(
        name="rows", word="Categories", kind=FieldKind.TABLE, most=_ROWS_MAX,
        hint="Kept: 6个月, 2年, 永久, 同案卷 or 待鉴定 (months:6, long-term, case-archive, until-reviewed).",
        columns=(
            Choice(code="category", word="Code"), Choice(code="title", word="Category"),
            Choice(code="keeps", word="Retention period"), Choice(code="authority", word="Provision"),
        ),
    ),
    _whole_months("ordinary_months", "Months for ordinary footage", MONTHS_MIN, "Six at the least (R10)."),
    _whole_months("litigation_months", "Months a closed case may still be contested", 0),
    Field(
        name="cool_off_days", word="Days after the last hold", kind=FieldKind.NUMBER, most=DAYS_MAX,
        hint="Footage stays so long after its last hold was released.",
    ),
    Field(
        name="notice_days", word="Days of notice before clearing", kind=FieldKind.NUMBER, least=NOTICE_DAYS_MIN,
        most=DAYS_MAX, hint="Seven at the least; restoring is possible until then.",
    ),
    Field(
        name="mode", word="Who clears", kind=FieldKind.CHOICE,
        choices=(
            Choice(code=DisposalMode.REVIEW.value, word="Persons approve every list"),
            Choice(code=DisposalMode.AUTOMATIC.value, word="The service, for categories a determination names"),
        ),
    ),
)  # fmt: skip
_WHY: Final = Field(name="why", word="Reason", kind=FieldKind.WORDS, personal=True, required=True)
_TRIED_FIELDS: Final = (
    Field(name="tried_sha256", word="What was tried", kind=FieldKind.DIGEST),
    Field(name="list_sha256", word="Digest of the list", kind=FieldKind.DIGEST),
    Field(name="list_count", word="Recordings dated otherwise", kind=FieldKind.NUMBER),
    Field(name="list_earlier", word="Of these, due earlier", kind=FieldKind.NUMBER),
    Field(name="list_bytes", word="Their size in bytes", kind=FieldKind.NUMBER),
    Field(name="list_at", word="Computed at", kind=FieldKind.MOMENT),
)


def _common(*, waits: bool) -> tuple[Act, ...]:
    """Acts of both kinds; ``waits``: what was approved still has to come into force."""
    return (
        Act(
            name=TRIED, word="Enter the list", before=(PROPOSED,), action=Action.SCHEDULE_PROPOSE, fields=_TRIED_FIELDS,
            hidden=True,
        ),
        Act(
            name="approve", word="Approve", before=(PROPOSED,), after=APPROVED, action=Action.SCHEDULE_APPROVE,
            role=APPROVER, never=(PROPOSER,), frozen=True, documents=(DRY_RUN,), guards=(_must_be_tried,),
            effects=(_enter_at_once,) if waits else (),
            fields=(Field(name="opinion", word="Opinion", kind=FieldKind.WORDS, personal=True),),
        ),
        Act(
            name="refuse", word="Refuse", before=(PROPOSED,), after=REFUSED, action=Action.SCHEDULE_APPROVE,
            never=(PROPOSER,), fields=(_WHY,),
        ),
        Act(
            name="withdraw", word="Withdraw", before=(PROPOSED, APPROVED) if waits else (PROPOSED,),
            after=WITHDRAWN, action=Action.SCHEDULE_PROPOSE, fields=(_WHY,),
        ),
    )  # fmt: skip


_PERSONS: Final = {PROPOSER: "Proposed by", APPROVER: "Approved by"}
_REGISTER: Final = (
    Column(word="Number", name="number"),
    Column(word="State", name="state"),
    Column(word="Proposed by", name=f"person:{PROPOSER}"),
    Column(word="Approved by", name=f"person:{APPROVER}"),
    Column(word="Recordings dated otherwise", name="list_count"),
    Column(word="Of these, due earlier", name="list_earlier"),
    Column(word="Digest of the list", name="list_sha256"),
)

SCHEDULE_FORM: Final = Form(
    kind=SCHEDULE,
    word="Retention schedule",
    words="Retention schedules",
    number=plain_number("BG"),
    states=(
        State(code=PROPOSED, word="Proposed", tone=Tone.WARN),
        State(code=APPROVED, word="Approved, not yet in force", tone=Tone.WARN),
        State(code=IN_FORCE_NOW, word="In force", tone=Tone.GOOD),
        State(code=SUPERSEDED, word="Superseded", final=True),
        State(code=REFUSED, word="Refused", tone=Tone.BAD, final=True),
        State(code=WITHDRAWN, word="Withdrawn", final=True),
    ),
    opening=Act(
        name="open", word="Propose a schedule", after=PROPOSED, action=Action.SCHEDULE_PROPOSE, role=PROPOSER,
        fields=_FIELDS, guards=(_must_be_sound,),
    ),
    acts=(
        Act(
            name="change", word="Change", before=(PROPOSED,), action=Action.SCHEDULE_PROPOSE, role=PROPOSER,
            fields=_FIELDS, guards=(_must_be_sound,),
        ),
        *_common(waits=True),
        Act(
            name=ENTER, word="Come into force", before=(APPROVED,), after=IN_FORCE_NOW, action=Action.SCHEDULE_APPROVE,
            hidden=True, guards=(_must_be_believed, _count_on), effects=(_take_place,),
        ),
        Act(
            name=SUPERSEDE, word="Step back", before=(IN_FORCE_NOW,), after=SUPERSEDED, action=Action.SCHEDULE_APPROVE,
            hidden=True,
        ),
    ),
    see=Action.SCHEDULE_SEE,
    persons=_PERSONS,
    documents={DRY_RUN: "Recordings dated otherwise", "authority": "The document it rests on"},
    made=(DRY_RUN,),
    register=(
        *_REGISTER[:2], Column(word="In force from", name="in_force_from"), Column(word="Categories", name="rows"),
        *_REGISTER[2:],
    ),
    group="Retention",
)  # fmt: skip


# --- re-schedule ------------------------------------------------------------------------------------------------------
def _must_name_a_version(turn: Turn) -> None:
    version = int(turn.value("version") or 0)
    stand = turn.uow.matters.find(MatterFilter(kinds=(SCHEDULE,), states=IN_FORCE), limit=10_000)
    if version not in {int(row.facts.get("version", 0)) for row in stand}:
        turn.refuse("no version {version} of the schedule came into force", todo="Name one that did.", version=version)
    named = sorted(link.target for link in turn.links(FREED))
    turn.asked.facts["terms_sha256"] = _sha256_of({"version": version, "recordings": named})


def _sha256_of(value: Any) -> str:
    return sha256_of(dumps(value)).hex


RESCHEDULE_FORM: Final = Form(
    kind=RESCHEDULE,
    word="Re-schedule",
    words="Re-schedules",
    number=plain_number("GQ"),
    states=(
        State(code=PROPOSED, word="Proposed", tone=Tone.WARN),
        State(code=APPROVED, word="Approved", tone=Tone.GOOD, final=True),
        State(code=REFUSED, word="Refused", tone=Tone.BAD, final=True),
        State(code=WITHDRAWN, word="Withdrawn", final=True),
    ),
    opening=Act(
        name="open", word="Propose a re-schedule", after=PROPOSED, action=Action.SCHEDULE_PROPOSE, role=PROPOSER,
        fields=(
            Field(name="title", word="Title", personal=True, required=True),
            Field(
                name="version", word="Version of the schedule", kind=FieldKind.NUMBER, required=True, least=1, most=10_000,
                hint="Earlier versions count no more for the recordings named.",
            ),
            _WHY,
        ),
        links=(LinkRole(role=FREED, word="Recordings", least=1),), guards=(_must_name_a_version,),
    ),
    acts=_common(waits=False),
    see=Action.SCHEDULE_SEE,
    persons=_PERSONS,
    documents={DRY_RUN: "Recordings dated otherwise"},
    made=(DRY_RUN,),
    register=(*_REGISTER[:2], Column(word="Version of the schedule", name="version"), *_REGISTER[2:]),
    group="Retention",
)  # fmt: skip
