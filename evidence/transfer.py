"""Move bytes once: a reader feeds a writer and several digests at the same time, each on its own thread.

The buffers form a bounded ring, so memory is fixed and a slow writer slows the reader. hashlib and blake3 drop the GIL, so
on two cores SHA-256 hides the write and SM3 runs beside it (measured: docs/adr/0004-digests.md).

This module promises nothing about durability: the caller fsyncs the sink.
"""

from __future__ import annotations

import mmap
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from evidence.digest import Hasher
from evidence.limits import PIPE_BUFFER_BYTES, PIPE_BUFFERS


class ByteSource(Protocol):
    """Anything that fills a buffer; 0 means the end."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill at most ``len(buffer)`` bytes, return how many; 0 at the end. Raises our device or store errors."""
        ...


Sink = Callable[[memoryview], None]
Progress = Callable[[int], None]


@dataclass(slots=True)
class _Block:
    buffer: mmap.mmap
    length: int = 0
    readers_left: int = 0


@dataclass(slots=True)
class _Lane:
    """One consumer: a thread with its own queue, in order."""

    consume: Callable[[memoryview], object]
    blocks: queue.SimpleQueue[_Block | None] = field(default_factory=queue.SimpleQueue)
    error: BaseException | None = None


def _run_lane(lane: _Lane, release: Callable[[_Block], None]) -> None:
    while (block := lane.blocks.get()) is not None:
        if lane.error is None:
            try:
                with memoryview(block.buffer) as view, view[: block.length] as part:
                    lane.consume(part)
            except BaseException as error:  # handed to the reader, which stops and raises it
                lane.error = error
        release(block)


class _Ring:
    """A bounded set of blocks that travel from the reader through every lane and back."""

    def __init__(self, consumers: Sequence[Callable[[memoryview], object]], buffer_bytes: int) -> None:
        self._free: queue.SimpleQueue[_Block] = queue.SimpleQueue()
        for _ in range(PIPE_BUFFERS):
            self._free.put(_Block(mmap.mmap(-1, buffer_bytes)))
        self._guard = threading.Lock()
        self._lanes = [_Lane(consume) for consume in consumers]
        self._threads = [
            threading.Thread(target=_run_lane, args=(lane, self._release), name="transfer", daemon=True)
            for lane in self._lanes
        ]
        for thread in self._threads:
            thread.start()

    def _release(self, block: _Block) -> None:
        with self._guard:
            block.readers_left -= 1
            last = block.readers_left == 0
        if last:
            self._free.put(block)

    def failed(self) -> bool:
        """Whether a lane has stopped consuming."""
        return any(lane.error for lane in self._lanes)

    def take_from(self, source: ByteSource) -> int:
        """Read one block and hand it to every lane; 0 at the end of the source."""
        block = self._free.get()
        with memoryview(block.buffer) as view:
            block.length = source.readinto(view)
        block.readers_left = len(self._lanes)
        if block.length == 0 or not self._lanes:
            self._free.put(block)
            return block.length
        for lane in self._lanes:
            lane.blocks.put(block)
        return block.length

    def finish(self) -> None:
        """Let every lane work off what it has and end its thread."""
        for lane in self._lanes:
            lane.blocks.put(None)
        for thread in self._threads:
            thread.join()

    def raise_first_error(self) -> None:
        """Raise what a lane ran into, if any did."""
        for lane in self._lanes:
            if lane.error is not None:
                raise lane.error


def transfer(
    source: ByteSource,
    sink: Sink | None,
    hashers: Sequence[Hasher],
    *,
    progress: Progress | None = None,
    buffer_bytes: int = PIPE_BUFFER_BYTES,
) -> int:
    """Read ``source`` to its end, feeding every byte, in order, to the sink and to all hashers.

    Args:
        source: Where bytes come from.
        sink: Called with each chunk in order (valid only during the call); None to digest only.
        hashers: Fed the same chunks.
        progress: Called with the total number of bytes read so far, after each chunk; may raise to stop the transfer.
        buffer_bytes: Size of one chunk in bytes.

    Returns:
        Bytes read.

    Raises:
        Whatever the source, the sink or ``progress`` raised; all threads have ended, and what was read before has gone
        through the sink.
    """
    ring = _Ring(
        [sink, *(hasher.update for hasher in hashers)] if sink else [hasher.update for hasher in hashers], buffer_bytes
    )
    total = 0
    try:
        while not ring.failed():
            count = ring.take_from(source)
            if count == 0:
                break
            total += count
            if progress is not None:
                progress(total)
    finally:
        ring.finish()
    ring.raise_first_error()
    return total
