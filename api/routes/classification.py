"""What recordings are, as persons judge them; who holds them; the bureau's list of what is to be recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO, Final

from fastapi import APIRouter, Request

from api.dependencies import ActorDep, ServicesDep
from api.schemas.classification import (
    ChoicesAnswer,
    ClassifyRequest,
    FlagRequest,
    HoldKeepsAnswer,
    ListPreviewAnswer,
    OutcomeAnswer,
    PlanAnswer,
    PlanRequest,
    ProposedListAnswer,
    RetractRequest,
    TryOutAnswer,
    TryOutRequest,
    WorklistAnswer,
    choices_answer,
    day_of,
    ids,
    keeps_answer,
    outcome_answer,
    plan_answer,
    preview_answer,
    proposed_answer,
    try_out_answer,
    worklist_answer,
)
from api.uploads import take_upload
from catalogue.matters import MatterRow
from documents.sheets import FILE_BYTES_MAX
from evidence.errors import LimitExceededError
from evidence.ids import MatterId, RecordingId
from retention.record_list_form import ListPreview

router = APIRouter(tags=["classification"])


def whole(stream: BinaryIO) -> bytes:
    """An uploaded list; LimitExceededError when it is larger than a list may be."""
    data = stream.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise LimitExceededError(f"a list has at most {FILE_BYTES_MAX} bytes", kept="Nothing was entered.")
    return data


# --- categories and flags ---------------------------------------------------------------------------------------------
@router.get("/classification/choices", operation_id="classificationChoices")
def choices(actor: ActorDep, services: ServicesDep) -> ChoicesAnswer:
    """Categories of the schedule and entries of the list that are in force now."""
    return choices_answer(services.classifier.choices(actor))


@router.get("/classification/worklist", operation_id="classificationWorklist")
def worklist(actor: ActorDep, services: ServicesDep) -> WorklistAnswer:
    """The actor's own recordings that nobody has classified, the oldest first."""
    return worklist_answer(services.classifier.worklist(actor))


@router.post("/classification/plan", operation_id="planClassification")
def plan(wanted: PlanRequest, actor: ActorDep, services: ServicesDep) -> PlanAnswer:
    """What classifying these recordings would do, exactly; nothing is changed."""
    found = services.classifier.plan(actor, ids(wanted.recordings), category=wanted.category, item=wanted.item)
    return plan_answer(found)


@router.post("/classification", operation_id="classifyRecordings")
def classify(wanted: ClassifyRequest, actor: ActorDep, services: ServicesDep) -> OutcomeAnswer:
    """Judge what recordings are; several only with the digest of the plan that was looked at."""
    outcome = services.classifier.classify(
        actor,
        ids(wanted.recordings),
        category=wanted.category,
        item=wanted.item,
        words=wanted.words,
        sha256=wanted.sha256,
    )
    return outcome_answer(outcome)


@router.post("/classification/retract", operation_id="retractClassification")
def retract(wanted: RetractRequest, actor: ActorDep, services: ServicesDep) -> OutcomeAnswer:
    """Take a judgement back: the recording is unclassified again."""
    return outcome_answer(services.classifier.retract(actor, RecordingId(wanted.recording), words=wanted.words))


@router.post("/classification/flags", operation_id="flagRecordings")
def flag(wanted: FlagRequest, actor: ActorDep, services: ServicesDep) -> OutcomeAnswer:
    """Put a flag of R11 on recordings; only an approved matter (``flag-lift``) lifts it."""
    outcome = services.classifier.flag(
        actor, ids(wanted.recordings), flag=wanted.flag, ground=wanted.ground, words=wanted.words
    )  # fmt: skip
    return outcome_answer(outcome)


# --- holds ------------------------------------------------------------------------------------------------------------
@router.post("/holds/try-out", operation_id="tryOutHold")
def try_out(wanted: TryOutRequest, actor: ActorDep, services: ServicesDep) -> TryOutAnswer:
    """How many recordings a description would hold now; a hold is placed as a matter of the kind ``hold``."""
    values = {name: text for name, text in wanted.model_dump().items() if text}
    return try_out_answer(services.holds.try_out(actor, values))


@router.get("/holds/{hold}/keeps", operation_id="holdKeeps")
def keeps(hold: str, actor: ActorDep, services: ServicesDep) -> HoldKeepsAnswer:
    """What a hold holds, and which stores keep it."""
    return keeps_answer(services.holds.keeps(actor, MatterId(hold)))


# --- the bureau's list ------------------------------------------------------------------------------------------------
def _upload(*names: str) -> dict[str, Any]:
    fields: dict[str, Any] = {name: {"type": "string"} for name in names}
    schema = {
        "type": "object",
        "required": [*(name for name in names if name != "sha256"), "file"],
        "properties": {**fields, "file": {"type": "string", "format": "binary"}},
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


_PREVIEW: Final = _upload()
_PROPOSE: Final = _upload("title", "in_force_from", "sha256")


@router.post("/record-lists/preview", operation_id="previewRecordList", openapi_extra=_PREVIEW)
async def preview_list(request: Request, actor: ActorDep, services: ServicesDep) -> ListPreviewAnswer:
    """What a file (CSV or XLSX) would bring, change and leave out, and the rows that cannot be read."""

    def take(_fields: Mapping[str, str], _name: str, stream: BinaryIO) -> ListPreview:
        return services.record_lists.preview(actor, whole(stream))

    return preview_answer(await take_upload(request, take))


@router.post("/record-lists", status_code=201, operation_id="proposeRecordList", openapi_extra=_PROPOSE)
async def propose_list(request: Request, actor: ActorDep, services: ServicesDep) -> ProposedListAnswer:
    """Propose a list from a file: a form with ``title``, ``in_force_from`` and, of a preview, ``sha256`` before ``file``."""

    def take(fields: Mapping[str, str], _name: str, stream: BinaryIO) -> MatterRow:
        return services.record_lists.propose(
            actor, whole(stream), title=fields.get("title", ""), in_force_from=day_of(fields.get("in_force_from", "")),
            looked_at=fields.get("sha256", ""),
        )  # fmt: skip

    return proposed_answer(await take_upload(request, take))
