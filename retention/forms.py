"""The kinds of matters of this room. To add one: declare its form in a file of its own, and name it here."""

from __future__ import annotations

from typing import Final

from matters.form import Form
from matters.working_calendar import FORM as CALENDAR_FORM
from retention.schedule_matter import RESCHEDULE_FORM, SCHEDULE_FORM

FORMS: Final[tuple[Form, ...]] = (SCHEDULE_FORM, RESCHEDULE_FORM, CALENDAR_FORM)
