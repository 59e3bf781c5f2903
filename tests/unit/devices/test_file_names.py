"""Recorders' file names: every row of the documented table, and any text at all."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devices.file_names import PATTERNS, kind_of, parse
from evidence.model import RecordingKind

DOCUMENT = Path(__file__).parents[3] / "docs/formats/file-names.md"
ROW = re.compile(r"^\| ([A-J]|—) \| `(.+?)` \| (.*?) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", re.MULTILINE)


def documented():
    return ROW.findall(DOCUMENT.read_text("utf-8"))


@pytest.mark.parametrize("row", documented(), ids=lambda row: row[1])
def test_every_documented_example_reads_as_documented(row):
    pattern, path, kind, officer, device, time, counter, marks = row
    parsed = parse(path)
    assert parsed.pattern == pattern.strip("—")
    assert parsed.kind == kind
    assert (parsed.officer_code, parsed.device_code) == (officer.strip("—"), device.strip("—"))
    assert parsed.local_time == (datetime.fromisoformat(time) if time != "—" else None)
    assert parsed.counter == (int(counter) if counter != "—" else None)
    told = {word for word, flag in (("important", parsed.important), ("being written", parsed.being_written)) if flag}
    if parsed.case_number:
        told.add(f"case {parsed.case_number}")
    assert told == ({mark.strip() for mark in marks.split(",")} if marks != "—" else set())


def test_the_document_has_every_row_of_the_table_and_its_form():
    text = DOCUMENT.read_text("utf-8")
    assert {row[0] for row in documented()} == {pattern.letter for pattern in PATTERNS} | {"—"}
    for pattern in PATTERNS:
        assert f"| {pattern.letter} | `{pattern.form}` |" in text


@settings(deadline=None)
@given(
    st.text(max_size=80)
    | st.from_regex(r"[0-9A-Z]{1,8}_[0-9]{1,8}_[0-9]{8}_?[0-9]{6}(_[0-9]{4})?(IMP|_IMP)?\.[a-z0-9]{3}")
)
@example("\x00/\x00")
@example("٣" * 7 + "_" + "٣" * 6 + "_20260101101010_0001.mp4")
@example("900001_2_99999999_999999.mp3")
def test_any_text_is_parsed_without_an_error(path):
    parsed = parse(path)
    assert parsed.pattern == "" or parsed.local_time is not None


CODES = st.from_regex(r"[1-9A-Z][0-9A-Z]{0,11}", fullmatch=True)
TIMES = st.datetimes(datetime(1980, 1, 1), datetime(2099, 12, 31)).map(lambda moment: moment.replace(microsecond=0))


@settings(deadline=None)
@given(CODES, CODES, TIMES, st.integers(0, 9999), st.sampled_from(["", "IMP", "imp", "_IMP", "LOCK"]))
def test_r08_the_fields_written_into_the_common_name_are_read_back(officer, device, moment, counter, mark):
    parsed = parse(f"DCIM/x/{officer}_{device}_{moment:%Y%m%d%H%M%S}_{counter:04d}{mark}.mp4")
    if parsed.pattern == "A":
        officer, device = device, officer
    assert (parsed.officer_code, parsed.device_code) == (officer, device)
    assert (parsed.local_time, parsed.counter, parsed.important) == (moment, counter, bool(mark))
    assert parsed.pattern in {"A", "B"}


@settings(deadline=None)
@given(st.integers(1, 9_999_999), st.integers(1, 999_999), TIMES)
def test_seven_then_six_digits_is_device_then_officer_and_every_other_width_is_the_reverse(device, officer, moment):
    stamp = f"{moment:%Y%m%d%H%M%S}_0001.mp4"
    first = parse(f"{device:07d}_{officer:06d}_{stamp}")
    assert (first.pattern, first.device_code, first.officer_code) == ("A", f"{device:07d}", f"{officer:06d}")
    second = parse(f"{officer:06d}_{device:07d}_{stamp}")
    assert (second.pattern, second.device_code, second.officer_code) == ("B", f"{device:07d}", f"{officer:06d}")


def test_there_is_never_an_officer_of_zeros():
    for name in (
        "0000000_000000_20260101101010_0001.mp4",
        "00000000_2_20260101_101010.mp3",
        "DCAM_0_0000_20260101_101010.mp4",
    ):
        parsed = parse(name)
        assert parsed.pattern
        assert (parsed.officer_code, parsed.device_code) == ("", "")


def test_a_video_stays_a_video_whatever_its_name_claims():
    assert parse("GPS_holder.mp4").kind is RecordingKind.VIDEO
    assert kind_of("a.MP4") is RecordingKind.VIDEO
    assert kind_of("mp4") is RecordingKind.UNKNOWN
