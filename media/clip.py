"""A clip: a span of a recording as a file of its own, exact to the picture. A derivative, never evidence itself.

It is coded anew, because a copy of coded pictures could only begin at a key frame and would show more than was chosen. The
original is only read. Crash: at most a file under a temporary name in the scratch directory is left.

Source: RULES R16, R22, R27.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evidence.errors import InvalidInputError
from media import graphs
from media.probe import probe
from media.sniff import read_head, sniff
from media.tools import require_space, run, version
from media.viewing import TRANSCODE_FACTOR, NotMadeError


@dataclass(frozen=True, slots=True)
class Clip:
    """What was made: the file, its media type, and how (for the list)."""

    path: Path
    media_type: str
    recipe: str


def cut(source: Path, scratch: Path, *, name: str, begin_ms: int, end_ms: int) -> Clip:
    """Cut a span out of a recording into ``scratch``.

    Args:
        source: The original; only read.
        scratch: Directory the clip is made in, under ``name``.
        name: A plain file name of ours.
        begin_ms: Where it begins, in milliseconds of the recording.
        end_ms: Where it ends; later than it begins.

    Raises:
        InvalidInputError: No span.
        NotMadeError: The file gives no picture and no sound there.
        MediaError: Tool missing, disk full, the source cannot be read.
    """
    if not 0 <= begin_ms < end_ms:
        raise InvalidInputError("a clip ends after it begins")
    require_space(scratch)
    facts, _ = probe(source, content=sniff(read_head(source)))
    video, audio = facts.video is not None, facts.audio is not None
    if not video and not audio:
        raise NotMadeError("there is neither picture nor sound to cut", kept="The original is stored.")
    length_ms = end_ms - begin_ms
    command = graphs.clip(
        source, content=facts.content, target=name, begin_ms=begin_ms, length_ms=length_ms, video=video, audio=audio
    )  # fmt: skip
    outcome = run(command, timeout_s=300 + TRANSCODE_FACTOR * length_ms / 1000, cwd=scratch, background=True)
    made = scratch / name
    if outcome.stopped or not made.exists():
        raise NotMadeError(
            f"no clip could be made: {outcome.first_complaint or 'stopped'}", kept="The original is stored."
        )
    shown, _ = probe(made, content="mp4")
    if (video and shown.video is None) or (shown.video is None and shown.audio is None):
        raise NotMadeError("the clip shows nothing", kept="The original is stored.")
    return Clip(made, "video/mp4" if video else "audio/mp4", f"ffmpeg {version()}")
