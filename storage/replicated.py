"""One blob store over several: every blob in each of them, readable from any of them.

The service reads through it: a copy that fails, also half-way, is replaced by the next one at the same byte, and whoever repairs
is told. It writes through ``StoreSet`` and the workflows instead, because a copy counts only with its entry.

An act counts when the quorum carried it out; what is missing elsewhere is made good by putting again. ``verify`` has no quorum:
every copy must be sound.
"""

from __future__ import annotations

import heapq
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import BinaryIO, TypeVar

from evidence.digest import Digest
from evidence.errors import (
    BlobLockedError,
    BlobNotFoundError,
    ConfigError,
    DigestMismatchError,
    EvidenceError,
    IntegrityError,
    InvalidInputError,
    StoreError,
    StoreUnavailableError,
)
from evidence.model import BlobStat, PutReceipt, StoreProperties
from evidence.ports import BlobStore
from evidence.transfer import Progress
from storage.reading import CHUNK_BYTES, StreamRange, checked_range

_Answer = TypeVar("_Answer")
#: Weakest first: several stores together are only as protected as the weakest of them.
_STRENGTH = ("none", "mode-only", "immutable", "object-lock")


class Replicated:
    """Implements BlobStore over other stores.

    Args:
        stores: Two or more, in the order in which they are read.
        quorum: How many must have carried out a write for it to count; 1 to the number of stores.
        name: Name of the whole.
        on_bad_copy: Told of a blob of which a copy could not be read as it should be although its store answers; must return at
            once.

    Raises:
        ConfigError: Fewer than two stores, or a quorum outside their number.
    """

    def __init__(
        self,
        stores: Sequence[BlobStore],
        *,
        quorum: int,
        name: str = "replicated",
        on_bad_copy: Callable[[Digest], None] = lambda _sha256: None,
    ) -> None:
        if len({store.properties.name for store in stores}) != len(stores) or len(stores) < 2:
            raise ConfigError("a replicated store needs two or more stores with different names")
        if not 1 <= quorum <= len(stores):
            raise ConfigError(f"a quorum of {quorum} makes no sense over {len(stores)} stores")
        self.stores = tuple(stores)
        self._quorum = quorum
        self._name = name
        self._on_bad_copy = on_bad_copy

    @property
    def properties(self) -> StoreProperties:
        """The whole: all domains, the weakest protection."""
        parts = [store.properties for store in self.stores]
        return StoreProperties(
            name=self._name,
            kind="replicated",
            domain="+".join(sorted({part.domain for part in parts})),
            location=", ".join(part.location for part in parts),
            protection=min((part.protection for part in parts), key=_STRENGTH.index),
            versions=False,
        )

    # --- writing ----------------------------------------------------------------------------------------------------
    def put_all(
        self, source: BinaryIO, *, sha256: Digest, size_bytes: int, retain_until: datetime | None = None
    ) -> dict[str, PutReceipt | EvidenceError]:
        """Put into every store and tell for each what came of it.

        A source that cannot be read twice feeds the first store; the others then read from the first copy.

        Raises:
            DigestMismatchError: The source is not the stated blob. EvidenceError: a fatal one (NotDurableError).
        """
        return self._give_all(
            source,
            sha256,
            lambda store, stream: store.put(stream, sha256=sha256, size_bytes=size_bytes, retain_until=retain_until),
        )

    def _give_all(
        self, source: BinaryIO, sha256: Digest, act: Callable[[BlobStore, BinaryIO], PutReceipt]
    ) -> dict[str, PutReceipt | EvidenceError]:
        outcomes: dict[str, PutReceipt | EvidenceError] = {}
        start = source.tell() if source.seekable() else None
        for position, store in enumerate(self.stores):
            try:
                with self._replay(source, start, position, outcomes, sha256) as stream:
                    outcomes[store.properties.name] = act(store, stream)
            except DigestMismatchError:
                raise
            except EvidenceError as error:
                if error.fatal:
                    raise
                outcomes[store.properties.name] = error
        return outcomes

    def _replay(
        self,
        source: BinaryIO,
        start: int | None,
        position: int,
        outcomes: dict[str, PutReceipt | EvidenceError],
        sha256: Digest,
    ) -> _Lent:
        if position == 0:
            return _Lent(source, owned=False)
        if start is not None:
            source.seek(start)
            return _Lent(source, owned=False)
        for store in self.stores[:position]:
            if isinstance(outcomes[store.properties.name], PutReceipt):
                return _Lent(store.open(sha256), owned=True)
        raise StoreError("the source cannot be read a second time", todo="Start the transfer again.")

    def put(
        self, source: BinaryIO, *, sha256: Digest, size_bytes: int, retain_until: datetime | None = None
    ) -> PutReceipt:
        """Put into every store; durable in at least the quorum on return.

        Returns:
            The first receipt; ``created`` when any store made the blob.

        Raises:
            StoreError: (or the family member the first failing store raised) fewer than the quorum; the text says
                which stores failed and why. What was written stays.
        """
        outcomes = self.put_all(source, sha256=sha256, size_bytes=size_bytes, retain_until=retain_until)
        return self._receipt("store the blob", outcomes, sha256, size_bytes)

    def repair(
        self, source: BinaryIO, *, sha256: Digest, size_bytes: int, retain_until: datetime | None = None
    ) -> PutReceipt:
        """Put good bytes in the place of every copy that is damaged, unreadable or missing.

        Returns:
            The first receipt; ``created`` when any copy was made good.

        Raises:
            DigestMismatchError: The source is not the stated blob. StoreError: fewer than the quorum are sound now.
        """
        outcomes = self._give_all(
            source,
            sha256,
            lambda store, stream: store.repair(stream, sha256=sha256, size_bytes=size_bytes, retain_until=retain_until),
        )
        return self._receipt("repair the blob", outcomes, sha256, size_bytes)

    def _receipt(
        self, act: str, outcomes: dict[str, PutReceipt | EvidenceError], sha256: Digest, size_bytes: int
    ) -> PutReceipt:
        self._require_quorum(act, outcomes)
        receipts = [outcome for outcome in outcomes.values() if isinstance(outcome, PutReceipt)]
        return PutReceipt(
            key=receipts[0].key,
            version=receipts[0].version,
            sha256=sha256,
            size_bytes=size_bytes,
            created=any(receipt.created for receipt in receipts),
        )

    # --- reading ----------------------------------------------------------------------------------------------------
    def open(self, sha256: Digest, *, offset: int = 0, length: int | None = None) -> BinaryIO:
        """Open a range in the first store that gives it; when that one fails half-way, the next one goes on.

        A copy that was cut off gives no range beyond its end, and does not tell how long the blob is.

        Raises:
            BlobNotFoundError: No store has it. StoreError: no store that has it can be read. InvalidInputError: no store
                has such a range. DigestMismatchError: the copies differ in size, and none of them is sound.
        """
        stores: Sequence[BlobStore] = self.stores
        if length is None:
            stores, size_bytes = self._of_one_size(sha256)
            length = checked_range(size_bytes, offset, length)
        reader = _Failover(stores, sha256, offset=offset, length=length, on_bad_copy=self._on_bad_copy)
        return io.BufferedReader(StreamRange(reader.pull, length=length, release=reader.release), CHUNK_BYTES)

    def stat(self, sha256: Digest) -> BlobStat:
        """Of all stores that answer: latest date, any hold, weakest protection."""
        outcomes = self._each(lambda store: store.stat(sha256))
        stats = [outcome for outcome in outcomes.values() if isinstance(outcome, BlobStat)]
        if not stats or any(isinstance(outcome, IntegrityError) for outcome in outcomes.values()):
            raise _joined("look at the blob", outcomes)
        return BlobStat(
            key=stats[0].key,
            size_bytes=stats[0].size_bytes,
            version=stats[0].version,
            protection=min((stat.protection for stat in stats), key=_STRENGTH.index),
            retain_until=max((stat.retain_until for stat in stats if stat.retain_until), default=None),
            hold=any(stat.hold for stat in stats),
            bytes_at=" ".join(sorted({stat.bytes_at for stat in stats})),
        )

    def exists(self, sha256: Digest) -> bool:
        """Whether any store has it; StoreUnavailableError when none has and one could not tell."""
        outcomes = self._each(lambda store: store.exists(sha256))
        if any(outcome is True for outcome in outcomes.values()):
            return True
        if any(isinstance(outcome, EvidenceError) for outcome in outcomes.values()):
            raise _joined("look for the blob", outcomes)
        return False

    def verify(self, sha256: Digest, expected: Digest, *, progress: Progress | None = None) -> None:
        """Read back and compare the copy in every store; all of them are looked at before anything is raised.

        Raises:
            DigestMismatchError: A copy has other bytes. BlobNotFoundError: one is missing. StoreError: one could not be
                read. The text says which.
        """
        outcomes = self._each(lambda store: store.verify(sha256, expected, progress=progress))
        if any(isinstance(outcome, EvidenceError) for outcome in outcomes.values()):
            raise _joined("verify every copy", outcomes)

    def list(self) -> Iterator[Digest]:
        """Every blob that any store has, ascending, once."""
        last = None
        for digest in heapq.merge(*(store.list() for store in self.stores)):
            if digest != last:
                yield digest
            last = digest

    # --- locks ------------------------------------------------------------------------------------------------------
    def extend_retention(self, sha256: Digest, until: datetime) -> None:
        """In every store; the quorum must have done it."""
        self._require_quorum("extend the retention", self._each(lambda store: store.extend_retention(sha256, until)))

    def set_hold(self, sha256: Digest, *, reference: str) -> None:
        """In every store; the quorum must have done it."""
        outcomes = self._each(lambda store: store.set_hold(sha256, reference=reference))
        self._require_quorum("set the hold", outcomes)

    def release_hold(self, sha256: Digest, *, reference: str) -> None:
        """In every store; the quorum must have done it (a store that failed goes on holding)."""
        outcomes = self._each(lambda store: store.release_hold(sha256, reference=reference))
        self._require_quorum("release the hold", outcomes)

    def delete(self, sha256: Digest, *, now: datetime) -> None:
        """Remove every copy. Nothing is removed while any store holds, keeps or cannot tell.

        Raises:
            BlobLockedError: A store holds or keeps it. BlobNotFoundError: no store has it.
            StoreError: A store could not tell (nothing removed) or failed (others may be removed; call again).
        """
        stats = self._each(lambda store: store.stat(sha256))
        if all(isinstance(outcome, BlobNotFoundError) for outcome in stats.values()):
            raise BlobNotFoundError(f"{sha256} is in none of the stores")
        for name, outcome in stats.items():
            if isinstance(outcome, EvidenceError) and not isinstance(outcome, BlobNotFoundError):
                raise _joined("remove the blob", stats)
            if isinstance(outcome, BlobStat) and (
                outcome.hold or (outcome.retain_until is not None and now < outcome.retain_until)
            ):
                raise BlobLockedError(f"{sha256} is under retention or hold in store {name}")
        outcomes = self._each(lambda store: store.delete(sha256, now=now))
        failed = {
            name: outcome
            for name, outcome in outcomes.items()
            if isinstance(outcome, EvidenceError) and not isinstance(outcome, BlobNotFoundError)
        }
        if failed:
            raise _joined("remove every copy", failed)

    # --- inside -----------------------------------------------------------------------------------------------------
    def _each(self, act: Callable[[BlobStore], _Answer]) -> dict[str, _Answer | EvidenceError]:
        outcomes: dict[str, _Answer | EvidenceError] = {}
        for store in self.stores:
            try:
                outcomes[store.properties.name] = act(store)
            except EvidenceError as error:
                if error.fatal:
                    raise
                outcomes[store.properties.name] = error
        return outcomes

    def _of_one_size(self, sha256: Digest) -> tuple[Sequence[BlobStore], int]:
        """The stores that have the blob, and its size. Where they disagree, every copy is read: only sound ones count."""
        outcomes = self._each(lambda store: store.stat(sha256).size_bytes)
        if len({size for size in outcomes.values() if isinstance(size, int)}) > 1:
            self._on_bad_copy(sha256)
            checks = self._each(lambda store: store.verify(sha256, sha256))
            outcomes |= {name: check for name, check in checks.items() if isinstance(check, EvidenceError)}
        stores = [store for store in self.stores if isinstance(outcomes[store.properties.name], int)]
        sizes = [size for size in outcomes.values() if isinstance(size, int)]
        if not sizes:
            raise _joined("read the blob", outcomes)
        return stores, sizes[0]

    def _require_quorum(self, act: str, outcomes: dict[str, _Answer | EvidenceError]) -> None:
        done = sum(not isinstance(outcome, EvidenceError) for outcome in outcomes.values())
        if done < self._quorum:
            raise _joined(act, outcomes)


