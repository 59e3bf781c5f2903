"""Matters, their persons, links and documents, and what was said of each recording: the catalogue against the log, both ways.

Altered, invented and dropped rows are each told, by identity and never by value: values may be personal.

Source: docs/invariants.md 3; docs/architecture.md "Matters".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final

from assurance.log_entries import LogFacts, fingerprint
from assurance.matter_facts import MatterFacts
from assurance.projection import BlobFact, Projection
from assurance.report import Finding
from catalogue import UnitOfWork
from catalogue.matters import MatterRow
from catalogue.records import TimelineRow
from catalogue.references import REMOVING
from catalogue.rules import RulesRow
from evidence.errors import EvidenceError
from evidence.ids import MatterId
from matters.fold import Folded
from matters.writing import folded_of

MATTER_FIELDS: Final = tuple(field.name for field in dataclasses.fields(MatterRow))
RULES_FIELDS: Final = tuple(field.name for field in dataclasses.fields(RulesRow))


def differs(detail: str, recording: str = "") -> Finding:
    """The catalogue says something else than the log."""
    return Finding(kind="catalogue-differs", recording=recording, detail=detail)


# --- one recording ----------------------------------------------------------------------------------------------------
def check_rules(uow: UnitOfWork, told: Projection) -> Iterator[Finding]:
    """What was said of a recording: nobody classifies, lifts a flag or marks as cleared past the log."""
    recording = told.row.id
    here = uow.rules.of(recording)
    wrong = [name for name in RULES_FIELDS if getattr(here, name) != getattr(told.rules, name)]
    if wrong:
        yield differs(f"what the rules say of it is not what the log says: {', '.join(wrong)}", recording)
    yield from _check_disposal(uow, told)


def _check_disposal(uow: UnitOfWork, told: Projection) -> Iterator[Finding]:
    """Lawfully cleared is no loss, bytes that are there after it are a contradiction; between the two it is told as under way."""
    rules, row = told.rules, told.row
    own = f"recording:{row.id}"
    if rules.disposed_at is None:
        if rules.disposing_at is not None:
            detail = f"its disposal in {rules.disposal or 'no matter'} is under way"
            yield Finding(kind="being-removed", recording=row.id, detail=detail)
        return
    if row.sha256 is None:
        return
    kept = uow.blobs.get(row.sha256)
    if kept is not None and own in kept.holders:
        yield differs("the log says that it was disposed of, and its bytes are held here", row.id)
    going = uow.references.removal(row.sha256)
    if going is not None and going.holder == own and going.state == REMOVING:
        yield differs("the log says that it was disposed of, and its removal is not done", row.id)
    if any(blob.holder == own or blob.holder.startswith("derivative:") for blob in told.blobs):
        yield differs("the log says that it was disposed of, and no entry says that its bytes were released", row.id)


# --- matters ----------------------------------------------------------------------------------------------------------
def check_matters(uow: UnitOfWork, matters: list[MatterId], log: LogFacts) -> Iterator[Finding]:
    """Some matters against the log; called in the transaction in which ``log`` caught up."""
    told = log.registry.matters
    going = {one.holder for one in uow.references.removals() if one.state == REMOVING}
    for matter in matters:
        entered = told.folded.get(matter)
        if entered is None:
            yield differs(f"matter {matter}: no entry tells of it")
            continue
        try:
            here = folded_of(uow, uow.matters.get(matter))
            timeline = uow.matter_timeline(matter)
        except EvidenceError as error:
            yield differs(f"matter {matter} cannot be compared with the log: {error}")
            continue
        for what in _differing(here, entered):
            yield differs(f"matter {matter} ({entered.row.number}) is not what the log says: {what}")
        if _sum(timeline, log) != log.matter_fingerprints.get(matter, 0):
            yield differs(f"the history of matter {matter} ({entered.row.number}) is not what the log says")
        for document in entered.documents:
            blob = told.blobs.get(document)
            if blob is not None and blob.holder not in going:
                yield from check_document(uow, document, blob)


def check_all_there(uow: UnitOfWork, told: MatterFacts) -> Iterator[Finding]:
    """No matter was dropped, and no series of numbers set back."""
    for missing in sorted(told.folded.keys() - set(uow.matters.all_ids())):
        yield differs(
            f"matter {missing} ({told.folded[missing].row.number}): the log tells of it, the catalogue does not"
        )
    here = uow.matters.series()
    for series in sorted(here.keys() | told.series.keys()):
        if here.get(series, 0) != told.series.get(series, 0):
            yield differs(
                f"the numbers of {series} go on at {here.get(series, 0)}, the log says {told.series.get(series, 0)}"
            )


def check_document(uow: UnitOfWork, document: str, told: BlobFact) -> Iterator[Finding]:
    """The bytes of a document must be known here with at least the copies that the log states."""
    blob = uow.blobs.get(told.sha256)
    if blob is None or told.holder not in blob.holders:
        yield Finding(kind="blob-unrecorded", detail=f"document {document}: its bytes {told.sha256} have no row")
        return
    if blob.size_bytes != told.size_bytes:
        yield differs(f"the size of document {document} is not what the log says")
    here = {(copy.store, copy.key, copy.version) for copy in blob.copies}
    for copy in told.copies:
        if (copy.store, copy.key, copy.version) not in here:
            detail = f"document {document}: a copy has no row"
            yield Finding(kind="blob-unrecorded", store=copy.store, detail=detail)


def _differing(here: Folded, told: Folded) -> Iterator[str]:
    wrong = [name for name in MATTER_FIELDS if getattr(here.row, name) != getattr(told.row, name)]
    if wrong:
        yield ", ".join(wrong)
    parts: tuple[tuple[str, Mapping[Any, Any], Mapping[Any, Any]], ...] = (
        ("persons", here.persons, told.persons), ("links", here.links, told.links),
        ("documents", here.documents, told.documents),
    )  # fmt: skip
    for name, rows, entered in parts:
        for key in sorted(rows.keys() | entered.keys()):
            if rows.get(key) != entered.get(key):
                how = "invented" if key not in entered else "dropped" if key not in rows else "altered"
                yield f"{name} ({how}: {' '.join(key) if isinstance(key, tuple) else key})"


def _sum(timeline: list[TimelineRow], log: LogFacts) -> int:
    return sum(
        fingerprint(one.entry, one.public, one.disclosed, event_type=one.event_type, at=one.at, actor=one.actor)
        for one in timeline
        if log.examined(one)
    )
