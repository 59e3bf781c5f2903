"""Clearing put together for one home: the duty with the stores, the certificates and the findings it needs."""

from __future__ import annotations

import base64
from datetime import timedelta

from app.moving import removal_parts
from app.wiring import House
from assurance.clearing import RecordingBytes
from assurance.findings import FindingBook
from chain_of_custody.reader import LogReader
from documents import Checkpoint
from evidence.errors import NotFoundError
from evidence.ids import RecordingId
from retention.disposal_certificate import Certificates, CertifierParts, Surroundings
from retention.disposal_duty import Clearing, ClearingParts


class FindingTeller:
    """Findings as clearing tells them.

    Args:
        house: The home.
        book: Raises them.
    """

    def __init__(self, house: House, book: FindingBook) -> None:
        self._house = house
        self._book = book

    def tell(self, kind: str, detail: str, *, recording: RecordingId | None = None) -> None:
        """Raise a finding, once while it is open."""
        with self._house.catalogue.read() as uow:
            if uow.findings.open_one(kind, recording=recording) is not None:
                return
        self._book.raise_one(kind, recording=recording, detail=detail)

    def over(self, kind: str, *, recording: RecordingId | None = None) -> None:
        """Close it where it is open."""
        with self._house.catalogue.read() as uow:
            if uow.findings.open_one(kind, recording=recording) is None:
                return
        with self._house.catalogue.begin() as uow:
            self._book.close_in(uow, kind, recording=recording, reason="over")


def published_checkpoint(house: House) -> tuple[Checkpoint, bytes] | None:
    """The published checkpoint, its signature checked, with the signed note; None while there is none."""
    reader = LogReader(house.published[0], verifier=house.sealer.verifier)
    try:
        found = reader.checkpoint()
        return Checkpoint(
            origin=found.origin, size=found.size, root=base64.b64encode(found.root).decode("ascii")
        ), reader.note()
    except NotFoundError:
        return None


def surroundings_of(house: House) -> Surroundings:
    """What a certificate says of keys: whether there were any, and until when backups may hold copies of them."""
    backup = house.settings.backup
    until = None
    if backup.to:
        until = house.clock.now().wall + timedelta(hours=backup.every_hours * (backup.keep + 1))
    return Surroundings(encrypted=house.encryption is not None, backups=bool(backup.to), backup_keys_until=until)


def certificates_of(house: House) -> Certificates:
    """What makes certificates of clearing."""
    return Certificates(
        CertifierParts(
            catalogue=house.catalogue, clock=house.clock, filer=house.papers, sign=house.recorder.sign_document,
            checkpoint=lambda: published_checkpoint(house), surroundings=lambda: surroundings_of(house),
            unit=house.settings.station.name,
        )
    )  # fmt: skip


def clearing_of(house: House) -> Clearing:
    """The regular duty of clearing."""
    book = FindingBook(house.catalogue, recorder=house.recorder, clock=house.clock)
    return Clearing(
        ClearingParts(
            catalogue=house.catalogue, desk=house.matters, recorder=house.recorder, clock=house.clock,
            bytes=RecordingBytes(removal_parts(house)), certifier=certificates_of(house),
            teller=FindingTeller(house, book), woken=house.wake_sealer.set,
        )
    )  # fmt: skip
