"""Personal values kept apart, encrypted, on every local store: with log, stores and one key a rebuild has everything.

A segment holds the disclosures of a range of log entries: ``disclosures/NNNNNN.seg`` below each store's root, AES-256-GCM
with a fresh nonce, its own number bound in. The last segment is rewritten until it is full; then the next one begins. Each
root is brought up from what it already holds, so a disk that was away catches up by itself.

What was erased from the catalogue is dropped from the segments by :meth:`DisclosureArchive.drop_erased`, which rewrites
them. The key lies in the home only (``keys/disclosures.key``): a stolen store tells no names.

Crash: a segment is replaced atomically, so the old or the new one stands; the next :meth:`DisclosureArchive.sync` goes on.

Source: RFC 9901; NIST SP 800-38D; docs/invariants.md 3; docs/formats/disclosures.md.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from catalogue import Catalogue
from chain_of_custody.disclosures import digest_of
from chain_of_custody.entry import parse
from evidence import canonical
from evidence.durable import make_dirs, publish, publish_new
from evidence.errors import (
    BlobConflictError,
    EvidenceError,
    IntegrityError,
    KeyUnavailableError,
    StoreError,
    StoreUnavailableError,
)
from evidence.limits import SEAL_BATCH_MAX
from evidence.ports import Disclosure
from storage import layout

FOLDER: Final = "disclosures"
#: Entries whose disclosures one segment holds: a few hundred kilobytes, rewritten at most that often.
SEGMENT_ENTRIES: Final = 4_096
_MAGIC: Final = b"LHDS1\n"
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_SEGMENT_BYTES_MAX: Final = 1 << 30
_NAME = re.compile(r"([0-9]{6})\.seg")


def generate_key(path: Path) -> bytes:
    """Make the key file (32 random bytes in hexadecimal, mode 0600); durable on return, never replaces one."""
    key = secrets.token_bytes(_KEY_BYTES)
    try:
        make_dirs(path.parent, 0o700)
        publish_new(path, key.hex().encode("ascii") + b"\n", mode=0o600)
    except BlobConflictError as error:
        raise KeyUnavailableError(f"{path.name} exists; it was not overwritten") from error
    except OSError as error:
        raise KeyUnavailableError(f"cannot write {path.name}: {os.strerror(error.errno or 0)}") from error
    return key


def load_key(path: Path) -> bytes:
    """Read the key file.

    Raises:
        KeyUnavailableError: Missing, readable by others, or not such a key.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise KeyUnavailableError(f"{path.name} can be read by others", todo="Set its mode to 0600.")
        key = bytes.fromhex(path.read_text("ascii").strip())
    except (OSError, ValueError) as error:
        raise KeyUnavailableError(f"cannot open {path.name}", todo="Restore it from the key backup.") from error
    if len(key) != _KEY_BYTES:
        raise KeyUnavailableError(f"{path.name} does not hold a key of {_KEY_BYTES} bytes")
    return key


@dataclass(frozen=True, slots=True)
class Segment:
    """Disclosures of the entries ``first`` to ``end`` (exclusive)."""

    number: int
    first: int
    end: int
    disclosures: tuple[Disclosure, ...]


@dataclass(frozen=True, slots=True)
class Rescued:
    """What could still be read of all roots together, and what could not: ``(root, why)`` for each segment or root.

    ``covered`` are the ranges of entries, first and end, of whose values this is all that there is; of the others a backup may
    tell.
    """

    disclosures: tuple[Disclosure, ...]
    unread: tuple[tuple[Path, str], ...]
    covered: tuple[tuple[int, int], ...] = ()


