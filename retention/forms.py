"""The kinds of matters of this room. To add one: declare its form in a file of its own, and name it here."""

from __future__ import annotations

from typing import Final

from matters.form import Form
from matters.working_calendar import FORM as CALENDAR_FORM
from retention.disc_form import DISC_FORM
from retention.disc_set_form import DISC_SET_FORM
from retention.disposal_forms import BATCH_FORM
from retention.disposal_orders import DETERMINATION_FORM, STOP_FORM
from retention.flags import FORM as FLAG_LIFT_FORM
from retention.hold_form import FORM as HOLD_FORM
from retention.record_list_form import FORM as RECORD_LIST_FORM
from retention.schedule_matter import RESCHEDULE_FORM, SCHEDULE_FORM

FORMS: Final[tuple[Form, ...]] = (
    HOLD_FORM, FLAG_LIFT_FORM, BATCH_FORM, DETERMINATION_FORM, STOP_FORM, SCHEDULE_FORM, RESCHEDULE_FORM,
    RECORD_LIST_FORM, DISC_SET_FORM, DISC_FORM, CALENDAR_FORM,
)  # fmt: skip
