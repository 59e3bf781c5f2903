"""What clearing needs from other rooms, wired by the composition root: the bytes in the stores, certificates, findings."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Protocol

from catalogue import UnitOfWork
from evidence.clock import TimeReading
from evidence.ids import MatterId, RecordingId
from evidence.model import Actor


class Waiting(Protocol):
    """What stands in the way of a removal."""

    @property
    def why(self) -> str:
        """In words."""
        ...

    @property
    def until(self) -> datetime | None:
        """A date, where there is one."""
        ...


class LookedFor(Protocol):
    """One look for some bytes in one store."""

    @property
    def holder(self) -> str:
        """What they were."""
        ...

    @property
    def sha256(self) -> str:
        """Their digest."""
        ...

    @property
    def store(self) -> str:
        """Where it was looked."""
        ...

    @property
    def found(self) -> str:
        """``absent``, ``shared``, ``present`` or ``unknown``."""
        ...

    @property
    def by(self) -> str:
        """Who else needs them, where they are shared."""
        ...

    @property
    def key_sha256(self) -> str:
        """Digest of the destroyed data key, empty without encryption."""
        ...


class Bytes(Protocol):
    """Everything of one recording in every store (``assurance.clearing``)."""

    def waits(self, recording: RecordingId) -> Waiting | None:
        """What a removal would have to wait for now; asks every store, changes nothing."""
        ...

    def require_allowed(self, uow: UnitOfWork, recording: RecordingId, now: TimeReading) -> None:
        """In the transaction with the point of no return; raises when the bytes may not go."""
        ...

    def remove(
        self, recording: RecordingId, *, together: Collection[RecordingId] = (), actor: str = ""
    ) -> Waiting | None:
        """Take everything out of every store; None when nothing is left. May be repeated."""
        ...

    def look(self, recording: RecordingId) -> Sequence[LookedFor]:
        """Look for everything in every store."""
        ...


class Certifier(Protocol):
    """Makes and files the certificate of a batch."""

    def certify(self, matter: MatterId) -> None:
        """Durable on return; a certificate that is on file already is left as it is."""
        ...


class Teller(Protocol):
    """Puts something before a person, once while it stands."""

    def tell(self, kind: str, detail: str, *, recording: RecordingId | None = None) -> None:
        """Raise a finding."""
        ...

    def over(self, kind: str, *, recording: RecordingId | None = None) -> None:
        """It needs no attention any more."""
        ...


class Filer(Protocol):
    """Stores a document of a matter and enters it."""

    def file_made(
        self, actor: Actor | None, matter: MatterId, *, role: str, name: str, media_type: str, data: bytes
    ) -> Any:
        """Durable on return; the same bytes in one role are there once."""
        ...
