"""Everything of one recording out of every store: its bytes, its derivatives and its manifest; and the look afterwards.

The workflow that clears (:mod:`retention.disposal_duty`) decides; this carries out, by the mechanism of :mod:`assurance.removal`.
Each step may be repeated: whatever still has a holder, or a removal that is not done, is taken up again, so a crash needs no
memory of its own. Bytes that something else needs as well (the poster of black footage, bytes that came in again) stay, and are
told as shared.

Source: RULES R10; docs/invariants.md 5.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from assurance.references import require_believed
from assurance.removal import Outcome, Released, RemovalParts, Remover
from catalogue import UnitOfWork
from catalogue.records import RecordingRow
from evidence.clock import TimeReading
from evidence.digest import SHA256, Digest
from evidence.errors import EvidenceError, NotFoundError, PolicyUnmetError
from evidence.events import BytesReleased, DerivativeMade, RecordingStored
from evidence.ids import RecordingId

#: Why the bytes went, in their entries.
REASON: Final = "cleared"
ABSENT, SHARED, PRESENT, UNKNOWN = "absent", "shared", "present", "unknown"


@dataclass(frozen=True, slots=True)
class Wait:
    """What stands in the way; ``until`` is a date where there is one."""

    why: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """One look for some bytes in one store.

    Attributes:
        holder: What they were: ``recording:``, ``manifest:`` or ``derivative:`` with an identity.
        sha256: Their digest.
        store: Where it was looked.
        found: ``absent``; ``shared`` (something else needs them, named in ``by``); ``present``; ``unknown`` (no answer).
        by: Who else holds them.
        key_sha256: Digest of the data key that was destroyed, empty where the bytes were not encrypted.
    """

    holder: str
    sha256: str
    store: str
    found: str
    by: str = ""
    key_sha256: str = ""


class RecordingBytes:
    """The bytes of recordings, for whoever clears.

    Args:
        parts: What removals work with; its guards are those of the home.
    """

    def __init__(self, parts: RemovalParts) -> None:
        self._parts = parts
        self._remover = Remover(parts)

    # --- before the point of no return --------------------------------------------------------------------------------
    def waits(self, recording: RecordingId) -> Wait | None:
        """What a removal would have to wait for now: a date, a hold, a store that does not answer. Asks every store.

        Bytes that something else needs as well (a document with the same bytes) stay, so nothing about them is waited for.
        """
        with self._parts.catalogue.read() as uow:
            objects = [
                (sha256, holder) for sha256, holder in _objects(uow, uow.recordings.get(recording))
                if not _is_shared(uow, sha256, recording)
            ]  # fmt: skip
        until: datetime | None = None
        why = ""
        for sha256, holder in objects:
            try:
                found = self._remover.waits(sha256)
            except EvidenceError as error:
                if error.fatal:
                    raise
                return Wait(f"{holder}: {error.what}")
            if found is not None and found.until is None:
                return Wait(f"{holder}: {found.why}")
            if found is not None and found.until is not None and (until is None or found.until > until):
                until, why = found.until, f"{holder}: {found.why}"
        return Wait(why, until) if until is not None else None

    def require_allowed(self, uow: UnitOfWork, recording: RecordingId, now: TimeReading) -> None:
        """In the transaction with the point of no return: no hold on the bytes, nobody brings them in, brake and clock agree.

        Raises:
            BrakePulledError, ClockWentBackError, ClockJumpedError: Nothing goes now.
            PolicyUnmetError: A hold, an arrival, or no bytes.
        """
        require_believed(uow, now)
        self._parts.brake.require_released(uow)
        row = uow.recordings.get(recording)
        for sha256, holder in _objects(uow, row):
            uow.references.lock(sha256)
            if holds := uow.references.holds(sha256):
                raise PolicyUnmetError(f"a hold stands on {holder}: {holds[0]}", kept="Nothing was removed.")
        if row.sha256 is None or not uow.references.holds_bytes(row.sha256, f"recording:{recording}"):
            raise PolicyUnmetError(f"{recording} holds no bytes", kept="Nothing was removed.")
        if uow.references.claimed_until(row.sha256, now=now.wall) is not None or uow.references.incoming(row.sha256):
            raise PolicyUnmetError("the same bytes are being brought in", kept="Nothing was removed.")

    # --- after it -----------------------------------------------------------------------------------------------------
    def remove(self, recording: RecordingId, *, together: Collection[RecordingId] = (), actor: str = "") -> Wait | None:
        """Take everything of a recording out of every store; None when nothing of it is left, else what it waits for.

        Args:
            recording: The one that holds the bytes; its clearing was committed.
            together: Its duplicates, which are cleared in the same act.
            actor: Who ordered it, empty for the service.
        """
        twins = [f"recording:{one}" for one in together]
        left: Wait | None = None
        with self._parts.catalogue.read() as uow:
            objects = _left(uow, uow.recordings.get(recording))
        for sha256, holder in objects:
            try:
                done = self._remover.release(
                    sha256,
                    holder,
                    reason=REASON,
                    actor=actor,
                    together=twins if holder.startswith("recording:") else (),
                )
            except NotFoundError:  # it went meanwhile
                continue
            except EvidenceError as error:
                if error.fatal:
                    raise
                left = left or Wait(f"{holder}: {error.what}")
                continue
            left = _longest(left, holder, done)
        if left is None:
            with self._parts.catalogue.read() as uow:
                if _left(uow, uow.recordings.get(recording)):
                    return Wait("something of it was added meanwhile")
        return left

    def look(self, recording: RecordingId) -> list[Looked]:
        """Look in every store for everything that was ever stored of a recording, as its entries tell."""
        with self._parts.catalogue.read() as uow:
            told = _told(uow, recording)
        found = []
        for sha256, holder, key in told:
            with self._parts.catalogue.read() as uow:
                blob = uow.blobs.get(sha256)
            by = ", ".join(one for one in (blob.holders if blob is not None else ()) if one != holder)
            held = blob is not None and holder in blob.holders
            for store in self._parts.stores.all:
                try:
                    here = store.exists(sha256)
                    state = (PRESENT if held or not by else SHARED) if here else ABSENT
                except EvidenceError as error:
                    if error.fatal:
                        raise
                    state = UNKNOWN
                found.append(
                    Looked(
                        holder=holder, sha256=sha256.hex, store=store.properties.name, found=state,
                        by=by if state == SHARED else "", key_sha256=key,
                    )
                )  # fmt: skip
        return found


def _longest(left: Wait | None, holder: str, done: Released) -> Wait | None:
    if done.outcome in (Outcome.REMOVED, Outcome.SHARED):
        return left
    if left is None or (done.until is not None and (left.until is None or done.until > left.until)):
        return Wait(f"{holder}: {done.why}", done.until)
    return left


def _objects(uow: UnitOfWork, row: RecordingRow) -> list[tuple[Digest, str]]:
    """Everything that is held for a recording, in the order in which it goes: the manifest last."""
    objects = []
    if row.sha256 is not None:
        objects.append((row.sha256, f"recording:{row.id}"))
    objects += [(one.sha256, f"derivative:{one.id}") for one in uow.derivatives.of(row.id)]
    if row.manifest_sha256:
        objects.append((Digest(SHA256, row.manifest_sha256), f"manifest:{row.id}"))
    return [(sha256, holder) for sha256, holder in objects if uow.references.holds_bytes(sha256, holder)]


def _is_shared(uow: UnitOfWork, sha256: Digest, recording: RecordingId) -> bool:
    """Whether anything that is not of this recording holds these bytes (two pictures of one recording may be the same)."""
    blob = uow.blobs.get(sha256)
    return blob is not None and any(uow.references.recording_of(one) != recording for one in blob.holders)


def _left(uow: UnitOfWork, row: RecordingRow) -> list[tuple[Digest, str]]:
    """As :func:`_objects`, with what is past the point of no return and not gone yet at the head."""
    going = [(one.sha256, one.holder) for one in uow.references.removals_of(row.id)]
    return going + [one for one in _objects(uow, row) if one not in going]


def _told(uow: UnitOfWork, recording: RecordingId) -> list[tuple[Digest, str, str]]:
    """What the entries say was ever stored of a recording: digest, holder, digest of its destroyed key."""
    told: dict[tuple[str, str], str] = {}
    for one in uow.timeline(recording):
        public = one.public
        if one.event_type == RecordingStored.TYPE:
            told.setdefault((public["sha256"], f"recording:{recording}"), "")
            told.setdefault((public["manifest_sha256"], f"manifest:{recording}"), "")
        elif one.event_type == DerivativeMade.TYPE:
            told.setdefault((public["derivative_sha256"], f"derivative:{public['derivative']}"), "")
        elif one.event_type == BytesReleased.TYPE:
            told[public["blob_sha256"], public["holder"]] = public.get("key_sha256", "")
    return [(Digest(SHA256, sha256), holder, key) for (sha256, holder), key in told.items()]
