"""Removals, left-overs and moves between stores, put together for one home."""

from __future__ import annotations

from pathlib import Path

from app.wiring import House
from assurance.migration import Migration, MoveParts
from assurance.removal import RemovalParts, Remover
from assurance.strays import StrayParts, Strays
from chain_of_custody.reader import LogReader
from evidence.errors import EvidenceError
from evidence.log_place import LogPlace
from storage.local import LocalStore
from storage.s3 import S3Store
from storage.stores import inner_of


def removal_parts(house: House) -> RemovalParts:
    """What every removal of this home works with; what nobody ordered is refused (``assurance.removal_guards``)."""
    return RemovalParts(
        catalogue=house.catalogue, recorder=house.recorder, stores=house.stores, clock=house.clock, brake=house.brake,
        woken=house.wake_sealer.set,
    )  # fmt: skip


def remover_of(house: House) -> Remover:
    """What takes bytes out of every store of this home."""
    return Remover(removal_parts(house))


def strays_of(house: House) -> Strays:
    """What lets left-overs of crashed work go."""
    return Strays(
        StrayParts(
            catalogue=house.catalogue, stores=house.stores, clock=house.clock, remover=remover_of(house)
        )
    )  # fmt: skip


def migration_of(house: House) -> Migration:
    """What moves copies between the stores of this home."""
    return Migration(
        MoveParts(
            keeping=house.keeping, stores=house.stores, policy=house.policy, brake=house.brake,
            behind=lambda name: behind(house, name),
        )
    )  # fmt: skip


def behind(house: House, name: str) -> str:
    """Why a store is not level with the published log, the personal values and the keys beside it, in words; empty when it is."""
    head = house.head()
    size = head.published_size if head is not None else 0
    store = inner_of(house.stores.named(name))
    place: Path | LogPlace | None = None
    if isinstance(store, LocalStore):
        place = store.root / "log" / "public"
    elif isinstance(store, S3Store):
        place = store.log
    try:
        if place is not None:
            reached = LogReader(place, verifier=house.sealer.verifier).checkpoint().size
            if reached < size:
                return f"its copy of the log ends at {reached} of {size}"
        if isinstance(store, LocalStore):
            reached = max((segment.end for segment in house.archive.segments(store.root)), default=0)
            if reached < size:
                return f"its personal values end at {reached} of {size}"
        ring = house.encryption.ring if house.encryption is not None else None
        if ring is not None and name in ring.places and (problems := ring.sync(name).problems):
            return f"the keys beside it: {problems[0]}"
    except EvidenceError as error:
        if error.fatal:
            raise
        return error.what
    return ""
