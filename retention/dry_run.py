"""What a schedule or a re-schedule would change, before anybody approves it: the exact list, with its digest. Changes no date.

Every recording that is kept is decided twice from the same facts of one moment: as things are, and as they would be. Those with
another date or standing make the list, one line of CSV each, in the order of their identities; its SHA-256 is what the approver
signs. The list names identities and dates, no person.

A proposed matter that was not tried yet, or was changed since, is tried by the service within minutes.

Crash: nothing was filed; the next run begins anew.

Source: RULES R10; docs/retention.md.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Protocol

from catalogue import Catalogue, UnitOfWork
from catalogue.matters import MatterFilter, MatterRow
from catalogue.records import RecordingRow
from evidence.clock import Clock, to_text
from evidence.digest import Digest, sha256_of
from evidence.errors import PolicyUnmetError
from evidence.ids import MatterId, RecordingId
from evidence.model import Actor
from matters.desk import MatterDesk
from matters.turn import Asked
from retention.decide import Decision, Item, Now, decide
from retention.facts import items_of, now_of, schedules_of
from retention.schedule import Schedules
from retention.schedule_matter import DRY_RUN, FREED, PROPOSED, RESCHEDULE, SCHEDULE, TRIED, schedule_of, terms_digest

COLUMNS: Final = (
    "recording", "unit", "size_bytes", "sha256", "standing_before", "due_before", "standing_after", "due_after", "change",
)  # fmt: skip
_SLICE: Final = 500
LONGER, EARLIER, NO_DATE, DATED, OTHER = "later", "earlier", "no-date-any-more", "dated-now", "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One recording that would be dated otherwise."""

    recording: RecordingRow
    before: Decision
    after: Decision

    @property
    def kind(self) -> str:
        """Which way the date goes."""
        was, will = self.before.due_at, self.after.due_at
        if was == will:
            return OTHER
        if will is None:
            return NO_DATE
        if was is None:
            return DATED
        return LONGER if will > was else EARLIER

    def line(self) -> tuple[str, ...]:
        """Its line in the list."""
        row = self.recording
        return (
            row.id,
            row.unit or "",
            str(row.size_bytes),
            row.sha256.hex if row.sha256 is not None else "",
            self.before.standing.value,
            _text(self.before.due_at),
            self.after.standing.value,
            _text(self.after.due_at),
            self.kind,
        )


