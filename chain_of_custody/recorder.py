"""Turns events into signed entries inside the business transaction.

The entry and the state change it reports commit together or not at all. The signer's row lock, held by
``Outbox.next_turn`` until the transaction ends, keeps ``seq`` and ``prev`` from racing. A turn that does not follow from the
signer's newest entry, or a key that the log does not introduce, signs nothing: an entry nobody can accept would stay for ever.

Crash: before the commit nothing happened; after it the entry waits, durable, for the sealer.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Final

from chain_of_custody import disclosures, entry, merkle
from chain_of_custody.keys import ROLE_STATION, SigningKey
from evidence.clock import Clock, TimeReading, unix_ms
from evidence.errors import ConfigError, SignerMismatchError
from evidence.events import DeviceRegistered, Event, KeyAdded
from evidence.ids import EntryId
from evidence.limits import SEAL_BATCH_MAX
from evidence.ports import NewEntry, Outbox, OutboxRow, SignerTurn

#: What is signed of a document begins with this, so that it can never be taken for an entry or a checkpoint.
DOCUMENT_CONTEXT: Final = b"liuhen signed document v1\n"


def _fresh_salt() -> bytes:
    return os.urandom(disclosures.SALT_BYTES)


class EntryRecorder:
    """Implements ``evidence.ports.CustodyRecorder``. Thread-safe: it keeps no state between calls.

    Times of one signer grow with ``seq`` as long as its clock does: where another entry took its turn between the reading an
    event is entered with and its own turn, the entry's time is a reading taken at its turn. A clock that was really set back
    stays visible. The event's own ``at`` is never touched.

    Args:
        key: The station's key (never the log's).
        station: Name of this station; it stands in every entry.
        clock: Read again at the turn of an entry that was overtaken; without one its reading stands as it was given.
        salt: Source of 16 random bytes per personal value.
        new_id: Makes an entry's identity from Unix milliseconds.
    """

    def __init__(
        self,
        key: SigningKey,
        *,
        station: str,
        clock: Clock | None = None,
        salt: Callable[[], bytes] = _fresh_salt,
        new_id: Callable[[int], EntryId] = EntryId.new,
    ) -> None:
        if not station:
            raise ConfigError("the station has no name", todo="Set `station` in config.toml.")
        self._key = key
        self._station = station
        self._clock = clock
        self._salt = salt
        self._new_id = new_id

    @property
    def key_id(self) -> str:
        """Identity of the signing key."""
        return self._key.key_id

    def key_added(self) -> KeyAdded:
        """The event that introduces this recorder's key in a log."""
        return self._key.key_added(ROLE_STATION)

    def sign_document(self, data: bytes) -> tuple[str, str]:
        """Sign a document of this station (a certificate), apart from any entry.

        Returns:
            The key's identity, as the log introduces it, and the Ed25519 signature in base64 over ``DOCUMENT_CONTEXT + data``.
        """
        signature = self._key.sign(DOCUMENT_CONTEXT + data)
        return self._key.key_id, base64.b64encode(signature).decode("ascii")

    def record(self, outbox: Outbox, event: Event, *, at: TimeReading) -> EntryId:
        """Sign the event and add it to the outbox; durable when the caller's transaction commits.

        Args:
            outbox: The catalogue's outbox inside the caller's transaction.
            event: What happened.
            at: Reading of the injected clock.

        Raises:
            EntryInvalidError: The event breaks the schema; nothing was added.
            LimitExceededError: The entry would not fit into a bundle; nothing was added.
            SignerMismatchError: As :meth:`require_turn`.
        """
        return self.record_many(outbox, [event], at=at)[0]

    def record_many(self, outbox: Outbox, events: Sequence[Event], *, at: TimeReading) -> list[EntryId]:
        """Like :meth:`record` for several events in their order; the signer's turn is asked for once.

        Raises:
            EntryInvalidError, LimitExceededError: An event cannot be entered; nothing was added.
        """
        if not events:
            return []
        first = turn = self.require_turn(outbox)
        at = self._at_turn(turn, events, at)
        new = []
        for event in events:
            new.append(self._sign(event, at=at, turn=turn))
            turn = SignerTurn(turn.seq + 1, hashlib.sha256(new[-1].envelope).hexdigest())
        outbox.add_many(new, key_id=self._key.key_id, turn=first, at=at.wall)
        return [one.entry for one in new]

    def _at_turn(self, turn: SignerTurn, events: Sequence[Event], at: TimeReading) -> TimeReading:
        overtaken = turn.since is not None and at.wall < turn.since
        # A registration has no time of its own: the entry's is the fact.
        if self._clock is None or not overtaken or any(isinstance(event, DeviceRegistered) for event in events):
            return at
        return self._clock.now()

    def require_turn(self, outbox: Outbox) -> SignerTurn:
        """The next turn of this recorder's key, when an entry signed now could be accepted. Asked before every entry.

        Raises:
            SignerMismatchError: The key is not introduced in the opened log (another home's key file), or the remembered turn
                does not follow from its newest entry. Nothing was added.
        """
        turn = outbox.next_turn(self._key.key_id)
        if turn.seq == 0 and outbox.head() is not None and not self._introduced(outbox):
            raise SignerMismatchError(
                f"the station key {self._key.key_id} is not introduced in this log",
                kept="Nothing was signed.",
                todo="Put back the station.key that belongs to this home.",
            )
        return turn

    def _introduced(self, outbox: Outbox) -> bool:
        """Whether an entry introduces the key. Only a key without any entry is looked for, so it may take its time."""
        start = 0
        while rows := [*outbox.rows(start, start + SEAL_BATCH_MAX)]:
            if any(self._introduces(row) for row in rows):
                return True
            start += SEAL_BATCH_MAX
        return any(self._introduces(row) for row in outbox.unsequenced(SEAL_BATCH_MAX))

    def _introduces(self, row: OutboxRow) -> bool:
        if row.event_type != KeyAdded.TYPE:
            return False
        data = entry.parse(row.envelope).data
        return (data["role"], data["public_key"]) == (ROLE_STATION, self.key_added().public_key)

    def _sign(self, event: Event, *, at: TimeReading, turn: SignerTurn) -> NewEntry:
        identity = self._new_id(unix_ms(at.wall))
        disclosed = disclosures.disclose_all(event.personal_values(), salt=self._salt)
        envelope = entry.seal(
            event,
            entry=identity,
            at=at,
            station=self._station,
            turn=turn,
            sd=[disclosure.digest for disclosure in disclosed],
            key=self._key,
        )
        return NewEntry(identity, event, envelope, merkle.leaf_hash(envelope), disclosed)
