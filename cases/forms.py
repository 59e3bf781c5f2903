"""The kinds of matters of this room. To add one: declare its form in a file of its own, and name it here."""

from __future__ import annotations

from typing import Final

from cases.access_forms import FORMS as ACCESS_FORMS
from cases.activities import FORM as ACTIVITY_FORM
from cases.damage import FORM as DAMAGE_FORM
from cases.device_ledger import FORMS as LEDGER_FORMS
from cases.dossier import FORMS as DOSSIER_FORMS
from cases.exceptions import FORM as EXCEPTION_FORM
from cases.fixation import FORM as FIXATION_FORM
from cases.inspection import FORMS as INSPECTION_FORMS
from cases.package_form import FORM as PACKAGE_FORM
from cases.procedures import FORMS as PROCEDURE_FORMS
from cases.shifts import FORM as SHIFT_FORM
from cases.treatment_form import FORM as TREATMENT_FORM
from matters.form import Form

FORMS: Final[tuple[Form, ...]] = (
    *DOSSIER_FORMS, FIXATION_FORM, *ACCESS_FORMS, EXCEPTION_FORM, DAMAGE_FORM, SHIFT_FORM, *LEDGER_FORMS, ACTIVITY_FORM,
    *INSPECTION_FORMS, *PROCEDURE_FORMS, TREATMENT_FORM, PACKAGE_FORM,
)  # fmt: skip
