"""Classification, flags, holds and the bureau's list as the API tells and takes them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.common import Answer, Moment, Request
from catalogue.matters import MatterRow
from evidence.errors import InvalidInputError
from evidence.ids import RecordingId
from evidence.limits import TEXT_CHARS_MAX
from retention.classification import BULK_MAX, Choices, Outcome, Plan, Worklist
from retention.hold_desk import COUNT_CAP, HoldKeeps
from retention.record_list import ListItem, Trouble
from retention.record_list_form import ListPreview

Recordings = Annotated[list[str], Field(min_length=1, max_length=BULK_MAX)]
Words = Annotated[str, Field(max_length=TEXT_CHARS_MAX)]
Code = Annotated[str, Field(max_length=200)]
Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


class PlanRequest(Request):
    """What is to be looked at before it is done."""

    recordings: Recordings
    category: Code = ""
    item: Code = ""


class ClassifyRequest(PlanRequest):
    """A judgement; ``sha256`` is the digest of the plan, needed for more than one recording."""

    words: Words = ""
    sha256: Sha256 = ""


class RetractRequest(Request):
    """A judgement is taken back."""

    recording: str
    words: Words


class FlagRequest(Request):
    """A flag is set."""

    recordings: Recordings
    flag: Literal["complaint", "obstruction", "sensitive", "long-term"]
    ground: Code
    words: Words


class TryOutRequest(Request):
    """A description of footage, as the form of a hold takes it."""

    since: Code = ""
    until: Code = ""
    place: Code = ""
    officer: Code = ""
    within_unit: Code = ""
    device: Code = ""


class PlanRowAnswer(Answer):
    """One recording of a plan; ``left`` tells why it stays as it is, empty when it is changed."""

    recording: str
    name: str
    before: str
    left: str


class PlanAnswer(Answer):
    """What classifying would do, exactly."""

    category: str
    item: str
    rows: list[PlanRowAnswer]
    changes: int
    sha256: str


class OutcomeAnswer(Answer):
    """What was done; ``not_reached`` was not tried, for the reason in ``why``."""

    done: list[str]
    left: dict[str, str]
    not_reached: list[str]
    why: str


class CategoryAnswer(Answer):
    """A category of the schedule in force."""

    category: str
    title: str
    keeps: str


class ItemAnswer(Answer):
    """An entry of the bureau's list."""

    code: str
    kind: str
    matter: str
    step: str
    item: str
    duty: str
    category: str
    keeps: str
    place: str


class ChoicesAnswer(Answer):
    """What can be chosen now."""

    categories: list[CategoryAnswer]
    items: list[ItemAnswer]


class UnsortedAnswer(Answer):
    """A recording nobody has classified; ``last_day`` is empty while there is no date."""

    recording: str
    name: str
    stored_at: Moment | None
    days: int
    last_day: str


class WorklistAnswer(Answer):
    """The actor's recordings that nobody has classified, the oldest first."""

    recordings: list[UnsortedAnswer]
    total: int
    as_of: Moment


class TryOutAnswer(Answer):
    """How many recordings a description would hold now; a lower bound when ``capped``."""

    count: int
    capped: bool


class StoreKeepsAnswer(Answer):
    """Copies one store holds, of those it is to hold."""

    store: str
    held: int
    wanted: int


class HoldKeepsAnswer(Answer):
    """How a hold is kept; ``to_link`` recordings it describes are linked within minutes, and held already."""

    stores: list[StoreKeepsAnswer]
    linked: int
    let_go: int
    to_link: int
    overdue: bool


class TroubleAnswer(Answer):
    """Something about one row of a file."""

    row: int
    code: str
    detail: str


class ListPreviewAnswer(Answer):
    """What a file would bring; ``sha256`` goes back with the proposal."""

    entries: int
    new: list[ItemAnswer]
    changed: list[ItemAnswer]
    dropped: list[ItemAnswer]
    unreadable: list[TroubleAnswer]
    told: list[TroubleAnswer]
    in_force: str
    sha256: str


