"""How this room calls ffmpeg and ffprobe: guarded inputs, bounded runs, and a clear line between our trouble and the file's.

A file may crash a decoder, exhaust its limits or make it run for ever; that is a finding about the file and comes back as
:class:`ToolRun`. A missing program, a full disk or an unreadable source is trouble of ours and raises
:class:`evidence.errors.MediaError`.

Source: docs/threat-model.md "hostile file"; ffmpeg-formats(1) protocol_whitelist, format_whitelist.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from evidence import sandbox
from evidence.durable import free_bytes
from evidence.errors import MediaError, SandboxError

FFMPEG: Final = "ffmpeg"
FFPROBE: Final = "ffprobe"
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"

#: Containers that recorders and voice recorders write. Playlists, concat lists, pictures and everything else that makes a
#: demuxer open further files are absent on purpose: a file named .mp4 can be any of them.
CONTAINERS: Final = "mov,mp4,m4a,3gp,3g2,mj2,avi,mpegts,mpeg,matroska,webm,asf,ogg,wav,mp3,aac,amr,amrnb,amrwb,flac"
#: Pictures are read only by the demuxer their first bytes call for.
PICTURE_DEMUXERS: Final = {"jpeg": "jpeg_pipe", "png": "png_pipe", "bmp": "bmp_pipe", "webp": "webp_pipe", "gif": "gif"}
#: A hole in a transport stream is longer than the 64 KiB ffmpeg searches by default; with this it finds its feet again.
TS_RESYNC_BYTES: Final = 20_000_000
#: Below this much free space a derivative is not begun: the run would fail half-way and fill the disk for others.
SCRATCH_FLOOR_BYTES: Final = 64 << 20

#: ffmpeg marks its lines with a memory address: noise in a note.
_POINTER: Final = re.compile(r" @ 0x[0-9a-f]+")
#: Complaints of the null output about time stamps it is given: our own doing, not the file's.
_OURS: Final = "[null @"
#: The programs that make the sandbox: when they complain, ours is the trouble, and the file was not even looked at.
_SANDBOX_TOOLS: Final = (b"unshare: ", b"setpriv: ", b"prlimit: ", b"nice: ")
#: Ends of a program that met a limit: ours, or the machine's memory.
_LIMIT_SIGNALS: Final = frozenset({signal.SIGKILL, signal.SIGXCPU, signal.SIGXFSZ})
_REPEATED: Final = re.compile(r"^\s*Last message repeated (\d{1,9}) times")

Progress = Callable[[int], None]
"""Told how far the work is, in thousandths; may raise to stop it."""


@dataclass(frozen=True, slots=True)
class ToolRun:
    """What a program made of a file.

    Attributes:
        returncode: Its exit status; proves nothing by itself.
        stopped: It met a limit (time, memory) and was killed.
        untrusted_stdout: Bounded output.
        complaints: Number of lines on stderr at level ``error``; a program that crashed counts as one more.
        first_complaint: The first of them, shortened.
    """

    returncode: int
    stopped: bool
    untrusted_stdout: bytes
    complaints: int
    first_complaint: str


def source_argument(source: Path) -> str:
    """The only form in which a path is handed to a tool: absolute, with the protocol named, so no name is an option or URL."""
    return f"file:{source.absolute()}"


def guards(*, content: str) -> dict[str, str]:
    """Input options that keep a hostile file from reaching anything but itself."""
    if content in PICTURE_DEMUXERS:
        demuxer = PICTURE_DEMUXERS[content]
        return {"protocol_whitelist": "file,pipe", "format_whitelist": demuxer, "f": demuxer}
    options = {"protocol_whitelist": "file,pipe", "format_whitelist": CONTAINERS}
    if content == "mpegts":
        options |= {"f": "mpegts", "resync_size": str(TS_RESYNC_BYTES)}
    return options


def guard_arguments(*, content: str) -> list[str]:
    """:func:`guards` as command-line arguments for ffprobe."""
    return [argument for name, value in guards(content=content).items() for argument in (f"-{name}", value)]


def installed(program: str) -> bool:
    """Whether the sandbox would find the program, whatever path this process has."""
    return shutil.which(program, path=_PATH) is not None


def require(program: str) -> None:
    """Raise MediaError unless the program is installed."""
    if not installed(program):
        raise MediaError(f"{program} is not installed", todo="Install Debian's package ffmpeg.")


def require_readable(source: Path) -> int:
    """Size of a regular, readable file in bytes; MediaError otherwise."""
    try:
        with source.open("rb") as stream:
            return os.fstat(stream.fileno()).st_size
    except OSError as error:
        raise MediaError(f"cannot read {source.name}: {os.strerror(error.errno or 0)}") from error


def require_space(directory: Path) -> None:
    """Raise MediaError when the scratch directory's disk is nearly full."""
    try:
        left = free_bytes(directory)
    except OSError as error:
        raise MediaError(f"no scratch directory: {os.strerror(error.errno or 0)}") from error
    if left < SCRATCH_FLOOR_BYTES:
        raise MediaError("no space left for derivatives", kept="The original is stored.", todo="Free space.")


