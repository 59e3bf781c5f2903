"""Holds as the catalogue knows them: which recordings stand under one, which bytes they mean, which stores keep them so.

A hold is a matter (``hold``) that links recordings as ``held``; one that was freed singly is linked as ``released`` instead. The
links count at once, in the transaction that makes them. The bytes' holds (``blob_holds``) and the stores' (``store_holds``)
follow; regular duties compare all three and make them alike, so that whatever comes later (a new derivative, a store that was
away) is held too.

Source: docs/invariants.md 5; RULES R27; docs/holds.md.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from catalogue.db import Db, chunks
from catalogue.matching import Described, count_fitting, fitting, fitting_unlinked
from catalogue.schema import (
    blob_copies,
    blob_holds,
    blobs,
    derivatives,
    matter_links,
    matters,
    recordings,
    store_holds,
)
from evidence.digest import Digest
from evidence.ids import MatterId, RecordingId

#: The kind of matter that is a hold.
HOLD: Final = "hold"
#: Role of a link to a recording that is held, and to one that was freed from this hold.
HELD: Final = "held"
RELEASED: Final = "released"
#: Role of a second link to one whose release is asked for; it holds and releases nothing.
TO_RELEASE: Final = "to-release"
#: Locks of PostgreSQL are numbers: this one stands for "what descriptions of footage hold".
_DESCRIPTIONS: Final = 0x4C48_484F_4C44
_PREFIX: Final = "mat_"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldLink:
    """A recording's link to a hold.

    Attributes:
        recording: Which.
        matter: The hold.
        number: What people call it.
        type: Its type.
        released: It was freed from this hold; whatever else the link says holds.
        since: When it was linked so.
        opened_at: When the hold was placed.
        closed_at: When the whole hold was released; None while it stands.
    """

    recording: RecordingId
    matter: MatterId
    number: str
    type: str
    released: bool
    since: datetime
    opened_at: datetime
    closed_at: datetime | None


class Holds:
    """Questions about holds, and the list of what stores keep."""

    def __init__(self, db: Db) -> None:
        self._db = db

    # --- recordings ---------------------------------------------------------------------------------------------------
    def lock_descriptions(self, *, changing: bool) -> None:
        """Whoever places a hold by description, and whoever relies on there being none, waits for the other.

        Args:
            changing: A hold is placed; otherwise it is only relied on, and many may do that at once.
        """
        if not self._db.sqlite:
            lock = sa.func.pg_advisory_xact_lock if changing else sa.func.pg_advisory_xact_lock_shared
            self._db.execute(sa.select(lock(_DESCRIPTIONS)))

    def links_of(self, wanted: Collection[RecordingId]) -> list[HoldLink]:
        """Links of these recordings to holds, standing or over."""
        found: list[HoldLink] = []
        links = matter_links.c
        statement = (
            sa.select(
                links.target, links.matter, links.role, links.since, matters.c.number, matters.c.facts,
                matters.c.opened_at, matters.c.closed_at,
            )
            .join(matters, matters.c.id == links.matter)
            .where(matters.c.kind == HOLD, links.role != TO_RELEASE)
        )  # fmt: skip
        for part in chunks(sorted(wanted)):
            found += [
                HoldLink(
                    recording=RecordingId(row["target"]), matter=row["matter"], number=row["number"],
                    type=str(row["facts"].get("type", "")), released=row["role"] == RELEASED, since=row["since"],
                    opened_at=row["opened_at"], closed_at=row["closed_at"],
                )
                for row in self._db.all(statement.where(links.target.in_([str(one) for one in part])))
            ]  # fmt: skip
        return found

    def kin_of(self, wanted: Collection[RecordingId]) -> dict[RecordingId, set[RecordingId]]:
        """For each recording itself, what it is a side file of, and the duplicates whose bytes it keeps.

        Whoever holds one of these holds the recording.
        """
        kin: dict[RecordingId, set[RecordingId]] = {one: {one} for one in wanted}
        here = recordings.c
        owner: dict[RecordingId, RecordingId] = {}
        digests: set[Digest] = set()
        for part in chunks(sorted(wanted)):
            asked = sa.select(here.id, here.attached_to, here.sha256).where(here.id.in_(list(part)))
            for row in self._db.all(asked):
                if row["attached_to"] is not None:
                    kin[row["id"]].add(row["attached_to"])
                    owner[row["id"]] = row["attached_to"]
                if row["sha256"] is not None:
                    digests.add(row["sha256"])
        for some in chunks(sorted(digests)):
            twins = sa.select(here.id, here.duplicate_of, here.attached_to).where(
                here.sha256.in_(list(some)), here.duplicate_of.is_not(None)
            )
            for row in self._db.all(twins):
                if row["duplicate_of"] in kin:
                    kin[row["duplicate_of"]] |= {row["id"]} | ({row["attached_to"]} - {None})
        return kin

    def fitting(self, wanted: Described, *, among: Collection[RecordingId]) -> set[RecordingId]:
        """Those of some recordings that a description fits."""
        return fitting(self._db, wanted, among=among)

    def fitting_unlinked(self, wanted: Described, *, matter: MatterId | None, limit: int) -> list[RecordingId]:
        """Recordings that a hold's description fits and that it does not link yet; those it freed singly stay free."""
        return fitting_unlinked(self._db, wanted, matter=matter, roles=(HELD, RELEASED), limit=limit)

    def count_fitting(self, wanted: Described, *, cap: int) -> int:
        """How many recordings a description fits, counted up to ``cap``."""
        return count_fitting(self._db, wanted, cap=cap)

    # --- bytes --------------------------------------------------------------------------------------------------------
    def lacking(self, *, limit: int, matter: MatterId | None = None) -> list[tuple[MatterId, Digest]]:
        """Bytes of held recordings that have no hold yet, with the hold they are to have.

        Bytes are the originals and manifests of the recordings, of what keeps the bytes of held duplicates, and of their side
        files, and everything that was made of them.
        """
        found: dict[tuple[MatterId, Digest], None] = {}
        for statement in self._held_bytes(matter):
            held = statement.subquery()
            there = sa.exists().where(
                blob_holds.c.sha256 == held.c.sha256,
                blob_holds.c.reference == sa.type_coerce(held.c.matter, sa.Text),
            )
            for row in self._db.all(sa.select(held.c.matter, held.c.sha256).where(~there).limit(limit)):
                found[row["matter"], row["sha256"]] = None
        return list(found)[:limit]

    def surplus(self, *, limit: int) -> list[tuple[str, Digest]]:
        """Holds of bytes whose matter does not hold them any more: it was released, or let this recording go."""
        here = blob_holds.c
        reference = sa.type_coerce(matters.c.id, sa.Text)
        over = (
            sa.select(here.reference, here.sha256)
            .join(matters, reference == here.reference)
            .where(matters.c.kind == HOLD, matters.c.closed_at.is_not(None))
            .limit(limit)
        )
        found = {(row["reference"], row["sha256"]) for row in self._db.all(over)}
        links = matter_links.c
        partly = (
            sa.select(links.matter)
            .join(matters, matters.c.id == links.matter)
            .where(matters.c.kind == HOLD, matters.c.closed_at.is_(None), links.role == RELEASED)
            .distinct()
        )
        for row in self._db.all(partly):
            held = sa.union(*[sa.select(one.subquery().c.sha256) for one in self._held_bytes(row["matter"])]).subquery()
            mine = sa.select(here.sha256).where(
                here.reference == str(row["matter"]), here.sha256.not_in(sa.select(held.c.sha256))
            )
            found |= {(str(row["matter"]), one["sha256"]) for one in self._db.all(mine.limit(limit))}
        return sorted(found)[:limit]

    def _held_bytes(self, matter: MatterId | None) -> list[sa.Select[Any]]:
        """Selects of (matter, sha256) of stored bytes under holds that stand."""
        links, here = matter_links.c, recordings.alias("held")
        standing = (
            sa.select(links.matter, sa.type_coerce(links.target, sa.Text).label("target"))
            .join(matters, matters.c.id == links.matter)
            .where(matters.c.kind == HOLD, matters.c.closed_at.is_(None), links.role.not_in((RELEASED, TO_RELEASE)))
        )
        if matter is not None:
            standing = standing.where(links.matter == matter)
        named = standing.subquery()
        same = sa.type_coerce(here.c.id, sa.Text) == named.c.target
        aside, twin = recordings.alias("aside"), recordings.alias("twin")
        of_names = named.join(here, same)
        whose = sa.union(
            sa.select(named.c.matter, here.c.id.label("recording")).select_from(of_names),
            sa.select(named.c.matter, aside.c.id).select_from(of_names.join(aside, aside.c.attached_to == here.c.id)),
            sa.select(named.c.matter, twin.c.id).select_from(of_names.join(twin, twin.c.id == here.c.duplicate_of)),
        ).subquery()
        row = recordings.alias("row")
        joined = whose.join(row, row.c.id == whose.c.recording)
        text = sa.type_coerce(blobs.c.sha256, sa.Text)
        manifest = sa.type_coerce(row.c.manifest_sha256, sa.Text)
        made = joined.join(derivatives, derivatives.c.recording == row.c.id)
        return [
            sa.select(whose.c.matter, blobs.c.sha256).select_from(joined.join(blobs, blobs.c.sha256 == row.c.sha256)),
            sa.select(whose.c.matter, blobs.c.sha256).select_from(joined.join(blobs, text == manifest)),
            sa.select(whose.c.matter, blobs.c.sha256).select_from(
                made.join(blobs, blobs.c.sha256 == derivatives.c.sha256)
            ),
        ]

    # --- stores -------------------------------------------------------------------------------------------------------
    def unset(self, store: str, *, limit: int) -> list[tuple[Digest, str]]:
        """Copies in a store that are to be held there and are not known to be, with the hold's reference."""
        here, there = blob_holds.c, store_holds.c
        known = sa.exists().where(
            there.sha256 == here.sha256, there.store == store, there.reference == here.reference
        )  # fmt: skip
        statement = (
            sa.select(here.sha256, here.reference)
            .join(blob_copies, sa.and_(blob_copies.c.sha256 == here.sha256, blob_copies.c.store == store))
            .where(~known)
            .order_by(here.at, here.sha256)
            .limit(limit)
        )
        return [(row["sha256"], row["reference"]) for row in self._db.all(statement)]

    def unreleased(self, store: str, *, limit: int) -> list[tuple[Digest, str]]:
        """Copies that a store is known to hold and is to hold no more."""
        here, there = blob_holds.c, store_holds.c
        stands = sa.exists().where(here.sha256 == there.sha256, here.reference == there.reference)
        statement = sa.select(there.sha256, there.reference).where(there.store == store, ~stands)
        return [
            (row["sha256"], row["reference"])
            for row in self._db.all(statement.order_by(there.sha256, there.reference).limit(limit))
        ]

    def note_set(self, sha256: Digest, store: str, reference: str) -> None:
        """A store holds its copy."""
        self._db.insert_new(store_holds, {"sha256": sha256, "store": store, "reference": reference})

    def note_released(self, sha256: Digest, store: str, reference: str) -> None:
        """A store does not hold its copy for this any more, or has none."""
        here = store_holds.c
        self._db.execute(
            store_holds.delete().where(here.sha256 == sha256, here.store == store, here.reference == reference)
        )

    def in_stores(self, reference: str) -> dict[str, tuple[int, int]]:
        """By store: how many copies it holds under a hold, and how many it is to hold."""
        here, there = blob_holds.c, store_holds.c
        joined = blob_holds.join(blob_copies, blob_copies.c.sha256 == here.sha256).outerjoin(
            store_holds,
            sa.and_(
                there.sha256 == here.sha256, there.store == blob_copies.c.store, there.reference == here.reference
            ),
        )  # fmt: skip
        statement = (
            sa.select(
                blob_copies.c.store, sa.func.count().label("wanted"), sa.func.count(there.sha256).label("held")
            )
            .select_from(joined)
            .where(here.reference == reference)
            .group_by(blob_copies.c.store)
            .order_by(blob_copies.c.store)
        )  # fmt: skip
        return {row["store"]: (row["held"], row["wanted"]) for row in self._db.all(statement)}