def _text(moment: datetime | None) -> str:
    return "" if moment is None else to_text(moment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """The outcome.

    Attributes:
        matter: What was tried.
        terms_sha256: Digest of what was proposed.
        data: The list, CSV in UTF-8 with CRLF.
        count: Recordings in it.
        earlier: Of these, how many would be due earlier, or get a date they have not now.
        size_bytes: Size of all of them.
        at: The moment of the facts.
    """

    matter: MatterRow
    terms_sha256: str
    data: bytes
    count: int
    earlier: int
    size_bytes: int
    at: datetime

    @property
    def list_sha256(self) -> Digest:
        """Digest of the list."""
        return sha256_of(self.data)


class Filer(Protocol):
    """Files what the program made with a matter (:class:`matters.papers.PaperDesk`)."""

    def file_made(
        self, actor: Actor | None, matter: MatterId, *, role: str, name: str, media_type: str, data: bytes
    ) -> object:
        """Durable in the stores on return."""
        ...


def try_out(catalogue: Catalogue, clock: Clock, matter: MatterId, *, stop: Callable[[], bool] = lambda: False) -> Tried:
    """Compute what a proposed schedule or re-schedule would change.

    Args:
        catalogue: One moment of it is read.
        clock: Injected time.
        matter: Of the kind ``schedule`` or ``reschedule``.
        stop: Whether the service ends.

    Raises:
        PolicyUnmetError: It is neither, or the service ends. InvalidInputError: It holds no schedule.
    """
    with catalogue.read() as uow:
        row = uow.matters.get(matter)
        if row.kind not in (SCHEDULE, RESCHEDULE):
            raise PolicyUnmetError(f"{row.number} is no schedule", todo="Name a schedule or a re-schedule.")
        now = now_of(uow, clock.now())
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        count = earlier = size = 0
        for change in _changes(uow, row, now, stop):
            writer.writerow(change.line())
            count += 1
            earlier += change.kind in (EARLIER, DATED)
            size += change.recording.size_bytes
        return Tried(
            matter=row,
            terms_sha256=terms_digest(row),
            data=out.getvalue().encode(),
            count=count,
            earlier=earlier,
            size_bytes=size,
            at=now.at,
        )


def _changes(uow: UnitOfWork, matter: MatterRow, now: Now, stop: Callable[[], bool]) -> Iterator[Change]:
    present = schedules_of(uow)
    proposed, freed = _proposal(uow, matter, present, now)
    after: RecordingId | None = None
    while rows := uow.recordings.kept_after(after, limit=_SLICE):
        if stop():
            raise PolicyUnmetError(
                "the service ends", kept="Nothing was filed.", todo="It is computed after the next start."
            )
        items = items_of(uow, rows)
        for row in rows:
            before = decide(items[row.id], present, now)
            then = decide(freed(row.id, items[row.id]), proposed, now)
            if (before.due_at, before.standing) != (then.due_at, then.standing):
                yield Change(recording=row, before=before, after=then)
        after = rows[-1].id


def _proposal(
    uow: UnitOfWork, matter: MatterRow, present: Schedules, now: Now
) -> tuple[Schedules, Callable[[RecordingId, Item], Item]]:
    if matter.kind == SCHEDULE:
        new = schedule_of(matter, version=present.current.version + 1)
        new = replace(new, in_force_from=max(new.in_force_from, now.at))
        return present.with_version(new), lambda _recording, item: item
    version = int(matter.facts.get("version", 0))
    named = {link.target for link in uow.matters.links(matter.id, role=FREED)}
    return (
        present,
        lambda recording, item: (
            replace(item, rebased_to=max(item.rebased_to, version)) if str(recording) in named else item
        ),
    )


class DryRuns:
    """The duty that tries what was proposed.

    Args:
        catalogue: Where matters and facts stand.
        clock: Injected time.
        desk: Enters the outcome.
        filer: Files the list.
        stop: Whether the service ends.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        clock: Clock,
        desk: MatterDesk,
        filer: Filer,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._desk = desk
        self._filer = filer
        self._stop = stop

    def run(self) -> int:
        """Try what waits; tells how many matters were tried."""
        with self._catalogue.read() as uow:
            asked = MatterFilter(kinds=(SCHEDULE, RESCHEDULE), states=(PROPOSED,))
            waiting = [row for row in uow.matters.find(asked, limit=1000) if _untried(row)]
        for row in reversed(waiting):
            self.enter(row.id)
        return len(waiting)

    def enter(self, matter: MatterId) -> Tried:
        """Try one and file the list with it. Durable on return.

        Raises:
            StateConflictError: It was acted on meanwhile so that nothing is to be tried any more.
        """
        tried = try_out(self._catalogue, self._clock, matter, stop=self._stop)
        self._filer.file_made(
            None, matter, role=DRY_RUN, name=f"{tried.matter.number}.csv", media_type="text/csv", data=tried.data
        )
        facts: dict[str, Any] = {
            "tried_sha256": tried.terms_sha256,
            "list_sha256": tried.list_sha256.hex,
            "list_count": tried.count,
            "list_earlier": tried.earlier,
            "list_bytes": tried.size_bytes,
            "list_at": to_text(tried.at),
        }
        self._desk.act_as_service(matter, TRIED, Asked(facts=facts))
        return tried


def _untried(row: MatterRow) -> bool:
    return row.facts.get("tried_sha256") != terms_digest(row)
