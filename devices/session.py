"""What every session shares: one reader per recorder, a bound per hub, and the list of things that were refused.

A recorder read twice at the same time would be slow and could be cleared by one reader while the other still reads; a hub
shared by all recorders at once is slower than two at a time, because every switch between them costs a seek and an idle bus.

Source: docs/rules.md R2.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from evidence.errors import DeviceBusyError
from evidence.model import DeviceIdentity
from evidence.ports import DeviceSession

#: One USB 2 root hub carries about 35 MB/s whatever hangs below it; a second stream hides the first one's command gaps.
STREAMS_PER_HUB = 2


@dataclass(frozen=True, slots=True)
class Refused:
    """Something on a device that is not read: where (printable path) and why (a stable code).

    Codes: ``symlink``, ``special-file``, ``system-folder``, ``too-deep``, ``path-too-long``, ``unreadable``, ``size-unknown``.
    """

    path: str
    reason: str


#: Refusals behind which footage may lie. Links and special files hold none; what a file system keeps for itself neither.
_MAY_HIDE_FOOTAGE = frozenset({"too-deep", "path-too-long", "unreadable", "size-unknown"})


def unlisted(session: DeviceSession) -> list[Refused]:
    """Places of a device that may hold footage and were left out of its last complete listing: it is not the whole truth."""
    return [one for one in getattr(session, "refused", ()) if one.reason in _MAY_HIDE_FOOTAGE]


def still_growing(session: DeviceSession) -> frozenset[str]:
    """Printable paths that the last complete listing left out because somebody still writes to them."""
    return frozenset(getattr(session, "waiting", ()))


class ReportsRefused(Protocol):
    """A session that can tell what it left out of ``list_objects`` (complete once the iteration has ended)."""

    @property
    def refused(self) -> Sequence[Refused]:
        """What was not listed."""
        ...


class ReportsWaiting(Protocol):
    """A session that can tell which files are still being written (printable paths; complete once iteration has ended)."""

    @property
    def waiting(self) -> Sequence[str]:
        """What will be listed later."""
        ...


def hub_of(slot: str) -> str:
    """The part of a slot that shares bandwidth: the bus of a USB port path, else the slot itself."""
    bus, dash, ports = slot.partition("-")
    return f"bus {bus}" if dash and bus.isdigit() and ports[:1].isdigit() else slot


def recorder_key(identity: DeviceIdentity) -> str:
    """What makes two sessions the same recorder: vendor, model and serial, whichever slot or driver."""
    return f"{identity.vendor}\x1f{identity.model}\x1f{identity.serial}"


@dataclass(slots=True)
class _Held:
    slots: set[str] = field(default_factory=set)
    recorders: dict[str, str] = field(default_factory=dict)
    hubs: dict[str, int] = field(default_factory=dict)


class Leases:
    """Who may read what now, within this process (a home is served by one process). Thread-safe.

    Args:
        streams_per_hub: How many recorders of one hub are read at the same time.
    """

    def __init__(self, *, streams_per_hub: int = STREAMS_PER_HUB) -> None:
        self._streams_per_hub = streams_per_hub
        self._held = _Held()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def slot(self, slot: str, *, timeout_s: float = 0.0) -> Iterator[None]:
        """Hold a slot and one stream of its hub for as long as the block runs.

        Args:
            slot: The docked device's slot.
            timeout_s: Seconds to wait for a free stream; a slot already held is refused at once.

        Raises:
            DeviceBusyError: The slot is being read, or the hub had no free stream in time.
        """
        hub = hub_of(slot)
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                if slot in self._held.slots:
                    raise DeviceBusyError("this slot is already being read", todo="Wait until its offload has ended.")
                if self._held.hubs.get(hub, 0) < self._streams_per_hub:
                    break
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    raise DeviceBusyError("all streams of this hub are in use", todo="The offload is tried again.")
            self._held.slots.add(slot)
            self._held.hubs[hub] = self._held.hubs.get(hub, 0) + 1
        try:
            yield
        finally:
            with self._changed:
                self._held.slots.discard(slot)
                self._held.hubs[hub] -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def recorder(self, identity: DeviceIdentity, *, slot: str) -> Iterator[None]:
        """Hold a recorder by its serial for as long as the block runs.

        Raises:
            DeviceBusyError: A recorder with this serial is being read in another slot: either one device seen through two
                drivers, or two devices that carry one serial (a person must look).
        """
        key = recorder_key(identity)
        with self._changed:
            other = self._held.recorders.get(key)
            if other is not None:
                raise DeviceBusyError(
                    f"a recorder with the same serial is being read in slot {other}",
                    todo="Undock one of the two; two recorders with one serial need a person.",
                )
            self._held.recorders[key] = slot
        try:
            yield
        finally:
            with self._changed:
                self._held.recorders.pop(key, None)
                self._changed.notify_all()