def _complaints(untrusted_stderr: bytes) -> tuple[int, str]:
    """How many complaints there are, repeats included, and the first, fit to be shown."""
    count, first, ours = 0, "", False
    for line in untrusted_stderr.decode("utf-8", "replace").splitlines():
        repeated = _REPEATED.search(line)
        if repeated is None:
            ours = line.startswith(_OURS)
        if ours or not line.strip():
            continue
        count += int(repeated[1]) if repeated else 1
        first = first or _POINTER.sub("", "".join(c if c.isprintable() else "?" for c in line))[:160]
    return count, first


def run(
    command: Sequence[str],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    on_stdout: Callable[[bytes], None] | None = None,
    background: bool = False,
) -> ToolRun:
    """Run ffmpeg or ffprobe in the sandbox.

    Args:
        command: Program and arguments.
        timeout_s: Seconds before it is killed; the result says ``stopped``, as for one the machine had no memory for.
        cwd: Scratch directory; outputs are named relative to it.
        on_stdout: Receives output as it comes.
        background: Give way to everything else (nice 15): long encodings.

    Raises:
        MediaError: Not installed, no space left, or the sandbox cannot be set up.
    """
    require(command[0])
    prefix = ["nice", "-n", "15"] if background else []
    limits = sandbox.SandboxLimits(timeout_s=timeout_s, cpu_s=max(60, int(timeout_s * 8)))
    try:
        result = sandbox.run([*prefix, *command], limits=limits, cwd=cwd, on_stdout=on_stdout, check=False)
    except SandboxError as error:
        if isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, TimeoutError):
            raise MediaError(error.what, kept="The original is stored.", todo=error.todo) from error
        return ToolRun(-1, stopped=True, untrusted_stdout=b"", complaints=1, first_complaint=error.what)
    _require_sandbox(command[0], result)
    if b"No space left on device" in result.untrusted_stderr or b"Disk quota exceeded" in result.untrusted_stderr:
        raise MediaError("no space left for derivatives", kept="The original is stored.", todo="Free space.")
    complaints, first = _complaints(result.untrusted_stderr)
    crashed = result.returncode < 0
    return ToolRun(
        result.returncode, stopped=-result.returncode in _LIMIT_SIGNALS, untrusted_stdout=result.untrusted_stdout,
        complaints=complaints + crashed,
        first_complaint=first or (f"{command[0]} was ended by signal {-result.returncode}" if crashed else ""),
    )  # fmt: skip


def _require_sandbox(program: str, result: sandbox.SandboxResult) -> None:
    """Raise MediaError when the sandbox could not be made: nothing may be said of a file that no program has read."""
    if result.returncode > 0 and not result.untrusted_stdout and result.untrusted_stderr.startswith(_SANDBOX_TOOLS):
        told = "".join(c for c in result.untrusted_stderr[:160].decode("utf-8", "replace") if c.isprintable())
        raise MediaError(
            f"{program} got no sandbox: {told}", kept="The original is stored.", todo="Run `liuhen doctor`."
        )


@functools.cache
def version() -> str:
    """Version of the installed ffmpeg, part of every recipe."""
    head = run([FFMPEG, "-version"], timeout_s=20).untrusted_stdout.decode("ascii", "replace").split()
    return head[2][:64] if len(head) > 2 else "unknown"
