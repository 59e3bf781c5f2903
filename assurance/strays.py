"""Left-overs of work that crashed: bytes that no row and no entry names, for a long time. They go; everything doubtful stays.

A crash between the writing of bytes and their row leaves bytes that nobody will ever ask for: a derivative that was made again, a
transfer whose recording was read anew. They are remembered when they are first seen, and may go after :data:`AFTER` when all this
holds: no row names them, no entry of the log does, they are no manifest, and no manifest without a row tells that the log was
set back (then nothing goes at all: these bytes may be footage whose entries were lost). Locks, holds, the clock and the brake are
the removal's own questions (:mod:`assurance.removal`).

Crash: what was seen is remembered; the pass begins anew.

Source: docs/invariants.md 5; docs/formats/store.md.
"""

from __future__ import annotations

import itertools
import logging
import re
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from assurance.copy_checks import MANIFEST_BYTES_MAX
from assurance.references import require_believed
from assurance.removal import Outcome, Remover
from catalogue import Catalogue
from chain_of_custody import parse_entry
from evidence import canonical
from evidence import manifest as manifests
from evidence.clock import Clock
from evidence.digest import Digest
from evidence.errors import (
    BlobNotFoundError,
    ClockJumpedError,
    ClockWentBackError,
    EvidenceError,
    ManifestInvalidError,
)
from evidence.ids import EntryId
from evidence.limits import SEAL_BATCH_MAX
from evidence.ports import BlobStore
from storage.stores import StoreSet

#: Nothing that was seen for less time than this goes: a person has looked at many verifications meanwhile.
AFTER: Final = timedelta(days=90)
#: How often a store is looked through.
EVERY: Final = timedelta(days=7)
_PAGE: Final = 500
_AT_ONCE: Final = 100
_LOOKED: Final = "strays.looked."
_HEX: Final = re.compile(rb"[0-9a-f]{64}")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StrayParts:
    """What the look at left-overs works with."""

    catalogue: Catalogue
    stores: StoreSet
    clock: Clock
    remover: Remover


class Strays:
    """The duty: looks through one store that is due, then lets go what may go.

    Args:
        parts: What it works with.
    """

    def __init__(self, parts: StrayParts) -> None:
        self._parts = parts
        self._catalogue = parts.catalogue

    def run(self, *, for_s: float = 60.0) -> int:
        """One slice; returns how many left-overs went. A store that is away is looked through another time."""
        end = time.monotonic() + for_s
        reading = self._parts.clock.now()
        try:
            with self._catalogue.read() as uow:
                require_believed(uow, reading)  # a wrong clock must not make anything look old, now or later
        except (ClockWentBackError, ClockJumpedError) as error:
            _log.info("no store is looked through for left-overs: %s", error.what)
            return 0
        now, looked = reading.wall, False
        for store in self._parts.stores.taking:
            if time.monotonic() < end and self._due(store.properties.name, now):
                looked |= self._look_through(store, now)
        if not looked:
            return 0
        return self._let_go(now)

    def _due(self, store: str, now: datetime) -> bool:
        with self._catalogue.read() as uow:
            told = uow.settings.get(_LOOKED + store)
        return told is None or now.timestamp() - float(told) >= EVERY.total_seconds()

    def _look_through(self, store: BlobStore, now: datetime) -> bool:
        """Remember what has no row, forget what has one now or is gone; False when the store could not be read to its end."""
        name = store.properties.name
        seen: set[Digest] = set()
        try:
            digests = store.list()
            while page := list(itertools.islice(digests, _PAGE)):
                with self._catalogue.read() as uow:
                    known = uow.blobs.known(page)
                    strays = [one for one in page if one not in known and not uow.references.named_by_rows(one)]
                seen.update(strays)
        except EvidenceError as error:
            if error.fatal:
                raise
            _log.warning("store %s was not looked through for left-overs: %s", name, error.what)
            return False
        with self._catalogue.begin() as uow:
            for sha256 in uow.references.strays(name).keys() - seen:
                uow.references.drop_stray(sha256, name)
            for sha256 in sorted(seen):
                uow.references.note_stray(sha256, name, now)
            uow.settings.put(_LOOKED + name, str(now.timestamp()))
        return True

    def _let_go(self, now: datetime) -> int:
        old: set[Digest] = set()
        everything: dict[Digest, list[BlobStore]] = {}
        with self._catalogue.read() as uow:
            for store in self._parts.stores.taking:
                for sha256, since in uow.references.strays(store.properties.name).items():
                    everything.setdefault(sha256, []).append(store)
                    if now - since >= AFTER:
                        old.add(sha256)
        if not old:
            return 0
        kept = set()
        for sha256, stores in everything.items():
            verdict = self._manifest(sha256, stores)
            if verdict == "rolled-back":
                _log.error("no left-over goes: manifest %s rests on entries that the log does not hold", sha256)
                return 0
            if verdict != "":
                kept.add(sha256)
        may_go = old - kept
        may_go -= self._named_by_entries(may_go)
        return sum(self._one(sha256) for sha256 in itertools.islice(sorted(may_go), _AT_ONCE))

    def _one(self, sha256: Digest) -> bool:
        try:
            return self._parts.remover.release_stray(sha256, reason="left-over").outcome is Outcome.REMOVED
        except EvidenceError as error:
            if error.fatal:
                raise
            _log.info("left-over %s stays: %s", sha256, error.what)
            return False

    def _manifest(self, sha256: Digest, stores: list[BlobStore]) -> str:
        """``rolled-back``: a manifest on entries that are gone; ``manifest``: another; ``unknown``: not readable; else empty."""
        for store in stores:
            try:
                if store.stat(sha256).size_bytes > MANIFEST_BYTES_MAX:
                    return ""
                with store.open(sha256) as stream:
                    found = manifests.parse(stream.read(MANIFEST_BYTES_MAX + 1))
            except ManifestInvalidError:
                return ""
            except BlobNotFoundError:
                continue
            except EvidenceError as error:
                if error.fatal:
                    raise
                return "unknown"
            return "rolled-back" if self._rests_on_lost(found) else "manifest"
        return ""

    def _rests_on_lost(self, found: manifests.Manifest) -> bool:
        with self._catalogue.read() as uow:
            rows = [(one, uow.outbox.row_of(EntryId(one.entry))) for one in found.entries]
        return any(row is None or row.leaf_sha256.hex() != one.leaf_sha256 for one, row in rows)

    def _named_by_entries(self, digests: set[Digest]) -> set[Digest]:
        """Those of these bytes that any entry of the log names; all of them where not every entry could be read."""
        wanted = {digest.hex.encode("ascii"): digest for digest in digests}
        found: set[Digest] = set()
        start = 0
        while wanted:
            with self._catalogue.read() as uow:
                head = uow.outbox.head()
                size = head.size if head is not None else 0
                rows = uow.outbox.rows(start, min(start + SEAL_BATCH_MAX, size)) if start < size else []
                waiting = uow.outbox.unsequenced(SEAL_BATCH_MAX) if not rows else []
            if len(waiting) == SEAL_BATCH_MAX:  # entries are not sealed for long: another time
                return digests
            for row in rows or waiting:
                named = set(_HEX.findall(canonical.dumps(parse_entry(row.envelope).data))) & wanted.keys()
                found.update(wanted[one] for one in named)
            if not rows:
                break
            start += len(rows)
        return found
