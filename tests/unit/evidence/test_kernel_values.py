"""Ids, clock texts, canonical JSON, names and digests: one byte form each, hostile input ends in our errors."""

import contextlib
import dataclasses
import hashlib
import json
import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import canonical, clock, names
from evidence.digest import Digest, DigestSuite, sha256_of
from evidence.errors import ConfigError, EntryInvalidError, EvidenceError, InvalidInputError
from evidence.events import EVENT_TYPES, RecordingAcquired, RecordingDiscovered, parse_event
from evidence.ids import AgentId, RecordingId

JSON_TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | JSON_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(JSON_TEXT, inner, max_size=4),
    max_leaves=20,
)


def test_a_new_id_parses_sorts_by_time_and_is_a_uuid_version_7():
    early, late = RecordingId.new(1_000), RecordingId.new(2_000)
    assert RecordingId(str(early)) == early < late
    assert early[4 + 12] == "7"
    assert early[4 + 16] in "89ab"


@pytest.mark.parametrize(
    "text", ["", "rec_", "rec_zz", "agt_" + "0" * 32, "rec_" + "F" * 32, "rec_" + "0" * 31, "x" * 500]
)
def test_text_that_is_not_an_id_of_that_kind_is_refused(text):
    with pytest.raises(InvalidInputError):
        RecordingId(text)


def test_an_agent_id_is_no_recording_id():
    with pytest.raises(InvalidInputError):
        RecordingId(AgentId.new(5))


@given(st.datetimes(datetime(1970, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC)))
def test_time_text_round_trips_to_the_millisecond(moment):
    cut = moment - timedelta(microseconds=moment.microsecond % 1000)
    assert clock.from_text(clock.to_text(moment)) == cut
    assert clock.utc_from_ms(clock.unix_ms(cut)) == cut


@pytest.mark.parametrize(
    "text", ["2026-11-22", "2026-11-22T13:05:41.120+08:00", "2026-11-22T13:05:41.1Z", "", "2026-13-01T00:00:00.000Z"]
)
def test_other_time_texts_are_refused(text):
    with pytest.raises(InvalidInputError):
        clock.from_text(text)


def test_the_system_clock_says_how_it_knows_the_time():
    reading = clock.SystemClock().now()
    assert reading.source in {"synchronised", "unsynchronised"}
    assert reading.wall.tzinfo is UTC
    assert reading.trusted == (reading.source == "synchronised")


@given(JSON_VALUES)
def test_canonical_json_round_trips_and_is_json(value):
    data = canonical.dumps(value)
    assert canonical.loads(data) == value
    assert json.loads(data) == value


def test_member_names_are_sorted_by_utf16_code_units():
    assert canonical.dumps({"\U00010000": 1, "\uffff": 2}) == '{"\U00010000":1,"\uffff":2}'.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a":1,"a":2}',
        b'{ "a":1}',
        b'{"b":1,"a":2}',
        b"1.0",
        b"1e3",
        b"NaN",
        b"-0",
        b'"\\u0041"',
        b"\xff",
        b"[" * 5000,
        b"9" * 5000,
        b"9007199254740992",
        b'"\\ud800"',
        b"[1,]",
        b"truefalse",
    ],
)
def test_json_that_is_not_canonical_is_refused(data):
    with pytest.raises(EntryInvalidError):
        canonical.loads(data)


@pytest.mark.parametrize("value", [1.5, b"x", {1: 2}, object(), "\ud800", {"\ud800": 1}, 2**53])
def test_values_without_a_canonical_form_are_refused(value):
    with pytest.raises(EntryInvalidError):
        canonical.dumps(value)


@given(st.binary(max_size=60))
def test_any_byte_name_becomes_printable_and_comes_back(name):
    text = names.printable(name)
    assert names.original_bytes(text) == name
    assert text.isprintable() or not text


def test_direction_overrides_and_control_characters_cannot_fool_a_screen():
    assert names.printable("gpj.\u202e4pm\n".encode()) == r"gpj.\xe2\x80\xae4pm\x0a"
    assert names.printable("巡查_现场.mp4".encode()) == "巡查_现场.mp4"