class ProposedListAnswer(Answer):
    """The matter of a proposed list."""

    id: str
    number: str
    state: str


def ids(texts: list[str]) -> list[RecordingId]:
    """Identities; InvalidInputError for what is none."""
    return [RecordingId(one) for one in texts]


def plan_answer(plan: Plan) -> PlanAnswer:
    """A plan as the API tells it."""
    return PlanAnswer(
        category=plan.category, item=plan.item, changes=len(plan.changes), sha256=plan.sha256,
        rows=[
            PlanRowAnswer(recording=row.recording, name=row.name, before=row.before, left=row.left) for row in plan.rows
        ],
    )  # fmt: skip


def outcome_answer(outcome: Outcome) -> OutcomeAnswer:
    """An outcome as the API tells it."""
    return OutcomeAnswer(
        done=list(outcome.done),
        left={str(one): why for one, why in outcome.left.items()},
        not_reached=list(outcome.not_reached),
        why=outcome.why,
    )


def item_answer(item: ListItem) -> ItemAnswer:
    """An entry as the API tells it."""
    return ItemAnswer(
        code=item.code, kind=item.kind, matter=item.matter, step=item.step, item=item.item, duty=item.duty,
        category=item.category, keeps=item.keeps, place=item.place,
    )  # fmt: skip


def choices_answer(choices: Choices) -> ChoicesAnswer:
    """Choices as the API tells them."""
    return ChoicesAnswer(
        categories=[
            CategoryAnswer(category=row.category, title=row.title, keeps=row.keeps.text()) for row in choices.categories
        ],
        items=[item_answer(one) for one in choices.items],
    )  # fmt: skip


def worklist_answer(work: Worklist) -> WorklistAnswer:
    """A worklist as the API tells it."""
    return WorklistAnswer(
        total=work.total, as_of=work.as_of,
        recordings=[
            UnsortedAnswer(
                recording=one.row.id, name=one.row.name, stored_at=one.row.stored_at, days=one.days,
                last_day=one.date.last_day if one.date is not None else "",
            )
            for one in work.items
        ],
    )  # fmt: skip


def try_out_answer(count: int) -> TryOutAnswer:
    """A count as the API tells it."""
    return TryOutAnswer(count=count, capped=count >= COUNT_CAP)


def keeps_answer(keeps: HoldKeeps) -> HoldKeepsAnswer:
    """How a hold is kept, as the API tells it."""
    return HoldKeepsAnswer(
        stores=[StoreKeepsAnswer(store=one.store, held=one.held, wanted=one.wanted) for one in keeps.stores],
        linked=keeps.linked, let_go=keeps.let_go, to_link=keeps.to_link, overdue=keeps.overdue,
    )  # fmt: skip


def _trouble(one: Trouble) -> TroubleAnswer:
    return TroubleAnswer(row=one.row, code=one.code, detail=one.detail)


def preview_answer(found: ListPreview) -> ListPreviewAnswer:
    """A preview as the API tells it."""
    change = found.difference
    return ListPreviewAnswer(
        entries=len(found.read.items), new=[item_answer(one) for one in change.new],
        changed=[item_answer(one) for _before, one in change.changed],
        dropped=[item_answer(one) for one in change.dropped],
        unreadable=[_trouble(one) for one in found.read.unreadable], told=[_trouble(one) for one in found.read.told],
        in_force=found.in_force, sha256=found.sha256,
    )  # fmt: skip


def proposed_answer(row: MatterRow) -> ProposedListAnswer:
    """A proposed list as the API tells it."""
    return ProposedListAnswer(id=row.id, number=row.number, state=row.state)


def day_of(text: str) -> date:
    """``2026-11-27``; InvalidInputError for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError("a day looks like 2026-11-22") from error
