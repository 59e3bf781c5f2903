import pytest

from media.facts import AudioFacts, MediaFacts, VideoFacts
from media.ladder import ViewingPlan, plan, viewing_media_type


def facts(content: str, video: str = "", audio: str = "", **video_facts: object) -> MediaFacts:
    defaults = {"pix_fmt": "yuv420p", "profile": "High", "codec_tag": "avc1" if content == "mp4" else "H264"}
    return MediaFacts(
        content=content,
        video=VideoFacts(codec=video, **(defaults | video_facts)) if video else None,
        audio=AudioFacts(codec=audio) if audio else None,
    )


@pytest.mark.parametrize("audio", ["", "aac", "mp3", "pcm_s16le", "pcm_s16be", "pcm_mulaw"])
@pytest.mark.parametrize("profile", ["Baseline", "Constrained Baseline", "Main", "High"])
def test_h264_in_mp4_with_sound_browsers_know_is_served_as_it_is(audio: str, profile: str) -> None:
    assert plan(facts("mp4", "h264", audio, profile=profile)) is ViewingPlan.ORIGINAL


@pytest.mark.parametrize("content", ["avi", "mpegts", "mpeg", "matroska", "asf"])
def test_h264_in_another_container_is_rewrapped(content: str) -> None:
    assert plan(facts(content, "h264", "aac")) is ViewingPlan.REMUX


@pytest.mark.parametrize("audio", ["ac3", "adpcm_ima_wav", "amr_nb", "mp2"])
def test_h264_in_mp4_with_sound_browsers_do_not_know_is_rewrapped(audio: str) -> None:
    assert plan(facts("mp4", "h264", audio)) is ViewingPlan.REMUX


@pytest.mark.parametrize("content", ["mp4", "avi", "mpegts", "matroska"])
@pytest.mark.parametrize("tag", ["hvc1", "hev1", ""])
def test_h265_is_never_served_as_it_is_nor_rewrapped(content: str, tag: str) -> None:
    assert plan(facts(content, "hevc", "aac", codec_tag=tag)) is ViewingPlan.TRANSCODE


@pytest.mark.parametrize(
    ("video", "changes"),
    [
        ("h264", {"pix_fmt": "yuv422p", "profile": "High 4:2:2"}),
        ("h264", {"pix_fmt": "yuv420p10le", "profile": "High 10"}),
        ("h264", {"pix_fmt": "yuv444p", "profile": "High 4:4:4 Predictive"}),
        ("h264", {"pix_fmt": ""}),
        ("mpeg2video", {}),
        ("msmpeg4v3", {}),
        ("mjpeg", {}),
        ("unknown", {}),
    ],
)
def test_any_other_moving_picture_is_transcoded(video: str, changes: dict[str, object]) -> None:
    assert plan(facts("mp4", video, "aac", **changes)) is ViewingPlan.TRANSCODE


@pytest.mark.parametrize(
    ("content", "audio", "expected", "media_type"),
    [
        ("mp3", "mp3", ViewingPlan.ORIGINAL, "audio/mpeg"),
        ("wav", "pcm_s16le", ViewingPlan.ORIGINAL, "audio/wav"),
        ("wav", "adpcm_ima_wav", ViewingPlan.TRANSCODE, "audio/mp4"),
        ("mp4", "aac", ViewingPlan.ORIGINAL, "audio/mp4"),
        ("aac", "aac", ViewingPlan.REMUX, "audio/mp4"),
        ("amr", "amr_nb", ViewingPlan.TRANSCODE, "audio/mp4"),
        ("ogg", "vorbis", ViewingPlan.ORIGINAL, "audio/ogg"),
        ("flac", "flac", ViewingPlan.ORIGINAL, "audio/flac"),
    ],
)
def test_sound_alone_has_its_own_steps(content: str, audio: str, expected: ViewingPlan, media_type: str) -> None:
    chosen = facts(content, audio=audio)
    assert plan(chosen) is expected
    assert viewing_media_type(chosen) == media_type


@pytest.mark.parametrize("content", ["jpeg", "png", "gif", "webp", "bmp"])
def test_pictures_are_shown_as_they_are(content: str) -> None:
    chosen = facts(content, "mjpeg")
    assert plan(chosen) is ViewingPlan.ORIGINAL
    assert viewing_media_type(chosen).startswith("image/")


@pytest.mark.parametrize("content", ["text", "unknown", "empty", "playlist", "mp4", "jpeg"])
def test_what_holds_no_stream_has_no_viewing_copy(content: str) -> None:
    assert plan(facts(content)) is ViewingPlan.NONE
    assert viewing_media_type(facts(content)) == ""
