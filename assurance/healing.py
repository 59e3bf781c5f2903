"""The duty that repairs: whatever says that a copy is bad leads here, and nothing has to be remembered for it.

What there is to do stands in the catalogue: copies that did not match when they were last read, and open findings about copies.
A reader who meets a bad copy only gives a hint, so that the next slice looks at those bytes first; a hint that is lost with the
process is found again by the next reader or round.

Source: docs/invariants.md 7; docs/runbooks/bad-copy.md.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from assurance.copies import KeepingParts, bytes_of
from assurance.repair import COPY_BEHIND, COPY_MISSING, MENDABLE, Mended, Repair, repair_blob
from catalogue.records import BlobRow
from evidence.digest import Digest
from evidence.errors import NotFoundError
from evidence.model import Visibility

_log = logging.getLogger(__name__)
_SLICE_S: Final = 50.0
_HINTS_MAX: Final = 10_000
#: What could not be settled is looked at again after this long, then after twice as long each time.
_AGAIN_FIRST_S: Final = 60.0
_AGAIN_MAX_S: Final = 3600.0


class Healing:
    """Repairs what is known to be bad, one slice at a time.

    Args:
        parts: Catalogue, recorder, stores.
        slice_s: How long one slice works before it returns (the blob in hand is finished).
        elapsed_s: A clock that only runs forward.
    """

    def __init__(
        self, parts: KeepingParts, *, slice_s: float = _SLICE_S, elapsed_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.parts = parts
        self._slice_s = slice_s
        self._elapsed_s = elapsed_s
        self._hints: dict[Digest, None] = {}
        self._guard = threading.Lock()
        #: Bytes that could not be settled: how often tried, and when to look again.
        self._later: dict[Digest, tuple[int, float]] = {}

    def hint(self, sha256: Digest) -> None:
        """A copy of these bytes could not be read as it should be: look at them soon. Never blocks, never raises."""
        with self._guard:
            if len(self._hints) < _HINTS_MAX:
                self._hints[sha256] = None

    def run(self) -> list[Repair]:
        """Work for one slice; returns what was looked at.

        Raises:
            EvidenceError: A fatal one (a failed fsync), or the database does not answer.
        """
        end = self._elapsed_s() + self._slice_s
        done: list[Repair] = []
        seen: set[Digest] = set()
        for sha256 in self._waiting():
            if self._elapsed_s() >= end:
                break
            if sha256 in seen or self._elapsed_s() < self._later.get(sha256, (0, 0.0))[1]:
                continue
            seen.add(sha256)
            try:
                found = repair_blob(self.parts, sha256)
            except NotFoundError:  # released meanwhile, or never kept
                continue
            self._note(found)
            done.append(found)
        return done

    def _waiting(self) -> Iterator[Digest]:
        """Hints first, then copies that are marked, then open findings, oldest first."""
        with self._guard:
            hints, self._hints = self._hints, {}
        yield from hints
        after: Digest | None = None
        while True:
            with self.parts.catalogue.read() as uow:
                marked = uow.store_states.bad_copies(after=after)
            if not marked:
                break
            yield from (sha256 for sha256, _ in marked)
            after = marked[-1][0]
        with self.parts.catalogue.read() as uow:
            findings = uow.findings.open_within(Visibility(everything=True), MENDABLE)
        for finding in findings:
            if finding.recording is None:
                continue
            with self.parts.catalogue.read() as uow:
                try:
                    blobs = bytes_of(uow, finding.recording)
                except NotFoundError:
                    continue
            lacking = finding.kind in {COPY_MISSING, COPY_BEHIND} and not all(
                _is_in(blob, finding.store) for blob in blobs
            )
            if not lacking:  # else the store catches up, and that closes it
                yield from (blob.sha256 for blob in blobs if not finding.store or _is_in(blob, finding.store))

    def _note(self, found: Repair) -> None:
        if found.outcome is Mended.REPAIRED:
            self._later.pop(found.sha256, None)
            return
        tries, _ = self._later.get(found.sha256, (0, 0.0))
        wait_s = min(_AGAIN_FIRST_S * 2 ** min(tries, 10), _AGAIN_MAX_S)
        self._later[found.sha256] = (tries + 1, self._elapsed_s() + wait_s)
        if found.outcome is not Mended.SOUND:
            _log.warning("the copies of %s are not all good: %s", found.sha256, found.outcome)


def _is_in(blob: BlobRow, store: str) -> bool:
    return any(copy.store == store for copy in blob.copies)
