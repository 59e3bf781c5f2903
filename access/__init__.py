"""Identify, authorise, enter: who acts, whether they may, and what they read.

Every interface goes through :class:`Gate`, :class:`Identity`, :class:`Administration` and :class:`Reading`; none of them has
rights of its own. Guarantees: an act is authorised below the interfaces (promise 10), every access and every denial is an
entry (promise 7), lists never return rows the actor may not see.
"""

from access.administration import Administration, FirstAdministrator, NewAgent, Person
from access.gate import DeniedError, Gate
from access.identity import Identity, LogIn, SessionActor, SessionSettings
from access.reading import (
    CopyPlace,
    DayItem,
    MyDay,
    Overview,
    Picture,
    Reading,
    RecordingItem,
    RecordingList,
    RecordingView,
)
from access.viewing import Viewing

__all__ = [
    "Administration",
    "CopyPlace",
    "DayItem",
    "DeniedError",
    "FirstAdministrator",
    "Gate",
    "Identity",
    "LogIn",
    "MyDay",
    "NewAgent",
    "Overview",
    "Person",
    "Picture",
    "Reading",
    "RecordingItem",
    "RecordingList",
    "RecordingView",
    "SessionActor",
    "SessionSettings",
    "Viewing",
]
