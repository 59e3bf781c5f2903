"""Judge a file's condition from what was measured, never from exit codes. Pure: evidence in, verdict and reasons out.

Exit codes prove nothing: ffmpeg ends with 0 on an AVI of which half is missing and on an MP4 with a hole, and ffprobe ends
with 0 on a picture renamed to .mp4. What counts is how the bytes agree with what the container promises, what the packets
say, and what a decoder complains about.

The rules are tried in the order of :data:`RULES`; the first that answers decides. Notes of all measurements are kept, so that
a person can see why. A note is ``code: figures``; codes are stable (docs/formats/media.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from evidence.model import RecordingKind, Verdict
from media.boxes import Layout
from media.facts import MediaFacts
from media.holes import ZeroMap
from media.packets import PacketCounter
from media.sniff import AV_CONTENT, FOREIGN_CONTENT, PICTURE_CONTENT
from media.tools import ToolRun

#: Packets may end this much before the stated duration: sound and picture rarely end together.
SHORTFALL_MS: Final = 1_000
#: ... and this share of it, in thousandths (an average frame rate is rounded in some headers).
SHORTFALL_MILLI: Final = 10
#: Codecs whose coded pictures or sound cannot contain a block of zeros.
_NO_ZEROS: Final = frozenset({
    "h264", "hevc", "av1", "vp8", "vp9", "aac", "mp3", "flac", "opus", "vorbis", "amr_nb", "amr_wb",
})  # fmt: skip
_AV_KINDS: Final = frozenset({RecordingKind.VIDEO, RecordingKind.AUDIO})


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything measured of one file; absent passes (None) were not needed or not possible.

    ``sound`` is counted only where the pictures end before the stated end: one of them going on is no loss.
    ``frames_shown`` counts pictures that came out of a decoder, ``picture_ended`` whether a photo's end mark is there.
    """

    claimed: RecordingKind
    facts: MediaFacts
    layout: Layout = field(default_factory=Layout)
    zeros: ZeroMap = field(default_factory=ZeroMap)
    probe_run: ToolRun | None = None
    packets: PacketCounter | None = None
    packet_run: ToolRun | None = None
    sound: PacketCounter | None = None
    sound_run: ToolRun | None = None
    key_run: ToolRun | None = None
    decode_run: ToolRun | None = None
    frames_shown: int = 0
    picture_ended: bool = True

    @property
    def runs(self) -> list[ToolRun]:
        """All passes that were made."""
        made = (self.probe_run, self.packet_run, self.sound_run, self.key_run, self.decode_run)
        return [run for run in made if run is not None]


def _side_file(f: Findings) -> Verdict | None:
    """Texts and positions need only be readable."""
    wanted = f.claimed in {RecordingKind.TEXT, RecordingKind.TRACK}
    if f.facts.text is not None and (wanted or f.claimed is RecordingKind.UNKNOWN):
        return Verdict.INTACT
    return Verdict.UNKNOWN if wanted else None


def _empty(f: Findings) -> Verdict | None:
    blank = f.facts.content in {"empty", "zeros"} or f.zeros.all_zero
    return Verdict.UNREADABLE if blank else None


def _foreign(f: Findings) -> Verdict | None:
    """Something other than the name says: a playlist, an archive, a picture called a video."""
    content, claimed = f.facts.content, f.claimed
    disguised = (content in PICTURE_CONTENT and claimed in _AV_KINDS) or (
        content in AV_CONTENT and claimed is RecordingKind.PHOTO
    )
    return Verdict.NOT_MEDIA if disguised or content in FOREIGN_CONTENT else None


def _unrecognised(f: Findings) -> Verdict | None:
    if f.facts.content != "unknown":
        return None
    return Verdict.UNKNOWN if f.claimed is RecordingKind.UNKNOWN else Verdict.UNREADABLE


def _limits(f: Findings) -> Verdict | None:
    """A pass that had to be killed leaves the condition unknown: nothing may be claimed."""
    return Verdict.UNKNOWN if any(run.stopped for run in f.runs) else None


def _picture(f: Findings) -> Verdict | None:
    if f.facts.content not in PICTURE_CONTENT:
        return None
    if f.facts.content == "heif":
        return Verdict.UNKNOWN
    if f.frames_shown == 0:
        return Verdict.TRUNCATED if not f.picture_ended else Verdict.UNREADABLE
    if not f.picture_ended:
        return Verdict.TRUNCATED
    return Verdict.DAMAGED if any(run.complaints for run in f.runs) else Verdict.INTACT