@given(st.text(max_size=30))
def test_text_that_is_no_printable_name_is_refused_with_our_error(text):
    with contextlib.suppress(InvalidInputError):
        assert names.printable(names.original_bytes(text)) == text


def test_the_suite_computes_sha256_and_sm3_of_the_standards_vectors():
    suite = DigestSuite()
    assert suite.compute("sha256", [b"abc"]).hex == hashlib.sha256(b"abc").hexdigest()
    # GB/T 32905-2016, annex A.1
    assert suite.compute("sm3", [b"a", b"bc"]).hex == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert suite.acquisition_algorithms == ("sha256", "sm3")
    with pytest.raises(ConfigError):
        suite.new("md5")


@pytest.mark.parametrize("text", ["", "00", "G" * 64, "A" * 64, "0" * 63])
def test_a_digest_value_is_64_lower_case_hex_digits(text):
    with pytest.raises(InvalidInputError):
        Digest("sha256", text)
    assert str(sha256_of(b"")).startswith("sha256:e3b0c442")


def test_every_event_type_separates_public_from_personal_fields():
    event = RecordingDiscovered(
        recording="rec_x",
        offload="off_x",
        device="dev_x",
        kind="video",
        pattern="B",
        size_bytes=1,
        at="t",
        name="张三.mp4",
    )
    assert "name" not in event.public()
    assert event.personal_values() == {"name": "张三.mp4"}
    assert parse_event(event.TYPE, event.public(), event.personal_values()) == event
    assert parse_event(event.TYPE, event.public(), {}).name is None
    assert len(EVENT_TYPES) == 50


@pytest.mark.parametrize("change", [{"extra": 1}, {"size_bytes": None, "sm4": 1}])
def test_an_event_with_unknown_fields_is_refused(change):
    event = RecordingAcquired(offload="o", size_bytes=1, sm3="", blake3="")
    with pytest.raises(EntryInvalidError):
        parse_event(event.TYPE, {**event.public(), **change}, {})
    with pytest.raises(EntryInvalidError):
        parse_event("no.such", {}, {})
    with pytest.raises(EntryInvalidError):
        parse_event(event.TYPE, {}, {})


@pytest.mark.parametrize(
    ("event_type", "changed"),
    [
        ("recording.stored", {"size_bytes": "5"}),
        ("recording.stored", {"size_bytes": True}),
        ("recording.stored", {"at": None}),
        ("recording.stored", {"copies": {}}),
        ("recording.stored", {"copies": [[]]}),
        ("recording.stored", {"copies": [{"store": 5}]}),
        ("agent.recorded", {"active": 1}),
        ("derivative.made", {"recipe": "x"}),
        ("agent.recorded", {"name": 7}),
        ("recording.described", {"evidence_notes": ["ok", 7]}),
        ("recording.described", {"evidence_notes": "ok"}),
    ],
)
def test_a_value_that_is_not_of_its_fields_kind_is_refused(event_type, changed):
    def sound(field):
        kinds = {"str": "x", "int": 1, "bool": True, "dict[str, Json]": {}, "list[dict[str, str]]": [{"store": "x"}]}
        return kinds.get(str(field.type))

    fields = dataclasses.fields(EVENT_TYPES[event_type])
    public = {field.name: sound(field) for field in fields if not field.metadata}
    parse_event(event_type, public, {})
    personal = {name: value for name, value in changed.items() if name not in public}
    with pytest.raises(EntryInvalidError, match="wrong kind"):
        parse_event(event_type, {**public, **{name: changed[name] for name in changed if name in public}}, personal)


def test_every_error_has_a_stable_code_and_an_exit_code():
    seen, todo = {}, [EvidenceError]
    while todo:
        cls = todo.pop()
        todo += cls.__subclasses__()
        assert set(cls.code) <= set(string.ascii_lowercase + "-")
        if "code" in vars(cls):  # a subclass may keep its family's code; two families never share one
            assert seen.setdefault(cls.code, cls) is cls, "two errors share a code"
        assert 0 < cls.exit_code < 126
    error = ConfigError("What.", kept="Kept.", todo="Do.")
    assert error.diagnostics() == "What. Kept. Do."
