"""The kinds of matters of this room. To add one: declare its form in a file of its own, and name it here."""

from __future__ import annotations

from typing import Final

from cases.damage import FORM as DAMAGE_FORM
from cases.device_ledger import FORMS as LEDGER_FORMS
from cases.exceptions import FORM as EXCEPTION_FORM
from cases.procedures import FORMS as PROCEDURE_FORMS
from cases.shifts import FORM as SHIFT_FORM
from matters.form import Form

FORMS: Final[tuple[Form, ...]] = (
    EXCEPTION_FORM, DAMAGE_FORM, SHIFT_FORM, *LEDGER_FORMS, *PROCEDURE_FORMS,
)  # fmt: skip
