"""The kinds of matters of this room. To add one: declare its form in a file of its own, and name it here."""

from __future__ import annotations

from typing import Final

from cases.procedures import FORMS as PROCEDURE_FORMS
from matters.form import Form

FORMS: Final[tuple[Form, ...]] = (*PROCEDURE_FORMS,)
