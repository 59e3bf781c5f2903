"""The kinds of matters about use of footage (R17, R18, R19), in the order in which menus list them."""

from __future__ import annotations

from typing import Final

from cases.access_delegation import DELEGATION
from cases.access_grant import GRANT
from cases.access_loan import LOAN
from cases.access_paper import PAPER
from cases.access_request import REQUEST
from cases.access_supervised import SUPERVISED
from matters.form import Form

FORMS: Final[tuple[Form, ...]] = (REQUEST, GRANT, SUPERVISED, PAPER, LOAN, DELEGATION)
