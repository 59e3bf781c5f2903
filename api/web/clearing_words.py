"""Words about clearing: modes, why a batch or an item does not go, and what became of bytes."""

from __future__ import annotations

from typing import Final

from api.web.marks import BUSY, GOOD, UNKNOWN, WARN, Mark
from assurance.presence import Answer

MODES: Final = {
    "review": "Persons approve every list",
    "automatic": "The service, for categories a determination names",
}
#: Why a whole batch does not go on now.
NOT_NOW: Final = {
    "clock-not-believed": "Our clock is not believed now: nothing is over by it",
    "stopped": "Clearing is stopped",
    "notice": "The notice runs until",
    "notice-not-lived": "The clock is not synchronised, and the service saw too few days of the notice go by",
    "mode-is-review": "The schedule in force asks for persons",
    "no-determination": "No determination that holds names it",
}
#: Why an item was left out, by the service or by a person.
LEFT: Final = {
    "held": "Held",
    "permanent": "Long-term preservation",
    "no-date": "Kept, no date yet",
    "keep": "Not due any more",
    "unclassified": "Not yet classified",
    "unclassified-due": "Not yet classified",
    "in-batch": "Listed in another batch",
    "eligible": "Not in this batch any more",
    "gone": "Lawfully cleared, or being cleared",
    "flagged": "Flagged",
    "linked-case": "Belongs to a case",
    "linked-procedure": "Belongs to a procedure",
    "linked-use": "Being used",
    "category-not-named": "Its category is not named in the determination",
    "mode-is-review": "The schedule in force asks for persons",
    "case-number": "Bears a case number",
    "marked": "Device mark",
    "needed": "Still needed for work",
    "complaint": "A complaint or petition may follow",
    "case": "Belongs to a case or procedure",
    "unsure": "Not sure what it shows",
    "other": "Another reason",
    "bytes-differ": "Its bytes are not those of the list",
    "not-listed": "A duplicate of it is not listed",
    "not-stored": "Not stored",
    "not-known": "Its facts cannot be read",
    "clock-not-believed": "Our clock is not believed now: nothing is over by it",
}
ANSWERS: Final = {
    Answer.HELD: Mark(GOOD, "check", "In store"),
    Answer.INCOMING: Mark(BUSY, "arrow-down", "Being brought in"),
    Answer.CLEARED: Mark(UNKNOWN, "stop", "Lawfully cleared"),
    Answer.GOING: Mark(BUSY, "clock", "Being cleared"),
    Answer.DUPLICATE: Mark(UNKNOWN, "copy", "Duplicate of a kept recording"),
    Answer.OTHERWISE: Mark(WARN, "copy", "Kept, but not as a recording"),
    Answer.NEVER: Mark(UNKNOWN, "question", "Never received"),
    Answer.UNKNOWN: Mark(WARN, "question", "Not known: have it verified"),
}
