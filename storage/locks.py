"""What was ordered about a blob in a local store: keep until, hold, release of a hold, removal.

Records are only ever added, one file each, each naming the SHA-256 of the one before it. Bytes are shared by digest, so the
latest date wins and any hold that was not released holds. A changed or missing record in the middle is found at the next
reading. A record cut off at the end is not found here (the custody log, which holds the same orders, finds it).

References are opaque to the store and stay for ever: they must carry no personal data.

Source: docs/formats/store.md; docs/invariants.md "latest date wins, any hold holds".
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from evidence import canonical
from evidence.clock import Clock, from_text, to_text
from evidence.digest import Digest
from evidence.durable import fsync_file, link_open, write_all
from evidence.errors import EvidenceError, IntegrityError, InvalidInputError, LimitExceededError
from evidence.lock_dates import NO_DATE
from storage import layout, protection
from storage.tree import StoreTree, os_errors

_REFERENCE_CHARS_MAX = 200
_RECORD_BYTES_MAX = 4096
_RECORDS_MAX = 999_999
_FIELDS = {"retain": "until", "hold": "reference", "release": "reference", "delete": None}


def check_reference(reference: str) -> str:
    """A hold's reference: 1 to 200 printable characters; InvalidInputError otherwise."""
    if not 0 < len(reference) <= _REFERENCE_CHARS_MAX or not reference.isprintable():
        raise InvalidInputError("a hold needs a reference of 1 to 200 printable characters")
    return reference


@dataclass(frozen=True, slots=True)
class LockState:
    """The sum of all records of one blob.

    Attributes:
        retain_until: Latest date ordered, None when none was.
        holds: References of the holds that stand.
        count: Number of records.
        head: SHA-256 (hexadecimal) of the last record, empty when there is none.
    """

    retain_until: datetime | None = None
    holds: frozenset[str] = frozenset()
    count: int = 0
    head: str = ""

    def forbids_removal(self, now: datetime) -> bool:
        """Whether the blob must stay at ``now``."""
        return bool(self.holds) or (self.retain_until is not None and now < self.retain_until)

    def with_record(self, record: Mapping[str, Any], head: str) -> LockState:
        """The state after one more (already validated) record."""
        until, holds = self.retain_until, self.holds
        if record["kind"] == "retain":
            ordered = from_text(record["until"])
            until = ordered if until is None else max(until, ordered)
        elif record["kind"] == "hold":
            holds |= {record["reference"]}
        elif record["kind"] == "release":
            holds -= {record["reference"]}
        return LockState(until, holds, self.count + 1, head)


