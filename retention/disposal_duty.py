"""Clearing at work: the regular duty that proposes, lets notices run out, clears item by item and certifies.

Each item is cleared by itself:

1. Every store is asked whether the bytes could go now (a date, a hold, a store that is away: the item waits and is told).
2. One short transaction locks the batch, the recordings and what was said of them, and asks everything anew: the list is the one
   that was approved, the notice is over, nothing is stopped, the clock is believed, the decision, flags, holds, cases and
   procedures of this moment. Then ``recording.disposing`` is entered: the point of no return. Whoever placed a hold before wins;
   who comes after is told that it is too late.
3. Originals, derivatives, manifest and keys leave every store (:mod:`retention.disposal_ports`), and are looked for in vain.
4. ``recording.disposed`` is entered: the tombstone.

Crash: before 2 nothing happened; after it the next slice goes on with 3 or 4, which may be repeated. What is past the point of no
return is finished even while a stop stands: half of a recording is no use to anybody.

Source: RULES R10; docs/invariants.md 5; docs/disposal.md.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from catalogue import Catalogue, UnitOfWork
from catalogue.matters import MatterFilter, MatterRow
from catalogue.records import RecordingRow
from evidence.calendar import local_date
from evidence.clock import Clock, to_text
from evidence.errors import (
    BrakePulledError,
    ClockJumpedError,
    ClockWentBackError,
    EvidenceError,
    PolicyUnmetError,
    StateConflictError,
)
from evidence.events import Event, RecordingDisposed, RecordingDisposing
from evidence.ids import EntryId, MatterId, RecordingId
from evidence.ports import CustodyRecorder
from matters.desk import MatterDesk
from matters.recording_facts import say
from matters.turn import Asked, NewLink
from retention.disposal_batch import BY_DETERMINATION, categories_of, has_lapsed
from retention.disposal_checks import DETERMINATION, IN_FORCE, LIVED, PROTECTS, Judge, Protects, live_a_day, not_now
from retention.disposal_forms import (
    BEGIN,
    CERTIFYING,
    CLOSE_CLEARED,
    CLOSE_EMPTY,
    CLOSE_PARTLY,
    EXECUTING,
    LAPSE,
    LEAVE_OUT,
    NOTICE,
    SETTLE,
)
from retention.disposal_list import BATCH, ITEM, LEFT, digest_of, group_of, groups_of, rows_of_links
from retention.disposal_orders import REMIND_DAYS, RUN_OUT
from retention.disposal_ports import Bytes, Certifier, LookedFor, Teller
from retention.disposal_proposals import Proposals
from retention.facts import above, now_of

_SLICE_S: Final = 45.0
_BATCHES_MAX: Final = 1000
#: What items of a batch wait for, as last seen: no evidence, for its page.
WAITS: Final = "clearing-waits:"
_WAITS_MAX: Final = 100
#: Findings.
WAITING: Final = "clearing-waits"
ENDING: Final = "determination-ends"
DIFFERS: Final = "clearing-list-differs"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearingParts:
    """What clearing works with.

    Attributes:
        catalogue: Where batches stand.
        desk: Acts on them.
        recorder: Signs the entries of recordings.
        clock: Injected time.
        bytes: The stores.
        certifier: Makes certificates.
        teller: Raises findings.
        protects: What else protects a recording.
        woken: Called after a commit that added an entry.
        slice_s: How long one run may take.
    """

    catalogue: Catalogue
    desk: MatterDesk
    recorder: CustodyRecorder
    clock: Clock
    bytes: Bytes
    certifier: Certifier
    teller: Teller
    protects: Sequence[Protects] = PROTECTS
    woken: Callable[[], None] = field(default=lambda: None)
    slice_s: float = _SLICE_S


@dataclass(slots=True, kw_only=True)
class ClearingDone:
    """What a slice did."""

    proposed: int = 0
    begun: int = 0
    cleared: int = 0
    left_out: int = 0
    certified: int = 0
    waiting: int = 0


class Clearing:
    """The duty.

    Args:
        parts: What it works with.
    """

    def __init__(self, parts: ClearingParts, *, ticks: Callable[[], float] = time.monotonic) -> None:
        self._parts = parts
        self._proposals = Proposals(parts.catalogue, desk=parts.desk, clock=parts.clock, protects=parts.protects)
        self._ticks = ticks
        self._until = 0.0

    def run(self) -> ClearingDone:
        """A slice. What cannot be done now stays, with why; a defect of one batch keeps no other from going on."""
        self._until, done = self._ticks() + self._parts.slice_s, ClearingDone()
        self._watch_determinations()
        done.proposed = self._proposals.run(until=self._until, ticks=self._ticks)
        for state, step in ((NOTICE, self._begin), (EXECUTING, self._clear), (CERTIFYING, self._certify)):
            with self._parts.catalogue.read() as uow:
                batches = uow.matters.find(MatterFilter(kinds=(BATCH,), states=(state,)), limit=_BATCHES_MAX)
            for batch in reversed(batches):
                if self._late():
                    return done
                try:
                    step(batch, done)
                except EvidenceError as error:
                    if error.fatal:
                        raise
                    done.waiting += 1
                    self._note(batch.id, {"": {"why": error.what}})
                    _log.warning("batch %s waits: %s", batch.number, error.what)
        return done

    def _late(self) -> bool:
        return self._ticks() > self._until

    # --- determinations -----------------------------------------------------------------------------------------------
    def _watch_determinations(self) -> None:
        """End what has run out, and remind of what will within a month."""
        reading = self._parts.clock.now()
        with self._parts.catalogue.read() as uow:
            now = now_of(uow, reading)
            rows = uow.matters.find(MatterFilter(kinds=(DETERMINATION,), states=(IN_FORCE,)), limit=_BATCHES_MAX)
        if not now.believed:
            return
        today = local_date(now.at)
        soon = (today + timedelta(days=REMIND_DAYS)).isoformat()
        ending = []
        for row in rows:
            ends = str(row.facts.get("valid_until", ""))
            if ends < today.isoformat():
                self._parts.desk.act_as_service(row.id, RUN_OUT)
            elif ends <= soon:
                ending.append(f"{row.number}: {ends}")
        if ending:
            self._parts.teller.tell(ENDING, ", ".join(sorted(ending)))
        else:  # renewed, or ended
            self._parts.teller.over(ENDING)

    # --- a batch ------------------------------------------------------------------------------------------------------
    def _live(self, batch: MatterRow) -> None:
        """Count that this day of its notice was seen."""
        now = self._parts.clock.now()
        day = local_date(now.wall).isoformat()
        with self._parts.catalogue.read() as uow:  # an idle service takes no lock
            if not now_of(uow, now).believed or (uow.settings.get(LIVED + batch.id) or "").endswith(day):
                return
        with self._parts.catalogue.begin() as uow:
            live_a_day(uow, batch, day)

    def _begin(self, batch: MatterRow, done: ClearingDone) -> None:
        self._live(batch)
        with self._parts.catalogue.read() as uow:
            judge = Judge.of(uow, self._parts.clock.now(), self._parts.protects)
            empty = not uow.matters.links(batch.id, role=ITEM)
            lapsed = has_lapsed(uow, batch)
            waits = not_now(judge, batch)
        if empty:
            self._parts.desk.act_as_service(batch.id, CLOSE_EMPTY)
        elif lapsed:
            self._parts.desk.act_as_service(batch.id, LAPSE)
        elif not waits:
            self._parts.desk.act_as_service(batch.id, BEGIN)
            done.begun += 1

    def _clear(self, batch: MatterRow, done: ClearingDone) -> None:
        self._live(batch)  # after a rebuild the count begins anew
        with self._parts.catalogue.read() as uow:
            items = [RecordingId(one.target) for one in uow.matters.links(batch.id, role=ITEM)]
            groups = groups_of(uow, items)
            rules = uow.rules.of_each(items)
        waits: dict[str, dict[str, str]] = {}
        groups.sort(key=lambda group: group[0] not in rules or rules[group[0]].disposing_at is None)  # begun ones first
        for group in groups:
            if self._late():
                break
            said = rules.get(group[0])
            if said is not None and said.disposed_at is not None:
                continue
            if said is None or said.disposing_at is None:
                passed = self._try_to_pass(batch, group, waits, done)
                if passed is None:
                    break
                if not passed:
                    continue
            if self._finish(batch, group, waits):
                done.cleared += len(group)
        done.waiting += len(waits)
        self._note(batch.id, waits)
        if not waits and not self._late():
            self._settle(batch)

    def _settle(self, batch: MatterRow) -> None:
        with self._parts.catalogue.begin() as uow:
            uow.matters.lock(batch.id)
            links = uow.matters.links(batch.id, role=ITEM)
            if not links:
                self._parts.desk.act_within(uow, batch.id, CLOSE_EMPTY)
            elif all(uow.rules.of(RecordingId(one.target)).disposed_at is not None for one in links):
                self._parts.desk.act_within(uow, batch.id, SETTLE)
                uow.settings.drop(WAITS + batch.id)

    # --- the point of no return ---------------------------------------------------------------------------------------
    def _try_to_pass(
        self, batch: MatterRow, group: list[RecordingId], waits: dict[str, dict[str, str]], done: ClearingDone
    ) -> bool | None:
        """Whether the group is past the point of no return now; None when the whole batch has to wait."""
        found = self._parts.bytes.waits(group[0])
        try:
            with self._parts.catalogue.begin() as uow:
                answer = self._pass(uow, batch.id, group, go=found is None)
        except (BrakePulledError, ClockWentBackError, ClockJumpedError) as error:  # nothing of any batch goes now
            waits[""] = _told(error.what)
            return None
        except (PolicyUnmetError, StateConflictError) as error:
            waits[group[0]] = _told(error.what)
            return False
        if found is not None and answer == _PASSED:
            waits[group[0]] = _told(found.why, to_text(found.until) if found.until is not None else "")
            return False
        if answer == _PASSED:
            return True
        if answer == _LEFT:
            done.left_out += len(group)
            return False
        waits[""] = _told(answer)
        return None

    def _pass(self, uow: UnitOfWork, matter: MatterId, group: list[RecordingId], *, go: bool) -> str:
        """Ask everything anew; leave out what may not go, and pass the point of no return where it may (and ``go`` says so)."""
        now = self._parts.clock.now()
        batch = uow.matters.lock(matter)
        # With what they are side files of: whatever keeps that keeps them.
        family = sorted({*group, *(over.id for one in group for over in above(uow, uow.recordings.get(one)))})
        for one in family:
            uow.recordings.lock(one)
        for one in family:
            uow.rules.lock(one)
        # Whoever links a recording marks its date stale: with those rows locked, too, every link that was there before is seen.
        uow.rules.mark_stale(family)
        if batch.kind != BATCH or batch.state != EXECUTING:
            return f"the batch stands at {batch.state}"
        judge = Judge.of(uow, now, self._parts.protects)
        if found := not_now(judge, batch):
            return ", ".join(f"{one.code} {one.detail}".strip() for one in found)
        rows = {one.recording: one for one in rows_of_links(uow.matters.links(matter, role=ITEM))}
        if digest_of(rows.values()).hex != batch.facts.get("list_sha256"):
            detail = f"{batch.number}: the list is not the one that was entered"
            uow.after_commit(lambda: self._parts.teller.tell(DIFFERS, detail))
            return "the list is not the one that was entered"
        if group_of(uow, group[0]) != group:
            raise StateConflictError("another recording with the same bytes came in meanwhile")
        why = self._against(judge, batch, group, {one: rows[one].sha256 for one in group if one in rows})
        if why:
            listed = [one for one in group if one in rows]
            asked = Asked(unlinks=[NewLink(role=ITEM, target=one, facts={"why": why}) for one in listed])
            self._parts.desk.act_within(uow, matter, LEAVE_OUT, asked)
            return _LEFT
        if not go:  # a store keeps it for now, or is away
            return _PASSED
        self._parts.bytes.require_allowed(uow, group[0], now)
        for one in group:
            row = uow.recordings.get(one)
            say(uow, self._record(uow, now), RecordingDisposing(
                recording=one, sha256=row.sha256.hex if row.sha256 is not None else "", matter=matter,
                mode=str(batch.facts.get("mode", "")), list_sha256=str(batch.facts.get("list_sha256", "")),
                at=to_text(now.wall),
            ))  # fmt: skip
        return _PASSED

    def _against(self, judge: Judge, batch: MatterRow, group: list[RecordingId], listed: dict[RecordingId, str]) -> str:
        """What stands against clearing the group now; empty for nothing."""
        named = categories_of(judge, str(batch.facts.get(BY_DETERMINATION, "")))
        for one in group:
            if one not in listed:
                return "not-listed"
            row = judge.uow.recordings.get(one)
            if row.sha256 is None or row.sha256.hex != listed[one]:
                return "bytes-differ"
            if why := judge.obstacle(row, batch=batch, named=named):
                return why
        return ""

    # --- after it -----------------------------------------------------------------------------------------------------
    def _finish(self, batch: MatterRow, group: list[RecordingId], waits: dict[str, dict[str, str]]) -> bool:
        """Take everything out, look for it in vain, and enter the tombstones; False while something is left."""
        keeper = group[0]
        left = self._parts.bytes.remove(keeper, together=group[1:])
        if left is not None:
            waits[keeper] = _told(left.why, to_text(left.until) if left.until is not None else "")
            self._parts.teller.tell(WAITING, f"{batch.number}: {left.why}", recording=keeper)
            return False
        looked = self._parts.bytes.look(keeper)
        odd = [one for one in looked if one.found not in ("absent", "shared")]
        if odd:
            waits[keeper] = _told(f"{odd[0].holder}: {odd[0].found} in store {odd[0].store}")
            self._parts.teller.tell(WAITING, f"{batch.number}: {waits[keeper]['why']}", recording=keeper)
            return False
        now = self._parts.clock.now()
        with self._parts.catalogue.begin() as uow:
            for one in sorted(group):
                if uow.rules.lock(one).disposed_at is not None:
                    continue
                row = uow.recordings.get(one)
                say(uow, self._record(uow, now), RecordingDisposed(
                    recording=one, sha256=row.sha256.hex if row.sha256 is not None else "", matter=batch.id,
                    facts=_tombstone(uow, row, batch, looked), at=to_text(now.wall),
                ))  # fmt: skip
        self._parts.teller.over(WAITING, recording=keeper)
        return True

    def _certify(self, batch: MatterRow, done: ClearingDone) -> None:
        self._parts.certifier.certify(batch.id)
        with self._parts.catalogue.read() as uow:
            left = uow.matters.links(batch.id, role=LEFT)
        self._parts.desk.act_as_service(batch.id, CLOSE_PARTLY if left else CLOSE_CLEARED)
        with self._parts.catalogue.begin() as uow:
            uow.settings.drop(LIVED + batch.id)
        done.certified += 1

    def _record(self, uow: UnitOfWork, now: Any) -> Callable[[Event], EntryId]:
        uow.after_commit(self._parts.woken)
        return lambda event: self._parts.recorder.record(uow.outbox, event, at=now)

    def _note(self, matter: MatterId, waits: dict[str, dict[str, str]]) -> None:
        """Keep what a batch waits for, for its page."""
        kept = dict(sorted(waits.items())[:_WAITS_MAX])
        text = json.dumps(kept, ensure_ascii=False, sort_keys=True)
        with self._parts.catalogue.read() as uow:
            before = uow.settings.get(WAITS + matter) or "{}"
        if text != before:
            with self._parts.catalogue.begin() as uow:
                if kept:
                    uow.settings.put(WAITS + matter, text)
                else:
                    uow.settings.drop(WAITS + matter)


_PASSED: Final = "passed"
_LEFT: Final = "left-out"


def _told(why: str, until: str = "") -> dict[str, str]:
    return {"why": why, "until": until} if until else {"why": why}


def waits_of(uow: UnitOfWork, matter: MatterId) -> dict[str, dict[str, str]]:
    """What the items of a batch waited for at the last try: recording (or empty for all) -> ``why`` and ``until``."""
    try:
        found = json.loads(uow.settings.get(WAITS + matter) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _objects(looked: Sequence[LookedFor]) -> list[dict[str, Any]]:
    """What was looked for, and in which stores it was not found: one row for each object."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in looked:
        told = found.setdefault(
            (one.holder, one.sha256),
            {"what": one.holder.partition(":")[0], "sha256": one.sha256, "absent_in": [], "shared_in": []},
        )
        told[f"{one.found}_in"].append(one.store)
        if one.key_sha256:
            told["key_sha256"] = one.key_sha256
    return [{name: value for name, value in told.items() if value != []} for told in found.values()]


def _tombstone(uow: UnitOfWork, row: RecordingRow, batch: MatterRow, looked: Sequence[LookedFor]) -> dict[str, Any]:
    """What stays of a recording for ever: no names, no free text, nothing of its content."""
    rules = uow.rules.of(row.id)
    facts: dict[str, Any] = {
        "kind": row.kind.value,
        "size_bytes": row.size_bytes,
        "started_at": to_text(row.started_at) if row.started_at is not None else "",
        "ended_at": to_text(row.ended_at) if row.ended_at is not None else "",
        "duration_ms": row.duration_ms,
        "device": row.device,
        "officer": row.officer or "",
        "unit": row.unit or "",
        "duplicate_of": row.duplicate_of or "",
        "category": rules.category,
        "schedule": batch.facts.get("schedule", ""),
        "batch": batch.number,
        "mode": batch.facts.get("mode", ""),
        "list_sha256": batch.facts.get("list_sha256", ""),
        "objects": _objects(looked) if row.duplicate_of is None else [],
    }
    return {name: value for name, value in facts.items() if value not in ("", None, [])}
