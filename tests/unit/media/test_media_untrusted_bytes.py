"""Whatever the bytes are, the parsers of this room answer; they never raise, loop or grow."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence import canonical
from evidence.errors import MediaError
from media.boxes import BOXES_MAX, walk
from media.holes import BLOCK_BYTES, CHUNK_BYTES, HOLES_MAX, Hole, find_holes
from media.packets import PacketCounter
from media.probe import facts_from, milli_rate, milliseconds, whole
from media.sniff import sniff
from media.text import read_text
from support import footage

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
_STREAM_MEMBERS = [
    "codec_name",
    "codec_tag_string",
    "profile",
    "pix_fmt",
    "width",
    "height",
    "side_data_list",
    "tags",
    "avg_frame_rate",
    "r_frame_rate",
    "nb_frames",
    "channels",
    "sample_rate",
    "disposition",
]
STREAM = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(_STREAM_MEMBERS, JSON) | {"codec_type": st.sampled_from(["video", "audio", "data"])},
)


@given(st.binary(max_size=3000))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_sniffed(data: bytes) -> None:
    assert sniff(data)


@given(st.fixed_dictionaries({}, optional={"streams": st.lists(STREAM, max_size=4) | JSON, "format": JSON | STREAM}))
@settings(max_examples=300, deadline=None)
def test_any_answer_of_ffprobe_becomes_facts_that_can_be_entered(answer: dict[str, object]) -> None:
    facts = facts_from(json.dumps(answer).encode(), content="mp4", size_bytes=10)
    canonical.dumps(facts.to_json())


@given(st.binary(max_size=500))
@settings(max_examples=100, deadline=None)
def test_an_answer_that_is_not_json_gives_no_stream(data: bytes) -> None:
    facts = facts_from(data, content="mp4", size_bytes=1)
    assert facts.size_bytes == 1


def test_deeply_nested_json_gives_no_stream() -> None:
    assert facts_from(b"[" * 200_000, content="mp4", size_bytes=1).streams == 0


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "1e30", "", "12:13", None, [], "9" * 5000])
def test_durations_that_cannot_be_believed_are_not_told(text: object) -> None:
    assert milliseconds(text) is None


@pytest.mark.parametrize("text", ["0/0", "1/0", "-5", "1e9", "", None, "nan", "a/b"])
def test_rates_that_cannot_be_believed_are_zero(text: object) -> None:
    assert milli_rate(text) == 0


def test_numbers_are_bounded() -> None:
    assert milli_rate("30000/1001") == 29_970
    assert whole("42") == 42
    assert [whole(v) for v in ("-1", True, 2**60, "4.5", "9" * 4400)] == [0, 0, 0, 0, 0]


@given(st.lists(st.binary(max_size=80), max_size=10))
@settings(max_examples=200, deadline=None)
def test_any_packet_list_is_counted(chunks: list[bytes]) -> None:
    counter = PacketCounter((Hole(0, 4096),))
    for chunk in chunks:
        counter.feed(chunk)
    canonical.dumps({"packets": counter.facts().packets, "last": counter.facts().last_ms})


def test_packet_lines_may_be_split_anywhere() -> None:
    whole_text = b"0.0,0.0,0.04,100,48,K_\n0.04,0.04,0.04,90,148,__\nN/A,0.08,N/A,50,5000,__\n"
    counter = PacketCounter((Hole(4096, 8192),))
    for byte in whole_text:
        counter.feed(bytes([byte]))
    facts = counter.facts()
    assert (facts.packets, facts.key_frames, facts.last_ms) == (3, 1, 80)
    assert counter.damaged_ms == [(80, 80)]


@pytest.mark.parametrize("content", ["mp4", "avi", "wav", "matroska", "mpegts"])
@given(data=st.binary(max_size=400))
@settings(max_examples=60, deadline=None)
def test_any_bytes_have_a_layout(tmp_path_factory: pytest.TempPathFactory, content: str, data: bytes) -> None:
    path = tmp_path_factory.mktemp("walk") / "x"
    path.write_bytes(data)
    layout = walk(path, content=content)
    assert len(layout.boxes) <= BOXES_MAX
    offsets = [box.offset for box in layout.boxes]
    assert offsets == sorted(set(offsets))


@pytest.mark.parametrize(
    ("name", "data", "claimed_end", "garbage_at"),
    [
        ("size smaller than its header", b"\0\0\0\x07ftyp" + bytes(20), 0, 0),
        ("64-bit size smaller than its header", b"\0\0\0\x01mdat" + (15).to_bytes(8) + bytes(9), 0, 0),
        ("64-bit size near overflow", b"\0\0\0\x01mdat" + b"\xff" * 8, 0, 0),
        ("64-bit size cut off", b"\0\0\0\x01mdat\0\0", 0, 0),
        ("size beyond the file", b"\0\x10\0\0mdat" + bytes(8), 1 << 20, -1),
        ("type that is no text", b"\0\0\0\x08ftyp\0\0\0\x08\x01\x02\x03\x04", 0, 8),
    ],
)
def test_hostile_boxes_are_named_for_what_they_are(
    tmp_path: Path, name: str, data: bytes, claimed_end: int, garbage_at: int
) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(data)
    layout = walk(path, content="mp4")
    assert (layout.claimed_end, layout.garbage_at) == (claimed_end, garbage_at), name


def test_a_million_tiny_boxes_cost_a_bounded_walk(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(b"\0\0\0\x08free" * (BOXES_MAX + 1000))
    assert len(walk(path, content="mp4").boxes) == BOXES_MAX


@pytest.mark.parametrize(
    ("sample", "content", "index"),
    [(footage.talking_mp4, "mp4", "start"), (footage.phone_mp4, "mp4", "start"), (footage.talking_avi, "avi", ""),
     (footage.voice_wav, "wav", "")],
)  # fmt: skip
def test_real_containers_end_where_they_say(sample: object, content: str, index: str) -> None:
    path = sample()  # type: ignore[operator]
    layout = walk(path, content=content)
    assert layout.claimed_end == path.stat().st_size
    assert layout.index == index
    assert layout.garbage_at == -1


def test_holes_are_found_over_chunk_borders(tmp_path: Path) -> None:
    path = tmp_path / "x"
    data = bytearray(b"\x55" * (CHUNK_BYTES + 5 * BLOCK_BYTES))
    data[CHUNK_BYTES - BLOCK_BYTES : CHUNK_BYTES + BLOCK_BYTES] = bytes(2 * BLOCK_BYTES)
    path.write_bytes(data)
    assert find_holes(path).holes == (Hole(CHUNK_BYTES - BLOCK_BYTES, CHUNK_BYTES + BLOCK_BYTES),)
    assert find_holes(path).tail_bytes == 0


def test_a_tail_of_zeros_is_measured_to_the_last_byte(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\x55" * BLOCK_BYTES + bytes(3 * BLOCK_BYTES + 17))
    found = find_holes(path)
    assert found.tail_bytes == 3 * BLOCK_BYTES + 17
    assert not found.all_zero


def test_more_holes_than_anyone_reads_do_not_grow_the_list(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes((bytes(BLOCK_BYTES) + b"\x55" * BLOCK_BYTES) * (HOLES_MAX + 50))
    assert len(find_holes(path).holes) == HOLES_MAX


def test_a_missing_file_is_our_trouble(tmp_path: Path) -> None:
    for call in (lambda p: walk(p, content="mp4"), find_holes, read_text):
        with pytest.raises(MediaError):
            call(tmp_path / "absent")


def test_nmea_sentences_are_counted_and_their_checksums_checked(tmp_path: Path) -> None:
    path = tmp_path / "track.txt"
    good = "$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A"
    path.write_text(f"{good}\r\n{good[:-2]}00\r\n", "ascii")
    facts = read_text(path)
    assert facts is not None
    assert (facts.track_format, facts.positions, facts.bad_checksums) == ("nmea", 1, 1)
    assert "4807" not in repr(facts)


@pytest.mark.parametrize(
    ("data", "encoding"),
    [("现场说明".encode(), "utf-8"), ("现场说明".encode("gb18030"), "gb18030"), ("说明".encode("utf-16"), "utf-16"),
     (b"plain", "ascii")],
)  # fmt: skip
def test_texts_are_read_in_the_encodings_recorders_use(tmp_path: Path, data: bytes, encoding: str) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(data)
    facts = read_text(path)
    assert facts is not None
    assert (facts.encoding, facts.lines) == (encoding, 1)
