"""Make a viewing copy: a derivative a browser plays, with the recipe that says exactly how it was made.

A remux is only handed out when the coded pictures (and copied sound) in it are proved to be those of the source; the two
digests stand in the recipe. The original is only ever read.

Crash: work happens under a temporary name in the target's directory and gets its name by link once it is complete and on
disk; a kill leaves at most a ``.viewing-*`` directory, never a partial file under the target's name.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from evidence.durable import fsync_file, link_new
from evidence.errors import MediaError, StoreFullError
from media import graphs, ladder
from media.facts import MediaFacts
from media.ladder import ViewingPlan
from media.probe import probe
from media.sniff import read_head, sniff
from media.tools import Progress, ToolRun, require_space, run, version

#: Slowest transcode worth waiting for: thirty times the recording's length, plus a start-up allowance.
TRANSCODE_FACTOR: Final = 30
_FIRST_PICTURES: Final = 60


class NotMadeError(MediaError):
    """The file itself gives no (faithful) viewing copy; trouble of ours is a plain MediaError."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a derivative was made: enough to repeat it with the same tool version."""

    plan: str
    tool: str
    arguments: tuple[str, ...]
    proof: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """JSON form for the custody entry; holds no path."""
        out: dict[str, Any] = {"plan": self.plan, "tool": self.tool, "arguments": list(self.arguments)}
        return out | ({"proof": dict(self.proof)} if self.proof else {})


class _ProgressReader:
    """Turns ffmpeg's ``-progress`` lines into thousandths of the duration."""

    def __init__(self, progress: Progress | None, duration_ms: int) -> None:
        self._progress = progress
        self._duration_ms = max(1, duration_ms)
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()[-256:]
        for line in lines:
            name, _, value = line.partition(b"=")
            if name == b"out_time_us" and value.strip().isdigit() and self._progress is not None:
                done = int(value.strip()[:18]) // self._duration_ms
                self._progress(min(999, done))


def _duration_ms(facts: MediaFacts) -> int:
    return facts.duration_ms or (facts.packets.last_ms if facts.packets else 0)


def _encode(command: list[str], *, cwd: Path, timeout_s: float, on_stdout: Callable[[bytes], None]) -> ToolRun:
    return run(command, timeout_s=timeout_s, cwd=cwd, on_stdout=on_stdout, background=True)


def _stream_hashes(outcome: ToolRun) -> dict[str, str]:
    """``{"v": hex, "a": hex}`` of streamhash lines ``0,v,SHA256=...``."""
    found = {}
    for line in outcome.untrusted_stdout.decode("ascii", "replace").splitlines():
        fields = line.strip().split(",")
        if len(fields) == 3 and fields[2].startswith("SHA256="):
            found[fields[1]] = fields[2][7:]
    return found


def _hashes(path: Path, facts: MediaFacts, *, content: str, with_audio: bool, timeout_s: float) -> dict[str, str]:
    video = facts.video is not None
    aac = facts.audio is not None and facts.audio.codec == "aac"
    found = _stream_hashes(
        run(graphs.coded_hash(path, content=content, video=video, audio=with_audio, aac=aac), timeout_s=timeout_s)
    )
    if video:
        pictures = run(graphs.first_pictures_hash(path, content=content, frames=_FIRST_PICTURES), timeout_s=600)
        found["pictures"] = pictures.untrusted_stdout.decode("ascii", "replace").strip().removeprefix("SHA256=")
    return found


def prove_same(source: Path, target: Path, facts: MediaFacts, *, with_audio: bool) -> dict[str, str]:
    """Digests over coded slices, copied sound and the first decoded pictures, equal in both files.

    Args:
        source: The original.
        target: The remuxed MP4.
        facts: Facts of the source.
        with_audio: Whether the sound was copied (and so must be equal) or coded anew.

    Raises:
        NotMadeError: They differ, or cannot be computed: the remux must not be shown as equal.
    """
    timeout_s = 120 + facts.size_bytes / 1e6
    before = _hashes(source, facts, content=facts.content, with_audio=with_audio, timeout_s=timeout_s)
    after = _hashes(target, facts, content="mp4", with_audio=with_audio, timeout_s=timeout_s)
    wanted = {name for name, present in (("v", facts.video is not None), ("a", with_audio)) if present}
    if not wanted <= before.keys() or before != after or not all(before.values()):
        raise NotMadeError("the rewrapped file does not hold the same pictures and sound", kept="It was discarded.")
    names = {"v": "coded_slices_sha256", "a": "coded_sound_sha256", "pictures": "first_pictures_sha256"}
    return {names[name]: value.lower() for name, value in sorted(before.items()) if name in names}


