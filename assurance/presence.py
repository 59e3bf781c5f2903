"""What became of a recording's bytes: held, lawfully cleared, never received; per recording, with the entries that say so.

Who may not know of every recording is never told that nothing was received: it is refused, whether or not there is one.

Source: docs/invariants.md 5; DESIGN "retention" (proof of absence).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from catalogue import Catalogue, UnitOfWork
from catalogue.records import RecordingRow, TimelineRow
from evidence.digest import SHA256, Digest
from evidence.errors import EvidenceError
from evidence.events import (
    BytesReleased,
    RecordingDiscovered,
    RecordingDisposed,
    RecordingDisposing,
    RecordingDuplicate,
    RecordingStored,
)
from evidence.ids import RecordingId
from evidence.model import Action, Actor, ObjectScope, RecordingState
from evidence.ports import Authoriser

_FOUND_MAX: Final = 200
#: Role of the document that proves a clearing (``retention.disposal_forms``).
_CERTIFICATE: Final = "certificate"
#: Recordings in these states hold their bytes, or an entry says why not.
_HAD: Final = frozenset({RecordingState.STORED, RecordingState.RELEASED})
#: The word of the policy for what lies outside of somebody's reach.
_OUTSIDE: Final = "outside-unit"


class Denier(Authoriser, Protocol):
    """An authoriser that enters refusals which only a workflow can know."""

    def allowed(
        self, actor: Actor, action: Action, scope: ObjectScope | None = None, *, detail: str = "", sha256: str = ""
    ) -> object:
        """Decide and enter; raises AccessDeniedError."""
        ...


def answers(
    catalogue: Catalogue, gate: Denier, actor: Actor, wanted: str, *, action: Action = Action.RECORDING_LIST
) -> list[Presence]:
    """What became of every recording that is meant and may be seen; nothing when none was ever received. Entered.

    Args:
        catalogue: Where it is looked up.
        gate: Decides and enters.
        actor: Who asks.
        wanted: An identity, a SHA-256 or an exact file name.
        action: The right it is asked by.

    Raises:
        AccessDeniedError: Nothing they may see matches, and they may not see everything.
    """
    detail = f"presence {wanted}"
    gate.require(actor, action, detail=detail)
    seen = gate.visibility(actor, action)
    with catalogue.read() as uow:
        rows = sorted(uow.recordings.seen(matching(uow, wanted), seen), key=lambda row: row.id)
        found = [presence(uow, row) for row in rows]
        for position, row in enumerate(rows):
            if row.duplicate_of is not None and not uow.recordings.seen([row.duplicate_of], seen):
                own = _proofs(uow.timeline(row.id), RecordingDuplicate.TYPE)
                found[position] = replace(found[position], proofs=own)  # the other one's entries are not theirs to see
    if not rows:
        if not seen.everything:
            gate.deny(actor, action, reason=_OUTSIDE, detail=detail)
        gate.allowed(actor, action, detail=detail)
    for row in rows:
        scope = ObjectScope(unit=row.unit, officer=row.officer, recording=row.id)
        sha256 = row.sha256.hex if row.sha256 else ""
        gate.allowed(actor, action, scope, detail=detail, sha256=sha256)
    return found


class Answer(StrEnum):
    """What became of a recording's bytes."""

    HELD = "held"
    INCOMING = "incoming"
    CLEARED = "lawfully-cleared"
    GOING = "being-removed"
    DUPLICATE = "duplicate-of"
    OTHERWISE = "held-otherwise"
    """No recording has these bytes (any more), and they are kept for something else: a document, or what was made of footage."""
    NEVER = "never-received"
    UNKNOWN = "unknown"
    """It should be held, and no copy of it is known that was good when it was last read; a verification tells more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """An entry that the answer rests on; ``index`` is None while no checkpoint covers it."""

    entry: str
    event_type: str
    at: datetime
    index: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """The answer about one recording.

    Attributes:
        recording: Its identity.
        answer: What became of it.
        sha256: Its bytes.
        of: The recording that keeps a duplicate's bytes.
        of_answer: What became of that one.
        proofs: Entries the answer rests on.
        stores: Where it is held.
        since: Since when it is held.
        cleared_at: When it was cleared (or the point of no return was passed).
        batch: Number of the clearing batch.
        certificate_sha256: Its certificate, where it is on file already.
    """

    recording: str
    answer: Answer
    sha256: str = ""
    of: str = ""
    of_answer: Answer | None = None
    proofs: list[Proof] = field(default_factory=list)
    stores: list[str] = field(default_factory=list)
    since: datetime | None = None
    cleared_at: datetime | None = None
    batch: str = ""
    certificate_sha256: str = ""


def presence(uow: UnitOfWork, row: RecordingRow) -> Presence:  # noqa: PLR0911 - one answer a case
    """What became of one recording's bytes, with the entries that say so. Per recording, never per digest.

    The same bytes may be held for another recording: that does not make this one present, and its removal not the other's.
    """
    timeline = uow.timeline(row.id)
    sha256 = row.sha256.hex if row.sha256 is not None else ""
    if (cleared_by_batch := _by_batch(uow, row, timeline)) is not None:
        return cleared_by_batch
    if row.duplicate_of is not None:
        kept = presence(uow, uow.recordings.get(row.duplicate_of))
        proofs = _proofs(timeline, RecordingDuplicate.TYPE) + kept.proofs
        return Presence(
            recording=row.id, answer=Answer.DUPLICATE, sha256=sha256, of=row.duplicate_of, of_answer=kept.answer,
            proofs=proofs,
        )  # fmt: skip
    holder = f"recording:{row.id}"
    if row.sha256 is not None and uow.references.holds_bytes(row.sha256, holder):
        good = any(not one.outcome for one in uow.blobs.checks(row.sha256).values())
        answer = Answer.HELD if good else Answer.UNKNOWN
        blob = uow.blobs.get(row.sha256)
        return Presence(
            recording=row.id, answer=answer, sha256=sha256, proofs=_proofs(timeline, RecordingStored.TYPE),
            stores=[copy.store for copy in blob.copies] if blob is not None else [], since=row.stored_at,
        )  # fmt: skip
    if row.sha256 is not None and (going := uow.references.removal(row.sha256)) is not None and going.holder == holder:
        proofs = _proofs(timeline, RecordingStored.TYPE)
        return Presence(recording=row.id, answer=Answer.GOING, sha256=sha256, proofs=proofs)
    cleared = [one for one in timeline if one.event_type == BytesReleased.TYPE and one.public.get("holder") == holder]
    if cleared:
        proofs = [*_proofs(timeline, RecordingStored.TYPE), _proof(cleared[-1])]
        return Presence(recording=row.id, answer=Answer.CLEARED, sha256=sha256, proofs=proofs)
    if row.state in _HAD:  # the log says that it is here, the catalogue names no bytes of it
        proofs = _proofs(timeline, RecordingStored.TYPE)
        return Presence(recording=row.id, answer=Answer.UNKNOWN, sha256=sha256, proofs=proofs)
    return Presence(
        recording=row.id, answer=Answer.INCOMING, sha256=sha256, proofs=_proofs(timeline, RecordingDiscovered.TYPE)
    )


def _by_batch(uow: UnitOfWork, row: RecordingRow, timeline: list[TimelineRow]) -> Presence | None:
    """The answer for one that a clearing batch cleared, or is clearing; None for any other."""
    rules = uow.rules.of(row.id)
    if rules.disposing_at is None:
        return None
    batch, certificate = "", ""
    if rules.disposal is not None:
        batch = uow.matters.get(rules.disposal).number
        certificate = next((one.sha256.hex for one in uow.matters.documents(rules.disposal, role=_CERTIFICATE)), "")
    gone = rules.disposed_at is not None
    return Presence(
        recording=row.id, answer=Answer.CLEARED if gone else Answer.GOING, batch=batch,
        sha256=row.sha256.hex if row.sha256 is not None else "", of=row.duplicate_of or "",
        proofs=[
            *_proofs(timeline, RecordingStored.TYPE), *_proofs(timeline, RecordingDisposing.TYPE),
            *_proofs(timeline, RecordingDisposed.TYPE),
        ],
        cleared_at=rules.disposed_at or rules.disposing_at, certificate_sha256=certificate if gone else "",
    )  # fmt: skip


def matching(uow: UnitOfWork, text: str) -> list[RecordingId]:
    """Recordings that an identity, a SHA-256 or an exact name means; none when nothing does."""
    try:
        identity = RecordingId(text)
        uow.recordings.get(identity)
    except EvidenceError:
        pass
    else:
        return [identity]
    try:
        sha256 = Digest(SHA256, text.removeprefix("sha256:").lower())
    except EvidenceError:
        return uow.references.named_like(text, limit=_FOUND_MAX)
    return uow.references.with_digest(sha256, limit=_FOUND_MAX)


def _proofs(timeline: list[TimelineRow], event_type: str) -> list[Proof]:
    return [_proof(one) for one in timeline if one.event_type == event_type][-1:]


def _proof(row: TimelineRow) -> Proof:
    return Proof(entry=row.entry, event_type=row.event_type, at=row.at, index=row.index)


# --- proof of absence -------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """What became of some bytes, as of a published checkpoint.

    Attributes:
        sha256: Which bytes.
        answer: ``held`` where any recording of theirs is; then ``being-removed``, ``incoming``, ``unknown``,
            ``lawfully-cleared``, or ``held-otherwise`` where a document or something made of footage has the same bytes: then
            they are not gone, and not unknown; ``never-received`` where the log names none.
        found: The answer for each recording that had them.
        checkpoint_size: Entries that the published checkpoint covers: "never received" means, in none of these.
    """

    sha256: str
    answer: Answer
    found: list[Presence]
    checkpoint_size: int


#: The answer for some bytes is the first of these that holds for a recording of theirs.
_FIRST: Final = (
    Answer.HELD, Answer.GOING, Answer.INCOMING, Answer.UNKNOWN, Answer.DUPLICATE, Answer.CLEARED,
)  # fmt: skip


class AbsenceDesk:
    """Answers what became of bytes, for whoever may ask. Every question is entered.

    Args:
        catalogue: Where it is looked up.
        gate: Decides and enters.
    """

    def __init__(self, catalogue: Catalogue, *, gate: Denier) -> None:
        self._catalogue = catalogue
        self._gate = gate

    def ask(self, actor: Actor, sha256: str) -> Absence:
        """What became of the bytes with this digest.

        Raises:
            InvalidInputError: No SHA-256. AccessDeniedError: Not theirs to ask, or nothing they may see matches.
        """
        digest = Digest(SHA256, sha256.strip().removeprefix("sha256:").lower())
        found = answers(self._catalogue, self._gate, actor, digest.hex, action=Action.ABSENCE_ASK)
        with self._catalogue.read() as uow:
            head = uow.outbox.head()
            kept = uow.blobs.get(digest) is not None
        told = [one.of_answer if one.answer is Answer.DUPLICATE and one.of_answer else one.answer for one in found]
        answer = next((one for one in _FIRST if one in told), Answer.NEVER)
        if kept and answer in (Answer.CLEARED, Answer.NEVER):
            answer = Answer.OTHERWISE
        return Absence(
            sha256=digest.hex,
            answer=answer,
            found=found,
            checkpoint_size=head.published_size if head is not None else 0,
        )
