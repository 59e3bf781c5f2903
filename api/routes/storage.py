"""How every store stands."""

from __future__ import annotations

from fastapi import APIRouter

from api.dependencies import ActorDep, ServicesDep
from api.schemas.storage import StorageAnswer, StoreAnswer
from assurance.store_reports import StoreReport

router = APIRouter(tags=["system"])


def answer_of(store: StoreReport) -> StoreAnswer:
    """One store in the API's form, which the command line shares."""
    state = store.state
    return StoreAnswer(
        store=store.name, kind=store.kind, domain=store.domain, location=store.location, protection=store.protection,
        old=store.old, stand=store.stand, bad_copies=store.bad_copies, objects=state.objects,
        size_bytes=state.size_bytes, behind_objects=state.behind_objects, behind_bytes=state.behind_bytes,
        oldest_checked_at=state.oldest_at, counted_at=state.counted_at, ok_at=state.ok_at,
        failing_since=state.failing_since, failed_at=state.failed_at, error_code=state.error_code, error=state.error,
        tries=state.tries, next_try_at=state.next_try_at,
    )  # fmt: skip


@router.get("/storage", operation_id="storage")
def storage(actor: ActorDep, services: ServicesDep) -> StorageAnswer:
    """What every store is, holds and lacks, and what went wrong with it."""
    view = services.storage.look(actor)
    return StorageAnswer(stores=[answer_of(store) for store in view.stores], as_of=view.as_of)
