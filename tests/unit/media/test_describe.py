"""The one call ingest makes, on real footage and on files made to hurt."""

import http.server
import json
import os
import subprocess
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from evidence import canonical
from evidence.errors import MediaError
from evidence.model import RecordingKind, Verdict
from media import Description, describe, tools, webvtt
from media.exif import location_of
from support import footage

VIDEO = RecordingKind.VIDEO


def described(source: Path, kind: RecordingKind, tmp_path: Path) -> Description:
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    found = describe(source, kind, scratch)
    left = set(scratch.iterdir()) - {product.path for product in found.products}
    assert not left
    canonical.dumps(found.facts)
    for product in found.products:
        canonical.dumps(product.recipe)
    return found


def product_of(found: Description, kind: str):
    return next(product for product in found.products if product.kind == kind)


@pytest.mark.parametrize(
    ("make", "kind", "viewing", "media_type"),
    [
        (lambda d: footage.talking_mp4(), "video", "original", "video/mp4"),
        (lambda d: footage.talking_avi(), "video", "remux", "video/mp4"),
        (lambda d: footage.street_avi(), "video", "transcode", "video/mp4"),
        (lambda d: footage.voice_mp3(), "audio", "original", "audio/mpeg"),
        (lambda d: footage.photo_jpg(), "photo", "original", "image/jpeg"),
        (lambda d: written(d / "x.txt", "现场说明\n"), "text", "none", None),
        (lambda d: written(d / "x.gps", "$GPRMC,,V,,,,,,,,,,N*53\r\n"), "track", "none", None),
    ],
)
def test_r01_video_audio_photo_text_and_track_are_described(
    tmp_path: Path, make, kind: str, viewing: str, media_type: str | None
) -> None:
    found = described(make(tmp_path), RecordingKind(kind), tmp_path)
    assert (found.verdict, found.kind) == (Verdict.INTACT, kind)
    assert found.facts["viewing"] == viewing
    assert found.facts.get("media_type") == media_type


@pytest.mark.parametrize(
    ("make", "kind"),
    [(footage.talking_mp4, "video"), (footage.voice_mp3, "audio"), (footage.photo_jpg, "photo")],
)
def test_r01_a_file_of_unknown_name_is_recognised_by_its_bytes(tmp_path: Path, make, kind: str) -> None:
    assert described(make(), RecordingKind.UNKNOWN, tmp_path).kind == kind


