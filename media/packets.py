"""Count what is really in a file: every packet of its main stream, streamed through ffprobe without decoding.

A header says how many frames there should be and how long they last; the packets say how many there are, where the last one
ends, and which moments lie in a hole of zeros. Memory is bounded whatever the length of the recording.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from media.facts import PacketFacts
from media.holes import Hole
from media.probe import whole
from media.tools import FFPROBE, ToolRun, guard_arguments, run, source_argument

#: Moments in holes that are listed; a file with more is simply badly damaged.
DAMAGED_SPANS_MAX: Final = 32
_LINE_BYTES_MAX: Final = 4096
_TIME_MS_MAX: Final = 400 * 86_400_000


@dataclass(slots=True)
class PacketCounter:
    """Consumes ffprobe's ``pts_time,dts_time,duration_time,size,pos,flags`` lines as they come.

    Usage: feed chunks to :meth:`feed`, then read :meth:`facts` and ``damaged_ms``.
    """

    holes: tuple[Hole, ...] = ()
    packets: int = 0
    key_frames: int = 0
    first_ms: int | None = None
    last_ms: int = 0
    longest_gap_ms: int = 0
    damaged: int = 0
    damaged_ms: list[tuple[int, int]] = field(default_factory=list)
    _rest: bytes = b""
    _previous_ms: int | None = None
    _steps: dict[int, int] = field(default_factory=dict)

    def feed(self, chunk: bytes) -> None:
        """Take more output; a line may be split over chunks."""
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()[-_LINE_BYTES_MAX:]
        for line in lines:
            if line:
                self._packet(line[:_LINE_BYTES_MAX].decode("ascii", "replace").split(","))

    def _packet(self, fields: list[str]) -> None:
        if len(fields) < 6:
            return
        self.packets += 1
        self.key_frames += fields[5].startswith("K")
        moment = _ms(fields[0])
        decode_moment = _ms(fields[1])
        if moment is None:
            moment = decode_moment
        if moment is not None:
            length = _ms(fields[2]) or 0
            self.first_ms = moment if self.first_ms is None else min(self.first_ms, moment)
            self.last_ms = max(self.last_ms, moment + length)
        self._step(decode_moment if decode_moment is not None else moment)
        self._compare_with_holes(whole(fields[4]), whole(fields[3]), self.last_ms if moment is None else moment)

    def _step(self, moment: int | None) -> None:
        if moment is None:
            return
        if self._previous_ms is not None and moment > self._previous_ms:
            step = moment - self._previous_ms
            self.longest_gap_ms = max(self.longest_gap_ms, step)
            if len(self._steps) < 256 or step in self._steps:
                self._steps[step] = self._steps.get(step, 0) + 1
        self._previous_ms = moment

    def _compare_with_holes(self, position: int, size_bytes: int, moment: int) -> None:
        at = bisect_right(self.holes, position + size_bytes - 1, key=lambda hole: hole.offset) - 1
        if size_bytes <= 0 or at < 0 or self.holes[at].end <= position:
            return
        self.damaged += 1
        if self.damaged_ms and moment - self.damaged_ms[-1][1] <= 1000:
            first, last = self.damaged_ms[-1]
            self.damaged_ms[-1] = (min(first, moment), max(last, moment))
        elif len(self.damaged_ms) < DAMAGED_SPANS_MAX:
            self.damaged_ms.append((moment, moment))

    def facts(self) -> PacketFacts:
        """The counts so far. The rate is variable when steps differ by more than rounding (2 ms) for over 2 % of packets."""
        usual = max(self._steps, key=lambda step: self._steps[step]) if self._steps else 0
        unusual = sum(count for step, count in self._steps.items() if abs(step - usual) > 2)
        return PacketFacts(
            packets=self.packets,
            key_frames=self.key_frames,
            first_ms=self.first_ms or 0,
            last_ms=self.last_ms,
            longest_gap_ms=self.longest_gap_ms,
            variable=unusual * 50 > self.packets,
        )


def _ms(text: str) -> int | None:
    """Milliseconds of ``12.345678``; None for ``N/A`` or anything outside +-400 days."""
    try:
        value = round(float(text) * 1000)
    except (ValueError, OverflowError):
        return None
    return value if abs(value) <= _TIME_MS_MAX else None


def count_packets(
    source: Path, *, content: str, stream: str, size_bytes: int, holes: tuple[Hole, ...] = ()
) -> tuple[PacketCounter, ToolRun]:
    """Read every packet of one stream.

    Args:
        source: The file.
        content: What its bytes are (media.sniff).
        stream: ``v:0`` or ``a:0``.
        size_bytes: File size, for the time limit (2 MB/s is slower than any disk we support).
        holes: Zero ranges, to find the moments they destroyed.

    Raises:
        MediaError: ffprobe is missing.
    """
    counter = PacketCounter(holes)
    command = [
        FFPROBE, "-v", "error", *guard_arguments(content=content), "-select_streams", stream,
        "-show_entries", "packet=pts_time,dts_time,duration_time,size,pos,flags", "-of", "csv=p=0",
        source_argument(source),
    ]  # fmt: skip
    outcome = run(command, timeout_s=120 + size_bytes / 2e6, on_stdout=counter.feed)
    counter.feed(b"\n")
    return counter, outcome