def _remux(source: Path, work: Path, facts: MediaFacts, on_stdout: Callable[[bytes], None]) -> Recipe:
    audio = facts.audio
    copy_audio = audio is not None and audio.codec in {"aac", "mp3"}
    command = graphs.remux(
        source, content=facts.content, target="out.mp4", video=facts.video is not None, audio=audio is not None,
        copy_audio=copy_audio, creation_time=facts.creation_time,
    )  # fmt: skip
    outcome = _encode(command, cwd=work, timeout_s=120 + facts.size_bytes / 1e6, on_stdout=on_stdout)
    _require_output(work / "out.mp4", outcome)
    proof = prove_same(source, work / "out.mp4", facts, with_audio=copy_audio)
    return Recipe(ViewingPlan.REMUX, f"ffmpeg {version()}", tuple(graphs.shown(command, source)), proof)


def _transcode(source: Path, work: Path, facts: MediaFacts, on_stdout: Callable[[bytes], None]) -> Recipe:
    rate = facts.video.frame_rate_milli if facts.video is not None else 0
    command = graphs.transcode(
        source, content=facts.content, target="out.mp4", video=facts.video is not None, audio=facts.audio is not None,
        frame_rate_milli=rate, creation_time=facts.creation_time,
    )  # fmt: skip
    timeout_s = 300 + TRANSCODE_FACTOR * _duration_ms(facts) / 1000
    _require_output(work / "out.mp4", _encode(command, cwd=work, timeout_s=timeout_s, on_stdout=on_stdout))
    return Recipe(ViewingPlan.TRANSCODE, f"ffmpeg {version()}", tuple(graphs.shown(command, source)), {})


def _require_output(path: Path, outcome: ToolRun) -> None:
    """The exit status proves nothing: the output must open and hold a stream."""
    if outcome.stopped or not path.exists():
        raise NotMadeError(f"no viewing copy could be made: {outcome.first_complaint or 'stopped'}",
                         kept="The original is stored.")  # fmt: skip
    made, _ = probe(path, content="mp4")
    if made.video is None and made.audio is None:
        raise NotMadeError("the viewing copy holds neither picture nor sound", kept="The original is stored.")


def _hand_over(made: Path, target: Path) -> None:
    fd = os.open(made, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fsync_file(fd)
    finally:
        os.close(fd)
    try:
        linked = link_new(made, target)
    except StoreFullError as error:
        raise MediaError(error.what, kept="The original is stored.", todo="Free space.") from error
    if not linked:
        raise MediaError(f"{target.name} exists already; nothing was overwritten")


def make(
    plan: ViewingPlan, source: Path, target: Path, *, facts: MediaFacts, progress: Progress | None = None
) -> Recipe:
    """Make the viewing copy of a recording.

    Args:
        plan: REMUX or TRANSCODE (ladder.plan); ORIGINAL and NONE make nothing and are refused.
        source: The original; only read.
        target: New file (MP4); its directory exists and serves as scratch. Durable on return.
        facts: Facts of the source.
        progress: Told thousandths; may raise to stop.

    Raises:
        NotMadeError: Nothing playable came out, or the remux is not provably equal. No file is left.
        MediaError: Tool missing, disk full, the target exists. No file is left.
    """
    if plan not in (ViewingPlan.REMUX, ViewingPlan.TRANSCODE):
        raise MediaError(f"plan {plan} makes no viewing copy")
    require_space(target.parent)
    reader = _ProgressReader(progress, _duration_ms(facts))
    with tempfile.TemporaryDirectory(prefix=".viewing-", dir=target.parent) as directory:
        work = Path(directory)
        step = _remux if plan is ViewingPlan.REMUX else _transcode
        recipe = step(source, work, facts, reader.feed)
        _hand_over(work / "out.mp4", target)
    if progress is not None:
        progress(1000)
    return recipe


def make_viewing(source: Path, target: Path, *, progress: Progress | None = None) -> Recipe:
    """Make the viewing copy the ladder asks for, from the file alone (on demand, first view).

    What cannot be rewrapped provably (time stamps missing, a hole) is coded anew instead.

    Raises:
        MediaError: As :func:`make`; also when the file needs no viewing copy or cannot be read.
    """
    facts, _ = probe(source, content=sniff(read_head(source)))
    wanted = ladder.plan(facts)
    try:
        return make(wanted, source, target, facts=facts, progress=progress)
    except NotMadeError:
        if wanted is not ViewingPlan.REMUX:
            raise
    return make(ViewingPlan.TRANSCODE, source, target, facts=facts, progress=progress)