def written(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8", newline="")
    return path


def test_facts_are_what_the_recorder_wrote_and_keep_the_place_apart(tmp_path: Path) -> None:
    found = described(footage.phone_mp4(), VIDEO, tmp_path)
    video = found.facts["video"]
    assert (video["codec"], video["width"], video["height"], video["profile"]) == ("h264", 1920, 1080, "High")
    assert found.facts["creation_time"] == "2019-12-20T20:08:34.000000Z"
    assert found.facts["packets"]["packets"] == 41
    assert found.facts["packets"]["variable"] is True
    assert found.facts["has_location"] is True
    assert found.location.startswith("-15.8355")
    everything = json.dumps([found.facts, found.notes, [product.recipe for product in found.products]])
    assert "15.8355" not in everything
    assert "15.8355" not in repr(found)


def test_poster_and_sheet_are_pictures_and_the_index_points_into_the_sheet(tmp_path: Path) -> None:
    found = described(footage.talking_mp4(), VIDEO, tmp_path)
    poster = cv2.imread(str(product_of(found, "poster").path))
    assert poster.shape[:2] == (720, 1280)
    index = json.loads(product_of(found, "sheet-index").path.read_bytes())
    sheet = cv2.imread(str(product_of(found, "sheet").path))
    rows = -(-len(index["times_ms"]) // index["columns"])
    assert sheet.shape[:2] == (rows * index["tile_height"], index["columns"] * index["tile_width"])
    assert index["times_ms"] == sorted(index["times_ms"])
    assert product_of(found, "sheet").recipe["index"] == index
    assert sheet.mean() > 20
    track = webvtt(index, image_url="/sheet/7")
    assert track.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:02.")
    assert track.count("/sheet/7#xywh=") == len(index["times_ms"])


def test_the_poster_is_the_first_picture_that_shows_something(tmp_path: Path) -> None:
    source = tmp_path / "late.mp4"
    footage.ffmpeg("-f", "lavfi", "-i", "color=black:s=640x360:r=10:d=5", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=10:d=3",
                   "-filter_complex", "concat=n=2", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "10", source)  # fmt: skip
    found = described(source, VIDEO, tmp_path)
    assert cv2.imread(str(product_of(found, "poster").path)).mean() > 40
    assert found.facts["hints"]["black_s"] == 5


@pytest.mark.parametrize(
    ("picture", "hint"),
    [
        ("color=black:s=640x360:r=10", "black_s"),
        ("color=gray:s=640x360:r=10", "covered_s"),
        ("testsrc2=s=640x360:r=10,gblur=sigma=30", "blurred_s"),
        ("testsrc2=s=640x360:r=10,loop=loop=-1:size=1", "frozen_s"),
    ],
)
def test_a_person_is_prompted_about_footage_that_shows_little(tmp_path: Path, picture: str, hint: str) -> None:
    source = footage.painted(tmp_path / "x.mp4", picture, seconds=12)
    assert described(source, VIDEO, tmp_path).facts["hints"][hint] >= 9


def test_lively_footage_prompts_nobody(tmp_path: Path) -> None:
    for source in (footage.talking_mp4(), footage.street_avi()):
        assert set(described(source, VIDEO, tmp_path).facts["hints"]) == {"frames_seen"}


def test_sound_alone_gets_its_waveform_as_poster(tmp_path: Path) -> None:
    poster = product_of(described(footage.voice_mp3(), RecordingKind.AUDIO, tmp_path), "poster")
    assert poster.media_type == "image/png"
    assert cv2.imread(str(poster.path)).shape[:2] == (120, 1200)


def test_a_photo_gets_a_small_poster_without_its_position(tmp_path: Path) -> None:
    poster = product_of(described(footage.photo_jpg(), RecordingKind.PHOTO, tmp_path), "poster")
    assert max(cv2.imread(str(poster.path)).shape[:2]) == 1280
    assert b"Exif" not in poster.path.read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "执法记录 现场（一）.mp4",
        "-i.mp4",
        "-evil;rm -rf x.mp4",
        "%d 100%.mp4",
        "a'b\"c$(x).mp4",
        "http:x.mp4",
        "新\n行.mp4",
    ],
)
def test_a_name_is_never_an_option_a_pattern_or_an_address(tmp_path: Path, name: str) -> None:
    source = tmp_path / name
    source.write_bytes(footage.phone_mp4().read_bytes())
    found = described(source, VIDEO, tmp_path)
    assert (found.verdict, len(found.products)) == (Verdict.INTACT, 3)


def test_a_relative_path_and_a_scratch_directory_with_odd_signs_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-x.mp4").write_bytes(footage.phone_mp4().read_bytes())
    scratch = tmp_path / "-暂存 %03d"
    scratch.mkdir()
    assert len(describe(Path("-x.mp4"), VIDEO, scratch).products) == 3


class _Counter(http.server.BaseHTTPRequestHandler):
    hits = 0

    def do_GET(self) -> None:
        type(self).hits += 1
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("name", ["x.mp4", "x.ts", "x.m3u8"])
def test_a_disguised_playlist_reaches_no_network(tmp_path: Path, name: str) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), _Counter) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/seg.ts"
        source = footage.playlist(tmp_path / name, of=url)
        assert described(source, VIDEO, tmp_path).verdict is Verdict.NOT_MEDIA
        # Even were it taken for a video: the guards and the sandbox's empty network stand behind the first bytes.
        for content in ("mp4", "mpegts"):
            command = ["ffprobe", "-v", "error", *tools.guard_arguments(content=content), tools.source_argument(source)]
            outcome = tools.run(command, timeout_s=20)
            assert outcome.complaints
        tools.run(["ffprobe", "-v", "error", url], timeout_s=20)
        server.shutdown()
        thread.join()
    assert _Counter.hits == 0


