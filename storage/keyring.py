"""The keys of encrypted stores: data keys wrapped by the month's key, kept in places beside the stores.

What is kept is written once, to as many places as an object has copies, and read back there before any ciphertext becomes
visible: there is never an object without its key. A record without an object is harmless.

A key is destroyed by a tombstone first, then by removing the record everywhere. A tombstone needs no trust in who can write to a
place: only the key itself proves it. Where it is proved it wins, whatever an older copy of the place brings back.

Crash: at any point between the steps, calling again finishes; :meth:`KeyRing.sync` finishes for places that were away.

This does not protect against who holds the master key, nor against who reads this process's memory.

Source: docs/formats/store.md section "Encrypted objects"; docs/adr/0009-encryption.md.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from evidence.clock import Clock, from_text, to_text
from evidence.data_keys import KeyIndex, KeyRecord
from evidence.digest import Digest
from evidence.errors import (
    BlobConflictError,
    BlobNotFoundError,
    ConfigError,
    EvidenceError,
    IntegrityError,
    KeyUnavailableError,
    StoreUnavailableError,
)
from storage import key_records as records
from storage import key_sync
from storage.chunked import KEY_BYTES, ChunkCipher, Header
from storage.epoch_keys import EpochKey, EpochKeys
from storage.key_places import KeyPlace
from storage.key_records import PartialKey
from storage.key_report import SyncReport
from storage.master_keys import MasterKey, unwrap, wrap

_REMEMBERED: Final = 4096
#: How long this process may believe a record without looking: another process may have destroyed the key.
_REMEMBERED_S: Final = 30.0
_GUARDS: Final = 64


@dataclass(frozen=True, slots=True, repr=False)
class Draft:
    """A new data key that is nobody's yet. Nothing is lost when it is dropped before :meth:`KeyRing.settle`."""

    key: bytes
    header: Header
    epoch: str
    wrapped: bytes

    @property
    def cipher(self) -> ChunkCipher:
        """Encrypts with this key."""
        return ChunkCipher(self.key, self.header)

    def partial_key(self) -> PartialKey:
        """What lies beside a partial, so that it can be gone on with."""
        return PartialKey(epoch=self.epoch, header=self.header.to_bytes(), wrapped=self.wrapped)


@dataclass(slots=True, repr=False)
class _Known:
    """A record that was looked up a moment ago, and its opened key."""

    at: float
    record: KeyRecord
    cipher: ChunkCipher | None = None


