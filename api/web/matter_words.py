"""Words of the pages of matters that no form declares: what is wrong with a field, what was done, why an act was refused."""

from __future__ import annotations

from typing import Final

from matters import values

#: Codes of :class:`matters.values.FormError`.
WRONG: Final = {
    values.MISSING: "This is needed.",
    values.TOO_LONG: "This is too long.",
    values.NOT_THAT_KIND: "This is not of the form that is asked for.",
    values.NOT_A_CHOICE: "This is none of the choices.",
    values.OUT_OF_RANGE: "This is too small, too large or too many.",
    values.NOT_FOUND: "There is nothing of this name here.",
}
#: Fields that the engine itself asks for.
ENGINE_FIELDS: Final = {"seen": "What you decide on must be looked at first: load the page again."}
TARGETS: Final = {
    "rec": "Recording", "dev": "Recorder", "agt": "Person", "unt": "Unit", "mat": "Matter",
}  # fmt: skip
#: Where a search says what it looks in.
FIND: Final = {
    "rec": "Recordings: name, officer, recorder, place",
    "dev": "Recorders: label or serial number",
    "agt": "Persons: name",
    "unt": "Units: name",
    "mat": "Matters: number or words",
}
#: Group of the kinds that name none.
NO_GROUP: Final = {"": "Other matters"}
#: Filters of the list.
SCOPES: Final = {"open": "Open", "closed": "Closed", "all": "All"}
