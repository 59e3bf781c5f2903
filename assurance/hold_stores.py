"""Stores keep what the catalogue holds: legal holds in buckets, lock records in folders. Only ever follows the catalogue.

The catalogue's hold counts from its transaction on, whatever a store says. Here every store that answers is made to agree with
it: a hold is set on a copy that lacks it, and taken away where the catalogue's is over. A store that is away gets both when it is
back. What is known of each store is remembered, so that a page can say "held in 2 of 2 stores"; forgetting it costs a request,
never a hold.

Crash: a store may hold and it may not be remembered; the next run sets it again, which changes nothing.

Source: RULES R27; docs/holds.md; docs/formats/store.md.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from assurance.copies import KeepingParts
from evidence.digest import Digest
from evidence.errors import BlobNotFoundError, EvidenceError, StoreUnavailableError
from evidence.ports import BlobStore

_log = logging.getLogger(__name__)
#: A store did not take a hold, or did not let go of one.
NOT_HELD: Final = "hold-not-kept"
_AT_ONCE: Final = 500
_SLICE_S: Final = 45.0


@dataclass(slots=True)
class HoldsKept:
    """What one slice did in one store; ``away``: it did not answer, ``troubles``: what it refused, in words."""

    set: int = 0
    released: int = 0
    troubles: list[str] = field(default_factory=list)
    away: bool = False


def keep_holds(parts: KeepingParts, *, slice_s: float = _SLICE_S) -> dict[str, HoldsKept]:
    """Do a slice of the work in every store.

    Args:
        parts: Catalogue, stores, findings.
        slice_s: Seconds for all stores together.

    Returns:
        Per store what was done.
    """
    share_s = slice_s / max(1, len(parts.stores))
    return {store.properties.name: _keep(parts, store, share_s) for store in parts.stores}


def _keep(parts: KeepingParts, store: BlobStore, share_s: float) -> HoldsKept:
    name, done, until = store.properties.name, HoldsKept(), time.monotonic() + share_s

    def set_one(sha256: Digest, reference: str) -> None:
        store.set_hold(sha256, reference=reference)
        done.set += 1

    def release_one(sha256: Digest, reference: str) -> None:
        try:
            store.release_hold(sha256, reference=reference)
        except BlobNotFoundError:  # the copy is gone: nothing holds it
            return
        done.released += 1

    while _some(parts, name, (set_one, release_one), until, done) and not (done.away or done.troubles):
        if time.monotonic() > until:
            break
    _tell(parts, name, done)
    return done


def _some(
    parts: KeepingParts, name: str, acts: tuple[Callable[[Digest, str], None], ...], until: float, done: HoldsKept
) -> int:  # fmt: skip
    """One batch of both; tells how many there were."""
    with parts.catalogue.read() as uow:
        missing = uow.holds.unset(name, limit=_AT_ONCE)
        surplus = uow.holds.unreleased(name, limit=_AT_ONCE)
    ended = [_each(asked, act, until, done) for asked, act in zip((missing, surplus), acts, strict=True)]
    if any(ended):
        with parts.catalogue.begin() as uow:
            for sha256, reference in ended[0]:
                uow.holds.note_set(sha256, name, reference)
            for sha256, reference in ended[1]:
                uow.holds.note_released(sha256, name, reference)
    return sum(map(len, ended))


def _each(
    asked: list[tuple[Digest, str]], act: Callable[[Digest, str], None], until: float, done: HoldsKept
) -> list[tuple[Digest, str]]:  # fmt: skip
    ended: list[tuple[Digest, str]] = []
    for sha256, reference in asked:
        if done.away or time.monotonic() > until:
            break
        try:
            act(sha256, reference)
        except StoreUnavailableError as error:
            done.away = True
            _log.warning("holds wait for a store: %s", error.what)
        except BlobNotFoundError:  # a copy that is missing is found and made again elsewhere, and held then
            continue
        except EvidenceError as error:
            if error.fatal:
                raise
            done.troubles.append(f"{sha256}: {error.what}")
        else:
            ended.append((sha256, reference))
    return ended


def _tell(parts: KeepingParts, name: str, done: HoldsKept) -> None:
    """A store that refuses is a finding while it does; one that is away is told elsewhere."""
    if done.away:
        return
    if done.troubles:
        parts.book.raise_one(NOT_HELD, store=name, detail=done.troubles[0])
        return
    with parts.catalogue.read() as uow:
        stands = uow.findings.open_one(NOT_HELD, recording=None, store=name) is not None
    if stands:
        with parts.catalogue.begin() as uow:
            parts.book.close_in(uow, NOT_HELD, store=name, reason="over")
