"""Viewing copies: provably the same pictures, or playable everywhere; never half a file."""

import itertools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evidence import canonical, sandbox
from evidence.errors import MediaError
from evidence.model import RecordingKind
from media import ViewingPlan, describe, make, make_viewing, tools, viewing
from media.probe import probe
from media.sniff import read_head, sniff
from support import footage


def facts_of(path: Path):
    return probe(path, content=sniff(read_head(path)))[0]


def streams_of(path: Path) -> list[dict]:
    command = ["ffprobe", "-v", "error", "-show_streams", "-of", "json", f"file:{path}"]
    return json.loads(sandbox.run(command).untrusted_stdout)["streams"]


def decoded_sha256(path: Path, stream: str) -> bytes:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", f"file:{path}", "-map", f"0:{stream}", "-vsync", "passthrough",
               "-f", "hash", "-hash", "sha256", "-"]  # fmt: skip
    return sandbox.run(command).untrusted_stdout


@pytest.mark.parametrize("suffix", ["avi", "ts", "mkv"])
def test_a_remux_holds_exactly_the_coded_pictures_of_its_source(tmp_path: Path, suffix: str) -> None:
    source = (
        footage.talking_avi()
        if suffix == "avi"
        else footage.rewrapped(footage.talking_mp4(), tmp_path / f"in.{suffix}")
    )
    target = tmp_path / "out.mp4"
    recipe = make(ViewingPlan.REMUX, source, target, facts=facts_of(source))
    assert set(recipe.proof) == {"coded_slices_sha256", "coded_sound_sha256", "first_pictures_sha256"}
    assert decoded_sha256(source, "v:0") == decoded_sha256(target, "v:0")
    assert [s["codec_name"] for s in streams_of(target)] == ["h264", "aac"]
    assert target.read_bytes()[4:8] == b"ftyp"
    assert target.read_bytes().index(b"moov") < target.read_bytes().index(b"mdat")


def test_sound_that_browsers_do_not_know_is_coded_anew_beside_untouched_pictures(tmp_path: Path) -> None:
    source = footage.encoded(footage.talking_mp4(), tmp_path / "in.avi", "-c:v", "libx264", "-c:a", "adpcm_ima_wav")
    recipe = make_viewing(source, tmp_path / "out.mp4")
    assert recipe.plan == "remux"
    assert set(recipe.proof) == {"coded_slices_sha256", "first_pictures_sha256"}
    assert [s["codec_name"] for s in streams_of(tmp_path / "out.mp4")] == ["h264", "aac"]


def test_what_cannot_be_rewrapped_provably_is_coded_anew_when_it_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> dict[str, str]:
        raise viewing.NotMadeError("the rewrapped file does not hold the same pictures and sound")

    monkeypatch.setattr(viewing, "prove_same", refuse)
    source = footage.encoded(footage.talking_avi(), tmp_path / "in.avi", "-c:v", "libx264", "-c:a", "aac")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    found = describe(source, RecordingKind.VIDEO, scratch)
    assert found.facts["viewing"] == "transcode"
    assert "viewing" not in {product.kind for product in found.products}
    assert [note.partition(":")[0] for note in found.notes] == ["remux-refused"]
    recipe = make_viewing(source, tmp_path / "out.mp4")
    assert recipe.plan == "transcode"
    assert [s["codec_name"] for s in streams_of(tmp_path / "out.mp4")] == ["h264", "aac"]


def test_a_rewrapped_file_with_other_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="same pictures"):
        viewing.prove_same(
            footage.talking_avi(), footage.talking_mp4(), facts_of(footage.talking_avi()), with_audio=True
        )


def test_a_rewrapped_file_that_lost_its_end_is_refused(tmp_path: Path) -> None:
    shorter = footage.rewrapped(footage.talking_avi(), tmp_path / "short.mp4", "-t", "4")
    with pytest.raises(MediaError, match="same pictures"):
        viewing.prove_same(footage.talking_avi(), shorter, facts_of(footage.talking_avi()), with_audio=True)


@pytest.mark.parametrize("make_source", [footage.hevc_mp4, lambda s, t: footage.talking_mpeg()])
def test_what_browsers_cannot_play_becomes_h264_720p_with_key_frames_every_two_seconds(
    tmp_path: Path, make_source
) -> None:
    source = make_source(footage.talking_mp4(), tmp_path / "in.mp4")
    seen: list[int] = []
    recipe = make_viewing(source, tmp_path / "out.mp4", progress=seen.append)
    video, audio = streams_of(tmp_path / "out.mp4")
    assert (video["codec_name"], video["pix_fmt"], audio["codec_name"], audio["channels"]) == (
        "h264",
        "yuv420p",
        "aac",
        1,
    )
    assert min(video["width"], video["height"]) <= 720
    assert recipe.plan == "transcode"
    assert seen[-1] == 1000
    assert seen == sorted(seen)
    keys = sandbox.run([
        "ffprobe", "-v", "error", "-select_streams", "v:0", "-skip_frame", "nokey", "-show_entries", "frame=pts_time", "-of",
        "csv=p=0", f"file:{tmp_path / 'out.mp4'}",
    ])  # fmt: skip
    moments = [float(line.strip(",")) for line in keys.untrusted_stdout.decode().split()]
    assert all(later - earlier <= 2.1 for earlier, later in itertools.pairwise(moments))


