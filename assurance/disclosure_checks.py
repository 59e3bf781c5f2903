"""The stores' copies of personal values: can a rebuild still read them, and are those that exist all there?

A value that stands in a segment and no longer in the catalogue is no finding: it was erased and the segments follow.

Source: docs/formats/disclosures.md; docs/invariants.md 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from assurance.disclosures import DisclosureArchive, disclosures_between
from assurance.log_checks import PUBLISHED_WITHIN
from assurance.report import Finding
from catalogue import Catalogue
from chain_of_custody.entry import parse
from evidence.errors import IntegrityError, StoreUnavailableError
from evidence.ports import BlobStore


def check_disclosures(
    catalogue: Catalogue, archive: DisclosureArchive, *, stores: Iterable[BlobStore], now: datetime
) -> Iterator[Finding]:
    """Open every segment below every root and compare it with the values that the catalogue still has."""
    names = {store.properties.location: store.properties.name for store in stores}
    for root in archive.roots:
        name = names.get(str(root), root.name)
        try:
            yield from _check_root(catalogue, archive, root, name=name, now=now)
        except IntegrityError as error:
            yield Finding(kind="disclosure-differs", store=name, detail=error.what)
        except StoreUnavailableError as error:
            yield Finding(kind="store-unavailable", store=name, detail=error.what)


def _check_root(
    catalogue: Catalogue, archive: DisclosureArchive, root: Path, *, name: str, now: datetime
) -> Iterator[Finding]:
    end = 0
    for segment in archive.segments(root):
        end = segment.end
        held = {one.digest for one in segment.disclosures}
        missing = sum(one.digest not in held for one in disclosures_between(catalogue, segment.first, segment.end))
        if missing:
            detail = f"{missing} personal values of entries {segment.first} to {segment.end - 1} are missing"
            yield Finding(kind="disclosure-differs", store=name, detail=detail)
    with catalogue.read() as uow:
        head = uow.outbox.head()
        behind = uow.outbox.rows(end, min(end + 1, head.published_size)) if head is not None else []
    for row in behind:
        since = parse(row.envelope).at
        if now - since > PUBLISHED_WITHIN:
            detail = f"personal values of entries from {end} on have no copy here since {since}"
            yield Finding(kind="not-published", store=name, detail=detail)
