"""Every kind of matter this home knows, in the order in which menus list them."""

from __future__ import annotations

from cases.forms import FORMS as CASE_FORMS
from matters.form import Forms
from retention.forms import FORMS as RETENTION_FORMS


def all_forms() -> Forms:
    """The kinds of both rooms."""
    return Forms([*CASE_FORMS, *RETENTION_FORMS])
