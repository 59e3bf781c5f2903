"""Until when one recording is kept, and why. Pure: facts in, decision out.

Every rule that applies makes a *claim*: keep until this moment, or keep without a date. The longest claim wins, and all are told
(:class:`Reason`), the deciding ones marked. Adding a fact that protects (a hold, a case, a flag, a longer class) can therefore
never make a recording due earlier. What a claim does not know (when a case was closed, which period a category has, when footage
came in) keeps without a date.

"Eligible" is no order: it says that the periods are over. Clearing needs a determination, a batch, a second person and the
notice. Footage nobody has classified is never eligible, whatever its age (R10): it waits as ``unclassified-due``.

Source: RULES R10, R11, R13, R19, R22 to R27; docs/invariants.md 5 and 9; docs/retention.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from evidence.calendar import after_days, after_months
from evidence.clock import from_text, to_text
from evidence.errors import InvalidInputError
from evidence.lock_dates import MONTHS, begins_at
from retention.periods import RetentionClass, Term
from retention.schedule import Schedules


class Standing(StrEnum):
    """Where a recording stands. The order is that of their weight: the first that applies is told."""

    GONE = "gone"
    HELD = "held"
    PERMANENT = "permanent"
    NO_DATE = "no-date"
    KEEP = "keep"
    UNCLASSIFIED_DUE = "unclassified-due"
    IN_BATCH = "in-batch"
    ELIGIBLE = "eligible"


class Why(StrEnum):
    """What a reason rests on; a stable code that pages translate."""

    # which clock the period begins with
    BEGINS_AT_ACCESSION = "begins-at-accession"
    BEGINS_AT_END = "begins-at-end"
    RECORDER_CLOCK_NOT_USED = "recorder-clock-not-used"
    ACCESSION_UNKNOWN = "accession-unknown"
    CLOCK_NOT_BELIEVED = "clock-not-believed"
    # classes
    UNCLASSIFIED = "unclassified"
    ORDINARY = "ordinary"
    CATEGORY = "category"
    CATEGORY_NOT_IN_SCHEDULE = "category-not-in-schedule"
    CLASSES_CONFLICT = "classes-conflict"
    LONG_TERM_CLASS = "long-term-class"
    UNTIL_REVIEWED = "until-reviewed"
    FOLLOWS_A_CASE = "follows-a-case"
    NO_CASE_TO_FOLLOW = "no-case-to-follow"
    # marks
    DEVICE_MARK = "device-mark"
    FLAG = "flag"
    # cases
    CASE_OPEN = "case-open"
    CASE_ARCHIVE = "case-archive"
    CASE_PERMANENT = "case-permanent"
    CASE_WITHOUT_PERIOD = "case-without-period"
    LITIGATION = "litigation"
    # orders
    HOLD = "hold"
    PROCEDURE = "procedure"
    COOL_OFF = "cool-off"
    KEPT_BY_DETERMINATION = "kept-by-determination"
    IN_BATCH = "in-batch"
    GONE = "gone"


# --- facts ------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Classified:
    """A person put it into a category.

    Attributes:
        category: Code of the category.
        at: When; the versions of the schedule that were in force then or later bind it. None: since ever.
        period: A class of its own that a person gave beside the schedule's (never shortens it).
    """

    category: str
    at: datetime | None = None
    period: RetentionClass | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagSet:
    """A person's mark that keeps footage long-term (R11): complaint, obstruction, sensitive."""

    kind: str
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseLink:
    """A dossier it belongs to.

    Attributes:
        subject: Its number; empty where nobody may be told.
        open: Not closed (or reopened).
        closed_at: When it was closed.
        archive: How long its file is kept; None: not settled.
    """

    subject: str
    open: bool = True
    closed_at: datetime | None = None
    archive: RetentionClass | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Something that stands and keeps footage: a hold, or a procedure that is open.

    Attributes:
        subject: Its number; empty where nobody may be told.
        kind: Its type.
        since: When it was placed or linked.
    """

    subject: str
    kind: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A determination that it be kept: until a moment, or (None) without a date."""

    subject: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InBatch:
    """It is listed for clearing, or is past the point of no return.

    Attributes:
        subject: Number of the batch.
        stage: ``proposed``, ``approved``, ``notice``, or ``disposing`` and ``disposed``.
    """

    subject: str
    stage: str

    @property
    def gone(self) -> bool:
        """Whether nothing can bring it back."""
        return self.stage in {"disposing", "disposed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What is known of one recording.

    Attributes:
        accession: When it came in, by a clock of ours that was believed; None when it was not.
        ended_at: When it ended, as far as anything tells.
        end_source: Where that comes from (``name``, ``name-corrected``, ``mtime``...).
        end_trusted: Whether the recorder's clock was read and found right, so that the end may count.
        categories: What persons put it into; none: unclassified.
        device_mark: The key on the recorder was pressed, and nobody has judged that yet.
        flags: Marks of persons that stand.
        cases: Dossiers it is linked to.
        holds: That stand.
        procedures: That are open.
        last_release: When the last hold was released, or procedure ended, if ever.
        kept: Determinations that it be kept.
        batch: Where it is listed for clearing.
        rebased_to: A re-schedule batch freed it from versions of the schedule before this one.
    """

    accession: datetime | None
    ended_at: datetime | None = None
    end_source: str = ""
    end_trusted: bool = False
    categories: tuple[Classified, ...] = ()
    device_mark: bool = False
    flags: tuple[FlagSet, ...] = ()
    cases: tuple[CaseLink, ...] = ()
    holds: tuple[Order, ...] = ()
    procedures: tuple[Order, ...] = ()
    last_release: datetime | None = None
    kept: tuple[Kept, ...] = ()
    batch: InBatch | None = None
    rebased_to: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """The time, and whether it may be relied on (evidence.time_line).

    Attributes:
        at: What the clock says.
        believed: It does not contradict what this home has seen. Without that nothing is ever over.
    """

    at: datetime
    believed: bool = True


# --- the answer -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One rule, clock, case, hold or flag, and what it claims.

    Attributes:
        why: What it rests on.
        subject: Number or code of the category, case, hold, flag or batch.
        detail: Its kind, its period (``months:24``), or its stage.
        version: Version of the schedule, -1 where none is concerned.
        at: The moment it is about: until when it keeps, or when the period begins.
        endless: It keeps without a date.
        decisive: The decision rests on it.
    """

    why: Why
    subject: str = ""
    detail: str = ""
    version: int = -1
    at: datetime | None = None
    endless: bool = False
    decisive: bool = False

    def to_json(self) -> dict[str, Any]:
        """For a row of the catalogue, the API and documents; empty values are left out."""
        told: dict[str, Any] = {
            "subject": self.subject,
            "detail": self.detail,
            "version": None if self.version < 0 else self.version,
            "at": None if self.at is None else to_text(self.at),
            "endless": self.endless or None,
            "decisive": self.decisive or None,
        }
        return {"why": self.why.value} | {name: value for name, value in told.items() if value not in {None, ""}}


def reason_from_json(untrusted: Mapping[str, Any]) -> Reason:
    """Read :meth:`Reason.to_json`.

    Raises:
        InvalidInputError: It is not of that form.
    """
    try:
        at = untrusted.get("at")
        return Reason(
            why=Why(untrusted["why"]),
            subject=str(untrusted.get("subject", "")),
            detail=str(untrusted.get("detail", "")),
            version=int(untrusted.get("version", -1)),
            at=None if at is None else from_text(at),
            endless=bool(untrusted.get("endless", False)),
            decisive=bool(untrusted.get("decisive", False)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInputError("a stored reason cannot be read") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What becomes of one recording.

    Attributes:
        standing: Where it stands now.
        due_at: The first moment after all periods; None while something keeps it without a date.
        reasons: All that apply, the deciding ones first.
        unclassified: Nobody has put it into a category.
    """

    standing: Standing
    due_at: datetime | None
    reasons: tuple[Reason, ...]
    unclassified: bool

    @property
    def decisive(self) -> tuple[Reason, ...]:
        """The reasons the decision rests on."""
        return tuple(one for one in self.reasons if one.decisive)


#: Which standing an endless claim leads to.
_ENDLESS: Final = {
    Why.GONE: Standing.GONE,
    Why.HOLD: Standing.HELD,
    Why.PROCEDURE: Standing.HELD,
    Why.LONG_TERM_CLASS: Standing.PERMANENT,
    Why.FLAG: Standing.PERMANENT,
    Why.CASE_PERMANENT: Standing.PERMANENT,
}
_WEIGHT: Final = {standing: weight for weight, standing in enumerate(Standing)}


def decide(item: Item, schedules: Schedules, now: Now) -> Decision:
    """Until when a recording is kept, where it stands, and why.

    Args:
        item: What is known of it.
        schedules: Every version of the schedule that came into force.
        now: The time, and whether it is believed.
    """
    reasons = [*_begin(item), *_classes(item, schedules), *_marks(item), *_cases(item, schedules), *_orders(item)]
    reasons += _cool_off(item, schedules)
    if item.batch is not None:
        gone = item.batch.gone
        why = Why.GONE if gone else Why.IN_BATCH
        reasons.append(Reason(why=why, subject=item.batch.subject, detail=item.batch.stage, endless=gone))
    unclassified = not item.categories
    if any(one.endless for one in reasons):
        standing = min((_standing(one) for one in reasons if one.endless), key=_WEIGHT.__getitem__)
        told = [replace(one, decisive=one.endless and _standing(one) is standing) for one in reasons]
        return Decision(standing=standing, due_at=None, reasons=_ordered(told), unclassified=unclassified)
    due = max(one.at for one in reasons if _claims(one) and one.at is not None)
    told = [replace(one, decisive=_claims(one) and one.at == due) for one in reasons]
    if not now.believed:
        told.append(Reason(why=Why.CLOCK_NOT_BELIEVED, decisive=True))
    over = now.believed and now.at >= due
    return Decision(standing=_dated(item, over=over), due_at=due, reasons=_ordered(told), unclassified=unclassified)


def _dated(item: Item, *, over: bool) -> Standing:
    if not over:
        return Standing.KEEP
    if not item.categories:
        return Standing.UNCLASSIFIED_DUE
    return Standing.ELIGIBLE if item.batch is None else Standing.IN_BATCH


_CLOCKS: Final = frozenset({Why.BEGINS_AT_ACCESSION, Why.BEGINS_AT_END, Why.RECORDER_CLOCK_NOT_USED})


def _claims(reason: Reason) -> bool:
    """Whether its moment is one until which footage is kept."""
    return reason.at is not None and reason.why not in _CLOCKS


def _standing(reason: Reason) -> Standing:
    return _ENDLESS.get(reason.why, Standing.NO_DATE)


def _ordered(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    return tuple(sorted(reasons, key=lambda one: not one.decisive))


# --- the clock a period begins with -----------------------------------------------------------------------------------
def _begins(item: Item) -> datetime | None:
    if item.accession is None:
        return None
    return begins_at(item.accession, item.ended_at if item.end_trusted else None)


def _begin(item: Item) -> Iterator[Reason]:
    begins = _begins(item)
    if begins is None:
        yield Reason(why=Why.ACCESSION_UNKNOWN, endless=True)
        return
    at_end = item.end_trusted and begins == item.ended_at and begins != item.accession
    why = Why.BEGINS_AT_END if at_end else Why.BEGINS_AT_ACCESSION
    yield Reason(why=why, detail=item.end_source if at_end else "", at=begins)
    if item.ended_at is not None and (not item.end_trusted or item.ended_at > begins):
        yield Reason(why=Why.RECORDER_CLOCK_NOT_USED, detail=item.end_source, at=item.ended_at)


# --- classes ----------------------------------------------------------------------------------------------------------
def _classes(item: Item, schedules: Schedules) -> Iterator[Reason]:
    begins = _begins(item)
    versions = schedules.since(item.accession, not_before=item.rebased_to)
    if begins is not None:
        period = max(one.ordinary_months for one in versions)
        version = max(one.version for one in versions if one.ordinary_months == period)
        ends = after_months(begins, max(period, MONTHS))
        yield Reason(why=Why.ORDINARY, detail=f"months:{period}", version=version, at=ends)
    if not item.categories:
        yield Reason(why=Why.UNCLASSIFIED)
    kinds: set[RetentionClass] = set()
    for one in item.categories:
        found = _of_category(one, item, schedules)
        kinds.update(keeps for keeps, _ in found)
        if not found:
            yield Reason(why=Why.CATEGORY_NOT_IN_SCHEDULE, subject=one.category, endless=True)
        for keeps, version in found:
            yield _claim_of_class(keeps, one.category, version, begins, item)
    if len(kinds) > 1:
        longest = max(kinds, key=lambda keeps: keeps.length)
        yield Reason(why=Why.CLASSES_CONFLICT, detail=longest.text())


def _of_category(one: Classified, item: Item, schedules: Schedules) -> list[tuple[RetentionClass, int]]:
    """The classes a category had in the versions that bind it, each with the newest version that gives it."""
    found: dict[RetentionClass, int] = {}
    for schedule in schedules.since(one.at, not_before=item.rebased_to):
        if (row := schedule.rows.get(one.category)) is not None:
            found[row.keeps] = schedule.version
    if one.period is not None:
        found.setdefault(one.period, -1)
    return list(found.items())


def _claim_of_class(keeps: RetentionClass, category: str, version: int, begins: datetime | None, item: Item) -> Reason:
    detail = keeps.text()
    if keeps.term is Term.MONTHS:
        at = None if begins is None else after_months(begins, keeps.months)
        return Reason(why=Why.CATEGORY, subject=category, detail=detail, version=version, at=at)
    if keeps.term is Term.CASE_ARCHIVE and item.cases:
        return Reason(why=Why.FOLLOWS_A_CASE, subject=category, detail=detail, version=version)
    why = {
        Term.LONG_TERM: Why.LONG_TERM_CLASS,
        Term.UNTIL_REVIEWED: Why.UNTIL_REVIEWED,
        Term.CASE_ARCHIVE: Why.NO_CASE_TO_FOLLOW,
    }[keeps.term]
    return Reason(why=why, subject=category, detail=detail, version=version, endless=True)


# --- marks, cases, orders ---------------------------------------------------------------------------------------------
def _marks(item: Item) -> Iterator[Reason]:
    if item.device_mark:
        yield Reason(why=Why.DEVICE_MARK, endless=True)
    for flag in item.flags:
        yield Reason(why=Why.FLAG, subject=flag.subject, detail=flag.kind, endless=True)
    for kept in item.kept:
        yield Reason(why=Why.KEPT_BY_DETERMINATION, subject=kept.subject, at=kept.until, endless=kept.until is None)


def _cases(item: Item, schedules: Schedules) -> Iterator[Reason]:
    for case in item.cases:
        if case.open:
            yield Reason(why=Why.CASE_OPEN, subject=case.subject, endless=True)
            continue
        if case.archive is not None and case.archive.term is Term.LONG_TERM:
            yield Reason(why=Why.CASE_PERMANENT, subject=case.subject, at=case.closed_at, endless=True)
            continue
        if case.closed_at is None or case.archive is None or case.archive.term is not Term.MONTHS:
            yield Reason(why=Why.CASE_WITHOUT_PERIOD, subject=case.subject, endless=True)
            continue
        archive = case.archive
        ends = after_months(case.closed_at, archive.months)
        yield Reason(why=Why.CASE_ARCHIVE, subject=case.subject, detail=archive.text(), at=ends)
        versions = schedules.since(case.closed_at, not_before=item.rebased_to)
        months = max(one.litigation_months for one in versions)
        yield Reason(
            why=Why.LITIGATION,
            subject=case.subject,
            detail=f"months:{months}",
            version=max(one.version for one in versions if one.litigation_months == months),
            at=after_months(case.closed_at, months),
        )


def _orders(item: Item) -> Iterator[Reason]:
    for why, orders in ((Why.HOLD, item.holds), (Why.PROCEDURE, item.procedures)):
        for one in orders:
            yield Reason(why=why, subject=one.subject, detail=one.kind, endless=True)


def _cool_off(item: Item, schedules: Schedules) -> Iterator[Reason]:
    if item.last_release is None:
        return
    versions = schedules.since(item.last_release, not_before=item.rebased_to)
    days = max(one.cool_off_days for one in versions)
    version = max(one.version for one in versions if one.cool_off_days == days)
    ends = after_days(item.last_release, days)
    yield Reason(why=Why.COOL_OFF, detail=f"days:{days}", version=version, at=ends)
