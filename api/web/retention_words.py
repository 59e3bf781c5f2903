"""Words about dates of keeping: where a recording stands, what each reason says, and how classes are called."""

from __future__ import annotations

from typing import Any, Final

from api.web import words
from api.web.i18n import translate
from api.web.marks import BUSY, GOOD, UNKNOWN, WARN, Mark
from api.web.units import local_time
from cases.forms import FORMS
from catalogue.records import RecordingRow
from evidence.calendar import local_date
from evidence.model import Actor, RecordingState
from retention.decide import Reason, Standing, Why
from retention.desk import RetentionDesk, RetentionView
from retention.disposal_forms import BATCH_FORM
from retention.hold_form import TYPES

STANDINGS: Final = {
    Standing.GONE: Mark(UNKNOWN, "stop", "Lawfully cleared, or being cleared"),
    Standing.HELD: Mark(WARN, "pause", "Held"),
    Standing.PERMANENT: Mark(GOOD, "seal", "Long-term preservation"),
    Standing.NO_DATE: Mark(UNKNOWN, "question", "Kept, no date yet"),
    Standing.KEEP: Mark(GOOD, "check", "Kept"),
    Standing.UNCLASSIFIED_DUE: Mark(WARN, "warn", "Period over, not classified: waits for a person"),
    Standing.IN_BATCH: Mark(BUSY, "clock", "Listed for clearing"),
    Standing.ELIGIBLE: Mark(WARN, "clock", "Period over, may be proposed for clearing"),
}
WHY: Final = {
    Why.BEGINS_AT_ACCESSION: "The period begins with the accession",
    Why.BEGINS_AT_END: "The period begins with the end of the recording",
    Why.RECORDER_CLOCK_NOT_USED: "The recorder's clock is not trusted and was not used",
    Why.ACCESSION_UNKNOWN: "When it came in is not known: our clock was not believed then",
    Why.CLOCK_NOT_BELIEVED: "Our clock is not believed now: nothing is over by it",
    Why.UNCLASSIFIED: "Not classified yet: counts as ordinary footage and is never cleared without a person",
    Why.ORDINARY: "Ordinary footage",
    Why.CATEGORY: "Category",
    Why.CATEGORY_NOT_IN_SCHEDULE: "The schedule says nothing of its category",
    Why.CLASSES_CONFLICT: "Several periods apply: the longest counts",
    Why.LONG_TERM_CLASS: "Category of long-term preservation",
    Why.UNTIL_REVIEWED: "Kept until somebody has reviewed it",
    Why.FOLLOWS_A_CASE: "Follows the period of its case file",
    Why.NO_CASE_TO_FOLLOW: "Follows a case file, but is linked to none",
    Why.DEVICE_MARK: "Device mark that nobody has judged yet",
    Why.FLAG: "Flag",
    Why.CASE_OPEN: "Case is open",
    Why.CASE_ARCHIVE: "Period of the case file",
    Why.CASE_PERMANENT: "Case file is kept for ever",
    Why.CASE_WITHOUT_PERIOD: "Period of the case file is not settled",
    Why.LITIGATION: "The case may still be contested",
    Why.HOLD: "Hold",
    Why.PROCEDURE: "A procedure is not ended",
    Why.COOL_OFF: "Time to stay after the last hold",
    Why.KEPT_BY_DETERMINATION: "Kept by a determination",
    Why.IN_BATCH: "On a clearing list",
    Why.GONE: "Cleared",
}
FLAGS: Final = {
    "complaint": "may complain or petition",
    "obstruction": "evasion, refusal, obstruction or insult",
    "sensitive": "major or sensitive",
    "long-term": "long-term preservation",
}
TERMS: Final = {
    "long-term": "long-term preservation",
    "case-archive": "as the case file",
    "until-reviewed": "until reviewed",
}
#: Columns of the list of a dry run.
LIST_COLUMNS: Final = {
    "recording": "Recording",
    "unit": "Unit",
    "size_bytes": "Size in bytes",
    "sha256": "SHA-256",
    "standing_before": "Standing now",
    "due_before": "Due now",
    "standing_after": "Standing then",
    "due_after": "Due then",
    "change": "Change",
}
CHANGES: Final = {
    "later": "later",
    "earlier": "earlier",
    "no-date-any-more": "no date any more",
    "dated-now": "gets a date",
    "other": "otherwise",
}
_BEGIN: Final = frozenset({Why.BEGINS_AT_ACCESSION, Why.BEGINS_AT_END, Why.RECORDER_CLOCK_NOT_USED})


def keeping_text(term: str, language: str) -> str:
    """``months:24``, ``days:30`` or the name of a class, in words; other texts as they stand."""
    unit, _, count = term.partition(":")
    if unit == "months" and count.isdecimal():
        return translate("{count} months", language, count=count)
    if unit == "days" and count.isdecimal():
        return translate("{count} days", language, count=count)
    return translate(TERMS.get(term) or FLAGS.get(term) or term, language) if term in TERMS | FLAGS else term


def _detail(reason: Reason, language: str) -> str:
    """The kind of a hold or procedure, the stage of a batch, the source of a time, or a period, in words."""
    code = reason.detail
    if reason.why in _BEGIN:
        return translate(words.SOURCES.get(code, ""), language) if code in words.SOURCES else code
    if reason.why is Why.HOLD:
        return translate(next((one.word for one in TYPES if one.code == code), ""), language) or code
    if reason.why is Why.PROCEDURE:
        return translate(next((one.word for one in FORMS if one.kind == code), ""), language) or code
    if reason.why in (Why.IN_BATCH, Why.GONE):
        return translate(next((one.word for one in BATCH_FORM.states if one.code == code), ""), language) or code
    return keeping_text(code, language)


def reason_line(reason: Reason, language: str) -> str:
    """One reason in one line: what it rests on, its number, its period, its moment."""
    parts = [translate(WHY[reason.why], language)]
    if reason.subject:
        parts.append(reason.subject)
    if reason.detail:
        parts.append(_detail(reason, language))
    if reason.at is not None:
        if reason.why in _BEGIN:
            parts.append(local_time(reason.at))
        else:
            parts.append(translate("not before {day}", language, day=local_date(reason.at).isoformat()))
    if reason.version > 0:
        parts.append(translate("schedule version {version}", language, version=reason.version))
    return " · ".join(parts)


def lines(view: RetentionView, language: str) -> list[tuple[bool, str]]:
    """Every reason, whether the decision rests on it, the deciding ones first."""
    return [(one.decisive, reason_line(one, language)) for one in view.decision.reasons]


def until(view: RetentionView, language: str) -> str:
    """Until when, in words."""
    if view.last_day is None:
        return translate("no date", language)
    return translate("to the end of {day}", language, day=view.last_day.isoformat())


def part(desk: RetentionDesk, actor: Actor, row: RecordingRow, language: str) -> dict[str, Any]:
    """What the page of one recording says of its period; nothing while it is on its way, or a duplicate of another."""
    if row.state not in (RecordingState.STORED, RecordingState.RELEASED):
        return {"retention": None}
    view = desk.show(actor, row.id)
    return {
        "retention": view,
        "retention_mark": STANDINGS[view.decision.standing],
        "retention_until": until(view, language),
        "retention_lines": lines(view, language),
    }
