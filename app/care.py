"""The regular duties of a serving home: what is done again and again without anybody asking.

A duty does a slice of its work and returns; where it left off stands in the catalogue, so the next tick (or the next start after
a crash) goes on there. Short ones share a queue; those that read or copy for minutes have another, so that no late recording
waits to be told of behind a terabyte that is being checked.

To add one: a function that does a slice, and a row in :func:`duties`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from app.backing_up import BackupDuty
from app.clearing import clearing_of
from app.dates import compute_dates, dry_runs_of, recompute_of
from app.disc_looks import look_at_discs
from app.encryption import Encryption
from app.hold_care import hold_keeping_of
from app.moving import migration_of, remover_of, strays_of
from app.wiring import House
from assurance.catch_up import CatchUp
from assurance.cold import lay_cold
from assurance.findings import FindingBook
from assurance.fixity import Scrub
from assurance.hold_stores import keep_holds
from assurance.key_findings import KeyFindings
from assurance.renewal import RenewalParts, renew_locks
from assurance.space import sample_space
from assurance.sweep import sweep_deadlines
from cases.access_duty import UseDuty
from cases.recounting import recount_provisional
from flow import DbosEngine, Schedule
from ingest import clock_watch
from ingest.parts import Parts
from ingest.session import RECONCILE_JOB

#: Duties of seconds, one after the other.
CARE_QUEUE: Final = "care"
#: Duties that read and copy for minutes.
KEEP_QUEUE: Final = "keep"
_KEEP_AT_ONCE: Final = 2
#: The scrub, which reads whenever it is behind and must not be in the way of a repair.
SCRUB_QUEUE: Final = "scrub"
#: The backup, which takes as long as the database is large; at most one at a time.
BACKUP_QUEUE: Final = "backup"
_SLICE_S: Final = 45.0
SWEEP_JOB: Final = "deadline-sweep"
DISCLOSURES_JOB: Final = "disclosures"
USE_JOB: Final = "use-of-footage"
CLOCK_JOB: Final = "clock-mark"
SPACE_JOB: Final = "space-sample"
LOCKS_JOB: Final = "lock-renewal"
COLD_JOB: Final = "cold-copies"
CATCH_UP_JOB: Final = "catch-up"
MOVE_JOB: Final = "store-move"
REMOVAL_JOB: Final = "removals"
CLEARING_JOB: Final = "clearing"
STRAYS_JOB: Final = "left-overs"
REPAIR_JOB: Final = "repair"
PROBE_JOB: Final = "store-probe"
SCRUB_JOB: Final = "scrub"
INVENTORY_JOB: Final = "inventory"
KEYS_JOB: Final = "keys"
BACKUP_JOB: Final = "backup"
HOLDS_JOB: Final = "holds"
DISCS_JOB: Final = "discs"
HELD_COPIES_JOB: Final = "held-copies"
RETENTION_JOB: Final = "retention-dates"
DRY_RUN_JOB: Final = "schedule-dry-runs"
RECOUNT_JOB: Final = "deadlines-recounted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """One regular job: ``run`` does a slice of it, at the start of the service and then once per ``every``."""

    job: str
    every: timedelta
    run: Callable[[], object]
    queue: str = CARE_QUEUE


def duties(house: House, parts: Parts, *, stop: Callable[[], bool] = lambda: False) -> list[Duty]:
    """What this home does regularly.

    Args:
        house: The home.
        parts: The parts of intake.
        stop: Whether the service ends: a duty that reads for long leaves off then.
    """
    book = FindingBook(house.catalogue, recorder=house.recorder, clock=house.clock)
    minute = timedelta(minutes=1)
    cold_after = timedelta(days=house.settings.storage.cold_after_days)
    renewal = RenewalParts(
        catalogue=house.catalogue,
        recorder=house.recorder,
        clock=house.clock,
        stores=house.stores.all,
        policy=house.locks,
    )
    keys = [] if house.encryption is None else [_keys(house.encryption, KeyFindings(house.catalogue, book=book))]
    catch_up = CatchUp(house.keeping, hint=house.healing.hint)
    moving, removing = migration_of(house), remover_of(house)
    return [
        Duty(job=SWEEP_JOB, every=minute, run=lambda: sweep_deadlines(house.catalogue, book=book, clock=house.clock)),
        Duty(job=USE_JOB, every=minute, run=UseDuty(house.catalogue, house.matters, clock=house.clock).run),
        Duty(job=DISCLOSURES_JOB, every=minute, run=lambda: house.archive.sync(house.catalogue)),
        Duty(job=CLOCK_JOB, every=timedelta(minutes=5), run=lambda: clock_watch.look(parts)),
        Duty(
            job=RECOUNT_JOB,
            every=timedelta(minutes=10),
            run=lambda: recount_provisional(house.matters, house.catalogue),
        ),
        Duty(job=RETENTION_JOB, every=minute, run=lambda: compute_dates(recompute_of(house), house.catalogue, book)),
        Duty(job=DRY_RUN_JOB, every=minute, run=dry_runs_of(house, stop=stop).run, queue=KEEP_QUEUE),
        Duty(job=SPACE_JOB, every=timedelta(hours=1), run=lambda: sample_space(house.space)),
        Duty(
            job=COLD_JOB,
            every=timedelta(minutes=10),
            run=lambda: lay_cold(house.keeping, after=cold_after, hint=house.healing.hint),
            queue=KEEP_QUEUE,
        ),
        Duty(job=LOCKS_JOB, every=timedelta(minutes=5), run=lambda: renew_locks(renewal, book=book), queue=KEEP_QUEUE),
        Duty(job=CATCH_UP_JOB, every=minute, run=catch_up.run, queue=KEEP_QUEUE),
        Duty(job=REPAIR_JOB, every=minute, run=house.healing.run, queue=KEEP_QUEUE),
        Duty(job=SCRUB_JOB, every=minute, run=Scrub(house.keeping, house.fixity, stop=stop).tick, queue=SCRUB_QUEUE),
        Duty(job=INVENTORY_JOB, every=timedelta(minutes=10), run=house.inventory.tick, queue=KEEP_QUEUE),
        Duty(job=MOVE_JOB, every=minute, run=moving.work, queue=KEEP_QUEUE),
        Duty(job=REMOVAL_JOB, every=minute, run=removing.go_on, queue=KEEP_QUEUE),
        Duty(job=CLEARING_JOB, every=minute, run=clearing_of(house).run, queue=KEEP_QUEUE),
        Duty(job=STRAYS_JOB, every=timedelta(hours=6), run=strays_of(house).run, queue=KEEP_QUEUE),
        Duty(job=PROBE_JOB, every=minute, run=lambda: house.probe_stores(due_only=True), queue=KEEP_QUEUE),
        Duty(job=BACKUP_JOB, every=timedelta(minutes=5), run=BackupDuty(house, stop=stop).run, queue=BACKUP_QUEUE),
        Duty(job=DISCS_JOB, every=timedelta(hours=1), run=lambda: look_at_discs(house, book)),
        Duty(job=HOLDS_JOB, every=minute, run=hold_keeping_of(house, book).run),
        Duty(job=HELD_COPIES_JOB, every=minute, run=lambda: keep_holds(house.keeping), queue=KEEP_QUEUE),
        *keys,
    ]


def _keys(encryption: Encryption, findings: KeyFindings) -> Duty:
    """Keys that a place had lost, that are damaged there, or that were destroyed while it was away."""

    def run() -> None:
        until = time.monotonic() + _SLICE_S
        encryption.care(stop=lambda: time.monotonic() > until, told=findings.take)

    return Duty(job=KEYS_JOB, every=timedelta(hours=1), run=run, queue=KEEP_QUEUE)


def declare(engine: DbosEngine, regular: list[Duty]) -> None:
    """Register the duties' jobs with an engine that is not started yet."""
    engine.declare_queue(CARE_QUEUE, concurrency=1, unhurried=True)
    engine.declare_queue(KEEP_QUEUE, concurrency=_KEEP_AT_ONCE, unhurried=True)
    engine.declare_queue(SCRUB_QUEUE, concurrency=1, unhurried=True)
    engine.declare_queue(BACKUP_QUEUE, concurrency=1, unhurried=True)
    for duty in regular:
        engine.register(duty.job, _job(duty))


def _job(duty: Duty) -> Callable[[str], None]:
    def run(_argument: str) -> None:
        duty.run()

    return run


def start(engine: DbosEngine, regular: list[Duty]) -> Schedule:
    """Let the clock tick for a started engine; also for the reconciler, which intake declares itself."""
    schedule = Schedule(engine)
    schedule.every(timedelta(minutes=1), RECONCILE_JOB, queue=CARE_QUEUE)
    for duty in regular:
        schedule.every(duty.every, duty.job, queue=duty.queue)
    schedule.start()
    return schedule
