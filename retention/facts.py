"""What the catalogue knows of recordings, as :func:`retention.decide.decide` takes it. Reads, never writes.

Whoever records something that keeps footage need not know this module: holds, cases and procedures are matters that link
recordings, and what each kind means here stands in one table. A kind that this table does not know **keeps while it is open**:
who adds a kind and forgets to say what it means must not be who lets footage go.

A side file (a track, a text) is kept as long as the recording it belongs to; a duplicate is classified where its bytes are kept,
and whoever keeps bytes for a duplicate is kept by whatever keeps that one.

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
from evidence.clock import TimeReading
from evidence.errors import InvalidInputError
from evidence.ids import MatterId, RecordingId
from evidence.model import Visibility
from evidence.time_line import Belief, judge
from retention.decide import CaseLink, Classified, FlagSet, InBatch, Item, Now, Order
from retention.disposal_list import ITEM
from retention.holds import HoldsOf, holds_of_each
from retention.periods import RetentionClass, parse_class
from retention.schedule import DEFAULT, Schedules
from retention.schedule_matter import APPROVED, IN_FORCE, RESCHEDULE, SCHEDULE, schedule_of

#: Sources of a recording's end that rest on a recorder's clock which was read and found plausible.
TRUSTED_ENDS: Final = frozenset({"name-corrected"})
#: Only who looked at the one recording has judged the mark of its device; a bulk act and an import have not.
_JUDGED_SINGLY: Final = frozenset({"person", "case"})
_VERSIONS_MAX: Final = 10_000
#: A side file of a duplicate follows two steps up; more than this never occurs.
_FOLLOWS_MAX: Final = 4
#: Somebody asked for a closed case to be opened again: it counts as open until that was decided.
_REOPENING: Final = "reopening"


class Meaning(Enum):
    """What a matter that links a recording means for it."""

    CASE = "case"
    PROCEDURE = "procedure"
    USE = "use"
    BATCH = "batch"
    REBASE = "rebase"
    NOTHING = "nothing"


#: By kind of matter; a kind that stands here in no row is a procedure. To add one that keeps nothing: a row here, with a reason.
MEANINGS: Final[Mapping[str, Meaning]] = {
    "case": Meaning.CASE,
    "working-material": Meaning.CASE,
    # While somebody works with footage it stays; nothing follows from it afterwards.
    "access-request": Meaning.USE,
    "access-grant": Meaning.USE,
    "package": Meaning.USE,
    "treatment": Meaning.USE,
    "loan": Meaning.USE,
    "access-paper": Meaning.USE,
    "supervised-viewing": Meaning.USE,
    "sampling": Meaning.USE,
    # What was found in footage is explained, corrected and looked at again; until then it stays.
    "inspection-finding": Meaning.PROCEDURE,
    "clearing-batch": Meaning.BATCH,
    RESCHEDULE: Meaning.REBASE,
    # Holds are asked of :mod:`retention.holds`, which knows those that describe footage, too.
    "hold": Meaning.NOTHING,
    # Descriptions of footage or of recorders, no reasons to keep it.
    "disc-set": Meaning.NOTHING,
    "exception": Meaning.NOTHING,
    "damage-ticket": Meaning.NOTHING,
    "shift": Meaning.NOTHING,
    "flag-lift": Meaning.NOTHING,
    "fixation": Meaning.NOTHING,  # a record about footage of a case, which keeps it
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
    above = _above(uow, wanted)
    kin = uow.holds.kin_of(own)
    everybody = own.union(*(kin[one] for one in own), *([row.id for row in above[one]] for one in own))
    rules = uow.rules.of_each(everybody)
    matters = _matters_of(uow, everybody)
    holds = holds_of_each(uow, own)
    found = {}
    for row in wanted:
        item = _item(row, rules[row.id], matters.get(str(row.id), ()))
        over = above[row.id]
        for one in over:
            item = _with_source(item, row, one, rules[one.id])
        for other in sorted({*kin[row.id], *(one.id for one in over)} - {row.id}):
            item = _with_kin(item, rules[other], matters.get(str(other), ()))
        found[row.id] = _with_holds(item, holds[row.id])
    return found


def above(uow: UnitOfWork, row: RecordingRow) -> list[RecordingRow]:
    """What a recording follows: the one it is a side file of, the one that keeps its bytes, and what these follow."""
    return _above(uow, [row])[row.id]


def _above(uow: UnitOfWork, rows: Collection[RecordingRow]) -> dict[RecordingId, list[RecordingRow]]:
    known: dict[RecordingId, RecordingRow] = {row.id: row for row in rows}
    for _ in range(_FOLLOWS_MAX):
        asked = {one for row in known.values() for one in _followed(row)} - known.keys()
        if not asked:
            break
        known |= {row.id: row for row in rows_of(uow, asked)}
    found: dict[RecordingId, list[RecordingRow]] = {}
    for row in rows:
        seen: list[RecordingRow] = []
        waiting = [row]
        while waiting:
            over = [known[one] for one in _followed(waiting.pop()) if one in known]
            fresh = [one for one in over if one.id != row.id and one not in seen]
            seen += fresh
            waiting += fresh
        found[row.id] = seen
    return found


def _followed(row: RecordingRow) -> list[RecordingId]:
    return [one for one in (row.attached_to, row.duplicate_of) if one is not None]


def matters_of(uow: UnitOfWork, recording: RecordingRow) -> list[MatterRow]:
    """Every matter that has a say in how long this recording is kept, holds by description left aside."""
    wanted = [recording.id, *(one.id for one in above(uow, recording))]
    return [row for some in _matters_of(uow, wanted).values() for _role, row in some]


_Links = Iterable[tuple[str, MatterRow]]


def _matters_of(uow: UnitOfWork, recordings: Collection[RecordingId]) -> dict[str, list[tuple[str, MatterRow]]]:
    """Matters that concern each recording, or a case it belongs to: a procedure about a case keeps the footage of the case."""
    direct = uow.matters.links_to_each([str(one) for one in recordings])
    cases = {str(row.id) for links in direct.values() for _role, row in links if _means(row) is Meaning.CASE}
    through = uow.matters.links_to_each(sorted(cases)) if cases else {}
    for links in direct.values():
        known = {row.id for _role, row in links}
        for case in [row for _role, row in links if _means(row) is Meaning.CASE]:
            for role, row in through.get(str(case.id), ()):
                if row.id not in known and _means(row) is Meaning.PROCEDURE:
                    known.add(row.id)
                    links.append((role, row))
    return direct


def _means(row: MatterRow) -> Meaning:
    return MEANINGS.get(row.kind, Meaning.PROCEDURE)


# --- one recording ----------------------------------------------------------------------------------------------------
def _with_holds(item: Item, holds: HoldsOf) -> Item:
    """Holds come by link and by description, and let single recordings go (:mod:`retention.holds`)."""
    releases = [one for one in (item.last_release, holds.last_release) if one is not None]
    return replace(item, holds=holds.standing, last_release=max(releases, default=None))


def _item(row: RecordingRow, rules: RulesRow, links: _Links) -> Item:
    linked = _read_matters(links)
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
        batch=batch,
        rebased_to=linked.rebased_to,
    )


def _with_source(item: Item, row: RecordingRow, over: RecordingRow, rules: RulesRow) -> Item:
    """A side file is kept as long as its recording, a duplicate is classified where its bytes are kept."""
    item = replace(
        item, categories=(*item.categories, *(one for one in _categories(rules) if one not in item.categories))
    )
    judged = bool(rules.category) and rules.basis in _JUDGED_SINGLY
    if row.duplicate_of is not None:
        item = replace(item, device_mark=item.device_mark and not judged)
    if row.attached_to is None:
        return item
    came = over.acquired_at if over.deadline_at is not None else None
    trusted = over.started_source in TRUSTED_ENDS and over.ended_at is not None
    return replace(
        item,
        accession=None if came is None or item.accession is None else max(came, item.accession),
        ended_at=over.ended_at if trusted else item.ended_at,
        end_source=over.started_source if trusted else item.end_source,
        end_trusted=item.end_trusted or trusted,
        device_mark=item.device_mark or (over.important and not judged),
    )


def _with_kin(item: Item, rules: RulesRow, links: _Links) -> Item:
    """With what keeps a recording it follows, or a duplicate whose bytes it keeps; what frees these frees no more than that."""
    linked = _read_matters(links)
    releases = [one for one in (item.last_release, linked.last_release) if one is not None]
    return replace(
        item,
        flags=(*item.flags, *_flags(rules)),
        cases=(*item.cases, *linked.cases),
        procedures=(*item.procedures, *linked.procedures),
        last_release=max(releases, default=None),
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
    batch: InBatch | None = None
    last_release: datetime | None = None
    rebased_to: int = 0

    def release(self, at: datetime | None) -> None:
        if at is not None:
            self.last_release = at if self.last_release is None else max(self.last_release, at)


def _read_matters(links: _Links) -> _Linked:
    linked = _Linked()
    seen: set[MatterId] = set()
    for role, row in links:
        meaning = _means(row)
        if meaning is Meaning.BATCH:
            if row.closed_at is None and role == ITEM:
                linked.batch = InBatch(subject=row.number, stage=row.state)
            continue
        if row.id in seen:
            continue
        seen.add(row.id)
        if meaning in (Meaning.PROCEDURE, Meaning.USE):
            if row.closed_at is None:
                linked.procedures.append(Order(subject=row.number, kind=_kind_of(row), since=row.opened_at))
            elif meaning is Meaning.PROCEDURE:
                linked.release(row.closed_at)
        elif meaning is Meaning.CASE:
            linked.cases.append(_case(row))
        elif meaning is Meaning.REBASE and row.state == APPROVED:
            linked.rebased_to = max(linked.rebased_to, int(row.facts.get("version", 0)))
    return linked


def _kind_of(row: MatterRow) -> str:
    kind = row.facts.get("type", "")
    return kind if isinstance(kind, str) and kind else row.kind


def _case(row: MatterRow) -> CaseLink:
    return CaseLink(
        subject=row.number,
        open=row.closed_at is None or row.state == _REOPENING,
        closed_at=row.closed_at,
        archive=_archive_period(row.facts),
    )


def _archive_period(facts: Mapping[str, Any]) -> RetentionClass | None:
    """How long a case's file is kept; what cannot be read is not settled, and keeps."""
    try:
        return parse_class(str(facts.get("archive_period") or ""))
    except InvalidInputError:
        return None


def rows_of(uow: UnitOfWork, recordings: Collection[RecordingId]) -> list[RecordingRow]:
    """The rows of recordings that exist, whoever asks: for the service's own work."""
    return uow.recordings.seen(recordings, Visibility(everything=True))
