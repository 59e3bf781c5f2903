"""What the catalogue knows of recordings, as :func:`retention.decide.decide` takes it. Reads, never writes.

Whoever records something that keeps footage need not know this module: holds, cases and procedures are matters that link
recordings, and what each kind means here stands in one table. A kind that this table does not know **keeps while it is open**:
who adds a kind and forgets to say what it means must not be who lets footage go.

A side file (a track, a text) is kept as long as the recording it belongs to.

Source: RULES R10, R11, R13, R22 to R27; docs/retention.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any, Final

from catalogue import UnitOfWork
from catalogue.matters import MatterFilter, MatterRow
from catalogue.records import RecordingRow
from catalogue.rules import RulesRow
from evidence.clock import TimeReading, from_text
from evidence.errors import InvalidInputError
from evidence.ids import RecordingId
from evidence.model import Visibility
from evidence.time_line import Belief, judge
from retention.decide import CaseLink, Classified, FlagSet, InBatch, Item, Kept, Now, Order
from retention.holds import HoldsOf, holds_of_each
from retention.periods import RetentionClass, parse_class
from retention.schedule import DEFAULT, Schedules
from retention.schedule_matter import IN_FORCE, RESCHEDULE, SCHEDULE, schedule_of

#: Sources of a recording's end that rest on a recorder's clock which was read and found plausible.
TRUSTED_ENDS: Final = frozenset({"name-corrected"})
#: Only who looked at the one recording has judged the mark of its device; a bulk act and an import have not.
_JUDGED_SINGLY: Final = frozenset({"person", "case"})
_VERSIONS_MAX: Final = 10_000


class Meaning(Enum):
    """What a matter that links a recording means for it."""

    HOLD = "hold"
    CASE = "case"
    PROCEDURE = "procedure"
    BATCH = "batch"
    REBASE = "rebase"
    NOTHING = "nothing"


#: By kind of matter. To add a kind that keeps nothing: a row here, with a reason.
MEANINGS: Final[Mapping[str, Meaning]] = {
    "hold": Meaning.HOLD,
    "case": Meaning.CASE,
    "working-material": Meaning.CASE,
    "clearing-batch": Meaning.BATCH,
    RESCHEDULE: Meaning.REBASE,
    # Uses and descriptions of footage, no reasons to keep it; their registers stay.
    "access-request": Meaning.NOTHING,
    "access-grant": Meaning.NOTHING,
    "disc-set": Meaning.NOTHING,
    "flag-lift": Meaning.NOTHING,
    "exception": Meaning.NOTHING,
    "sampling": Meaning.NOTHING,
}


def schedules_of(uow: UnitOfWork) -> Schedules:
    """Every version of the schedule that came into force.

    Raises:
        InvalidInputError: A stored one cannot be read: nothing may be decided then.
    """
    found = uow.matters.find(MatterFilter(kinds=(SCHEDULE,), states=IN_FORCE), limit=_VERSIONS_MAX)
    return Schedules((DEFAULT, *sorted(map(schedule_of, found), key=lambda one: one.version)))


def now_of(uow: UnitOfWork, reading: TimeReading) -> Now:
    """The time, and whether it contradicts what this home has seen (promise 9)."""
    return Now(at=reading.wall, believed=judge(reading, uow.clock_marks.highest()) is Belief.BELIEVED)


def items_of(uow: UnitOfWork, rows: Iterable[RecordingRow]) -> dict[RecordingId, Item]:
    """What is known of these recordings.

    Args:
        uow: One moment of the catalogue.
        rows: The recordings, as they stand.
    """
    wanted = list(rows)
    own = {row.id for row in wanted}
    owners = {row.attached_to for row in wanted if row.attached_to is not None}
    rules = uow.rules.of_each(own | owners)
    matters = _matters_of(uow, own | owners)
    holds = holds_of_each(uow, own)
    found = {}
    for row in wanted:
        item = _item(row, rules[row.id], matters.get(str(row.id), ()))
        if row.attached_to is not None:
            item = _with_owner(item, rules[row.attached_to], matters.get(str(row.attached_to), ()))
        found[row.id] = _with_holds(item, holds[row.id])
    return found


def _matters_of(uow: UnitOfWork, recordings: Collection[RecordingId]) -> dict[str, list[MatterRow]]:
    """Matters that concern each recording, or a case it belongs to: a procedure about a case keeps the footage of the case."""
    direct = uow.matters.linked_to_each([str(one) for one in recordings])
    cases = {str(row.id) for rows in direct.values() for row in rows if _means(row) is Meaning.CASE}
    through = uow.matters.linked_to_each(sorted(cases)) if cases else {}
    for rows in direct.values():
        known = {row.id for row in rows}
        for case in [row for row in rows if _means(row) is Meaning.CASE]:
            for row in through.get(str(case.id), ()):
                if row.id not in known and _means(row) in (Meaning.HOLD, Meaning.PROCEDURE):
                    known.add(row.id)
                    rows.append(row)
    return direct


def _means(row: MatterRow) -> Meaning:
    return MEANINGS.get(row.kind, Meaning.PROCEDURE)


# --- one recording ----------------------------------------------------------------------------------------------------
def _with_holds(item: Item, holds: HoldsOf) -> Item:
    """Holds come by link and by description, and let single recordings go (:mod:`retention.holds`)."""
    releases = [one for one in (item.last_release, holds.last_release) if one is not None]
    return replace(item, holds=holds.standing, last_release=max(releases, default=None))


def _item(row: RecordingRow, rules: RulesRow, matters: Iterable[MatterRow]) -> Item:
    linked = _read_matters(matters)
    batch = linked.batch
    if rules.disposed_at is not None or rules.disposing_at is not None:
        stage = "disposed" if rules.disposed_at is not None else "disposing"
        batch = InBatch(subject=batch.subject if batch is not None else "", stage=stage)
    return Item(
        accession=row.acquired_at if row.deadline_at is not None else None,
        ended_at=row.ended_at,
        end_source=row.started_source,
        end_trusted=row.started_source in TRUSTED_ENDS,
        categories=_categories(rules),
        device_mark=row.important and not (rules.category and rules.basis in _JUDGED_SINGLY),
        flags=_flags(rules),
        cases=tuple(linked.cases),
        procedures=tuple(linked.procedures),
        last_release=linked.last_release,
        kept=tuple(linked.kept),
        batch=batch,
        rebased_to=linked.rebased_to,
    )


def _with_owner(item: Item, rules: RulesRow, matters: Iterable[MatterRow]) -> Item:
    """A side file with what keeps its recording; what frees the recording frees no more than that."""
    linked = _read_matters(matters)
    releases = [one for one in (item.last_release, linked.last_release) if one is not None]
    return replace(
        item,
        categories=(*item.categories, *(one for one in _categories(rules) if one not in item.categories)),
        flags=(*item.flags, *_flags(rules)),
        cases=(*item.cases, *linked.cases),
        procedures=(*item.procedures, *linked.procedures),
        last_release=max(releases, default=None),
        kept=(*item.kept, *linked.kept),
        rebased_to=min(item.rebased_to, linked.rebased_to),
    )


def _categories(rules: RulesRow) -> tuple[Classified, ...]:
    return (Classified(category=rules.category, at=rules.classified_at),) if rules.category else ()


def _flags(rules: RulesRow) -> tuple[FlagSet, ...]:
    standing = {
        "complaint": rules.complaint,
        "obstruction": rules.obstruction,
        "sensitive": rules.sensitive,
        "long-term": rules.long_term,
    }
    return tuple(FlagSet(kind=kind) for kind, set_ in standing.items() if set_)


# --- matters ----------------------------------------------------------------------------------------------------------
@dataclass(slots=True, kw_only=True)
class _Linked:
    cases: list[CaseLink] = field(default_factory=list)
    procedures: list[Order] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    batch: InBatch | None = None
    last_release: datetime | None = None
    rebased_to: int = 0

    def release(self, at: datetime | None) -> None:
        if at is not None:
            self.last_release = at if self.last_release is None else max(self.last_release, at)


def _read_matters(matters: Iterable[MatterRow]) -> _Linked:
    linked = _Linked()
    for row in matters:
        match _means(row):
            case Meaning.PROCEDURE:
                if row.closed_at is None:
                    linked.procedures.append(Order(subject=row.number, kind=_kind_of(row), since=row.opened_at))
                else:
                    linked.release(row.closed_at)
            case Meaning.CASE:
                linked.cases.append(_case(row))
            case Meaning.BATCH:
                if row.closed_at is None:
                    linked.batch = InBatch(subject=row.number, stage=row.state)
            case Meaning.REBASE:
                if row.state == "approved":
                    linked.rebased_to = max(linked.rebased_to, int(row.facts.get("version", 0)))
            case Meaning.HOLD | Meaning.NOTHING:  # holds: see _with_holds
                pass
    return linked


def _kind_of(row: MatterRow) -> str:
    kind = row.facts.get("type", "")
    return kind if isinstance(kind, str) and kind else row.kind


def _case(row: MatterRow) -> CaseLink:
    return CaseLink(
        subject=row.number,
        open=row.closed_at is None,
        closed_at=row.closed_at,
        archive=_archive_period(row.facts),
    )


def _archive_period(facts: Mapping[str, Any]) -> RetentionClass | None:
    """How long a case's file is kept; what cannot be read is not settled, and keeps."""
    try:
        return parse_class(str(facts.get("archive_period") or ""))
    except InvalidInputError:
        return None


def moment_of(text: object) -> datetime | None:
    """A stored moment; None for what is none."""
    try:
        return from_text(str(text))
    except InvalidInputError:
        return None


def rows_of(uow: UnitOfWork, recordings: Collection[RecordingId]) -> list[RecordingRow]:
    """The rows of recordings that exist, whoever asks: for the service's own work."""
    return uow.recordings.seen(recordings, Visibility(everything=True))