class KeyRing:
    """The keys of one home.

    Args:
        master: Wraps the months' keys.
        places: Beside every store, the primary's first; names are those of the stores.
        index: Where records are looked up.
        clock: Read for months and times of making.
        epoch_made: Told of every month's key that was made, after it is durable, outside of any transaction.

    Raises:
        ConfigError: No place, or two with one name.
    """

    def __init__(
        self,
        master: MasterKey,
        places: Sequence[KeyPlace],
        *,
        index: KeyIndex,
        clock: Clock,
        epoch_made: Callable[[EpochKey], None] = lambda _made: None,
    ) -> None:
        self._places = {place.name: place for place in places}
        if not places or len(self._places) != len(places):
            raise ConfigError("a key ring needs places for its keys, each with a name of its own")
        self._master = master
        self._index = index
        self._clock = clock
        self._months = EpochKeys(master, self._places, clock=clock, made=epoch_made)
        self._recent: OrderedDict[Digest, _Known] = OrderedDict()
        self._recent_guard = threading.Lock()
        self._guards = [threading.RLock() for _ in range(_GUARDS)]

    @property
    def master(self) -> MasterKey:
        """The master key in use."""
        return self._master

    @property
    def places(self) -> tuple[str, ...]:
        """Names of the places, in order."""
        return tuple(self._places)

    @property
    def index(self) -> KeyIndex:
        """Where records are looked up."""
        return self._index

    def place(self, name: str) -> KeyPlace:
        """The place beside the store of that name; ConfigError when there is none."""
        try:
            return self._places[name]
        except KeyError as error:
            raise ConfigError(f"no place for keys is beside store {name}") from error

    # --- months' keys -----------------------------------------------------------------------------------------------
    def epochs(self) -> list[EpochKey]:
        """Every month's key, by every master, in ascending order; StoreUnavailableError when no place answers."""
        return self._months.kept()

    def open_epoch(self, epoch: str) -> bytes:
        """A month's key itself (a secret), for a sealed backup; KeyUnavailableError when it does not open."""
        return self._months.open(epoch)

    def current_epoch(self) -> str:
        """The month whose key wraps new data keys; made when there is none. KeyUnavailableError for a foreign master."""
        return self._months.current()

    def adopt_epoch(self, epoch: str, key: bytes) -> None:
        """Take in a month's key from a backup; IntegrityError when another of that name is in use."""
        self._months.adopt(epoch, key)

    def spread_months(self, place: str) -> list[str]:
        """Have every month's key beside a store as it must be, with a look at each; returns what a person must look at."""
        problems = []
        try:
            months = self._months.ours()
        except KeyUnavailableError as error:
            return [error.what]
        for epoch in months:
            try:
                self._months.spread(epoch, self.place(place), look=True)
            except (IntegrityError, KeyUnavailableError) as error:
                problems.append(error.what)
        return problems

    def rewrap(self, new: MasterKey) -> list[EpochKey]:
        """Wrap every month's key by another master as well, in every place; the old ones stay until :meth:`retire`."""
        return self._months.rewrap(new)

    def retire(self, master: str) -> int:
        """Remove what another master wrapped, everywhere; KeyUnavailableError while it is needed."""
        return self._months.retire(master)

    # --- places that lag --------------------------------------------------------------------------------------------
    def sync(self, place: str, *, stop: Callable[[], bool] = lambda: False) -> SyncReport:
        """Bring a place up to date: months' keys, tombstones, records; and the index with what only the place has.

        May be stopped and called again. Raises StoreUnavailableError when the place is away.
        """
        return key_sync.sync(self, self.place(place), stop=stop)

    def read_all(self) -> Iterator[KeyRecord]:
        """Every good record and every tombstone that the places have, as the index should know them.

        Raises:
            KeyUnavailableError: (at the first one) The master is not this home's.
        """
        self._months.ours()
        return key_sync.read_all(self)

    def rebuild_index(self) -> int:
        """Take everything that the places have into the index; returns how many records they have."""
        return key_sync.rebuild_index(self)

    # --- data keys --------------------------------------------------------------------------------------------------
    def draft(self) -> Draft:
        """A new data key, wrapped by this month's key. Nothing is written."""
        epoch = self.current_epoch()
        key = secrets.token_bytes(KEY_BYTES)
        return Draft(key, Header.new(), epoch, wrap(self.open_epoch(epoch), key))

    def reopen(self, partial: PartialKey) -> Draft:
        """The data key of a partial that is gone on with; KeyUnavailableError when it does not open."""
        key = self._unwrap(partial.epoch, partial.wrapped)
        return Draft(key, Header.parse(partial.header), partial.epoch, partial.wrapped)

    def settle(
        self, draft: Draft, *, sha256: Digest, cipher_sha256: Digest, cipher_size_bytes: int, at: Collection[str]
    ) -> KeyRecord:
        """Give an object its key: durable and read back in the places ``at``, then in the index.

        Returns:
            The record that stands. It is another one than the draft's (``header`` differs) when the object had a key already:
            what was encrypted with the draft is worthless then, and must be dropped.

        Raises:
            StoreError: A place does not take it. IntegrityError: different keys stand for the object.
        """
        record = records.sealed(
            KeyRecord(
                sha256=sha256,
                cipher_sha256=cipher_sha256,
                cipher_size_bytes=cipher_size_bytes,
                epoch=draft.epoch,
                header=draft.header.to_bytes(),
                wrapped=draft.wrapped,
                wrapped_sha256=hashlib.sha256(draft.wrapped).hexdigest(),
                mac=b"",
                made_at=self._now(),
            ),
            draft.key,
        )
        with self._guard(sha256):
            standing = self.find(sha256, also=at)
            if standing is not None and not standing.destroyed:
                self.ensure(standing, at=at)
                return standing
            # If we crash between the places and the index, the next look finds the record in a place.
            self._put(record, at, new=True)
            try:
                self._index.add(record)
            except IntegrityError:
                return self._give_way(record, at)
            self._remember(record)
            return record

    def _give_way(self, record: KeyRecord, at: Collection[str]) -> KeyRecord:
        """Another process settled another key for the object meanwhile: ours, with which nothing was stored, must not stay."""
        path, text = records.record_path(record.sha256), records.record_text(record)
        for name in at:
            if self.place(name).read(path) == text:
                self.place(name).remove(path)
        self.forget(record.sha256)
        standing = self.find(record.sha256)
        if standing is None or standing.destroyed:
            raise IntegrityError(f"the key of {record.sha256} could not be settled", todo="Try again.")
        self._put(standing, at)
        return standing

    def ensure(self, record: KeyRecord, *, at: Collection[str]) -> None:
        """Have a record, and the month's key it needs, durable and read back in the places ``at``.

        Raises:
            IntegrityError: Another key stands there for this object. StoreError: a place does not take it.
            KeyUnavailableError: The key was destroyed there meanwhile.
        """
        with self._guard(record.sha256):
            self._put(record, at)

    def _put(self, record: KeyRecord, at: Collection[str], *, new: bool = False) -> None:
        path, text = records.record_path(record.sha256), records.record_text(record)
        for name in self._places:
            if name not in at:
                continue
            place = self._places[name]
            self._months.spread(record.epoch, place)
            standing = place.read(path)
            if standing not in (None, text) and self._is_destroyed(standing or b"", record):
                place.remove(path)  # left behind by a place that was away when the key before this one was destroyed
            try:
                place.write_new(path, text)
            except BlobConflictError as error:
                raise IntegrityError(
                    f"another key record for {record.sha256} stands beside store {name}",
                    kept="Nothing was overwritten.",
                    todo="Find out which of them opens the stored copies.",
                ) from error
            if standing != text and not new:
                self._refuse_destroyed(place, record)

    def _refuse_destroyed(self, place: KeyPlace, record: KeyRecord) -> None:
        """A record that we believed in may be of a key that another process has destroyed: it must not come back.

        Looked at after the writing: who destroys lays the tombstone first and removes afterwards, so one of us sees the other.
        """
        tombstone = place.read(records.gone_path(record.sha256, record.wrapped_sha256))
        if tombstone is not None and self.proves_gone(tombstone, record):
            place.remove(records.record_path(record.sha256))
            self.forget(record.sha256)
            raise KeyUnavailableError(f"the key of {record.sha256} was destroyed meanwhile")

    def _is_destroyed(self, standing: bytes, now: KeyRecord) -> bool:
        """Whether what stands in the way is the record of a key of this object that was destroyed, and proved so."""
        try:
            before = records.parse_record(standing)
            return before.sha256 == now.sha256 and self.is_gone(before)
        except EvidenceError:
            return False

    def find(self, sha256: Digest, *, also: Collection[str] = (), everywhere: bool = False) -> KeyRecord | None:
        """The record of an object, also of one whose key was destroyed; None when it has none.

        Args:
            sha256: The plain object.
            also: Places that are asked when the index knows nothing.
            everywhere: Ask all places then; those that do not answer are passed over.

        Raises:
            IntegrityError: Places have different good records for the object.
        """
        known = self._remembered(sha256)
        if known is not None:
            return known
        known = self._index.find(sha256)
        if known is None:
            names = [name for name in self._places if everywhere or name in also]
            known = self._look(sha256, names)
            if known is not None:
                self._index.add(known)
        if known is not None:
            self._remember(known)
        return known

    def _look(self, sha256: Digest, names: Sequence[str]) -> KeyRecord | None:
        found: KeyRecord | None = None
        closed: KeyUnavailableError | None = None
        for name in names:
            try:
                record = self._read(self._places[name], sha256)
            except KeyUnavailableError as error:
                closed = error
                continue
            if record is None:
                continue
            if found is not None and found != record:
                raise IntegrityError(
                    f"two different key records stand for {sha256}",
                    kept="Nothing was changed.",
                    todo="Find out which of them opens the stored copies.",
                )
            found = record
        if found is None and closed is not None:
            raise closed  # there is a key, and it does not open: that is not the same as none
        return None if found is None or self.is_gone(found) else found

    def _read(self, place: KeyPlace, sha256: Digest) -> KeyRecord | None:
        """A good record of an object in one place; None when there is none, it was changed, or the place is away."""
        try:
            text = place.read(records.record_path(sha256))
            if text is None:
                return None
            record = records.parse_record(text)
            if record.sha256 != sha256:
                return None
            self.key_of(record)
        except (StoreUnavailableError, IntegrityError):
            return None
        return record

    def key_of(self, record: KeyRecord) -> bytes:
        """An object's data key (a secret).

        Raises:
            KeyUnavailableError: It was destroyed, or does not open with this master. IntegrityError: the record was changed.
        """
        if record.wrapped is None:
            raise KeyUnavailableError(
                f"the key of {record.sha256} was destroyed when the object was disposed of",
                kept="Nobody can read it any more, in no copy.",
            )
        key = self._unwrap(record.epoch, record.wrapped)
        records.require_belongs(record, key)
        return key

    def cipher_of(self, record: KeyRecord) -> ChunkCipher:
        """Encrypts and decrypts an object's chunks; raises what :meth:`key_of` raises. Remembered as long as the record is."""
        with self._recent_guard:
            known = self._recent.get(record.sha256)
            if known is not None and known.cipher is not None and known.record == record:
                return known.cipher
        cipher = ChunkCipher(self.key_of(record), Header.parse(record.header))
        with self._recent_guard:
            known = self._recent.get(record.sha256)
            if known is not None and known.record == record:
                known.cipher = cipher
        return cipher

    def _unwrap(self, epoch: str, wrapped: bytes) -> bytes:
        return unwrap(self._months.open(epoch), wrapped, what=f"a data key does not open with the key of {epoch}")

    # --- the end of a key -------------------------------------------------------------------------------------------
    def destroy(self, sha256: Digest) -> str:
        """Destroy an object's key for good: tombstones first, then the index, then every place; looked at afterwards.

        May be called again until every place is clean.

        Returns:
            Digest (hex) of the wrapped key that is gone.

        Raises:
            BlobNotFoundError: The object never had a key.
            StoreUnavailableError: A place is away: the key is destroyed, that place still has its record. Call again, or sync.
        """
        with self._guard(sha256):
            record = self.find(sha256, everywhere=True)
            if record is None:
                raise BlobNotFoundError(f"{sha256} has no key")
            self.forget(sha256)
            gone, text = self._tombstone(record)
            away = self._each(lambda place: self._bury(place, gone, text))
            if len(away) == len(self._places):
                raise next(iter(away.values()))
            self._index.add(gone)
            away |= self._each(lambda place: self._remove(place, gone))
            self.forget(sha256)
        if away:
            raise StoreUnavailableError(
                f"the key of {sha256} is destroyed, but not yet beside " + ", ".join(sorted(away)),
                todo="Bring the store back; its keys are then brought up to date.",
            )
        return record.wrapped_sha256

    def _tombstone(self, record: KeyRecord) -> tuple[KeyRecord, bytes]:
        if not record.destroyed:
            gone = record.without_key(self._now())
            return gone, records.gone_text(gone, self.key_of(record))
        for place in self._places.values():
            try:
                text = place.read(records.gone_path(record.sha256, record.wrapped_sha256))
            except StoreUnavailableError:
                continue
            if text is not None:
                return record, text
        raise StoreUnavailableError(f"no place that answers has the tombstone of {record.sha256}")

    def _bury(self, place: KeyPlace, gone: KeyRecord, text: bytes) -> None:
        path = records.gone_path(gone.sha256, gone.wrapped_sha256)
        if place.read(path) is None:  # one that stands already is as good, whatever its time
            place.write_new(path, text)

    def _remove(self, place: KeyPlace, gone: KeyRecord) -> None:
        path = records.record_path(gone.sha256)
        for aside in list(place.paths(records.aside_folder(gone.sha256))):
            place.remove(aside)  # a damaged record may hold the whole key
        standing = place.read(path)
        if standing is None:
            return
        try:
            other = records.parse_record(standing).wrapped_sha256 != gone.wrapped_sha256
        except IntegrityError:
            other = False  # also a half overwritten one goes
        if not other:
            place.remove(path)

    def _each(self, act: Callable[[KeyPlace], None]) -> dict[str, EvidenceError]:
        failed: dict[str, EvidenceError] = {}
        for place in self._places.values():
            try:
                act(place)
            except EvidenceError as error:
                if error.fatal:
                    raise
                failed[place.name] = error
        return failed

    def is_gone(self, record: KeyRecord) -> bool:
        """Whether any place that answers has a tombstone of this live record that its key proves."""
        path = records.gone_path(record.sha256, record.wrapped_sha256)
        for place in self._places.values():
            try:
                text = place.read(path)
                if text is not None and self.proves_gone(text, record):
                    return True
            except (StoreUnavailableError, IntegrityError):
                continue
        return False

    def proves_gone(self, tombstone: bytes, record: KeyRecord) -> bool:
        """Whether a tombstone is of this live record and was written by somebody who had its key."""
        gone = records.parse_gone(tombstone)
        return gone.wrapped_sha256 == record.wrapped_sha256 and records.gone_is_proved(tombstone, self.key_of(record))

    # --- inside -----------------------------------------------------------------------------------------------------
    def _now(self) -> datetime:
        return from_text(to_text(self._clock.now().wall))  # whole milliseconds, as in every text

    def _guard(self, sha256: Digest) -> threading.RLock:
        return self._guards[int(sha256.hex[:2], 16) % _GUARDS]

    def _remembered(self, sha256: Digest) -> KeyRecord | None:
        with self._recent_guard:
            known = self._recent.get(sha256)
        return known.record if known is not None and time.monotonic() - known.at < _REMEMBERED_S else None

    def _remember(self, record: KeyRecord) -> None:
        with self._recent_guard:
            self._recent[record.sha256] = _Known(time.monotonic(), record)
            self._recent.move_to_end(record.sha256)
            while len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)

    def forget(self, sha256: Digest) -> None:
        """Look again at the next question: the record was changed by other means."""
        with self._recent_guard:
            self._recent.pop(sha256, None)
