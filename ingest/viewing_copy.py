"""A viewing copy made on demand: for footage that browsers play neither as it is nor remuxed.

The original is only read. The copy is a derivative with its own digest, recipe and custody entry, like those made at intake.

Crash: the same as for a description: a blob that nobody holds, and the job runs again.
"""

from __future__ import annotations

from catalogue.records import DerivativeRow, RecordingRow
from evidence.errors import PolicyUnmetError
from evidence.ids import RecordingId
from ingest.describe import keep_product, say_derivative, scratch_directory
from ingest.parts import Parts
from media.describe import Product
from media.viewing import make_viewing

VIEWING = "viewing"
_MEDIA_TYPE = "video/mp4"


def needs_viewing_copy(row: RecordingRow, derivatives: list[DerivativeRow]) -> bool:
    """Whether a viewing copy would help: stored and examined media that browsers do not play, without a copy yet."""
    wanted = row.facts.get("viewing") in {"transcode", "remux"}
    return wanted and row.available and all(derivative.kind != VIEWING for derivative in derivatives)


def ensure_viewing_copy(parts: Parts, recording: RecordingId) -> None:
    """Make the viewing copy of one recording. Idempotent.

    Raises:
        PolicyUnmetError: None is needed or possible.
        MediaError: The tools failed, or no faithful copy can be made; the recording is safe.
        StoreError: It found no room.
    """
    with parts.catalogue.read() as uow:
        row = uow.recordings.get(recording)
        derivatives = uow.derivatives.of(recording)
        cleared = uow.rules.of(recording).disposing_at is not None
    if any(derivative.kind == VIEWING for derivative in derivatives):
        return
    if cleared or not needs_viewing_copy(row, derivatives) or row.sha256 is None:
        raise PolicyUnmetError("no viewing copy is needed or possible", kept="Nothing was changed.")
    with scratch_directory(parts) as scratch, parts.stores.primary.plain_file(row.sha256) as source:
        target = scratch / "viewing.mp4"
        recipe = make_viewing(source, target)
        made = keep_product(parts, row, Product(VIEWING, _MEDIA_TYPE, target, recipe.to_json()))
    at = parts.clock.now()
    with parts.catalogue.begin() as uow:
        row = uow.recordings.lock(recording)
        if all(derivative.kind != VIEWING for derivative in uow.derivatives.of(recording)):
            say_derivative(parts, uow, row, made, at)