class DisclosureArchive:
    """The encrypted segments below several roots.

    Args:
        key: 32 bytes.
        roots: Roots of the local stores.
        segment_entries: Entries per segment.
    """

    def __init__(self, key: bytes, roots: Sequence[Path], *, segment_entries: int = SEGMENT_ENTRIES) -> None:
        if len(key) != _KEY_BYTES:
            raise KeyUnavailableError(f"the disclosure key has {_KEY_BYTES} bytes")
        self._cipher = AESGCM(key)
        self._roots = tuple(roots)
        self._entries = segment_entries
        # Two at once could write a full segment back to an older, shorter state behind the segment that follows it.
        self._writing = threading.Lock()

    @property
    def roots(self) -> tuple[Path, ...]:
        """Roots of the stores that hold segments."""
        return self._roots

    def sync(self, catalogue: Catalogue) -> int:
        """Add the disclosures of entries that were published since the last time; durable in every root on return.

        Returns:
            How many entries were added in the root that lagged most.

        Raises:
            StoreUnavailableError: A root is missing or full; the others are up to date. Call again.
            IntegrityError: A segment was altered; nothing is written over it, and the other roots are up to date.
        """
        added = 0
        failed: StoreError | None = None
        altered: IntegrityError | None = None
        with self._writing:
            with catalogue.read() as uow:
                head = uow.outbox.head()
            size = head.published_size if head is not None else 0
            for root in self._roots:
                try:
                    added = max(added, self._bring_up(catalogue, root, size))
                except StoreError as error:
                    if error.fatal:
                        raise
                    failed = failed or error
                except IntegrityError as error:
                    altered = altered or error
        if altered is not None:
            raise altered
        if failed is not None:
            raise StoreUnavailableError(f"a copy of the disclosures lags: {failed.what}") from failed
        return added

    def drop_erased(self, catalogue: Catalogue) -> int:
        """Rewrite every segment that still holds a value the catalogue no longer has; returns how many values went."""
        with self._writing:
            return sum(self._drop(catalogue, root, segment) for root in self._roots for segment in self.segments(root))

    def _drop(self, catalogue: Catalogue, root: Path, segment: Segment) -> int:
        with catalogue.read() as uow:
            alive = uow.outbox.disclosures_of([one.digest for one in segment.disclosures])
        kept = tuple(one for one in segment.disclosures if one.digest in alive)
        if len(kept) < len(segment.disclosures):
            self._write(root, Segment(segment.number, segment.first, segment.end, kept))
        return len(segment.disclosures) - len(kept)

    def read_all(self, root: Path) -> Iterator[Disclosure]:
        """Every disclosure below one root.

        Raises:
            IntegrityError: A segment was altered, is missing, or another key made it.
        """
        for segment in self.segments(root):
            yield from segment.disclosures

    def rescue(self) -> Rescued:
        """Everything that can be read: from the root whose segments reach furthest, and from the others what it lacks.

        Where two roots hold one segment the one that reaches further tells it: a root that was away may still hold values
        that were erased meanwhile. Damage never raises: names may be lost, the evidence does not depend on them.
        """
        unread: list[tuple[Path, str]] = []
        read = [self._read_what_is_there(root, unread) for root in self._roots]
        read.sort(key=lambda segments: max((one.end for one in segments.values()), default=0), reverse=True)
        best = {
            number: max((segments[number] for segments in read if number in segments), key=lambda one: one.end)
            for number in sorted(set().union(*read))
        }
        return Rescued(
            tuple(one for segment in best.values() for one in segment.disclosures),
            tuple(unread),
            tuple((segment.first, segment.end) for segment in best.values()),
        )

    def _read_what_is_there(self, root: Path, unread: list[tuple[Path, str]]) -> dict[int, Segment]:
        segments: dict[int, Segment] = {}
        try:
            if not root.is_dir():
                raise StoreUnavailableError(f"{root.name} is not there")
            numbers = self._numbers(root)
        except StoreUnavailableError as error:
            unread.append((root, error.what))
            return segments
        for number in range(numbers[-1] + 1 if numbers else 0):
            try:
                segments[number] = self._read(root, number)
            except (IntegrityError, StoreUnavailableError) as error:
                unread.append((root, error.what))
        return segments

    # --- one root -----------------------------------------------------------------------------------------------------
    def _bring_up(self, catalogue: Catalogue, root: Path, size: int) -> int:
        if not (root / layout.MARKER).is_file():  # an empty mount point is a folder, too: nothing is written into it
            raise StoreUnavailableError(f"{root.name} is not there")
        last = self._last(root)
        start = last.end if last is not None else 0
        if last is None or last.end - last.first >= self._entries:
            last = Segment(0 if last is None else last.number + 1, start, start, ())
        while last.end < size:
            end = min(last.first + self._entries, size)
            found = disclosures_between(catalogue, last.end, end)
            last = Segment(last.number, last.first, end, (*last.disclosures, *found))
            self._write(root, last)
            if end - last.first >= self._entries:
                last = Segment(last.number + 1, end, end, ())
        return max(0, size - start)

    def _numbers(self, root: Path) -> list[int]:
        try:
            names = [entry.name for entry in (root / FOLDER).iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreUnavailableError(f"cannot list the disclosures: {os.strerror(error.errno or 0)}") from error
        return sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))

    def _last(self, root: Path) -> Segment | None:
        numbers = self._numbers(root)
        return self._read(root, numbers[-1]) if numbers else None

    def segments(self, root: Path) -> Iterator[Segment]:
        """Every segment below one root, in order.

        Raises:
            IntegrityError: A segment was altered, is missing, or another key made it.
            StoreUnavailableError: The root is not there, or cannot be read.
        """
        if not root.is_dir():
            raise StoreUnavailableError(f"{root.name} is not there")
        end = 0
        for position, number in enumerate(self._numbers(root)):
            segment = self._read(root, number)
            if number != position or segment.first != end:
                raise IntegrityError(f"disclosure segment {position} is missing")
            end = segment.end
            yield segment

    # --- one segment --------------------------------------------------------------------------------------------------
    def _write(self, root: Path, segment: Segment) -> None:
        body = canonical.dumps(
            {
                "disclosures": [
                    {"digest": one.digest, "name": one.name, "text": one.text} for one in segment.disclosures
                ],
                "end": segment.end,
                "first": segment.first,
            }
        )
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = _MAGIC + nonce + self._cipher.encrypt(nonce, body, _bound(segment.number))
        try:
            publish(root / FOLDER / f"{segment.number:06d}.seg", sealed, mode=0o600)
        except OSError as error:
            raise StoreUnavailableError(f"cannot write disclosures: {os.strerror(error.errno or 0)}") from error

    def _read(self, root: Path, number: int) -> Segment:
        path = root / FOLDER / f"{number:06d}.seg"
        try:
            with path.open("rb") as file:
                data = file.read(_SEGMENT_BYTES_MAX)
        except OSError as error:
            raise StoreUnavailableError(f"cannot read {path.name}: {os.strerror(error.errno or 0)}") from error
        try:
            if not data.startswith(_MAGIC):
                raise IntegrityError(f"{path.name} is no disclosure segment")
            nonce, sealed = data[len(_MAGIC) :][:_NONCE_BYTES], data[len(_MAGIC) + _NONCE_BYTES :]
            body = canonical.loads(self._cipher.decrypt(nonce, sealed, _bound(number)))
            return _parsed(number, body)
        except (InvalidTag, ValueError, KeyError, TypeError, EvidenceError) as error:
            raise IntegrityError(f"{path.name} was altered, or another key made it") from error


def _bound(number: int) -> bytes:
    return b"liuhen disclosures 1 %06d" % number


def _parsed(number: int, body: dict[str, object]) -> Segment:
    first, end, texts = body["first"], body["end"], body["disclosures"]
    if not isinstance(first, int) or not isinstance(end, int) or not isinstance(texts, list) or not 0 <= first <= end:
        raise IntegrityError("a disclosure segment has a wrong form")
    disclosures = tuple(Disclosure(**one) for one in texts)
    if any(digest_of(one.text) != one.digest for one in disclosures):
        raise IntegrityError("a disclosure does not hash to its digest")
    return Segment(number, first, end, disclosures)


def disclosures_between(catalogue: Catalogue, start: int, end: int) -> list[Disclosure]:
    """The disclosures of these log entries that the catalogue still has, in log order."""
    found: list[Disclosure] = []
    for first in range(start, end, SEAL_BATCH_MAX):
        with catalogue.read() as uow:
            rows = uow.outbox.rows(first, min(first + SEAL_BATCH_MAX, end))
            digests = [digest for row in rows for digest in parse(row.envelope).sd]
            alive = uow.outbox.disclosures_of(digests)
        found += [alive[digest] for digest in digests if digest in alive]
    return found
