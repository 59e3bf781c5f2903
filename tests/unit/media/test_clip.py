"""Clips: exact to the picture, of sound alone too, and our error where a file gives nothing."""

import json
import subprocess

import pytest

from evidence.errors import InvalidInputError
from media.clip import cut
from media.viewing import NotMadeError
from support.footage import talking_mp4, voice_mp3


def facts(path):
    command = [
        "ffprobe",
        "-v",
        "error",
        "-show_entries",
        "stream=codec_name,width,height:format=duration,tags",
        "-of",
        "json",
    ]
    return json.loads(subprocess.run([*command, str(path)], check=True, capture_output=True).stdout)


def test_a_clip_begins_and_ends_where_it_should_in_full_size(tmp_path):
    clip = cut(talking_mp4(), tmp_path, name="c.mp4", begin_ms=1234, end_ms=3234)
    told = facts(clip.path)
    [video] = [one for one in told["streams"] if one["codec_name"] == "h264"]
    assert (video["width"], video["height"]) == (1280, 720)
    assert float(told["format"]["duration"]) == pytest.approx(2.0, abs=0.1)
    assert (clip.media_type, clip.path.name) == ("video/mp4", "c.mp4")
    assert "location" not in json.dumps(told["format"])
    again = cut(talking_mp4(), tmp_path, name="d.mp4", begin_ms=1234, end_ms=3234)
    assert again.path.read_bytes() == clip.path.read_bytes()


def test_sound_alone_is_cut_too(tmp_path):
    clip = cut(voice_mp3(), tmp_path, name="c.mp4", begin_ms=500, end_ms=1500)
    assert [one["codec_name"] for one in facts(clip.path)["streams"]] == ["aac"]
    assert clip.media_type == "audio/mp4"


def test_no_span_and_no_footage_are_refused(tmp_path):
    with pytest.raises(InvalidInputError):
        cut(talking_mp4(), tmp_path, name="c.mp4", begin_ms=5, end_ms=5)
    (tmp_path / "text").write_bytes(b"no footage at all " * 100)
    with pytest.raises(NotMadeError):
        cut(tmp_path / "text", tmp_path, name="c.mp4", begin_ms=0, end_ms=5)
    with pytest.raises(NotMadeError):
        cut(talking_mp4(), tmp_path, name="c.mp4", begin_ms=90_000, end_ms=91_000)