class _Lent:
    """A stream that is closed after use only when it was opened for that use."""

    def __init__(self, stream: BinaryIO, *, owned: bool) -> None:
        self._stream = stream
        self._owned = owned

    def __enter__(self) -> BinaryIO:
        return self._stream

    def __exit__(self, *_: object) -> None:
        if self._owned:
            self._stream.close()


class _Failover:
    """Pulls a range from the first store that gives it and goes on at the same byte in the next one when that fails."""

    def __init__(
        self,
        stores: Sequence[BlobStore],
        sha256: Digest,
        *,
        offset: int,
        length: int,
        on_bad_copy: Callable[[Digest], None],
    ) -> None:
        self._on_bad_copy = on_bad_copy
        self._waiting = list(stores)
        self._sha256 = sha256
        self._offset = offset
        self._left = length
        self._stream: BinaryIO | None = None
        self._failures: dict[str, EvidenceError] = {}
        self._reading = ""
        self._next()

    def pull(self, size: int) -> bytes:
        while self._stream is not None:
            try:
                data = self._stream.read(size)
            except EvidenceError as error:
                self._failures[self._reading] = error
                self._next()
                continue
            self._offset += len(data)
            self._left -= len(data)
            return data
        raise _joined("read the blob", self._failures)

    def _next(self) -> None:
        self.release()
        while self._waiting:
            store = self._waiting.pop(0)
            self._reading = store.properties.name
            try:
                self._stream = store.open(self._sha256, offset=self._offset, length=self._left)
            except EvidenceError as error:
                self._failures[self._reading] = error
            else:
                self._tell()
                return
        if not all(isinstance(error, InvalidInputError) for error in self._failures.values()):
            self._tell()  # else nobody has such a range: nothing is wrong with the copies
        raise _joined("read the blob", self._failures)

    def _tell(self) -> None:
        if any(not isinstance(error, StoreUnavailableError) for error in self._failures.values()):
            self._on_bad_copy(self._sha256)

    def release(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def _joined(act: str, outcomes: Mapping[str, object]) -> EvidenceError:
    """One error for the failures of several stores, of the gravest kind among them: damage, loss, the first other."""
    failures = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, EvidenceError)}
    what = f"cannot {act} in " + "; ".join(f"{name}: {error.what}" for name, error in failures.items())
    for kind in (IntegrityError, BlobLockedError, StoreUnavailableError):
        for error in failures.values():
            if isinstance(error, kind):
                return type(error)(what, kept=error.kept, todo=error.todo)
    first = next(iter(failures.values()))
    return type(first)(what, kept=first.kept, todo=first.todo)
