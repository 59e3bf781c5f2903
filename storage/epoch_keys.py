"""The months' keys: each wraps the data keys made in its month, and is wrapped by the master beside every store.

So the master is asked once a month and once at every start, not for every object; and when it changes, only these few small files
are written again.

Source: docs/formats/store.md section "Encrypted objects"; docs/adr/0009-encryption.md.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from evidence.clock import Clock, from_text, to_text
from evidence.errors import (
    BlobConflictError,
    EvidenceError,
    IntegrityError,
    KeyUnavailableError,
    StoreUnavailableError,
)
from storage import key_records as records
from storage.chunked import KEY_BYTES
from storage.key_places import KeyPlace, describe
from storage.key_records import EpochFile
from storage.master_keys import MasterKey

#: How long a month's key is believed to lie in a place without a look: a disk may have been exchanged for an empty one.
_BELIEVED_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochKey:
    """A month's key as it is kept.

    Attributes:
        epoch: ``2026-11`` (with eight more digits where a place was away when it was made).
        master: Who wrapped it.
        wrapped_sha256: Digest of the wrapped key.
        made_at: When.
        places: Names of the places that have it.
    """

    epoch: str
    master: str
    wrapped_sha256: str
    made_at: datetime
    places: tuple[str, ...] = ()


class EpochKeys:
    """The months' keys of one home.

    Args:
        master: Wraps them.
        places: By name, in order.
        clock: Tells the month.
        made: Told of every key that was made, after it is durable, outside of any transaction.
    """

    def __init__(
        self, master: MasterKey, places: Mapping[str, KeyPlace], *, clock: Clock, made: Callable[[EpochKey], None]
    ) -> None:
        self._master = master
        self._places = places
        self._clock = clock
        self._made = made
        self._keys: dict[str, bytes] = {}
        self._files: dict[str, EpochFile] = {}  # as this master wrapped those that were opened
        self._at: dict[tuple[str, str], float] = {}
        self._guard = threading.RLock()

    def kept(self) -> list[EpochKey]:
        """Every month's key, by every master, in ascending order, of all places that answer.

        Raises:
            StoreUnavailableError: No place answers.
        """
        found: dict[str, EpochKey] = {}
        answered = 0
        for place in self._places.values():
            try:
                for path in list(place.paths("epochs")):
                    self._see(place, path, found)
            except StoreUnavailableError:
                continue
            answered += 1
        if not answered:
            raise StoreUnavailableError("no place for keys answers", todo="Mount the stores' disks.")
        return sorted(found.values(), key=lambda kept: (kept.epoch, kept.master))

    def _see(self, place: KeyPlace, path: str, found: dict[str, EpochKey]) -> None:
        try:
            file = EpochFile.parse(place.read(path) or b"", path)
        except IntegrityError:
            return  # told by ``check``; another place has a good one
        known = found.get(path)
        found[path] = EpochKey(
            epoch=file.epoch,
            master=file.master,
            wrapped_sha256=file.wrapped_sha256,
            made_at=file.made_at,
            places=(*(known.places if known else ()), place.name),
        )

    def open(self, epoch: str) -> bytes:
        """A month's key itself (a secret), from the first place that gives a good one.

        Raises:
            KeyUnavailableError: No place has it as this master wrapped it, or it does not open.
        """
        with self._guard:
            if epoch not in self._keys:
                self._keys[epoch] = self._open(epoch)
            return self._keys[epoch]

    def _open(self, epoch: str) -> bytes:
        why: list[str] = []
        path = records.epoch_path(epoch, self._master.id)
        for place in self._places.values():
            try:
                text = place.read(path)
                if text is not None:
                    file = EpochFile.parse(text, path)
                    key = self._master.unwrap(file.wrapped)
                    self._files[epoch] = file
                    return key
            except EvidenceError as error:
                why.append(f"{place.name}: {error.what}")
        raise KeyUnavailableError(
            f"the key of {epoch} does not open with master {self._master.id}" + "".join(f"; {text}" for text in why),
            kept="The ciphertext is untouched.",
            todo="Give the master key that wrapped it, or restore the keys from their backup.",
        )

    def ours(self) -> list[str]:
        """Months that this master wraps, ascending; empty only where no month was ever begun.

        Raises:
            KeyUnavailableError: Keys are there, but none that this master opens: it is not this home's master.
        """
        kept = self.kept()
        ours = sorted({key.epoch for key in kept if key.master == self._master.id})
        if kept and not ours:
            raise KeyUnavailableError(
                f"the keys here are wrapped by master {kept[-1].master}, this one is {self._master.id}",
                kept="Nothing was encrypted with another master.",
                todo="Give the master key of this home, or change it by the command for that.",
            )
        return ours

    def current(self) -> str:
        """The month whose key wraps new data keys now; its key is made when there is none yet.

        Raises:
            KeyUnavailableError: Keys are there, but none that this master opens: it is not this home's master.
        """
        month = to_text(self._clock.now().wall)[:7]
        with self._guard:
            for epoch in self._keys:
                if epoch[:7] == month:
                    return epoch
            for epoch in self.ours():
                if epoch[:7] == month:
                    self.open(epoch)
                    return epoch
            return self._make(month)

    def _make(self, month: str) -> str:
        # A place that is away may have a key of this name; with random digits two of them never meet in one path.
        epoch = month if self._all_answer() else f"{month}-{secrets.token_hex(4)}"
        key = secrets.token_bytes(KEY_BYTES)
        return self._keep(epoch, key)

    def _keep(self, epoch: str, key: bytes) -> str:
        file = EpochFile(
            epoch=epoch,
            master=self._master.id,
            wrapped=self._master.wrap(key),
            made_at=from_text(to_text(self._clock.now().wall)),
        )
        path, kept = records.epoch_path(epoch, self._master.id), []
        errors: list[EvidenceError] = []
        for place in self._places.values():
            try:
                describe(place)
                place.write_new(path, file.text())
                kept.append(place.name)
            except BlobConflictError:
                if kept:
                    raise
                self.open(epoch)  # another process was faster: its key is the month's
                return epoch
            except EvidenceError as error:
                if error.fatal:
                    raise
                errors.append(error)
        if not kept:
            raise errors[0]
        self._keys[epoch], self._files[epoch] = key, file
        self._at |= dict.fromkeys(((epoch, name) for name in kept), time.monotonic())
        self._made(
            EpochKey(
                epoch=epoch,
                master=self._master.id,
                wrapped_sha256=file.wrapped_sha256,
                made_at=file.made_at,
                places=tuple(kept),
            )
        )
        return epoch

    def adopt(self, epoch: str, key: bytes) -> None:
        """Take in a month's key from a backup: wrapped by this master, into every place that answers.

        Raises:
            IntegrityError: Another key of that name opens here. InvalidInputError: not a month.
        """
        if not records.EPOCH.fullmatch(epoch):
            raise IntegrityError(f"not a month of keys: {epoch[:40]!r}")
        with self._guard:
            try:
                known = self.open(epoch)
            except KeyUnavailableError:
                self._keep(epoch, key)
                known = self.open(epoch)
            if known != key:
                raise IntegrityError(f"another key of {epoch} is in use here", kept="Nothing was changed.")

    def rewrap(self, new: MasterKey) -> list[EpochKey]:
        """Wrap every month's key by another master as well, in every place. The old ones stay until :meth:`retire`.

        Raises:
            KeyUnavailableError: A month's key does not open now. StoreError: a place does not take it.
        """
        done = []
        for kept in self.kept():
            if kept.master != self._master.id:
                continue
            wrapped = new.wrap(self.open(kept.epoch))
            file = EpochFile(epoch=kept.epoch, master=new.id, wrapped=wrapped, made_at=kept.made_at)
            for place in self._places.values():
                place.write_new(records.epoch_path(kept.epoch, new.id), file.text())
            done.append(
                EpochKey(
                    epoch=kept.epoch, master=new.id, wrapped_sha256=file.wrapped_sha256, made_at=kept.made_at,
                    places=tuple(self._places),
                )
            )  # fmt: skip
        return done

    def retire(self, master: str) -> int:
        """Remove what another master wrapped, everywhere; returns how many files went.

        Raises:
            KeyUnavailableError: It is the master in use, or a month would be left that this one does not open.
        """
        kept = self.kept()
        ours = {key.epoch for key in kept if key.master == self._master.id}
        theirs = [key for key in kept if key.master == master]
        if master == self._master.id or any(key.epoch not in ours for key in theirs):
            raise KeyUnavailableError("that master is still needed", kept="Nothing was removed.")
        for key in theirs:
            self.open(key.epoch)
        for key in theirs:
            for place in self._places.values():
                place.remove(records.epoch_path(key.epoch, master))
        return len(theirs)

    def _all_answer(self) -> bool:
        for place in self._places.values():
            try:
                next(place.paths("epochs"), None)
            except EvidenceError:
                return False
        return True

    def spread(self, epoch: str, place: KeyPlace, *, look: bool = False) -> None:
        """Have a month's key in a place before a record that needs it; one that nobody can open any more is written anew.

        Args:
            epoch: The month.
            place: Where.
            look: Also where it was seen a moment ago.

        Raises:
            IntegrityError: Another key of that month stands there. KeyUnavailableError: it does not open.
        """
        seen = self._at.get((epoch, place.name))
        if not look and seen is not None and time.monotonic() - seen < _BELIEVED_S:
            return
        self.open(epoch)
        file, path = self._files[epoch], records.epoch_path(epoch, self._master.id)
        standing = place.read(path)
        if standing is not None and not _same(standing, path, file):
            if not self._is_rotten(standing, path, file):
                raise IntegrityError(
                    f"another key of {epoch} stands beside store {place.name}", kept="Nothing was overwritten.",
                    todo="Compare the keys beside all stores; find out which of them opens the data keys.",
                )  # fmt: skip
            place.remove(path)
            standing = None
        if standing is None:
            describe(place)
            place.write_new(path, file.text())
        self._at[epoch, place.name] = time.monotonic()

    def _is_rotten(self, standing: bytes, path: str, ours: EpochFile) -> bool:
        """Whether what stands there opens no more, although the master is there and opens ours."""
        self._master.unwrap(ours.wrapped)  # a token that does not answer must not make a good key look rotten
        try:
            self._master.unwrap(EpochFile.parse(standing, path).wrapped)
        except (IntegrityError, KeyUnavailableError):
            return True
        return False


def _same(standing: bytes, path: str, ours: EpochFile) -> bool:
    try:
        return EpochFile.parse(standing, path).wrapped == ours.wrapped
    except IntegrityError:
        return False
