"""What a recording is, as persons judge it: its category, its entry of the bureau's list, and the flags of R11.

A judgement is an event on the recording's own timeline and a row beside it, in one transaction; the later one counts, and one
that was taken back leaves the recording unclassified again. The mark of the recorder's key (重点标记) stays what it is beside it.
Nobody's judgement ever shortens what a flag or a hold keeps.

Many at once: the exact list is shown first (:meth:`Classifier.plan`), and what is done is what was shown; whatever changed
meanwhile is left as it is and told. Rights are asked for the whole list before anything is done: one recording too many refuses
all of it.

Source: RULES R3, R10, R11; docs/invariants.md 4, 9; docs/retention.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from catalogue import Catalogue, UnitOfWork
from catalogue.records import RecordingRow
from catalogue.rules import DateRow, RulesRow
from evidence.calendar import local_date
from evidence.canonical import dumps
from evidence.clock import Clock, TimeReading, to_text
from evidence.errors import EvidenceError, InvalidInputError, PolicyUnmetError, StateConflictError
from evidence.events import Event, RecordingClassified, RecordingFlagged
from evidence.ids import EntryId, RecordingId
from evidence.limits import TEXT_CHARS_MAX
from evidence.model import Action, Actor, ObjectScope, RecordingState
from evidence.ports import Authoriser, CustodyRecorder
from matters.recording_facts import say
from retention import flags
from retention.facts import rows_of, schedules_of
from retention.periods import Term
from retention.record_list import ListItem
from retention.record_list_form import items_in_force
from retention.schedule import ClassRow

#: Recordings of one act.
BULK_MAX: Final = 1000
_AT_ONCE: Final = 100
#: Why a recording of a list is left as it is: stable codes, translated by the interfaces.
DUPLICATE, GOING, SAME, CHANGED = "duplicate", "going", "same", "changed"
#: How it came to its category.
PERSON, BULK = "person", "bulk"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRow:
    """One recording of a list: what it is now, and why it is left so (empty: it is changed)."""

    recording: RecordingId
    name: str
    before: str
    classified_at: datetime | None
    left: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What classifying a list would do.

    Attributes:
        category: What the recordings become; empty to take judgements back.
        item: Entry of the bureau's list.
        rows: Every recording of the list, in its order.
        sha256: Digest of all this; given back to do exactly it.
    """

    category: str
    item: str
    rows: tuple[PlannedRow, ...]
    sha256: str

    @property
    def changes(self) -> tuple[PlannedRow, ...]:
        """Those that would be changed."""
        return tuple(row for row in self.rows if not row.left)


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What was done.

    Attributes:
        done: Changed, each with an entry of its own, durable.
        left: Left as they are: recording -> code.
        not_reached: Not tried, because of an error that is told in ``why``.
        why: What stopped it, empty when nothing did.
    """

    done: list[RecordingId] = field(default_factory=list)
    left: dict[RecordingId, str] = field(default_factory=dict)
    not_reached: list[RecordingId] = field(default_factory=list)
    why: str = ""

    @property
    def complete(self) -> bool:
        """Whether everything was tried."""
        return not self.not_reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What can be chosen now: categories of the schedule in force, and entries of the list in force."""

    categories: tuple[ClassRow, ...]
    items: tuple[ListItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsorted:
    """A recording nobody has classified: how many days ago it came in, and until when it is kept as far as was computed."""

    row: RecordingRow
    days: int
    date: DateRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Worklist:
    """Recordings of one officer that nobody has classified, the oldest first; ``total`` counts up to a cap."""

    items: tuple[Unsorted, ...]
    total: int
    as_of: datetime


class Classifier:
    """Judgements about recordings. Thread-safe.

    Args:
        catalogue: Where they stand.
        authoriser: Asked for every recording.
        recorder: Signs the entries.
        clock: Injected time.
        woken: Called after a commit that added an entry.
    """

    def __init__(
        self, catalogue: Catalogue, *, authoriser: Authoriser, recorder: CustodyRecorder, clock: Clock,
        woken: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._catalogue = catalogue
        self._authoriser = authoriser
        self._recorder = recorder
        self._clock = clock
        self._woken = woken

    # --- looking ------------------------------------------------------------------------------------------------------
    def choices(self, actor: Actor) -> Choices:
        """Categories and entries a person can choose from; empty categories: the schedule in force names none.

        Raises:
            AccessDeniedError: Not theirs to see (entered).
        """
        self._authoriser.require(actor, Action.SCHEDULE_SEE, detail="categories")
        with self._catalogue.read() as uow:
            rows = schedules_of(uow).current.rows
            items = items_in_force(uow, local_date(self._clock.now().wall))
        return Choices(
            categories=tuple(row for _code, row in sorted(rows.items())), items=tuple(items),
        )  # fmt: skip

    def worklist(self, actor: Actor, *, limit: int = 100) -> Worklist:
        """The actor's own recordings that nobody has classified: sorting them is the recording officer's task (R15)."""
        self._authoriser.require(actor, Action.RECORDING_LIST, detail="recordings to classify")
        now = self._clock.now().wall
        with self._catalogue.read() as uow:
            found, total = uow.rules.unclassified_of(actor.agent, limit=limit)
            rows = {row.id: row for row in rows_of(uow, found)}
            dates = uow.rules.dates_of(found)
        items = [
            Unsorted(row=rows[one], days=max(0, (now - (rows[one].stored_at or now)).days), date=dates.get(one))
            for one in found if one in rows
        ]  # fmt: skip
        return Worklist(items=tuple(items), total=total, as_of=now)

    def plan(
        self, actor: Actor, recordings: Sequence[RecordingId], *, category: str = "", item: str = ""
    ) -> Plan:  # fmt: skip
        """What classifying these would do, exactly; nothing is entered but a refusal.

        Raises:
            AccessDeniedError: One of them is not theirs to classify (entered).
            InvalidInputError: No such category or entry, none or too many recordings. NotFoundError: An unknown one.
        """
        wanted = _distinct(recordings)
        rows = self._permitted(actor, Action.RECORDING_CLASSIFY, wanted, "classify")
        with self._catalogue.read() as uow:
            chosen, entry = self._chosen(uow, category, item)
            return _plan(rows, uow.rules.of_each(wanted), chosen, entry)

    # --- categories ---------------------------------------------------------------------------------------------------
    def classify(
        self, actor: Actor, recordings: Sequence[RecordingId], *, category: str = "", item: str = "", words: str = "",
        sha256: str = "",
    ) -> Outcome:  # fmt: skip
        """Judge what recordings are. What is in the outcome's ``done`` is durable, each with its entry.

        Args:
            actor: Who judges.
            recordings: One or many.
            category: Of the schedule in force; may be left out where the entry names one.
            item: Code of an entry of the bureau's list in force.
            words: What the person says about it.
            sha256: Digest of the plan that was looked at; needed for more than one recording.

        Raises:
            AccessDeniedError: One of them is not theirs to classify (entered); nothing was done.
            StateConflictError: The list is not what was looked at; nothing was done.
            PolicyUnmetError: The one recording cannot be classified.
            InvalidInputError: No such category or entry; several without the plan's digest.
        """
        if not category and not item:
            raise InvalidInputError("no category was chosen", kept="Nothing was entered.")
        return self._judge(actor, recordings, category=category, item=item, words=words, sha256=sha256)

    def retract(self, actor: Actor, recording: RecordingId, *, words: str) -> Outcome:
        """Take a judgement back: the recording is unclassified again. Raises as :meth:`classify`."""
        if not words.strip():
            raise InvalidInputError("say why it is taken back", kept="Nothing was entered.")
        return self._judge(actor, [recording], category="", item="", words=words, sha256="")

    def _judge(
        self, actor: Actor, recordings: Sequence[RecordingId], *, category: str, item: str, words: str, sha256: str
    ) -> Outcome:  # fmt: skip
        said = _words(words)
        plan = self.plan(actor, recordings, category=category, item=item)
        if sha256 and plan.sha256 != sha256:
            raise StateConflictError(
                "the list is not what was looked at: somebody has classified some of it", kept="Nothing was entered.",
                todo="Look at the list again.",
            )  # fmt: skip
        if len(plan.rows) > 1 and not sha256:
            raise InvalidInputError(
                "several recordings are classified after the list was looked at", todo="Look first."
            )
        if len(plan.rows) == 1 and plan.rows[0].left not in ("", SAME):
            raise PolicyUnmetError(
                f"{plan.rows[0].name} cannot be classified: {plan.rows[0].left}", kept="Nothing was entered.",
                todo="A duplicate is classified at the recording that keeps its bytes.",
            )  # fmt: skip
        outcome = Outcome(left={row.recording: row.left for row in plan.rows if row.left})
        basis = PERSON if len(plan.rows) == 1 else BULK

        def judge(uow: UnitOfWork, now: TimeReading, row: PlannedRow) -> str:
            return self._enter(uow, now, actor, plan, row, basis=basis, words=said)

        self._in_slices(plan.changes, outcome, judge)
        return outcome

    def _enter(
        self, uow: UnitOfWork, now: TimeReading, actor: Actor, plan: Plan, row: PlannedRow, *, basis: str, words: str | None
    ) -> str:  # fmt: skip
        rules = uow.rules.lock(row.recording)
        if _is_going(rules):
            return GOING
        if (rules.category, rules.classified_at) != (row.before, row.classified_at):
            return CHANGED
        subject, at = _subject(uow, row.recording), to_text(now.wall)
        record = self._recording(uow, now)
        say(uow, record, RecordingClassified(
            actor=actor.agent, recording=row.recording, sha256=subject, category=plan.category, item=plan.item, basis=basis,
            at=at, words=words,
        ))  # fmt: skip
        long_term = plan.category and schedules_of(uow).current.rows[plan.category].keeps.term is Term.LONG_TERM
        if long_term and not rules.long_term:
            say(uow, record, RecordingFlagged(
                actor=actor.agent, recording=row.recording, sha256=subject, flag=flags.LONG_TERM, standing=True,
                ground=flags.BY_CLASS, at=at,
            ))  # fmt: skip
        return ""

    # --- flags --------------------------------------------------------------------------------------------------------
    def flag(
        self, actor: Actor, recordings: Sequence[RecordingId], *, flag: str, ground: str, words: str
    ) -> Outcome:  # fmt: skip
        """Put a flag of R11 on recordings: they are kept for the long term from then on. Durable as :meth:`classify`.

        Args:
            actor: Who sets it.
            recordings: One or many.
            flag: ``complaint``, ``obstruction``, ``sensitive`` or ``long-term``.
            ground: One of its grounds.
            words: What happened; never empty.

        Raises:
            AccessDeniedError: One of them is not theirs to flag (entered); nothing was done.
            PolicyUnmetError: The one recording cannot be flagged.
            InvalidInputError: No such flag or ground, or no words.
        """
        flags.require_ground(flag, ground)
        said = _words(words)
        if said is None:
            raise InvalidInputError("say in words what happened", kept="Nothing was entered.")
        wanted = _distinct(recordings)
        rows = self._permitted(actor, Action.RECORDING_FLAG, wanted, f"flag {flag}")
        with self._catalogue.read() as uow:
            plan = _plan(rows, uow.rules.of_each(wanted), "", "")
        refused = {row.recording: row.left for row in plan.rows if row.left in (DUPLICATE, GOING)}
        if len(wanted) == 1 and refused:
            raise PolicyUnmetError(
                f"{rows[0].name} cannot be flagged: {refused[wanted[0]]}", kept="Nothing was entered."
            )
        outcome = Outcome(left=refused)

        def set_(uow: UnitOfWork, now: TimeReading, row: PlannedRow) -> str:
            rules = uow.rules.lock(row.recording)
            if _is_going(rules):
                return GOING
            subject, at, record = _subject(uow, row.recording), to_text(now.wall), self._recording(uow, now)
            for name in (flag, *(() if rules.long_term or flag == flags.LONG_TERM else (flags.LONG_TERM,))):
                say(uow, record, RecordingFlagged(
                    actor=actor.agent, recording=row.recording, sha256=subject, flag=name, standing=True, ground=ground,
                    at=at, words=said,
                ))  # fmt: skip
            return ""

        self._in_slices([row for row in plan.rows if row.recording not in refused], outcome, set_)
        return outcome

    # --- the inside ---------------------------------------------------------------------------------------------------
    def _permitted(
        self, actor: Actor, action: Action, wanted: Sequence[RecordingId], detail: str
    ) -> list[RecordingRow]:  # fmt: skip
        """The rows, when the actor may do this to every one of them; the first refusal is entered and raised."""
        with self._catalogue.read() as uow:
            rows = [uow.recordings.get(one) for one in wanted]
        scopes = [ObjectScope(unit=row.unit, officer=row.officer, recording=row.id) for row in rows]
        for scope, decision in zip(scopes, self._authoriser.decide_each(actor, action, scopes), strict=True):
            if not decision.allowed:
                self._authoriser.deny(actor, action, reason=decision.reason, scope=scope, detail=detail)
        return rows

    def _chosen(self, uow: UnitOfWork, category: str, item: str) -> tuple[str, str]:
        if item:
            listed = {one.code: one for one in items_in_force(uow, local_date(self._clock.now().wall))}
            if item not in listed:
                raise InvalidInputError(
                    f"the list in force has no entry {item[:40]!r}", todo="Choose one of its entries."
                )
            of = listed[item].category
            if of and category and category != of:
                raise InvalidInputError(f"the entry belongs to the category {of}, not to {category[:40]}")
            category = category or of
            if not category:
                raise InvalidInputError("the entry names no category", todo="Choose the category too.")
        known = schedules_of(uow).current.rows
        if category and category not in known:
            named = ", ".join(sorted(known)) or "none yet: bring in a schedule first"
            raise InvalidInputError(
                f"the schedule in force has no category {category[:40]!r}", todo=f"Its categories: {named}."
            )
        return category, item

    def _in_slices(
        self, rows: Iterable[PlannedRow], outcome: Outcome, act: Callable[[UnitOfWork, TimeReading, PlannedRow], str]
    ) -> None:
        """Act on every row, some in one transaction; what an error keeps from being tried is told."""
        waiting = sorted(rows, key=lambda row: row.recording)
        while waiting:
            part, rest = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
            try:
                with self._catalogue.begin() as uow:
                    now = self._clock.now()
                    left = {row.recording: act(uow, now, row) for row in part}
            except EvidenceError as error:
                if error.fatal or not outcome.done:
                    raise
                outcome.not_reached, outcome.why = [row.recording for row in waiting], error.what
                return
            outcome.done += [one for one, why in left.items() if not why]
            outcome.left |= {one: why for one, why in left.items() if why}
            waiting = rest

    def _recording(self, uow: UnitOfWork, now: TimeReading) -> Callable[[Event], EntryId]:
        def record(event: Event) -> EntryId:
            uow.after_commit(self._woken)
            return self._recorder.record(uow.outbox, event, at=now)

        return record


def is_unclassified(row: RecordingRow, rules: RulesRow) -> bool:
    """Whether a recording waits for somebody to classify it; side files and duplicates follow another recording."""
    stored = row.state in (RecordingState.STORED, RecordingState.RELEASED)
    return stored and row.attached_to is None and not rules.category and not _is_going(rules)


def _plan(rows: Sequence[RecordingRow], rules: Mapping[RecordingId, RulesRow], category: str, item: str) -> Plan:
    planned = tuple(_planned(rows, rules, category, item))
    told = [[category, item], *([row.recording, row.before, row.left, _ms(row.classified_at)] for row in planned)]
    return Plan(category=category, item=item, rows=planned, sha256=hashlib.sha256(dumps(told)).hexdigest())


def _planned(
    rows: Sequence[RecordingRow], rules: Mapping[RecordingId, RulesRow], category: str, item: str
) -> Iterator[PlannedRow]:
    for row in rows:
        said = rules[row.id]
        left = ""
        if row.state is RecordingState.DUPLICATE:
            left = DUPLICATE
        elif _is_going(said):
            left = GOING
        elif (said.category, said.item) == (category, item):
            left = SAME
        yield PlannedRow(
            recording=row.id, name=row.name, before=said.category, classified_at=said.classified_at, left=left
        )  # fmt: skip


def _ms(moment: datetime | None) -> str:
    return "" if moment is None else to_text(moment)


def _is_going(rules: RulesRow) -> bool:
    return rules.disposing_at is not None or rules.disposed_at is not None


def _distinct(recordings: Collection[RecordingId]) -> list[RecordingId]:
    wanted = list(dict.fromkeys(recordings))
    if not wanted:
        raise InvalidInputError("no recording was chosen", kept="Nothing was entered.")
    if len(wanted) > BULK_MAX:
        raise InvalidInputError(f"{len(wanted)} recordings are too many", todo=f"At most {BULK_MAX} at once.")
    return wanted


def _words(text: str) -> str | None:
    said = text.replace("\r\n", "\n").strip()
    if len(said) > TEXT_CHARS_MAX:
        raise InvalidInputError(f"at most {TEXT_CHARS_MAX} characters", kept="Nothing was entered.")
    if any(not (char.isprintable() or char in "\n\t") for char in said):
        raise InvalidInputError("the words hold a control character", kept="Nothing was entered.")
    return said or None


def _subject(uow: UnitOfWork, recording: RecordingId) -> str:
    digest = uow.recordings.get(recording).sha256
    return digest.hex if digest is not None else ""
