"""The one call ingest makes: measure a file, judge it, make the cheap derivatives.

Whatever the bytes are, the answer is a :class:`Description`; only trouble of ours (no ffmpeg, no disk space, an unreadable
store) raises. Nothing here is needed for custody: a recording is sealed whether or not it can be described.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from evidence.errors import MediaError
from evidence.model import RecordingKind, Verdict
from media import graphs, hints, ladder, sheet, viewing
from media.boxes import walk
from media.exif import read_exif
from media.facts import MediaFacts
from media.holes import find_holes
from media.ladder import ViewingPlan
from media.packets import count_packets
from media.probe import probe
from media.sniff import AV_CONTENT, PICTURE_CONTENT, kind_of, read_head, sniff
from media.text import read_text
from media.tools import Progress, ToolRun, require, require_readable, require_space, run, version
from media.verdict import Findings, judge, notes_of, shortfall_ms, suspicious

#: A suspicious recording up to this long is decoded completely (about a third of its length on one core).
DECODE_MS_MAX: Final = 30 * 60_000
_END_MARKS: Final = {"jpeg": b"\xff\xd9", "png": b"IEND\xaeB`\x82"}
#: Where pictures state how many bytes they have, and what to add to that.
_STATED_SIZES: Final = {"bmp": (2, 0), "webp": (4, 8)}
_TAIL_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Product:
    """One derivative, ready to be stored.

    Attributes:
        kind: ``poster``, ``sheet``, ``sheet-index``, ``waveform`` or ``viewing``.
        media_type: Media type of its bytes.
        path: Where it lies in the caller's scratch directory.
        recipe: How it was made, plain JSON without paths.
    """

    kind: str
    media_type: str
    path: Path
    recipe: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Description:
    """What a file is.

    Attributes:
        facts: Plain JSON for entry and catalogue: measurements, ``viewing`` (ladder step), ``media_type``; nothing personal.
        verdict: Its condition.
        notes: Why, as ``code: figures``; may quote the file's own words, so treat as personal.
        kind: What it is; corrects what its name claimed.
        products: Derivatives made, in the caller's scratch directory.
        measured: The same facts, typed.
    """

    facts: dict[str, Any]
    verdict: Verdict
    notes: tuple[str, ...]
    kind: RecordingKind
    products: tuple[Product, ...]
    measured: MediaFacts

    @property
    def duration_ms(self) -> int | None:
        """How long it really is: what the packets say where that is shorter than what the header claims."""
        return _real_duration_ms(self.measured)

    @property
    def location(self) -> str:
        """Where it was made, as the recorder wrote it (ISO 6709); personal, empty when not told."""
        return self.measured.location


def _real_duration_ms(facts: MediaFacts) -> int | None:
    found = 0
    if facts.packets is not None:
        found = max(facts.packets.last_ms, facts.packets.sound_last_ms or 0) - facts.packets.first_ms
    if facts.duration_ms is None:
        return found or None
    return min(facts.duration_ms, found) if found > 0 and facts.duration_ms - found > 1000 else facts.duration_ms


def _kind(claimed: RecordingKind, facts: MediaFacts, verdict: Verdict) -> RecordingKind:
    if verdict is Verdict.NOT_MEDIA:
        return RecordingKind.UNKNOWN
    if facts.content in PICTURE_CONTENT:
        return RecordingKind.PHOTO
    if facts.video is not None:
        return RecordingKind.VIDEO
    if facts.audio is not None:
        return RecordingKind.AUDIO
    if facts.text is not None:
        positions = facts.text.track_format and claimed is not RecordingKind.TEXT
        return RecordingKind.TRACK if positions or claimed is RecordingKind.TRACK else RecordingKind.TEXT
    return claimed if claimed is not RecordingKind.UNKNOWN else kind_of(facts.content)


def _description(findings: Findings, products: list[Product], extra_notes: tuple[str, ...] = ()) -> Description:
    facts, verdict = findings.facts, judge(findings)
    watchable = verdict not in (Verdict.NOT_MEDIA, Verdict.UNREADABLE, Verdict.SALVAGEABLE)
    step = ladder.plan(facts) if watchable else ViewingPlan.NONE
    if step is ViewingPlan.REMUX and extra_notes:  # it was refused: what is left is coding it anew, on demand
        step = ViewingPlan.TRANSCODE
    public = facts.to_json() | {"viewing": str(step)}
    if step is not ViewingPlan.NONE:
        public["media_type"] = ladder.viewing_media_type(facts)
    return Description(
        public,
        verdict,
        notes_of(findings) + extra_notes,
        _kind(findings.claimed, facts, verdict),
        tuple(products),
        facts,
    )


# --- pictures and texts -----------------------------------------------------------------------------------------------
def _tool_recipe(command: list[str], source: Path) -> dict[str, Any]:
    return {"tool": f"ffmpeg {version()}", "arguments": graphs.shown(command, source)}


def _picture_product(kind: str, media_type: str, path: Path, command: list[str], source: Path) -> Product | None:
    """The product if the file it names really holds a picture."""
    if not path.is_file() or path.stat().st_size == 0:
        return None
    return Product(kind, media_type, path, _tool_recipe(command, source))


def _picture_ended(source: Path, content: str, size_bytes: int) -> bool:
    """Whether a photo is there to its end: by its end mark, or by the size it states."""
    with source.open("rb") as stream:
        head = stream.read(16)
        stream.seek(max(0, size_bytes - _TAIL_BYTES))
        tail = stream.read(_TAIL_BYTES)
    if content in _STATED_SIZES:
        at, more = _STATED_SIZES[content]
        return int.from_bytes(head[at : at + 4], "little") + more <= size_bytes
    if content == "gif":
        return tail.rstrip(b"\0").endswith(b"\x3b")
    return content not in _END_MARKS or _END_MARKS[content] in tail


def _describe_picture(source: Path, claimed: RecordingKind, content: str, scratch: Path) -> Description:
    facts, probe_run = probe(source, content=content)
    taken, location = read_exif(source, content=content)
    still = replace(facts.video, frame_rate_milli=0, nominal_rate_milli=0, frames=1) if facts.video else None
    facts = replace(
        facts, audio=None, video=still, duration_ms=None, bit_rate=0, creation_time=taken, location=location
    )
    command = graphs.poster(source, content=content, at_ms=0, target="poster.jpg")
    outcome = run(command, timeout_s=60, cwd=scratch)
    product = _picture_product("poster", "image/jpeg", scratch / "poster.jpg", command, source)
    findings = Findings(
        claimed=claimed, facts=facts, probe_run=probe_run,
        key_run=outcome, frames_shown=0 if product is None else 1,
        picture_ended=_picture_ended(source, content, facts.size_bytes),
    )  # fmt: skip
    return _description(findings, [product] if product else [])


def _describe_other(source: Path, claimed: RecordingKind, content: str, size_bytes: int) -> Description:
    text = read_text(source) if content in {"text", "unknown"} else None
    facts = MediaFacts(content=content, size_bytes=size_bytes, text=text)
    zeros = find_holes(source)
    return _description(Findings(claimed=claimed, facts=facts, zeros=zeros), [])


# --- moving pictures and sound ----------------------------------------------------------------------------------------
def _decode_frames(outcome: ToolRun) -> int:
    frames = [line[6:] for line in outcome.untrusted_stdout.split(b"\n") if line.startswith(b"frame=")]
    last = frames[-1].strip() if frames else b""
    return int(last[:12]) if last.isdigit() else 0


def _decode_if_needed(source: Path, findings: Findings) -> Findings:
    duration_ms = _real_duration_ms(findings.facts) or 0
    if not suspicious(findings) or duration_ms > DECODE_MS_MAX:
        return findings
    outcome = run(graphs.decode(source, content=findings.facts.content), timeout_s=300 + duration_ms / 250)
    shown = max(findings.frames_shown, _decode_frames(outcome))
    return replace(findings, decode_run=outcome, frames_shown=shown)


def _count_sound(source: Path, findings: Findings) -> Findings:
    """Where the pictures end before the stated end, the sound may be what goes on until then."""
    facts = findings.facts
    if facts.video is None or facts.audio is None or facts.packets is None or not shortfall_ms(findings):
        return findings
    sound, sound_run = count_packets(source, content=facts.content, stream="a:0", size_bytes=facts.size_bytes)
    packets = replace(facts.packets, sound_last_ms=sound.last_ms)
    return replace(findings, facts=replace(facts, packets=packets), sound=sound, sound_run=sound_run)


def _measure_streams(source: Path, findings: Findings, scratch: Path) -> tuple[Findings, sheet.KeyFrames | None, int]:
    """Packet pass, key-frame pass, and a full decode where those give reason. Also returns the moment for the poster."""
    facts = findings.facts
    counter, packet_run = count_packets(
        source, content=facts.content, stream="v:0" if facts.video is not None else "a:0",
        size_bytes=facts.size_bytes, holes=findings.zeros.holes,
    )  # fmt: skip
    facts = replace(facts, packets=counter.facts())
    findings = _count_sound(source, replace(findings, facts=facts, packets=counter, packet_run=packet_run))
    facts = findings.facts
    frames, poster_ms = None, 0
    if facts.video is not None:
        duration_ms = _real_duration_ms(facts) or 0
        frames = sheet.sample(source, facts, duration_ms=duration_ms, scratch=scratch)
        measures = sheet.measure_all(frames)
        poster_ms = sheet.poster_moment(measures)
        facts = replace(facts, hints=hints.summarise(measures, end_ms=duration_ms))
        findings = replace(findings, facts=facts, key_run=frames.outcome, frames_shown=len(measures))
    return _decode_if_needed(source, findings), frames, poster_ms


def _sheet_products(facts: MediaFacts, frames: sheet.KeyFrames, scratch: Path) -> list[Product]:
    picture, index = scratch / "sheet.jpg", scratch / "sheet.json"
    described = sheet.tile_sheet(frames, duration_ms=_real_duration_ms(facts) or 0, picture=picture, index=index)
    if described is None:
        return []
    recipe = {"tool": f"ffmpeg {version()} + opencv", "made": "key frames, tiled", "index": described}
    return [
        Product("sheet", "image/jpeg", picture, recipe),
        Product("sheet-index", "application/json", index, {"tool": "opencv", "made": "index of the sheet"}),
    ]


def _poster_product(source: Path, facts: MediaFacts, at_ms: int, scratch: Path) -> Product | None:
    if facts.video is not None:
        command = graphs.poster(source, content=facts.content, at_ms=at_ms, target="poster.jpg")
        run(command, timeout_s=120, cwd=scratch)
        return _picture_product("poster", "image/jpeg", scratch / "poster.jpg", command, source)
    command = graphs.waveform(source, content=facts.content, target="poster.png")
    run(command, timeout_s=120 + facts.size_bytes / 1e6, cwd=scratch)
    return _picture_product("poster", "image/png", scratch / "poster.png", command, source)


def _remux_product(source: Path, facts: MediaFacts, scratch: Path) -> tuple[Product | None, tuple[str, ...]]:
    """The rewrapped copy, or the note why there is none (the transcode on demand is left)."""
    if ladder.plan(facts) is not ViewingPlan.REMUX:
        return None, ()
    target = scratch / "viewing.mp4"
    try:
        recipe = viewing.make(ViewingPlan.REMUX, source, target, facts=facts)
    except viewing.NotMadeError as error:
        return None, (f"remux-refused: {error.what[:160]}",)
    return Product("viewing", ladder.viewing_media_type(facts), target, recipe.to_json()), ()


def _describe_stream(
    source: Path, claimed: RecordingKind, content: str, scratch: Path, progress: Progress
) -> Description:
    facts, probe_run = probe(source, content=content)
    layout = walk(source, content=content)
    facts = replace(facts, index=layout.index)
    findings = Findings(claimed=claimed, facts=facts, layout=layout, zeros=find_holes(source), probe_run=probe_run)
    progress(200)
    if facts.video is None and facts.audio is None:
        return _description(findings, [])
    with tempfile.TemporaryDirectory(prefix=".frames-", dir=scratch) as directory:
        findings, frames, poster_ms = _measure_streams(source, findings, Path(directory))
        progress(600)
        products = _sheet_products(findings.facts, frames, scratch) if frames is not None else []
    poster = _poster_product(source, findings.facts, poster_ms, scratch)
    progress(700)
    viewable = judge(findings) not in (Verdict.UNREADABLE, Verdict.NOT_MEDIA)
    remuxed, notes = _remux_product(source, findings.facts, scratch) if viewable else (None, ())
    return _description(findings, [p for p in (poster, *products, remuxed) if p is not None], notes)


def describe(source: Path, kind: RecordingKind, scratch: Path, progress: Progress | None = None) -> Description:
    """Measure and judge a file and make poster, sheet and (where that is a mere rewrapping) the viewing copy.

    Args:
        source: The stored original; only read.
        kind: What its name claims; the bytes may say otherwise.
        scratch: Existing directory of the caller's, empty; products are left there, everything else is removed.
        progress: Told thousandths; may raise to stop.

    Returns:
        The description. A hostile, broken or foreign file gives a verdict, never an exception.

    Raises:
        MediaError: ffmpeg or ffprobe is missing, the scratch disk is full, or the source cannot be read.
    """
    tell = progress or (lambda _: None)
    require("ffmpeg")
    require("ffprobe")
    size_bytes = require_readable(source)
    require_space(scratch)
    content = sniff(read_head(source))
    tell(50)
    is_side_file = kind in {RecordingKind.TEXT, RecordingKind.TRACK}
    try:
        if content in AV_CONTENT and not is_side_file and kind is not RecordingKind.PHOTO:
            found = _describe_stream(source, kind, content, scratch, tell)
        elif content in PICTURE_CONTENT - {"heif"} and kind in {RecordingKind.PHOTO, RecordingKind.UNKNOWN}:
            found = _describe_picture(source, kind, content, scratch)
        else:
            found = _describe_other(source, kind, content, size_bytes)
    except OSError as error:
        raise MediaError(f"no access to scratch or source: {error.strerror}", kept="The original is stored.") from error
    tell(1000)
    return found
