"""Reading one copy for the scrub: from its medium, at a rate, behind everything else, and stopped when the service ends."""

from __future__ import annotations

import ctypes
import os
import platform
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from assurance.copy_checks import CopyReading, examine_copy
from assurance.fixity_pace import Throttle
from evidence.digest import Digest
from evidence.errors import EvidenceError
from evidence.ports import BlobStore
from storage.stores import inner_of

#: Rounds whose number leaves 1 when divided by this compare SHA-256, the others BLAKE3 where it is known.
#: BLAKE3 is as strong and costs a fraction of the processor on machines without SHA instructions; but the names, the manifests
#: and the log rest on SHA-256, so every copy is compared with that as well: in the first round and then in every fourth.
SHA256_EVERY: Final = 4
#: ioprio_set(2) for the calling thread: best effort, lowest level. Not the idle class: the period must be kept on a busy disk.
_IOPRIO_CALL: Final = {"x86_64": 251, "aarch64": 30}
_LAST_OF_BEST_EFFORT: Final = (2 << 13) | 7
#: Waits are cut into pieces of this length, so that a service that ends is not kept.
_NAP_S: Final = 0.25


class StoppedError(Exception):
    """The service ends: what was read of this copy counts for nothing."""


def digest_to_compare(number: int, sha256: Digest, blake3: Digest | None) -> Digest:
    """What a round compares a copy with."""
    return sha256 if blake3 is None or number % SHA256_EVERY == 1 else blake3


def behind_everything_else() -> None:
    """Put the calling thread's reads behind those of others, where the disk's scheduler knows an order.

    The installed unit refuses the call (it belongs to a group that is shut out): then the pace alone is what spares others.
    """
    call = _IOPRIO_CALL.get(platform.machine())
    if call is not None:
        ctypes.CDLL(None).syscall(call, 1, threading.get_native_id(), _LAST_OF_BEST_EFFORT)  # a refusal costs nothing


class PacedReader:
    """Reads copies of one disk, one after the other. For one thread.

    Args:
        stop: Whether the service ends.
    """

    def __init__(self, stop: Callable[[], bool]) -> None:
        self._stop = stop
        self._throttle = Throttle(now_s=time.monotonic())

    def read(self, store: BlobStore | None, sha256: Digest, *, expected: Digest, rate_bytes_s: int) -> CopyReading:
        """Read one copy to its end; ``rate_bytes_s`` 0 means as fast as it goes.

        Raises:
            StoppedError: The service ends.
        """
        before = 0

        def progress(done: int) -> None:
            nonlocal before
            self._wait(
                self._throttle.pause_s(done - before, rate_bytes_s=rate_bytes_s, now_s=time.monotonic())
            )  # fmt: skip
            before = done

        return examine_copy(store, sha256, expected=expected, progress=progress)

    def _wait(self, pause_s: float) -> None:
        end_s = time.monotonic() + pause_s
        while True:
            if self._stop():
                raise StoppedError
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                return
            time.sleep(min(left_s, _NAP_S))


def answers(store: BlobStore | None) -> bool:
    """Whether a store answers at all; used to tell a store that is away from one copy it cannot give."""
    if store is None:
        return False
    try:
        next(iter(inner_of(store).list()), None)  # an encrypting store reads its whole list before it tells the first
    except EvidenceError as error:
        if error.fatal:
            raise
        return False
    return True


def by_disk(stores: Sequence[BlobStore]) -> list[list[BlobStore]]:
    """Stores in groups that share no disk: the groups are read side by side, the stores of one group in turn."""
    groups: list[tuple[set[str], list[BlobStore]]] = []
    for store in stores:
        disks = set(store.properties.domain.split("+"))
        mine: tuple[set[str], list[BlobStore]] = (disks, [store])
        for other in [group for group in groups if group[0] & disks]:
            groups.remove(other)
            mine = (mine[0] | other[0], [*other[1], *mine[1]])
        groups.append(mine)
    return [members for _, members in groups]


def load_per_core() -> float:
    """Programs that wanted to run or waited for a disk in the last minute, per processor."""
    return os.getloadavg()[0] / max(1, len(os.sched_getaffinity(0)))