def test_a_disguised_list_of_files_reads_no_other_file(tmp_path: Path) -> None:
    source = footage.concat_list(tmp_path / "x.mp4", of=footage.talking_mp4())
    found = described(source, VIDEO, tmp_path)
    assert (found.verdict, found.products) == (Verdict.NOT_MEDIA, ())
    command = [
        "ffprobe",
        "-v",
        "error",
        *tools.guard_arguments(content="mp4"),
        "-show_streams",
        tools.source_argument(source),
    ]
    assert b"codec_name" not in tools.run(command, timeout_s=20).untrusted_stdout


@pytest.mark.parametrize("name", ["stsz", "stco", "mdhd", "avcC", "trak", "stsd"])
def test_a_lying_index_gives_a_verdict(tmp_path: Path, name: str) -> None:
    data = bytearray(footage.phone_mp4().read_bytes())
    at = data.index(name.encode())
    data[at + 4 : at + 20] = b"\xff" * 16
    (tmp_path / "x.mp4").write_bytes(data)
    assert isinstance(described(tmp_path / "x.mp4", VIDEO, tmp_path).verdict, Verdict)


def test_progress_only_grows_and_ends(tmp_path: Path) -> None:
    seen: list[int] = []
    describe(footage.phone_mp4(), VIDEO, tmp_path, seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1000


def test_a_photos_time_is_a_fact_and_its_place_is_kept_apart(tmp_path: Path) -> None:
    found = described(footage.photo_jpg(), RecordingKind.PHOTO, tmp_path)
    assert found.facts["creation_time"] == "2020:08:27 23:16:12"
    assert found.facts["has_location"] is True
    assert found.location == "-15.8356-048.0158/"
    assert "15.83" not in json.dumps([found.facts, found.notes])


@pytest.mark.parametrize(
    "value",
    ["", "1:1", "1:0,1:1,1:1", "a:b,c:d,e:f", "99:1,0:1,0:1", "-1:1,0:1,0:1", "1:1,1:1,1:1,1:1", None, 7, "1,2,3"],
)
def test_positions_that_cannot_be_believed_are_not_told(value: object) -> None:
    assert location_of({"GPSLatitude": value, "GPSLongitude": "1:1,1:1,1:1"}) == ""


@pytest.mark.parametrize("turn", ["90", "180", "270"])
def test_a_turned_camera_gives_upright_pictures(tmp_path: Path, turn: str) -> None:
    source = footage.rewrapped(footage.talking_mp4(), tmp_path / "x.mp4", "-metadata:s:v", f"rotate={turn}")
    found = described(source, VIDEO, tmp_path)
    poster = cv2.imread(str(product_of(found, "poster").path)).astype(int)
    (tmp_path / "scratch2").mkdir()
    straight = describe(footage.talking_mp4(), VIDEO, tmp_path / "scratch2")
    upright = cv2.imread(str(product_of(straight, "poster").path)).astype(int)
    clockwise = found.facts["video"]["rotation"]
    expected = np.rot90(upright, k=-clockwise // 90)
    assert poster.shape == expected.shape
    assert clockwise in {90, 180, 270}
    assert np.abs(poster - expected).mean() < 4


# --- trouble of ours --------------------------------------------------------------------------------------------------
def test_a_missing_ffmpeg_is_our_trouble_and_not_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "_PATH", str(tmp_path))
    with pytest.raises(MediaError, match="not installed"):
        describe(footage.phone_mp4(), VIDEO, tmp_path)


@pytest.mark.parametrize("kind", list(RecordingKind))
def test_a_missing_source_is_our_trouble(tmp_path: Path, kind: RecordingKind) -> None:
    with pytest.raises(MediaError):
        describe(tmp_path / "absent.mp4", kind, tmp_path)


def test_a_missing_scratch_directory_is_our_trouble(tmp_path: Path) -> None:
    with pytest.raises(MediaError):
        describe(footage.phone_mp4(), VIDEO, tmp_path / "absent")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
@pytest.mark.parametrize("floor_bytes", [tools.SCRATCH_FLOOR_BYTES, 0])
def test_a_full_disk_is_our_trouble_whenever_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, floor_bytes: int
) -> None:
    monkeypatch.setattr(tools, "SCRATCH_FLOOR_BYTES", floor_bytes)
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(small)], check=True)
    try:
        with pytest.raises(MediaError, match="space"):
            describe(footage.talking_avi(), VIDEO, small)
    finally:
        subprocess.run(["umount", str(small)], check=True)