def _overruns(f: Findings) -> bool:
    return f.layout.claimed_end > f.facts.size_bytes


def _without_streams(f: Findings) -> Verdict | None:
    """The container does not open: was it cut off, never closed, or ruined?"""
    if f.facts.video is not None or f.facts.audio is not None:
        return None
    if _overruns(f):
        return Verdict.TRUNCATED
    if f.facts.content == "mp4" and f.layout.index == "missing":
        held = sum(box.size_bytes for box in f.layout.of_kind("mdat"))
        lost = sum(hole.end - hole.offset for hole in f.zeros.holes)
        return Verdict.SALVAGEABLE if held > lost + 4096 else Verdict.UNREADABLE
    return Verdict.UNREADABLE


def _shows_nothing(f: Findings) -> Verdict | None:
    """Streams are declared, yet nothing comes out of the decoder."""
    if f.packets is not None and f.packets.packets == 0:
        return Verdict.TRUNCATED if _overruns(f) else Verdict.UNREADABLE
    if f.facts.video is not None and f.frames_shown == 0:
        return Verdict.UNREADABLE
    return None


def shortfall_ms(f: Findings) -> int:
    """By how much the last packet ends before the stated duration, 0 within tolerance or when nothing is stated."""
    if f.packets is None or f.facts.duration_ms is None or f.packets.first_ms is None:
        return 0
    first, last = f.packets.first_ms, f.packets.last_ms
    if f.sound is not None and f.sound.first_ms is not None:
        first, last = min(first, f.sound.first_ms), max(last, f.sound.last_ms)
    missing = f.facts.duration_ms - (last - min(0, first))
    # A transport stream's clock starts anywhere; its duration is relative, its packets are not.
    if first > 0 and f.facts.content in {"mpegts", "mpeg", "ogg"}:
        missing += first
    tolerance = max(SHORTFALL_MS, f.facts.duration_ms * SHORTFALL_MILLI // 1000)
    return missing if missing > tolerance else 0


def missing_frames(f: Findings) -> int:
    """Frames the header declares and the file does not hold, beyond one per cent."""
    if f.packets is None or f.facts.video is None or f.facts.video.frames == 0:
        return 0
    if f.facts.index in {"start", "end"} and f.packet_run is not None and not f.packet_run.complaints:
        return 0  # every sample that the index lists could be read: an edit list leaves the others out on purpose
    missing = f.facts.video.frames - f.packets.packets - f.layout.dropped_frames
    return missing if missing > 1 + f.facts.video.frames // 100 else 0


def _holes_in_packets(f: Findings) -> int:
    main = f.facts.video or f.facts.audio
    return f.packets.damaged if f.packets is not None and main is not None and main.codec in _NO_ZEROS else 0


def _holes_in_stream(f: Findings) -> bool:
    """In a transport stream every 188 bytes begin with a sync byte: a block of zeros is never part of it."""
    return f.facts.content == "mpegts" and bool(f.zeros.holes)


def _gap_explains_shortfall(f: Findings) -> bool:
    """AVI counts frames instead of time: frames lost in a hole in the middle make the whole seem shorter."""
    return f.facts.content == "avi" and bool(f.zeros.holes) and f.zeros.tail_bytes == 0


def _end_stated(f: Findings) -> bool:
    """Whether the container shows where it ends (a fragmented MP4 does by its closing index)."""
    if f.layout.index == "fragmented":
        return bool(f.layout.of_kind("mfra"))
    if f.facts.content == "asf":
        return f.layout.claimed_end > 0
    return f.facts.content not in {"mpegts", "mpeg", "mp3", "aac", "amr", "ogg"}


def _tail_lost(f: Findings) -> bool:
    """Zeros at the end of the part that should hold media (reserved space that was never written)."""
    if f.zeros.tail_bytes == 0:
        return False
    if not _end_stated(f):
        return True
    if f.packets is None or not _holes_in_packets(f):  # slack behind a complete file, padding, or digital silence
        return False
    return f.packets.damaged_ms[-1][1] >= f.packets.last_ms - SHORTFALL_MS


def _truncated(f: Findings) -> Verdict | None:
    never_closed = f.layout.open_ended and f.facts.content in {"avi", "wav"}
    short = shortfall_ms(f) > 0 and not _gap_explains_shortfall(f)
    return Verdict.TRUNCATED if _overruns(f) or _tail_lost(f) or never_closed or short else None


def _damaged(f: Findings) -> Verdict | None:
    if _holes_in_packets(f) or _holes_in_stream(f) or missing_frames(f) or shortfall_ms(f):
        return Verdict.DAMAGED
    if f.decode_run is not None:  # a complete decode outranks the complaints of the quick passes
        return Verdict.DAMAGED if f.decode_run.complaints else None
    return Verdict.DAMAGED if any(run.complaints for run in f.runs) else None


RULES: Final[tuple[Callable[[Findings], Verdict | None], ...]] = (
    _empty, _side_file, _foreign, _unrecognised, _limits, _picture, _without_streams, _shows_nothing, _truncated, _damaged,
)  # fmt: skip


def suspicious(f: Findings) -> bool:
    """Whether the quick passes call for decoding the whole recording."""
    quick = any(run.complaints for run in f.runs) or (f.facts.video is not None and f.frames_shown == 0)
    return quick or bool(f.packets is not None and f.packets.damaged)


def _container_notes(f: Findings) -> list[str]:
    size, layout, notes = f.facts.size_bytes, f.layout, []
    if _overruns(f):
        notes.append(f"structure-beyond-end: stated={layout.claimed_end} found={size}")
    if f.facts.content == "mp4" and layout.index == "missing":
        notes.append(f"index-missing: boxes={','.join(b.kind for b in layout.boxes[:8])}")
    if layout.open_ended:
        notes.append("never-closed: the last part has no stated size")
    if layout.garbage_at >= 0:
        notes.append(f"bytes-outside-structure: offset={layout.garbage_at} length={size - layout.garbage_at}")
    if f.zeros.holes and judge(f) is not Verdict.INTACT:  # zeros in an unused box of a sound file say nothing
        total = sum(hole.end - hole.offset for hole in f.zeros.holes)
        notes.append(f"zero-blocks: count={len(f.zeros.holes)} bytes={total} first_offset={f.zeros.holes[0].offset}")
    if f.zeros.tail_bytes:
        notes.append(f"zero-tail: bytes={f.zeros.tail_bytes}")
    if f.facts.content in AV_CONTENT and not _end_stated(f):
        notes.append("end-not-stated: this container cannot show whether its end is missing")
    return notes


def _stream_notes(f: Findings) -> list[str]:
    notes = []
    if missing := shortfall_ms(f):
        notes.append(f"shorter-than-stated: stated_ms={f.facts.duration_ms} missing_ms={missing}")
    if missing := missing_frames(f):
        held = f.packets.packets if f.packets is not None else 0
        notes.append(f"frames-missing: stated={f.facts.video.frames if f.facts.video else 0} found={held}")
    if f.packets is not None and _holes_in_packets(f):
        spans = ",".join(f"{first}-{last}" for first, last in f.packets.damaged_ms[:8])
        notes.append(f"packets-in-zero-blocks: count={f.packets.damaged} spans_ms={spans}")
    if f.sound is not None and f.packets is not None and (ahead := f.sound.last_ms - f.packets.last_ms) > SHORTFALL_MS:
        notes.append(f"pictures-end-early: sound_goes_on_ms={ahead}")
    names = ("probe", "packets", "sound", "key-frames", "decode")
    runs = (f.probe_run, f.packet_run, f.sound_run, f.key_run, f.decode_run)
    for name, run in zip(names, runs, strict=True):
        if run is not None and run.stopped:
            notes.append(f"limit-reached: pass={name}")
        elif run is not None and run.complaints:
            notes.append(f"complaints: pass={name} lines={run.complaints} first={run.first_complaint}")
    return notes


def notes_of(f: Findings) -> tuple[str, ...]:
    """Every measurement worth a person's attention, as ``code: figures``."""
    content = f.facts.content
    if content == "empty":
        return ("empty: size=0",)
    if content == "zeros" or f.zeros.all_zero:
        return (f"only-zeros: size={f.facts.size_bytes}",)
    head = []
    if judge(f) is Verdict.NOT_MEDIA:
        head.append(f"foreign-content: name says {f.claimed}, bytes are {content}")
    elif content == "unknown":
        head.append("not-recognised: the first bytes belong to no known format")
    if content in PICTURE_CONTENT and not f.picture_ended:
        head.append("picture-end-missing: the end mark is not there")
    return (*head, *_container_notes(f), *_stream_notes(f))


def judge(findings: Findings) -> Verdict:
    """The verdict of the first rule that has one; INTACT when none objects."""
    for rule in RULES:
        verdict = rule(findings)
        if verdict is not None:
            return verdict
    return Verdict.INTACT
