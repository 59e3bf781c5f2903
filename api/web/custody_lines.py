"""One custody entry as a line for people: the few fields a reader looks for, in the page's language.

A code without a word is shown as it stands in the log rather than left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from access.damage import KINDS as DAMAGE
from api.web import classify_words, custody_words, marks, words
from api.web.i18n import translate
from api.web.units import size_text
from catalogue.records import TimelineRow

Say = Callable[[str], str]
_DIGEST_SHOWN: Final = 16


def entry_line(entry: TimelineRow, language: str) -> str:
    """What an entry says beyond its name, time and actor; empty when that is all.

    Args:
        entry: The entry as the reader may see it.
        language: The page's language.
    """

    def say(message: str) -> str:
        return translate(message, language)

    maker = _LINES.get(entry.event_type)
    parts = maker(entry.public, entry.disclosed, say) if maker is not None else []
    return " · ".join(part for part in parts if part)


def is_alarm(entry: TimelineRow) -> bool:
    """Whether an entry tells of tamper or loss, or of a refusal: drawn red."""
    if entry.event_type == "finding.raised":
        return entry.public.get("kind") in DAMAGE
    if entry.event_type == "fixity.checked":
        outcome = str(entry.public.get("outcome") or "").partition("-")[2]
        return marks.CHECKS.get(outcome, marks.NOT_KNOWN).tone == marks.BAD or outcome in DAMAGE
    return entry.event_type == "access.denied"


def note_lines(timeline: Sequence[TimelineRow], language: str) -> list[tuple[str, str]]:
    """What the last examination measured: (word, figures). Empty where it noted nothing or the reader may not know."""
    noted: list[str] = []
    for entry in timeline:
        if entry.event_type == "recording.described":
            noted = [str(note) for note in entry.disclosed.get("evidence_notes") or []]
    lines = []
    for note in noted:
        code, _, figures = note.partition(": ")
        word = custody_words.NOTES.get(code)
        told = "" if code in {"end-not-stated", "remux-refused"} else figures  # sentences, no figures
        lines.append((translate(word, language) if word else code, told))
    return lines


def _word(table: Mapping[str, str], code: object, say: Say) -> str:
    text = str(code or "")
    return say(table[text]) if text in table else text


def _discovered(public: Mapping[str, Any], disclosed: Mapping[str, Any], _say: Say) -> list[str]:
    return [str(disclosed.get("path") or ""), size_text(public.get("size_bytes"))]


def _from_byte(public: Mapping[str, Any], _disclosed: Mapping[str, Any], say: Say) -> list[str]:
    start = public.get("from_byte")
    return [say("from byte") + f" {start:,}"] if isinstance(start, int) and start else []


def _interrupted(public: Mapping[str, Any], _disclosed: Mapping[str, Any], say: Say) -> list[str]:
    at = public.get("at_byte")
    place = [say("at byte") + f" {at:,}"] if isinstance(at, int) and at >= 0 else []
    return [*place, _word(words.ERRORS, public.get("reason"), say)]


def _acquired(public: Mapping[str, Any], _disclosed: Mapping[str, Any], _say: Say) -> list[str]:
    digest = str(public.get("sha256") or "")
    return [size_text(public.get("size_bytes")), f"SHA-256 {digest[:_DIGEST_SHOWN]}…" if digest else ""]


def _stored(public: Mapping[str, Any], _disclosed: Mapping[str, Any], _say: Say) -> list[str]:
    copies = public.get("copies")
    return [
        f"{copy.get('store')} ({copy.get('domain')})" for copy in copies if isinstance(copy, dict)
    ] if isinstance(copies, list) else []  # fmt: skip


def _quarantined(public: Mapping[str, Any], _disclosed: Mapping[str, Any], say: Say) -> list[str]:
    # Its figures stand with the notes of the examination.
    return [_word(words.REASONS, public.get("reason"), say)]


def _described(public: Mapping[str, Any], _disclosed: Mapping[str, Any], say: Say) -> list[str]:
    by_code = {str(verdict): mark.word for verdict, mark in marks.VERDICTS.items()}
    return [_word(words.KINDS, public.get("kind"), say), _word(by_code, public.get("verdict"), say)]


def _derivative(public: Mapping[str, Any], _disclosed: Mapping[str, Any], say: Say) -> list[str]:
    return [_word(custody_words.LOOKS, public.get("kind"), say), size_text(public.get("size_bytes"))]


def _released(public: Mapping[str, Any], _disclosed: Mapping[str, Any], say: Say) -> list[str]:
    gone = say("it was no longer there") if public.get("already_absent") else ""
    return [_word(custody_words.MODES, public.get("mode"), say), gone]


def _refused(public: Mapping[str, Any], _disclosed: Mapping[str, Any], say: Say) -> list[str]:
    return [_word(words.ERRORS, public.get("reason"), say)]


def _bound(public: Mapping[str, Any], disclosed: Mapping[str, Any], say: Say) -> list[str]:
    return [_word(words.CONFIDENCE, public.get("confidence"), say), str(disclosed.get("reason") or "")]


def _access(public: Mapping[str, Any], disclosed: Mapping[str, Any], say: Say) -> list[str]:
    detail = str(disclosed.get("detail") or "")
    asked, _, wanted = detail.partition(" ")
    if asked == "presence" and wanted:
        shown = f"{say('what became of it')}: {wanted}"
    else:
        shown = "" if detail == "show" else _word(custody_words.LOOKS, detail, say)
    # What was asked for of a recording says more than that its page is where one asks.
    action = "" if detail in custody_words.ASKED else _word(custody_words.ACTIONS, public.get("action"), say)
    use, principal = public.get("use"), public.get("on_behalf_of")
    return [
        action, shown, f"{say('Use number')} {use}" if use else "",
        f"{say('On behalf of')} {principal}" if principal else "", _word(custody_words.VIA, public.get("via"), say),
        _word(custody_words.DENIALS, public.get("reason"), say),
    ]  # fmt: skip


def _fixity(public: Mapping[str, Any], _disclosed: Mapping[str, Any], say: Say) -> list[str]:
    part, _, outcome = str(public.get("outcome") or "").partition("-")
    by_code = {code: mark.word for code, mark in marks.CHECKS.items()}
    return [str(public.get("store") or ""), _word(custody_words.PARTS, part, say), _word(by_code, outcome, say)]


def _finding(public: Mapping[str, Any], _disclosed: Mapping[str, Any], say: Say) -> list[str]:
    # Its detail is English and for who repairs: the page of the findings has it.
    return [_word(words.FINDINGS, public.get("kind"), say), str(public.get("store") or "")]


def _finding_closed(public: Mapping[str, Any], disclosed: Mapping[str, Any], say: Say) -> list[str]:
    return [*_finding(public, disclosed, say), _word(custody_words.CLOSED, public.get("reason"), say)]


def _copy_made(public: Mapping[str, Any], _disclosed: Mapping[str, Any], say: Say) -> list[str]:
    return [*_copies(public), _word(custody_words.COPY_REASONS, public.get("reason"), say)]


def _copy_removed(public: Mapping[str, Any], _disclosed: Mapping[str, Any], say: Say) -> list[str]:
    return [str(public.get("store") or ""), _word(custody_words.COPY_REASONS, public.get("reason"), say)]


def _bytes_released(public: Mapping[str, Any], _disclosed: Mapping[str, Any], say: Say) -> list[str]:
    what = "removed from every store" if public.get("removed") else "others still need them"
    return [say(what), *_copies(public)]


def _copies(public: Mapping[str, Any]) -> list[str]:
    stated = public.get("copies")
    if not isinstance(stated, list):
        return []
    return [str(copy.get("store") or "") for copy in stated if isinstance(copy, dict)]


def _classified(public: Mapping[str, Any], disclosed: Mapping[str, Any], say: Say) -> list[str]:
    judged = [str(public.get("category") or say("taken back")), str(public.get("item") or "")]
    return [*judged, _word(custody_words.BASIS, public.get("basis"), say), str(disclosed.get("words") or "")]


def _flagged(public: Mapping[str, Any], disclosed: Mapping[str, Any], say: Say) -> list[str]:
    stands = custody_words.STANDING["put" if public.get("standing") else "lifted"]
    return [
        _word(classify_words.FLAG_WORDS, public.get("flag"), say), say(stands),
        _word(classify_words.GROUND_WORDS, public.get("ground"), say),
        str(disclosed.get("words") or ""),
    ]  # fmt: skip


def _archived(public: Mapping[str, Any], _disclosed: Mapping[str, Any], say: Say) -> list[str]:
    return [_word(custody_words.FILED, public.get("reason"), say)]


def _disposing(public: Mapping[str, Any], _disclosed: Mapping[str, Any], say: Say) -> list[str]:
    return [_word(custody_words.CLEARING, public.get("mode"), say)]


def _acted(public: Mapping[str, Any], _disclosed: Mapping[str, Any], _say: Say) -> list[str]:
    return [str(public.get(name) or "") for name in ("number", "act", "state")]


def _filed(public: Mapping[str, Any], disclosed: Mapping[str, Any], _say: Say) -> list[str]:
    size = public.get("size_bytes")
    return [str(disclosed.get("name") or ""), size_text(size if isinstance(size, int) else None)]


_LINES: Final[dict[str, Callable[[Mapping[str, Any], Mapping[str, Any], Say], list[str]]]] = {
    "recording.discovered": _discovered,
    "recording.acquiring": _from_byte,
    "recording.interrupted": _interrupted,
    "recording.acquired": _acquired,
    "recording.stored": _stored,
    "recording.quarantined": _quarantined,
    "recording.described": _described,
    "derivative.made": _derivative,
    "recording.released": _released,
    "recording.release-refused": _refused,
    "recording.officer-bound": _bound,
    "recording.classified": _classified,
    "recording.flagged": _flagged,
    "recording.archived": _archived,
    "recording.disposing": _disposing,
    "matter.acted": _acted,
    "document.filed": _filed,
    "access.allowed": _access,
    "access.denied": _access,
    "fixity.checked": _fixity,
    "finding.raised": _finding,
    "finding.closed": _finding_closed,
    "copy.made": _copy_made,
    "copy.removed": _copy_removed,
    "bytes.released": _bytes_released,
}
