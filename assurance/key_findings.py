"""What the regular look at keys found beside a store: raised, closed where it was mended, and remembered for the health page."""

from __future__ import annotations

from assurance.copy_checks import recording_of
from assurance.findings import FindingBook
from assurance.key_checks import KEY_MISSING
from assurance.keys_state import note_damaged
from catalogue import Catalogue
from evidence.digest import Digest
from evidence.ids import RecordingId
from storage.key_report import SyncReport


class KeyFindings:
    """Takes reports of :meth:`storage.keyring.KeyRing.sync`.

    Args:
        catalogue: Where findings stand.
        book: Raises them with their entries.
    """

    def __init__(self, catalogue: Catalogue, *, book: FindingBook) -> None:
        self._catalogue = catalogue
        self._book = book

    def take(self, report: SyncReport) -> None:
        """Enter what was found and done in one place; each object's row and entries are one transaction.

        Crash: a record that was mended and not told of yet stays told by the damaged bytes that lie aside, and in the journal.
        """
        for sha256 in report.damaged:
            if (recording := self._recording(sha256)) is not None:
                detail = f"{sha256}: its key record beside this store is bad and could not be mended"
                self._book.raise_one(KEY_MISSING, recording=recording, store=report.place, detail=detail)
        for sha256 in report.mended:
            if (recording := self._recording(sha256)) is not None:
                detail = f"{sha256}: its key record beside this store was damaged and was written anew"
                with self._catalogue.begin() as uow:
                    self._book.raise_in(uow, KEY_MISSING, recording=recording, store=report.place, detail=detail)
                    self._book.close_in(uow, KEY_MISSING, recording=recording, store=report.place, reason="repaired")
        for sha256 in report.given:
            if (recording := self._recording(sha256)) is not None:
                with self._catalogue.begin() as uow:
                    self._book.close_in(uow, KEY_MISSING, recording=recording, store=report.place, reason="repaired")
        if report.whole or report.problems:
            with self._catalogue.begin() as uow:
                note_damaged(uow, report.place, len(report.problems))

    def _recording(self, sha256: Digest) -> RecordingId | None:
        """The recording a verification would tell of; None for a record without an object."""
        with self._catalogue.read() as uow:
            blob = uow.blobs.get(sha256)
        found = recording_of(self._catalogue, blob.holders) if blob is not None else ""
        return RecordingId(found) if found else None
