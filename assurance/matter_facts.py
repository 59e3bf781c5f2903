"""Matters and their documents as the log tells them, folded in log order. Pure.

The fold is the engine's own (:mod:`matters.fold`). Verification compares with the result and a rebuild writes it.

Bytes of a document are known by their digest: what the log later says of copies of these bytes concerns the document, whichever
recording shares them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from assurance.projection import BlobFact, copies_of
from evidence.clock import BUREAU_ZONE
from evidence.digest import SHA256, Digest
from evidence.errors import EntryInvalidError
from evidence.events import BytesReleased, CopyMade, CopyRemoved, DocumentFiled, Event, MatterActed
from matters.fold import NUMBERS, Folded, fold


@dataclass(slots=True)
class MatterFacts:
    """What the log tells of matters.

    Attributes:
        folded: Every matter by identity.
        blobs: The bytes of every document by its identity.
        series: The last number of every series.
    """

    folded: dict[str, Folded] = field(default_factory=dict)
    blobs: dict[str, BlobFact] = field(default_factory=dict)
    series: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _by_digest: dict[str, list[BlobFact]] = field(default_factory=lambda: defaultdict(list))

    def apply(self, event: Event) -> None:
        """Take in one event.

        Raises:
            EntryInvalidError: It does not follow from those before, or its values have no meaning.
        """
        match event:
            case MatterActed():
                self._acted(event)
            case DocumentFiled():
                self._filed(event)
            case CopyMade():
                made = copies_of(event.copies)
                for blob in self._by_digest.get(event.blob_sha256, ()):
                    blob.copies = tuple({copy.store: copy for copy in (*blob.copies, *made)}.values())
            case CopyRemoved():
                for blob in self._by_digest.get(event.blob_sha256, ()):
                    blob.copies = tuple(copy for copy in blob.copies if copy.store != event.store)
            case BytesReleased():
                gone = self.blobs.pop(event.holder.removeprefix("document:"), None)
                if gone is not None:
                    self._by_digest[event.blob_sha256].remove(gone)
            case _:
                pass

    def _acted(self, event: MatterActed) -> None:
        before = self.folded.get(event.matter)
        after = fold(before, event)
        if after is None:  # an act always makes one
            raise EntryInvalidError(f"an act on {event.matter} makes nothing")
        self.folded[event.matter] = after
        if before is None:
            year = after.row.opened_at.astimezone(BUREAU_ZONE).year
            self.series[f"{event.kind}:{year}"] += 1
        taken = event.facts.get(NUMBERS)
        if isinstance(taken, Mapping):
            for series, number in taken.items():
                if not isinstance(number, int):
                    raise EntryInvalidError(f"an act on {event.matter} took a number that is none")
                self.series[series] = max(self.series[series], number)

    def _filed(self, event: DocumentFiled) -> None:
        before = self.folded.get(event.matter)
        if before is None:
            raise EntryInvalidError(f"a document was filed with {event.matter}, of which nothing is told before")
        after = fold(before, event)
        if after is None:
            raise EntryInvalidError(f"a document of {event.matter} makes nothing")
        self.folded[event.matter] = after
        blob = BlobFact(
            sha256=Digest(SHA256, event.blob_sha256), size_bytes=event.size_bytes, holder=f"document:{event.document}",
            copies=copies_of(event.copies),
        )  # fmt: skip
        self.blobs[event.document] = blob
        self._by_digest[event.blob_sha256].append(blob)


def matter_of(event: Event) -> str:
    """The matter in whose history an event stands, empty when in none's."""
    return str(getattr(event, "matter", ""))
