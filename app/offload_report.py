"""The one JSON object of ``liuhen ingest`` (a stable contract: fields are added, never renamed; docs/formats/cli.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.wiring import House
from catalogue import UnitOfWork
from catalogue.records import RecordingRow
from devices.registry import Survey
from evidence.clock import to_text
from evidence.ids import RecordingId
from evidence.model import RecordingState
from ingest.docking import OffloadResult
from ingest.release import ClearResult
from retention.classification import is_unclassified
from retention.flags import standing


def survey_json(survey: Survey) -> dict[str, Any]:
    """What is docked, as ``devices scan`` tells it."""
    docked = [{"driver": one.driver, "slot": one.slot, "address": one.address} for one in survey.docked]
    return {"docked": docked, "failed": dict(survey.failed)}


def recording_json(uow: UnitOfWork, row: RecordingRow, *, directory: dict[str, str]) -> dict[str, Any]:
    """One recording as the command line tells it."""
    blob = uow.blobs.get(row.sha256) if row.sha256 is not None else None
    rules = uow.rules.of(row.id)
    device = uow.devices.get(row.device)
    return {
        "id": row.id,
        "state": row.state.value,
        "sealed": row.sealed,
        "kind": row.kind.value,
        "name": row.name,
        "names": list(dict.fromkeys([row.name, *(name.name for name in uow.recordings.names(row.id))])),
        "sha256": row.sha256.hex if row.sha256 else "",
        "sm3": row.sm3.hex if row.sm3 else "",
        "size_bytes": row.size_bytes,
        "officer": directory.get(row.officer or "", "") or row.officer_code,
        "device": device.label or device.serial,
        "important": row.important,
        "started_at": to_text(row.started_at) if row.started_at else "",
        "deadline_at": to_text(row.deadline_at) if row.deadline_at else "",
        "verdict": row.verdict.value,
        "quarantine_reason": row.quarantine_reason,
        "duplicate_of": row.duplicate_of or "",
        "attached_to": row.attached_to or "",
        "category": rules.category,
        "unclassified": is_unclassified(row, rules),
        "flags": sorted(standing(rules)),
        "copies": [
            {
                "store": copy.store, "domain": copy.domain, "key": copy.key, "version": copy.version,
                "read_back_at": to_text(copy.read_back_at) if copy.read_back_at else "",
            }
            for copy in (blob.copies if blob else ())
        ],
    }  # fmt: skip


def offload_json(house: House, result: OffloadResult) -> dict[str, Any]:
    """What one docking brought, as it stands now.

    ``recordings`` is everything of this listing that is kept here; ``new`` tells what this docking itself brought.
    ``duplicates`` are files whose bytes were kept before: recognised by digest in this docking, or not read again because
    this recorder's file is held already.
    """
    directory = house.directory.names()
    told = result.error or result.clock
    with house.catalogue.read() as uow:
        rows = [uow.recordings.get(recording) for recording in _distinct(result.recordings)]
        kept = [row for row in rows if row.state is not RecordingState.DUPLICATE]
        known = set(result.known)
        twins = [row for row in rows if row.state is RecordingState.DUPLICATE]
        return {
            "offload": result.offload,
            "outcome": result.outcome,
            "code": told.code if told else "",
            "message": told.diagnostics() if told else "",
            "recordings": [
                {**recording_json(uow, row, directory=directory), "new": row.id not in known} for row in kept
            ],
            "waiting": result.waiting,
            "refused": [{"name": name, "reason": reason} for name, reason in result.refused],
            "quarantined": [
                {"id": row.id, "name": row.name, "reason": row.quarantine_reason}
                for row in rows
                if row.quarantine_reason
            ],
            "duplicates": [
                {"id": row.id, "name": row.name, "of": row.duplicate_of or row.id}
                for row in [*twins, *(row for row in kept if row.id in known)]
            ],
        }


def clear_json(house: House, result: ClearResult) -> dict[str, Any]:
    """What one clearing did: what left the recorder, and why each other file stays on it."""
    with house.catalogue.read() as uow:
        names = {one: uow.recordings.get(one).name for one in [*result.released, *result.kept]}
    return {
        "released": [{"id": one, "name": names[one]} for one in result.released],
        "kept": [
            {"id": one, "name": names[one], "code": error.code, "message": error.diagnostics()}
            for one, error in result.kept.items()
        ],
        "left": [{"name": path, "reason": reason} for path, reason in result.left],
    }


def _distinct(recordings: Sequence[RecordingId]) -> list[RecordingId]:
    return list(dict.fromkeys(recordings))
