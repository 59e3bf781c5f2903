"""Every catalogue fact about evidence as one plain value: what a rebuild must restore, and what two catalogues are compared by.

Left out on purpose: sessions, credentials, settings, progress, findings (they are no evidence), counters of running
transfers, and when a copy was last looked at.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Final

from assurance.fact_checks import DEVICE_FIELDS, OFFLOAD_FIELDS, RECORDING_FIELDS
from catalogue import Catalogue, UnitOfWork
from catalogue.rules import RulesRow
from chain_of_custody.entry import parse
from evidence.clock import to_text
from evidence.digest import Digest
from evidence.ids import MatterId, OffloadId
from evidence.limits import SEAL_BATCH_MAX
from matters.writing import folded_of


def evidence_facts(catalogue: Catalogue) -> dict[str, Any]:
    """All facts, in a stable order. Reads everything: for audits and tests, not for pages."""
    with catalogue.read() as uow:
        recordings = list(uow.recordings.all_ids())
        agents = uow.people.agents()
        return {
            "agents": [plain(row) for row in agents],
            "blobs": [_blob(row) for row in uow.blobs.all()],
            "derivatives": [plain(one) for recording in recordings for one in uow.derivatives.of(recording)],
            "devices": [_fields(row, DEVICE_FIELDS) for row in sorted(uow.devices.all(), key=lambda row: row.id)],
            "log": _log(uow),
            "matters": [_matter(uow, matter) for matter in uow.matters.all_ids()],
            "matter_numbers": dict(sorted(uow.matters.series().items())),
            "names": [plain(name) for recording in recordings for name in uow.recordings.names(recording)],
            "offloads": [_fields(uow.offloads.get(offload), OFFLOAD_FIELDS) for offload in _offloads(uow, recordings)],
            "posts": [plain(post) for agent in agents for post in uow.people.posts(agent.id)],
            "recordings": [
                {**_fields(row, RECORDING_FIELDS), "sealed": row.sealed, "index": row.stored_index}
                for row in (uow.recordings.get(recording) for recording in recordings)
            ],
            "roles": [plain(role) for agent in agents for role in uow.people.roles(agent.id)],
            "rules": [
                plain(row) for row in uow.rules.of_each(recordings).values() if row != RulesRow(recording=row.recording)
            ],
            "units": [plain(row) for row in sorted(uow.people.units(), key=lambda row: row.id)],
        }


_TEXT_OF: Final[dict[type, Callable[[Any], Any]]] = {datetime: to_text, Digest: str}


def plain(value: Any) -> Any:
    """JSON without types: texts, whole numbers, lists, objects."""
    if isinstance(value, Enum):
        return value.value
    if type(value) in _TEXT_OF:
        return _TEXT_OF[type(value)](value)
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value if value is None or isinstance(value, bool | int) else str(value)


def _fields(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: plain(getattr(row, name)) for name in names}


def _blob(row: Any) -> dict[str, Any]:
    copies = sorted((copy.store, copy.domain, copy.key, copy.version) for copy in row.copies)
    return {
        "sha256": str(row.sha256), "size_bytes": row.size_bytes, "blake3": plain(row.blake3),
        "holders": sorted(row.holders), "copies": [list(copy) for copy in copies],
    }  # fmt: skip


def _matter(uow: UnitOfWork, matter: MatterId) -> dict[str, Any]:
    folded = folded_of(uow, uow.matters.get(matter))
    return {
        "row": plain(folded.row),
        "persons": [plain(folded.persons[key]) for key in sorted(folded.persons)],
        "links": [plain(folded.links[key]) for key in sorted(folded.links)],
        "documents": [plain(folded.documents[key]) for key in sorted(folded.documents)],
    }


def _offloads(uow: UnitOfWork, recordings: list[Any]) -> list[OffloadId]:
    return sorted({uow.recordings.get(recording).offload for recording in recordings})


def _log(uow: UnitOfWork) -> dict[str, Any]:
    """Head, one digest over all sealed envelopes, and one over the disclosures that still exist."""
    head = uow.outbox.head()
    size = head.published_size if head is not None else 0
    envelopes, disclosed = hashlib.sha256(), hashlib.sha256()
    for start in range(0, size, SEAL_BATCH_MAX):
        rows = uow.outbox.rows(start, min(start + SEAL_BATCH_MAX, size))
        digests = [digest for row in rows for digest in parse(row.envelope).sd]
        found = uow.outbox.disclosures_of(digests)
        for row in rows:
            envelopes.update(len(row.envelope).to_bytes(4) + row.envelope)
        for digest in digests:
            if digest in found:
                disclosed.update(found[digest].text.encode("utf-8") + b"\n")
    return {"size": size, "envelopes": envelopes.hexdigest(), "disclosures": disclosed.hexdigest()}
