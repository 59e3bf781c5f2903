"""Moving between stores: copy, read back, switch, keep the old one until told, give it up.

1. *begin*: from now on every blob with a copy in the source gets one in the target. Each is read from a medium, compared while it
   is read, written, read back from the new medium, and entered (``copy.made``, reason ``migration``). A source copy that is bad
   is taken from another store instead, and repaired; a person is told.
2. *switch*: only when nothing is left to copy. The source is an old store from now on: it is read and checked like the others,
   gets nothing new, and counts for no policy.
3. *finish*: every blob of the old store is read again in the other stores. Where enough copies in enough failure domains are
   good without it, its copy is given up: the row goes with an entry (``copy.removed``). The bytes stay on the old disk unless
   their removal was ordered; then locks, holds and the brake are asked for each, and its absence is looked at before the entry.

What is left to do is derived from the catalogue at every look, so a killed process loses nothing but the copy in hand. One move
at a time. Steps in the wrong order are refused with words.

Source: docs/runbooks/move-a-store.md; docs/invariants.md 1, 5.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from assurance.copies import (
    GOOD,
    KeepingParts,
    carry_holds,
    claim_until,
    copy_facts,
    first_lock,
    from_medium,
    look,
    say_copy,
)
from assurance.giving_up import remove_copy, require_removable
from assurance.references import enter_copy_removed
from assurance.removal import Allowance
from assurance.repair import repair_blob
from assurance.verify import CopyPolicy
from catalogue import UnitOfWork
from catalogue.records import BlobRow
from catalogue.references import BytesGoError
from catalogue.store_moves import COPYING, ENDED, FINISHING, STOPPED, SWITCHED, StoreMoveRow
from evidence.clock import to_text, unix_ms
from evidence.digest import Digest
from evidence.errors import (
    BrakePulledError,
    ClockJumpedError,
    ClockWentBackError,
    EvidenceError,
    IntegrityError,
    NotFoundError,
    PolicyUnmetError,
    StateConflictError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from evidence.events import StoreMoved
from evidence.ids import EntryId
from evidence.ports import BlobStore
from storage.stores import StoreSet, inner_of

_log = logging.getLogger(__name__)
_AS_MIGRATION: Final = "migration"
#: Why a copy went: its bytes were removed and looked for in vain, or were left where they are.
REMOVED: Final = "store-given-up"
LEFT: Final = "store-given-up-bytes-left"
_SLICE_S: Final = 50.0
_ASKED_AT_ONCE: Final = 200
#: Blobs of one slice whose trouble is told one by one in the journal; the status tells the last.
_TOLD_MAX: Final = 10
#: What ends a slice: nothing of what is left would go better now.
_STOPPING: Final = (StoreFullError, StoreUnavailableError, BrakePulledError, ClockWentBackError, ClockJumpedError)
#: (blobs done, blobs in all, bytes done, bytes in all) of the step that runs.
MoveProgress = Callable[[int, int, int, int], None]


def _silent(*_: int) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveParts:
    """What moving works with.

    Attributes:
        keeping: Catalogue, recorder, clock.
        stores: The home's stores; told which of them are old.
        policy: Copies and failure domains that must be left without the old store.
        brake: Bounds what is removed in a day.
        behind: Why a store is not level with log and personal values, empty when it is.
    """

    keeping: KeepingParts
    stores: StoreSet
    policy: CopyPolicy
    brake: Allowance
    behind: Callable[[str], str] = field(default=lambda _store: "")


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveStatus:
    """Where a move stands. ``left`` counts what the running step still has to do; ``seconds_left`` is None while unknown."""

    move: StoreMoveRow
    blobs: int
    size_bytes: int
    left: int
    left_bytes: int
    rate_bytes_s: int
    seconds_left: int | None
    trouble: str
    next_step: str


class Migration:
    """Moves copies from one store to another.

    Args:
        parts: What it works with.
    """

    def __init__(self, parts: MoveParts) -> None:
        self._parts = parts
        self._keeping = parts.keeping
        self._catalogue = parts.keeping.catalogue
        #: What was worked at last; the next slice begins behind it.
        self._reached: Digest | None = None

    # --- orders -------------------------------------------------------------------------------------------------------
    def begin(self, source: str, target: str, *, actor: str = "") -> StoreMoveRow:
        """Order a move. Durable on return; nothing is copied yet.

        Raises:
            NotFoundError: One of the stores is not configured.
            StateConflictError: They are one, another move is under way, or one of them is an old store.
            StoreUnavailableError: One of them does not answer.
        """
        stores = self._parts.stores
        for name in (source, target):
            store = stores.named(name)
            next(iter(inner_of(store).list()), None)
        if source == target:
            raise StateConflictError("a store cannot be moved to itself")
        now = self._keeping.clock.now()
        with self._catalogue.begin() as uow:
            old = uow.moves.old()
            for name in (source, target):
                if name in old:
                    raise StateConflictError(
                        f"store {name} was moved away from before",
                        todo="Take it out of config.toml; a store that comes back needs a new name.",
                    )
            row = StoreMoveRow(
                id=str(EntryId.new(unix_ms(now.wall))), source=source, target=target, state=COPYING, started_at=now.wall,
                detail="{}",
            )  # fmt: skip
            uow.moves.add(row)
            self._enter(uow, row, "begun", uow.references.sum_in_store(source), actor)
        return row

    def switch(self, *, actor: str = "") -> StoreMoveRow:
        """Let the target count in the place of the source, which is an old store from now on.

        Raises:
            NotFoundError: No move is under way.
            StateConflictError: It is not the time: copies are missing, the source is the first store, the target's log lags.
            PolicyUnmetError: Without the source the remaining stores cannot keep what the policy asks for.
        """
        row = self._standing()
        if row.state != COPYING:
            raise StateConflictError(f"{row.source} was switched already", todo="Finish the move, or stop it.")
        stores = self._parts.stores
        if stores.primary.properties.name == row.source:
            raise StateConflictError(
                f"{row.source} is the first store: recordings are acquired there",
                kept="Nothing was changed.",
                todo="Put another local store first in config.toml, restart the service, then switch.",
            )
        left, _ = self._left(row)
        if left:
            raise StateConflictError(
                f"{left} copies are not in {row.target} yet",
                todo="Let the copying go on (`liuhen storage migrate --status`).",
            )
        self._require_policy_without(row.source)
        if why := self._parts.behind(row.target):
            raise StateConflictError(f"store {row.target} is not level yet: {why}", todo="Wait a moment, then switch.")
        now = self._keeping.clock.now()
        with self._catalogue.begin() as uow:
            if uow.moves.get(row.id).state != COPYING:
                raise StateConflictError("another process was faster")
            if uow.references.in_store(row.source, lacking=row.target, limit=1):
                raise StateConflictError("a copy came in just now", todo="Switch again.")
            row = uow.moves.update(row.id, state=SWITCHED, switched_at=now.wall)
            self._enter(uow, row, "switched", uow.references.sum_in_store(row.target), actor)
        stores.retire(stores.old | {row.source})
        return row

    def finish(self, *, remove: bool, actor: str = "") -> StoreMoveRow:
        """Order that the old store is given up. Durable on return; what it takes is done by :meth:`work`.

        Args:
            remove: Remove its bytes, too; else they stay where they are and are told of no more.
            actor: Who orders it.

        Raises:
            NotFoundError: No move is under way. StateConflictError: it was not switched yet.
        """
        row = self._standing()
        if row.state == COPYING:
            raise StateConflictError(
                "the stores were not switched yet", todo="`liuhen storage migrate --switch` first."
            )
        with self._catalogue.begin() as uow:
            detail = _detail(uow.moves.get(row.id)) | {
                "remove": remove,
                "actor": actor,
                "bytes": 0,
                "ms": 0,
                "trouble": "",
            }
            return uow.moves.update(row.id, state=FINISHING, detail=json.dumps(detail, ensure_ascii=False))

    def stop(self, *, actor: str = "") -> StoreMoveRow:
        """Stop a move; copies that were made stay, and an old store counts and gets copies again.

        Raises:
            NotFoundError: No move is under way. StateConflictError: the old store is being given up already.
        """
        row = self._standing()
        now = self._keeping.clock.now()
        with self._catalogue.begin() as uow:
            if uow.moves.get(row.id).state == FINISHING:
                raise StateConflictError(
                    f"copies of {row.source} were given up already", todo="Let the move end; move back by a new one."
                )
            row = uow.moves.update(row.id, state=STOPPED, ended_at=now.wall)
            self._enter(uow, row, "stopped", uow.references.sum_in_store(row.target), actor)
            old = uow.moves.old()
        self._parts.stores.retire(old)
        return row

    # --- the look -----------------------------------------------------------------------------------------------------
    def status(self) -> MoveStatus | None:
        """The latest move, None when there never was one."""
        with self._catalogue.read() as uow:
            moves = uow.moves.all()
            if not moves:
                return None
            row = moves[-1]
            counts = uow.references.sum_in_store(row.source)
            left = self._left_in(uow, row)
        detail = _detail(row)
        rate = int(detail.get("bytes", 0) * 1000 / detail["ms"]) if detail.get("ms") else 0
        return MoveStatus(
            move=row, blobs=counts[0], size_bytes=counts[1], left=left[0], left_bytes=left[1], rate_bytes_s=rate,
            seconds_left=left[1] // rate if rate else (0 if not left[0] else None), trouble=str(detail.get("trouble", "")),
            next_step=self._next_step(row, left[0]),
        )  # fmt: skip

    def _next_step(self, row: StoreMoveRow, left: int) -> str:
        """Stable code of what a person does next; empty when the work goes on by itself, or is over."""
        if row.state == COPYING and not left:
            first = self._parts.stores.primary.properties.name == row.source
            return "change-first-store" if first else "switch"
        return {SWITCHED: "finish", ENDED: "remove-from-config"}.get(row.state, "")

    # --- work ---------------------------------------------------------------------------------------------------------
    def work(self, *, for_s: float = _SLICE_S, progress: MoveProgress = _silent) -> int:
        """A slice of what the move has to do now; returns how many blobs are left (0 also when there is nothing to do).

        Raises:
            EvidenceError: A fatal one, or the database does not answer. Everything else is told by :meth:`status`.
        """
        with self._catalogue.read() as uow:
            row, old = uow.moves.under_way(), uow.moves.old()
        self._parts.stores.retire(old)
        if row is None or row.state == SWITCHED:
            return 0
        if row.source not in self._parts.stores or row.target not in self._parts.stores:
            self._note(row, 0, 0, f"{row.source} and {row.target} must both be configured while copies move")
            return self._left(row)[0]
        one = self._copy_one if row.state == COPYING else self._give_up_one
        self._slice(row, one, for_s, progress)
        left, _ = self._left(row)
        if row.state == FINISHING and not left:
            self._end(row)
        return left

    def _slice(
        self, row: StoreMoveRow, one: Callable[[StoreMoveRow, BlobRow], bool], for_s: float, progress: MoveProgress
    ) -> None:
        began, end = time.monotonic(), time.monotonic() + for_s
        total, total_bytes = self._left(row)
        done = done_bytes = failed = 0
        trouble = ""
        try:
            for sha256 in self._todo(row):
                if time.monotonic() >= end or self._over(row):
                    break
                self._reached = sha256
                try:
                    blob = self._claimed(sha256)
                    if blob is None or not one(row, blob):
                        continue
                except _STOPPING:
                    raise
                except EvidenceError as error:
                    if error.fatal:
                        raise
                    failed += 1
                    if failed <= _TOLD_MAX:
                        _log.warning("move of %s: %s", sha256, error.what)
                    trouble = error.what
                    continue
                done, done_bytes = done + 1, done_bytes + blob.size_bytes
                progress(done, total, done_bytes, total_bytes)
        except _STOPPING as error:
            if error.fatal:
                raise
            trouble = error.what
        self._note(row, done_bytes, int((time.monotonic() - began) * 1000), trouble)

    def _over(self, row: StoreMoveRow) -> bool:
        """Whether somebody stopped the move meanwhile."""
        with self._catalogue.read() as uow:
            now = uow.moves.under_way()
        return now is None or (now.id, now.state) != (row.id, row.state)

    def _todo(self, row: StoreMoveRow) -> Iterator[Digest]:
        """What the step has to do, each once, from where the last slice left off: what cannot be done keeps nothing waiting."""
        begin = self._reached
        yield from self._from(row, begin)
        for sha256 in self._from(row, None) if begin is not None else ():
            if begin is not None and sha256 > begin:
                return
            yield sha256

    def _from(self, row: StoreMoveRow, after: Digest | None) -> Iterator[Digest]:
        lacking = row.target if row.state == COPYING else ""
        while True:
            with self._catalogue.read() as uow:
                found = uow.references.in_store(row.source, lacking=lacking, after=after, limit=_ASKED_AT_ONCE)
            yield from found
            if len(found) < _ASKED_AT_ONCE:
                return
            after = found[-1]

    def _claimed(self, sha256: Digest) -> BlobRow | None:
        """The blob, kept from being removed below our hands; None when it is going, or gone."""
        try:
            with self._catalogue.begin() as uow:
                uow.references.require_staying(sha256)
                blob = uow.blobs.get(sha256)
                if blob is not None:
                    uow.references.claim(sha256, until=claim_until(self._keeping, blob.size_bytes))
                return blob
        except BytesGoError:
            return None

    # --- copying ------------------------------------------------------------------------------------------------------
    def _copy_one(self, row: StoreMoveRow, blob: BlobRow) -> bool:
        target = self._parts.stores.named(row.target)
        damaged = self._bring(row, blob, target)
        self._carry_orders(blob, target)
        at = self._keeping.clock.now()
        copy = copy_facts(target, blob.sha256, at)
        with self._catalogue.begin() as uow:
            uow.references.lock(blob.sha256)
            now = uow.blobs.get(blob.sha256)
            if now is not None and now.holders and all(one.store != row.target for one in now.copies):
                say_copy(self._keeping, uow, now, copy, reason=_AS_MIGRATION, at=at)
        if damaged:  # tells a person, and makes the bad copy good
            repair_blob(self._keeping, blob.sha256)
        return True

    def _bring(self, row: StoreMoveRow, blob: BlobRow, target: BlobStore) -> bool:
        """Put a good copy into the target and read it back; tells whether a copy elsewhere turned out bad.

        Raises:
            StoreFullError, StoreUnavailableError: The target takes nothing. StoreError: no store gives the bytes now.
        """
        damaged = False
        if self._stands(blob, target):
            return damaged
        until = first_lock(self._keeping, blob.sha256)
        for source in self._sources(row, blob):
            try:
                act = target.repair if target.exists(blob.sha256) else target.put
                with from_medium(source, blob) as stream:
                    act(stream, sha256=blob.sha256, size_bytes=blob.size_bytes, retain_until=until)
            except EvidenceError as error:
                if error.fatal or isinstance(error, StoreFullError):
                    raise
                found = look(source, source.properties.name, blob.sha256)
                if found.outcome == GOOD:  # it is the target that fails
                    raise
                damaged = damaged or found.damaged
                _log.warning("store %s cannot give %s: %s", source.properties.name, blob.sha256, found.detail)
                continue
            target.verify(blob.sha256, blob.blake3 or blob.sha256)
            self._require_its_own(blob, target)
            return damaged
        if damaged:
            repair_blob(self._keeping, blob.sha256)
        raise StoreError(f"no store gives {blob.sha256} now", todo="Repair it, or bring back the store that has it.")

    def _stands(self, blob: BlobRow, target: BlobStore) -> bool:
        """Whether a crash, or catching up, left the bytes there already: sound, and a file of its own."""
        if not target.exists(blob.sha256):
            return False
        try:
            target.verify(blob.sha256, blob.blake3 or blob.sha256)
            self._require_its_own(blob, target)
        except StoreUnavailableError:
            raise
        except (StoreError, IntegrityError) as error:
            if error.fatal:
                raise
            return False
        return True

    def _require_its_own(self, blob: BlobRow, target: BlobStore) -> None:
        """One file under two stores is one copy."""
        bytes_at = target.stat(blob.sha256).bytes_at
        for copy in blob.copies:
            other = self._keeping.store(copy.store)
            if other is None or other is target:
                continue
            try:
                same = other.stat(blob.sha256).bytes_at == bytes_at
            except EvidenceError:
                continue
            if same:
                raise StoreError(f"the file of {blob.sha256} in {target.properties.name} is that of {copy.store}")

    def _sources(self, row: StoreMoveRow, blob: BlobRow) -> Sequence[BlobStore]:
        """The store that is moved first, then the others that have the bytes."""
        names = sorted({copy.store for copy in blob.copies} - {row.target}, key=lambda name: name != row.source)
        return [self._parts.stores.named(name) for name in names if name in self._parts.stores]

    def _carry_orders(self, blob: BlobRow, target: BlobStore) -> None:
        """What was ordered about the bytes holds for the new copy, too: the latest date, every hold of the catalogue."""
        dates = []
        for copy in blob.copies:
            store = self._keeping.store(copy.store)
            if store is None or store is target:
                continue
            try:
                stat = store.stat(blob.sha256)
            except StoreError:
                continue
            if stat.retain_until is not None:
                dates.append(stat.retain_until)
        if dates:
            target.extend_retention(blob.sha256, max(dates))
        carry_holds(self._keeping, target, blob.sha256)

    # --- giving up ----------------------------------------------------------------------------------------------------
    def _give_up_one(self, row: StoreMoveRow, blob: BlobRow) -> bool:
        copy = next((one for one in blob.copies if one.store == row.source), None)
        if copy is None:
            return False
        remove = bool(_detail(row).get("remove"))
        source = self._parts.stores.named(row.source)
        if remove:  # before every other copy is read
            require_removable(self._keeping, source, blob)
        self._require_enough_elsewhere(row, blob)
        reason = LEFT
        if remove:
            remove_copy(self._keeping, self._parts.brake, source, blob)
            reason = REMOVED
        now = self._keeping.clock.now()
        with self._catalogue.begin() as uow:
            uow.references.lock(blob.sha256)
            standing = uow.blobs.get(blob.sha256)
            if standing is None or all(one.store != row.source for one in standing.copies):
                return False
            enter_copy_removed(uow, self._keeping.recorder, standing, copy, reason=reason, at=now)
            uow.after_commit(self._keeping.wake_sealer)
        return True

    def _require_enough_elsewhere(self, row: StoreMoveRow, blob: BlobRow) -> None:
        """Read every other copy from its medium: enough must be good, in enough failure domains, without the old store.

        Raises:
            PolicyUnmetError: They are not.
        """
        stores = self._parts.stores
        names = [copy.store for copy in blob.copies if copy.store != row.source and copy.store in stores]
        names = [name for name in names if name not in stores.old]
        good = self._good_in(blob, names)
        if len(good) < len(names):  # one is bad: told and made good, then looked at again
            repair_blob(self._keeping, blob.sha256)
            good = self._good_in(blob, names)
        only_derivatives = all(holder.startswith("derivative:") for holder in blob.holders)
        copies = 1 if only_derivatives else self._parts.policy.copies
        domains = 1 if only_derivatives else self._domains_required()
        found = {stores.domain_of(name) for name in good.values()}
        if len(good) < copies or len(found) < domains:
            raise PolicyUnmetError(
                f"{blob.sha256} has {len(good)} good copies in {len(found)} failure domains without {row.source}; "
                f"{copies} in {domains} are required",
                kept=f"Its copy in {row.source} stays.",
                todo="Repair the bad copy, or let the other stores catch up.",
            )

    def _good_in(self, blob: BlobRow, names: Sequence[str]) -> dict[str, str]:
        """Where good bytes lie (one file is one copy) -> the store that counts for them."""
        good: dict[str, str] = {}
        for name in names:
            store = self._parts.stores.named(name)
            if look(store, name, blob.sha256).outcome == GOOD:
                good.setdefault(store.stat(blob.sha256).bytes_at, name)
        return good

    def _domains_required(self) -> int:
        """As many as the policy asks for, where all stores together have so many: a move makes nothing worse than it was."""
        return min(self._parts.policy.domains, len({store.properties.domain for store in self._parts.stores.all}))

    def _end(self, row: StoreMoveRow) -> None:
        now = self._keeping.clock.now()
        with self._catalogue.begin() as uow:
            if uow.moves.get(row.id).state != FINISHING:
                return
            row = uow.moves.update(row.id, state=ENDED, ended_at=now.wall)
            actor = str(_detail(row).get("actor", ""))
            self._enter(uow, row, "ended", uow.references.sum_in_store(row.target), actor)

    # --- inside -------------------------------------------------------------------------------------------------------
    def _standing(self) -> StoreMoveRow:
        with self._catalogue.read() as uow:
            row = uow.moves.under_way()
        if row is None:
            raise NotFoundError(
                "no copies are being moved", todo="Begin with `liuhen storage migrate --from A --to B`."
            )
        return row

    def _left(self, row: StoreMoveRow) -> tuple[int, int]:
        with self._catalogue.read() as uow:
            return self._left_in(uow, row)

    @staticmethod
    def _left_in(uow: UnitOfWork, row: StoreMoveRow) -> tuple[int, int]:
        if row.state not in {COPYING, FINISHING}:
            return 0, 0
        return uow.references.sum_in_store(row.source, lacking=row.target if row.state == COPYING else "")

    def _require_policy_without(self, source: str) -> None:
        stores, policy = self._parts.stores, self._parts.policy
        rest = [store for store in stores.taking if store.properties.name != source]
        domains = {store.properties.domain for store in rest}
        if len(rest) < policy.copies or len(domains) < self._domains_required():
            raise PolicyUnmetError(
                f"without {source} there are {len(rest)} stores in {len(domains)} failure domains; "
                f"{policy.copies} copies in {self._domains_required()} domains are required",
                kept="Nothing was changed.",
                todo="Configure one more store, or move to one on another disk.",
            )

    def _note(self, row: StoreMoveRow, size_bytes: int, took_ms: int, trouble: str) -> None:
        with self._catalogue.begin() as uow:
            now = uow.moves.get(row.id)
            if now.state != row.state:
                return
            detail = _detail(now)
            detail["bytes"] = int(detail.get("bytes", 0)) + size_bytes
            detail["ms"] = int(detail.get("ms", 0)) + (took_ms if size_bytes else 0)
            detail["trouble"] = trouble
            uow.moves.update(row.id, detail=json.dumps(detail, ensure_ascii=False))

    def _enter(self, uow: UnitOfWork, row: StoreMoveRow, state: str, counted: tuple[int, int], actor: str) -> None:
        now = self._keeping.clock.now()
        event = StoreMoved(
            actor=actor, source=row.source, target=row.target, state=state, copies=counted[0], size_bytes=str(counted[1]),
            at=to_text(now.wall),
        )  # fmt: skip
        uow.after_commit(self._keeping.wake_sealer)
        self._keeping.recorder.record(uow.outbox, event, at=now)


def _detail(row: StoreMoveRow) -> dict[str, Any]:
    try:
        found = json.loads(row.detail or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