def test_portrait_footage_keeps_its_shape(tmp_path: Path) -> None:
    source = footage.painted(tmp_path / "in.mkv", "testsrc2=s=1080x1920:r=10", seconds=1, options=("-c:v", "mpeg4"))
    make_viewing(source, tmp_path / "out.mp4")
    (video,) = streams_of(tmp_path / "out.mp4")
    assert (video["width"], video["height"]) == (720, 1280)


def test_a_recipe_says_how_and_never_where(tmp_path: Path) -> None:
    recipe = make_viewing(footage.talking_avi(), tmp_path / "out.mp4").to_json()
    text = canonical.dumps(recipe).decode()
    assert str(footage.talking_avi()) not in text
    assert str(tmp_path) not in text
    assert "{source}" in text
    assert recipe["tool"].startswith("ffmpeg 5") or recipe["tool"].startswith("ffmpeg ")


def test_a_place_in_the_original_does_not_travel_into_the_viewing_copy(tmp_path: Path) -> None:
    source = footage.rewrapped(footage.phone_mp4(), tmp_path / "in.mkv", "-metadata", "location=-15.8355-048.0153/")
    assert b"-15.8355" in source.read_bytes()
    make_viewing(source, tmp_path / "out.mp4")
    assert b"-15.8355" not in (tmp_path / "out.mp4").read_bytes()


def test_the_same_recipe_gives_the_same_bytes(tmp_path: Path) -> None:
    source = footage.encoded(footage.talking_mp4(), tmp_path / "in.avi", "-c:v", "mpeg4", "-an")
    make_viewing(source, tmp_path / "a.mp4")
    make_viewing(source, tmp_path / "b.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_bytes(b"mine")
    with pytest.raises(MediaError, match="exists"):
        make_viewing(footage.talking_avi(), tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("plan", [ViewingPlan.ORIGINAL, ViewingPlan.NONE])
def test_what_needs_no_viewing_copy_gets_none(tmp_path: Path, plan: ViewingPlan) -> None:
    with pytest.raises(MediaError):
        make(plan, footage.talking_mp4(), tmp_path / "out.mp4", facts=facts_of(footage.talking_mp4()))
    assert not list(tmp_path.iterdir())


def test_stopping_a_transcode_leaves_no_file_and_no_program(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(_: int) -> None:
        raise StopError

    with pytest.raises(StopError):
        make_viewing(footage.street_avi(), tmp_path / "out.mp4", progress=stop)
    assert not list(tmp_path.iterdir())
    assert not programs_reading(str(footage.street_avi()), under=str(tmp_path))


def test_a_transcode_that_takes_too_long_is_killed_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tools.run
    monkeypatch.setattr(viewing, "run", lambda command, **options: real(command, **(options | {"timeout_s": 0.3})))
    with pytest.raises(MediaError, match="stopped"):
        make_viewing(footage.street_avi(), tmp_path / "out.mp4")
    assert not list(tmp_path.iterdir())


def test_killing_the_service_kills_its_transcode_and_publishes_nothing(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from media import make_viewing\n"
        "make_viewing(Path(sys.argv[1]), Path(sys.argv[2]), progress=lambda p: print('x', flush=True))"
    )
    root = Path(viewing.__file__).parent.parent
    with subprocess.Popen(
        [sys.executable, "-c", script, str(footage.street_avi()), str(tmp_path / "out.mp4")],
        cwd=root,
        stdout=subprocess.PIPE,
    ) as service:
        assert service.stdout is not None
        service.stdout.readline()
        service.send_signal(signal.SIGKILL)
        service.wait()
    deadline = time.monotonic() + 10
    while programs_reading(str(footage.street_avi()), under=str(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not programs_reading(str(footage.street_avi()), under=str(tmp_path))
    assert not (tmp_path / "out.mp4").exists()


def programs_reading(source: str, *, under: str) -> list[str]:
    """Processes that have the source on their command line and work in the given directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if source.encode() in (entry / "cmdline").read_bytes() and str((entry / "cwd").readlink()).startswith(
                under
            ):
                found.append(entry.name)
        except OSError:
            continue
    return found
