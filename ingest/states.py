"""The one table of a recording's states: which changes exist and what each one means. Pure.

``sealed`` is no state: it is derived (a published checkpoint covers the stored entry). Neither is quarantine: a flag on a
recording that is kept like any other. ``available`` is derived as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from evidence.errors import StateConflictError
from evidence.events import (
    Event,
    RecordingAcquired,
    RecordingAcquiring,
    RecordingDuplicate,
    RecordingInterrupted,
    RecordingReleased,
    RecordingStored,
)
from evidence.model import RecordingState as S

#: (from, to) -> the entry that reports the change, committed in the same transaction.
TRANSITIONS: Final[Mapping[tuple[S, S], type[Event]]] = MappingProxyType({
    (S.DISCOVERED, S.ACQUIRING): RecordingAcquiring,
    # A process died while it read: the row still says acquiring, the bytes so far are kept.
    (S.ACQUIRING, S.ACQUIRING): RecordingAcquiring,
    (S.INTERRUPTED, S.ACQUIRING): RecordingAcquiring,
    (S.DISCOVERED, S.INTERRUPTED): RecordingInterrupted,  # no room for its first byte
    (S.ACQUIRING, S.INTERRUPTED): RecordingInterrupted,
    (S.INTERRUPTED, S.INTERRUPTED): RecordingInterrupted,
    (S.ACQUIRING, S.ACQUIRED): RecordingAcquired,
    # Our own copy of the bytes did not read back or is gone before it was stored: the recorder still has them.
    (S.ACQUIRED, S.INTERRUPTED): RecordingInterrupted,
    (S.ACQUIRED, S.DUPLICATE): RecordingDuplicate,
    (S.ACQUIRED, S.STORED): RecordingStored,
    (S.STORED, S.RELEASED): RecordingReleased,
    # A duplicate's file leaves the recorder when the kept recording is safe; it stays a duplicate of it.
    (S.DUPLICATE, S.DUPLICATE): RecordingReleased,
})  # fmt: skip

#: States in which bytes are still missing: the next docking goes on with these.
UNREAD: Final = frozenset({S.DISCOVERED, S.ACQUIRING, S.INTERRUPTED})
#: States in which this home has every byte, read once.
HELD: Final = frozenset({S.ACQUIRED, S.DUPLICATE, S.STORED, S.RELEASED})
#: States in which the copies are read back and the hand-in is done (R4).
HANDED_IN: Final = frozenset({S.DUPLICATE, S.STORED, S.RELEASED})


def sources_of(to: S) -> frozenset[S]:
    """The states a change to ``to`` may start from (the ``expect`` of ``Recordings.change_state``)."""
    return frozenset(start for start, end in TRANSITIONS if end is to)


def require(start: S, to: S) -> type[Event]:
    """Return the entry type of a change, or refuse it.

    Raises:
        StateConflictError: The table has no such change.
    """
    event = TRANSITIONS.get((start, to))
    if event is None:
        raise StateConflictError(f"a recording does not go from {start} to {to}")
    return event