class LockRecords:
    """Reads and adds lock records. The caller serialises additions per blob; a foreign process is still never overwritten.

    Args:
        tree: The store's folder.
        clock: Read for the time that is written into records.
        immutable: Set the kernel's flag on records; may be changed when the disk turns out to be able to.
        ordered: Called before each addition: the store remembers the time.
    """

    def __init__(
        self, tree: StoreTree, *, clock: Clock, immutable: bool, ordered: Callable[[], None] = lambda: None
    ) -> None:
        self._ordered = ordered
        self._tree = tree
        self._clock = clock
        self.immutable = immutable

    def state(self, sha256: Digest) -> LockState:
        """Sum up the records of one blob (none: nothing stands).

        Raises:
            IntegrityError: A record is missing, changed or not of our form.
        """
        state = LockState()
        with os_errors("read lock records"):
            try:
                with self._tree.folder(layout.lock_folder(sha256)) as folder:
                    for _, now in chain(folder, sha256):
                        state = now
            except FileNotFoundError:
                return LockState()
        return state

    def retain(self, sha256: Digest, until: datetime) -> None:
        """Order that the blob is kept until then. An earlier date than the one in force adds nothing. Durable on return.

        ``NO_DATE`` orders nothing.
        """
        state = self.state(sha256)
        until = from_text(to_text(until))
        if until > (state.retain_until or NO_DATE):
            self._add(sha256, state, {"kind": "retain", "until": to_text(until)})
        elif state.count:
            self._make_durable(sha256)

    def hold(self, sha256: Digest, reference: str) -> None:
        """Order a hold; a second one with the same reference adds nothing. Durable on return."""
        state = self.state(sha256)
        if check_reference(reference) not in state.holds:
            self._add(sha256, state, {"kind": "hold", "reference": reference})
        else:
            self._make_durable(sha256)

    def release(self, sha256: Digest, reference: str) -> None:
        """Release a hold; an unknown reference adds nothing. Durable on return."""
        state = self.state(sha256)
        if check_reference(reference) in state.holds:
            self._add(sha256, state, {"kind": "release", "reference": reference})
        elif state.count:
            self._make_durable(sha256)

    def removal(self, sha256: Digest) -> None:
        """Note that the blob is about to be removed, so that an auditor can tell disposal from loss. Durable on return."""
        self._add(sha256, self.state(sha256), {"kind": "delete"})

    def _make_durable(self, sha256: Digest) -> None:
        """The order stands already; the process that gave it may have been killed before its record was on the medium."""
        with os_errors("make lock records durable"):
            self._tree.make_durable(layout.lock_folder(sha256))

    def _add(self, sha256: Digest, state: LockState, order: Mapping[str, str]) -> None:
        self._ordered()
        while not self._try_add(sha256, state, order):
            state = self.state(sha256)  # another process was faster: continue its chain

    def _try_add(self, sha256: Digest, state: LockState, order: Mapping[str, str]) -> bool:
        if state.count >= _RECORDS_MAX:
            raise LimitExceededError(f"{sha256} has {state.count} lock records")
        at = to_text(self._clock.now().wall)
        record = canonical.dumps({**order, "at": at, "prev": state.head, "sha256": sha256.hex})
        with os_errors("write a lock record"), self._tree.scratch() as file:
            write_all(file.fd, record)
            fsync_file(file.fd)
            with self._tree.made_folder(layout.lock_folder(sha256)) as folder:
                made = link_open(file.fd, f"{state.count:06d}.json", directory=folder)
            file.drop_name()
            if made and self.immutable:
                protection.make_immutable(file.fd)
        return made


def chain(folder: int, sha256: Digest) -> Iterator[tuple[str, LockState]]:
    """The records of one blob in their order: each one's file name, and the sum up to it.

    Args:
        folder: Descriptor of the blob's folder of records.
        sha256: The blob.

    Raises:
        IntegrityError: The next record is missing, changed or not of our form; those before it are sound.
    """
    state = LockState()
    for position, name in enumerate(sorted(os.listdir(folder))):
        if name != f"{position:06d}.json":
            raise IntegrityError(f"lock record {position} of {sha256} is missing")
        state = _checked(_read(folder, name), sha256, state)
        yield name, state


def _read(folder: int, name: str) -> bytes:
    fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        return os.read(fd, _RECORD_BYTES_MAX + 1)
    finally:
        os.close(fd)


def _checked(untrusted: bytes, sha256: Digest, state: LockState) -> LockState:
    """Validate the next record of a chain and add it up; IntegrityError when it is not the record that was written."""
    try:
        record = canonical.loads(untrusted)
        field = _FIELDS[record["kind"]]
        names = {"kind", "at", "prev", "sha256"} | ({field} if field else set())
        sound = set(record) == names and record["prev"] == state.head and record["sha256"] == sha256.hex
        if sound and field:
            sound = isinstance(record[field], str)
        if sound:
            return state.with_record(record, hashlib.sha256(untrusted).hexdigest())
    except (EvidenceError, KeyError, TypeError) as error:
        raise IntegrityError(f"lock record {state.count} of {sha256} is not one of ours") from error
    raise IntegrityError(
        f"lock record {state.count} of {sha256} was changed or does not follow the one before it",
        todo="Compare with the custody log; nothing is removed while this stands.",
    )
