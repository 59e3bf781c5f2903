"""The one caller of xorriso: a command list in, its results and its worst complaint out, progress on the way.

All output comes in packets on standard output (``-pkt_output``), so that results, notes and progress are told apart. The exit
status is asked for by severity: 0 is good, 32 is a problem that xorriso went on after, 5 an abort; both are errors here.

Source: xorriso(1) ``-pkt_output``, ``-return_with``, ``-abort_on``, ``-pacifier``; measured with 1.5.4 (docs/formats/disc.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from evidence import sandbox
from evidence.errors import DiscDriveError, DiscError, DiscMediumError, SandboxError, StoreFullError

_HEAD: Final = (
    "xorriso", "-no_rc", "-pkt_output", "on", "-abort_on", "FAILURE", "-return_with", "SORRY", "32",
    "-pacifier", "interval=2",
)  # fmt: skip
_COMPLAINT = re.compile(r"(?:^|: )(?:SORRY|FAILURE|FATAL|ABORT) : (.+)$")
_WRITTEN = re.compile(r"Writing:\s+(\d+)s\b")
_LINE_CHARS_MAX: Final = 4096
#: 100,000 files with long names, several times over.
_OUTPUT_BYTES_MAX: Final = 128 << 20


@dataclass(frozen=True, slots=True)
class Said:
    """What a run printed: results, notes, and the first complaint (empty when there was none)."""

    untrusted_results: tuple[str, ...]
    untrusted_notes: tuple[str, ...]
    complaint: str


class _Packets:
    """Output as it comes: kept whole (a disc has more files than the sandbox keeps output for), looked through for progress."""

    def __init__(self, on_sectors: Callable[[int], None] | None) -> None:
        self._rest, self._on_sectors = b"", on_sectors
        self.kept = bytearray()

    def feed(self, data: bytes) -> None:
        """Take a piece; an exception ends the program."""
        self.kept += data
        if len(self.kept) > _OUTPUT_BYTES_MAX:
            raise DiscError("the disc names more files than any we write", todo="Is this one of our discs?")
        *lines, self._rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        self._rest = self._rest[-_LINE_CHARS_MAX:]
        if self._on_sectors is None:
            return
        for line in lines:
            found = _WRITTEN.search(line.decode("utf-8", "replace"))
            if found is not None:
                self._on_sectors(int(found[1]))


def parse(untrusted: bytes) -> Said:
    """Sort packet output."""
    results, notes, complaint = [], [], ""
    for line in untrusted.decode("utf-8", "replace").split("\n"):
        channel, text = line[:4], line[4:].rstrip("\r")
        if channel == "R:1:":
            results.append(text[1:])
        elif channel == "I:1:":
            notes.append(text[1:])
            found = _COMPLAINT.search(text)
            if found is not None and not complaint and "-abort_on" not in text:
                complaint = found[1]
    return Said(tuple(results), tuple(notes), complaint)


def _shown(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)[:240]


def _error(said: Said, status: int) -> DiscError | StoreFullError:
    text = _shown(said.complaint) or f"xorriso ended with status {status}"
    whole = "\n".join((*said.untrusted_notes, said.complaint))
    if "exceeds free space on media" in whole:
        return DiscMediumError(
            f"the image does not fit: {text}", kept="Nothing was written.", todo="Use a larger disc."
        )
    if "No space left" in whole or "ENOSPC" in whole:
        return StoreFullError("no space left for a disc image", todo="Free space in the disc folder.")
    if "Cannot acquire drive" in whole or "Cannot access" in whole or "Drive address" in whole:
        return DiscDriveError(f"the drive cannot be used: {text}", todo="Check cable, rights and medium of the drive.")
    return DiscError(f"xorriso could not do it: {text}", kept="The stores keep the footage.")


def run(
    arguments: Sequence[str],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    on_sectors: Callable[[int], None] | None = None,
    check: bool = True,
) -> Said:
    """Run xorriso in the sandbox.

    Args:
        arguments: Its commands; file names of ours only, never a shell line.
        timeout_s: Seconds before it is killed.
        cwd: Working directory.
        on_sectors: Told the number of sectors written so far, every other second; what it raises stops the program.
        check: Raise on any complaint of severity SORRY or worse.

    Raises:
        DiscError: A complaint, a time-out, or not installed. DiscMediumError: it does not fit. DiscDriveError: no drive.
        StoreFullError: No space for the output.
    """
    packets = _Packets(on_sectors)
    limits = sandbox.SandboxLimits(timeout_s=timeout_s, cpu_s=max(600, int(timeout_s)))
    try:
        result = sandbox.run([*_HEAD, *arguments], limits=limits, cwd=cwd, on_stdout=packets.feed, check=False)
    except SandboxError as error:
        raise DiscError(error.what, kept="The stores keep the footage.", todo=error.todo) from error
    said = parse(bytes(packets.kept))
    if result.returncode != 0 and check:
        if result.returncode < 0 or not said.untrusted_notes:
            told = said.complaint or result.untrusted_stderr[-200:].decode("utf-8", "replace").strip()
            said = Said(said.untrusted_results, said.untrusted_notes, told)
        raise _error(said, result.returncode)
    return said
