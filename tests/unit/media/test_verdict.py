"""The verdict on real footage, broken the way cards and recorders break it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from evidence import canonical
from evidence.model import RecordingKind, Verdict
from media import describe
from media.facts import MediaFacts
from media.tools import ToolRun
from media.verdict import Findings, judge
from support import footage as f

Make = Callable[[Path], Path]
VIDEO, AUDIO, PHOTO = RecordingKind.VIDEO, RecordingKind.AUDIO, RecordingKind.PHOTO


def ts(d: Path) -> Path:
    return f.rewrapped(f.talking_mp4(), d / "ok.ts")


def mkv(d: Path) -> Path:
    return f.rewrapped(f.talking_mp4(), d / "ok.mkv")


def end(d: Path) -> Path:
    return f.rewrapped(f.talking_mp4(), d / "okend.mp4")


def frag(d: Path) -> Path:
    return f.fragmented(f.talking_mp4(), d / "okfrag.mp4")


def odd_cut(source: Path, target: Path) -> Path:
    """Cut inside a transport stream packet, wherever 60 per cent may lie."""
    f.cut(source, target)
    rest = target.stat().st_size % 188
    with target.open("r+b") as stream:
        stream.truncate(target.stat().st_size - rest - 88)
    return target


def pasted(target: Path, source: Path) -> Path:
    target.write_bytes(source.read_bytes())
    return target


def filled(target: Path, data: bytes) -> Path:
    target.write_bytes(data)
    return target


INTACT: dict[str, tuple[Make, RecordingKind]] = {
    "phone": (lambda d: f.phone_mp4(), VIDEO),
    "mp4": (lambda d: f.talking_mp4(), VIDEO),
    "mp4-index-at-end": (end, VIDEO),
    "mp4-fragmented": (frag, VIDEO),
    "avi": (lambda d: f.talking_avi(), VIDEO),
    "avi-msmpeg4": (lambda d: f.street_avi(), VIDEO),
    "mpeg": (lambda d: f.talking_mpeg(), VIDEO),
    "ts": (ts, VIDEO),
    "mkv": (mkv, VIDEO),
    "hevc": (lambda d: f.hevc_mp4(f.talking_mp4(), d / "h.mp4"), VIDEO),
    "trimmed by an edit list": (lambda d: f.trimmed_by_edit(f.synthetic(d / "a.mp4"), d / "x.mp4"), VIDEO),
    "avi with dropped pictures": (
        lambda d: f.encoded(f.talking_avi(), d / "x.avi", "-c:v", "libx264", "-c:a", "aac"),
        VIDEO,
    ),
    "wmv": (lambda d: f.synthetic(d / "x.wmv"), VIDEO),
    "ogg": (lambda d: f.tone(d / "x.ogg"), AUDIO),
    "flac": (lambda d: f.tone(d / "x.flac"), AUDIO),
    "gif": (lambda d: f.still(d / "x.gif"), PHOTO),
    "bmp": (lambda d: f.still(d / "x.bmp"), PHOTO),
    "webp": (lambda d: f.still(d / "x.webp"), PHOTO),
    "mp3": (lambda d: f.voice_mp3(), AUDIO),
    "wav": (lambda d: f.voice_wav(), AUDIO),
    "jpg": (lambda d: f.photo_jpg(), PHOTO),
    "png": (lambda d: f.photo_png(), PHOTO),
}
BROKEN: dict[str, tuple[Make, RecordingKind, Verdict, str]] = {
    "cut mp4, index at end": (lambda d: f.cut(end(d), d / "x.mp4"), VIDEO, Verdict.TRUNCATED, "structure-beyond-end"),
    "cut mp4, index at start": (
        lambda d: f.cut(f.talking_mp4(), d / "x.mp4"), VIDEO, Verdict.TRUNCATED, "shorter-than-stated"),
    "cut phone": (lambda d: f.cut(f.phone_mp4(), d / "x.mp4"), VIDEO, Verdict.TRUNCATED, "frames-missing"),
    "cut fragmented": (lambda d: f.cut(frag(d), d / "x.mp4"), VIDEO, Verdict.TRUNCATED, "structure-beyond-end"),
    "cut avi": (lambda d: f.cut(f.talking_avi(), d / "x.avi"), VIDEO, Verdict.TRUNCATED, "frames-missing"),
    "cut ts": (lambda d: odd_cut(ts(d), d / "x.ts"), VIDEO, Verdict.TRUNCATED, "structure-beyond-end"),
    "cut mkv": (lambda d: f.cut(mkv(d), d / "x.mkv"), VIDEO, Verdict.TRUNCATED, "shorter-than-stated"),
    "cut wav": (lambda d: f.cut(f.voice_wav(), d / "x.wav"), AUDIO, Verdict.TRUNCATED, "structure-beyond-end"),
    "cut mp3": (lambda d: f.cut(f.voice_mp3(), d / "x.mp3"), AUDIO, Verdict.TRUNCATED, "shorter-than-stated"),
    "cut jpg": (lambda d: f.cut(f.photo_jpg(), d / "x.jpg"), PHOTO, Verdict.TRUNCATED, "picture-end-missing"),
    "cut png": (lambda d: f.cut(f.photo_png(), d / "x.png"), PHOTO, Verdict.TRUNCATED, "picture-end-missing"),
    "cut gif": (lambda d: f.cut(f.still(d / "a.gif"), d / "x.gif"), PHOTO, Verdict.TRUNCATED, "picture-end-missing"),
    "cut bmp": (lambda d: f.cut(f.still(d / "a.bmp"), d / "x.bmp"), PHOTO, Verdict.TRUNCATED, "picture-end-missing"),
    "cut webp": (lambda d: f.cut(f.still(d / "a.webp"), d / "x.webp"), PHOTO, Verdict.TRUNCATED, "picture-end-missing"),
    "cut wmv": (lambda d: f.cut(f.synthetic(d / "a.wmv"), d / "x.wmv"), VIDEO, Verdict.TRUNCATED, "structure-beyond-end"),
    "hole in flac": (
        lambda d: f.with_hole(f.tone(d / "a.flac"), d / "x.flac", hole_bytes=12_288), AUDIO, Verdict.DAMAGED,
        "packets-in-zero"),
    "hole in mp4": (lambda d: f.with_hole(f.talking_mp4(), d / "x.mp4"), VIDEO, Verdict.DAMAGED, "packets-in-zero"),
    "small hole in mp4": (
        lambda d: f.with_hole(f.talking_mp4(), d / "x.mp4", hole_bytes=16_384), VIDEO, Verdict.DAMAGED, "packets-in-zero"),
    "hole in avi": (lambda d: f.with_hole(f.talking_avi(), d / "x.avi"), VIDEO, Verdict.DAMAGED, "frames-missing"),
    "hole in ts": (lambda d: f.with_hole(ts(d), d / "x.ts"), VIDEO, Verdict.DAMAGED, "zero-blocks"),
    "hole in mkv": (lambda d: f.with_hole(mkv(d), d / "x.mkv"), VIDEO, Verdict.DAMAGED, "packets-in-zero"),
    "hole in mpeg": (lambda d: f.with_hole(f.talking_mpeg(), d / "x.mpeg"), VIDEO, Verdict.DAMAGED, "complaints"),
    "hole in msmpeg4": (lambda d: f.with_hole(f.street_avi(), d / "x.avi"), VIDEO, Verdict.DAMAGED, "frames-missing"),
    "hole in jpg": (lambda d: f.with_hole(f.photo_jpg(), d / "x.jpg"), PHOTO, Verdict.DAMAGED, "complaints"),
    "zero tail, mp4": (lambda d: f.with_zero_tail(f.talking_mp4(), d / "x.mp4"), VIDEO, Verdict.TRUNCATED, "zero-tail"),
    "zero tail, fragmented": (lambda d: f.with_zero_tail(frag(d), d / "x.mp4"), VIDEO, Verdict.TRUNCATED, "zero-tail"),
    "zero tail, ts": (lambda d: f.with_zero_tail(ts(d), d / "x.ts"), VIDEO, Verdict.TRUNCATED, "zero-tail"),
    "zero tail, avi": (lambda d: f.with_zero_tail(f.talking_avi(), d / "x.avi"), VIDEO, Verdict.TRUNCATED, "zero-tail"),
    "index never written": (
        lambda d: f.never_closed_mp4(f.phone_mp4(), d / "x.mp4"), VIDEO, Verdict.SALVAGEABLE, "index-missing"),
    "empty": (lambda d: filled(d / "x.mp4", b""), VIDEO, Verdict.UNREADABLE, "empty"),
    "only zeros": (lambda d: filled(d / "x.mp4", bytes(1 << 20)), VIDEO, Verdict.UNREADABLE, "only-zeros"),
    "random bytes": (lambda d: filled(d / "x.mp4", b"\x99" + os.urandom(100_000)), VIDEO, Verdict.UNREADABLE, "not-recog"),
    "png named mp4": (lambda d: pasted(d / "x.mp4", f.photo_png()), VIDEO, Verdict.NOT_MEDIA, "foreign-content"),
    "jpg named wav": (lambda d: pasted(d / "x.wav", f.photo_jpg()), AUDIO, Verdict.NOT_MEDIA, "foreign-content"),
    "mp4 named jpg": (lambda d: pasted(d / "x.jpg", f.talking_mp4()), PHOTO, Verdict.NOT_MEDIA, "foreign-content"),
    "playlist named mp4": (lambda d: f.playlist(d / "x.mp4"), VIDEO, Verdict.NOT_MEDIA, "foreign-content"),
    "concat list named mp4": (
        lambda d: f.concat_list(d / "x.mp4", of=f.talking_mp4()), VIDEO, Verdict.NOT_MEDIA, "foreign-content"),
    "document named mp4": (lambda d: pasted(d / "x.mp4", f.document_pdf()), VIDEO, Verdict.NOT_MEDIA, "foreign-content"),
    "header alone": (
        lambda d: filled(d / "x.mp4", f.talking_mp4().read_bytes()[:40]), VIDEO, Verdict.TRUNCATED, "index-missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", INTACT)
def test_whole_footage_is_intact(name: str, tmp_path: Path) -> None:
    make, kind = INTACT[name]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    found = describe(make(tmp_path), kind, scratch)
    assert found.verdict is Verdict.INTACT, found.notes
    assert found.kind is kind
    assert not [note for note in found.notes if not note.startswith("end-not-stated")]


@pytest.mark.parametrize("name", BROKEN)
def test_broken_footage_is_named_for_what_it_is(name: str, tmp_path: Path) -> None:
    make, kind, verdict, code = BROKEN[name]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    source = make(tmp_path)
    before = source.read_bytes()
    found = describe(source, kind, scratch)
    assert found.verdict is verdict, found.notes
    assert any(note.startswith(code) for note in found.notes), found.notes
    assert source.read_bytes() == before
    canonical.dumps(found.facts)
    if verdict in (Verdict.NOT_MEDIA, Verdict.UNREADABLE, Verdict.SALVAGEABLE):
        assert found.facts["viewing"] == "none"


def test_a_pass_that_had_to_be_killed_leaves_the_condition_unknown() -> None:
    killed = ToolRun(-1, stopped=True, untrusted_stdout=b"", complaints=1, first_complaint="")
    assert judge(Findings(claimed=VIDEO, facts=MediaFacts(content="mp4"), probe_run=killed)) is Verdict.UNKNOWN


def test_sound_that_goes_on_after_the_last_picture_is_no_loss_and_is_told(tmp_path: Path) -> None:
    found = describe(f.synthetic(tmp_path / "x.mp4", picture_s=4, sound_s=9), VIDEO, _scratch(tmp_path))
    assert (found.verdict, found.notes) == (Verdict.INTACT, ("pictures-end-early: sound_goes_on_ms=5000",))
    assert found.duration_ms == 9000
    assert found.facts["packets"]["sound_last_ms"] == 9000


def test_a_container_that_cannot_show_its_end_says_so(tmp_path: Path) -> None:
    found = describe(f.cut(f.tone(tmp_path / "a.ogg"), tmp_path / "x.ogg"), AUDIO, _scratch(tmp_path))
    assert [note.partition(":")[0] for note in found.notes] == ["end-not-stated"]


def test_the_moments_lost_in_a_hole_are_told(tmp_path: Path) -> None:
    found = describe(f.with_hole(f.talking_mp4(), tmp_path / "x.mp4"), VIDEO, _scratch(tmp_path))
    note = next(note for note in found.notes if note.startswith("packets-in-zero-blocks"))
    first, last = note.split("spans_ms=")[1].split("-")
    assert 4000 < int(first) <= int(last) < 5500


def test_a_cut_recording_is_as_long_as_what_is_there(tmp_path: Path) -> None:
    found = describe(f.cut(f.talking_mp4(), tmp_path / "x.mp4"), VIDEO, _scratch(tmp_path))
    assert found.duration_ms is not None
    assert 5000 <= found.duration_ms <= 5300


def _scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"
