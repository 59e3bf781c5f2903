"""Every state has tone, icon and word; every custody entry reads as a sentence; nothing unproven is green."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from access import damage
from access.deadlines import HandIn
from access.views import DayState, DayVerdict
from api.web import custody_lines, marks, rendering, words
from api.web.custody_lines import entry_line, note_lines
from api.web.dock_view import slot_view
from api.web.units import as_text, duration_text, signed_seconds, size_text
from assurance.health_facts import Level
from assurance.report import KINDS, Severity
from catalogue.records import OffloadRow, RecordingRow, TimelineRow
from evidence.ids import DeviceId, EntryId, OffloadId, RecordingId
from evidence.model import Action, DeviceState, OffloadState, RecordingKind, RecordingState, SourceKey, Verdict
from evidence.ports import DockedDevice
from ingest.board import DockCard

ICONS = set(re.findall(r'<symbol id="([a-z-]+)"', (Path(rendering.__file__).parent / "static/icons.svg").read_text()))
AT = datetime(2026, 11, 22, 13, tzinfo=UTC)
MS = 1_790_000_000_000


@pytest.mark.parametrize(
    ("table", "states"),
    [
        (marks.HAND_IN, HandIn), (marks.VERDICTS, Verdict), (marks.DAY, DayState), (marks.DAY_VERDICT, DayVerdict),
        (marks.DEVICES, DeviceState), (marks.OFFLOADS, OffloadState), (marks.HEALTH, Level),
    ],
)  # fmt: skip
def test_every_state_has_a_mark_with_tone_icon_and_word(table: Mapping, states: type) -> None:
    assert set(table) == set(states)
    for mark in table.values():
        assert mark.tone in {marks.GOOD, marks.BUSY, marks.WARN, marks.BAD, marks.UNKNOWN}
        assert mark.icon in ICONS
        assert mark.word


def a_row() -> RecordingRow:
    return RecordingRow(
        id=RecordingId.new(MS), device=DeviceId.new(MS), offload=OffloadId.new(MS), source=SourceKey("", "DCIM/a.mp4", 5, "1"),
        name="a.mp4", size_bytes=5, kind=RecordingKind.VIDEO, discovered_at=AT, pattern="B",
        state=RecordingState.DISCOVERED,
    )  # fmt: skip


@pytest.mark.parametrize("state", list(RecordingState))
def test_only_what_is_sealed_is_shown_as_good(state: RecordingState) -> None:
    unsealed = replace(a_row(), state=state, sealed=False)
    assert marks.recording_mark(unsealed).tone != marks.GOOD
    kept = state in (RecordingState.STORED, RecordingState.RELEASED)
    assert (marks.recording_mark(replace(unsealed, sealed=True)).tone == marks.GOOD) is kept


def test_r04_on_time_is_said_only_of_what_was_handed_in() -> None:
    row = a_row()
    assert marks.hand_in_mark(row, HandIn.ON_TIME).tone == marks.BUSY
    assert marks.hand_in_mark(replace(row, started_at=AT, stored_at=AT), HandIn.ON_TIME).tone == marks.GOOD
    # Nobody knows when it was recorded: it may have lain on the recorder for years before it was seen.
    assert marks.hand_in_mark(replace(row, stored_at=AT), HandIn.ON_TIME).tone == marks.UNKNOWN
    assert marks.hand_in_mark(row, HandIn.LATE).tone == marks.BAD
    assert marks.hand_in_mark(row, HandIn.UNKNOWN).tone == marks.UNKNOWN


def test_the_kinds_of_damage_are_those_that_make_a_verification_say_tampered() -> None:
    tamper = {kind for kind, severity in KINDS.items() if severity is Severity.TAMPER}
    assert tamper | {"copy-bad", "all-copies-bad"} == damage.KINDS
    assert set(damage.KINDS) <= set(words.FINDINGS)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("厦门 24.48\r\n".encode(), "厦门 24.48\n"), ("厦门".encode("gb18030"), "厦门"), ("厦".encode()[:2], ""),
        (b"\xff\xfe\xfd", "���"), (b"a\x00\x1b[31m\tb", "a��[31m\tb"), ("\u202egpj".encode(), "�gpj"), (b"", ""),
    ],
)  # fmt: skip
def test_bytes_of_a_text_file_become_text_that_does_nothing(data: bytes, text: str) -> None:
    assert as_text(data) == text


@pytest.mark.parametrize(
    ("slot", "place"), [("/srv/docks/drop", "drop"), ("/srv/docks/drop/", "drop"), ("1-1.4", "1-1.4"), ("/", "/")]
)
def test_no_path_of_the_server_is_the_name_of_a_slot(slot: str, place: str) -> None:
    docked = DockedDevice(driver="mass_storage", slot=slot, address="/run/liuhen/x#disk3")
    view = slot_view(DockCard(docked=docked, state="unregistered"), "en", ())
    assert (view["title"], view["port"], view["model"]) == (place, place, "mass storage")


def a_card(state: str) -> DockCard:
    return DockCard(docked=DockedDevice(driver="mtp", slot="1-2", address="usb"), state=state)


@pytest.mark.parametrize(
    ("state", "right", "href", "method"),
    [
        # Whose recorder it is decides who will see its footage: the page of the recorders asks for it.
        ("unregistered", Action.DEVICE_REGISTER, "/devices", "get"),
        ("failed", Action.OFFLOAD_RUN, "/docks/retry", "post"),
        ("interrupted", Action.OFFLOAD_RUN, "/docks/retry", "post"),
    ],
)
def test_a_button_of_the_wall_is_shown_to_those_who_may_press_it(
    state: str, right: Action, href: str, method: str
) -> None:
    action = slot_view(a_card(state), "zh-CN", {right})["action"]
    assert (action["href"], action["method"]) == (href, method)
    assert slot_view(a_card(state), "zh-CN", set(Action) - {right})["action"] is None


def test_a_recorder_nobody_has_read_is_not_said_to_be_done_with() -> None:
    unread = replace(a_card("unregistered"), may_unplug="yes")
    assert slot_view(unread, "en", set(Action))["may_unplug"] == "unknown"
    assert slot_view(replace(a_card("sealed"), may_unplug="yes"), "en", ())["may_unplug"] == "yes"


@pytest.mark.parametrize(
    ("free", "capacity", "warned"),
    [(19, 100, True), (20, 100, False), (0, 100, True), (None, 100, False), (5, None, False), (None, None, False)],
)
def test_the_wall_warns_before_a_recorder_is_full(free: int | None, capacity: int | None, *, warned: bool) -> None:
    offload = OffloadRow(
        id=OffloadId.new(MS), device=DeviceId.new(MS), state=OffloadState.COMPLETE, driver="mtp", slot="1-2", address="usb",
        started_at=AT,        free_bytes=free, capacity_bytes=capacity,
    )  # fmt: skip
    assert slot_view(replace(a_card("sealed"), offload=offload), "en", ())["nearly_full"] is warned


@pytest.mark.parametrize("state", ["seen", "offloading", "securing", "sealed", "unknown"])
def test_where_nothing_is_to_be_done_the_wall_offers_nothing(state: str) -> None:
    assert slot_view(a_card(state), "en", set(Action))["action"] is None


def an_entry(event: str, public: dict, disclosed: dict | None = None) -> TimelineRow:
    return TimelineRow(
        entry=EntryId.new(MS), event_type=event, at=AT, actor="", index=3, public=public, disclosed=disclosed or {}
    )


@pytest.mark.parametrize(
    ("event", "public", "disclosed", "chinese", "english"),
    [
        ("recording.discovered", {"size_bytes": 1_500}, {"path": "DCIM/a.mp4"}, "DCIM/a.mp4 · 1.5 kB", "DCIM/a.mp4 · 1.5 kB"),
        ("recording.acquiring", {"from_byte": 0}, {}, "", ""),
        ("recording.acquiring", {"from_byte": 1_048_576}, {}, "起于字节 1,048,576", "from byte 1,048,576"),
        (
            "recording.interrupted", {"at_byte": 10, "reason": "device-gone"}, {}, "止于字节 10 · 记录仪已断开",
            "at byte 10 · The recorder is gone",
        ),
        ("recording.stored", {"copies": [{"store": "a", "domain": "disk:1"}]}, {}, "a (disk:1)", "a (disk:1)"),
        ("recording.quarantined", {"reason": "truncated"}, {}, "结尾缺失", "truncated"),
        ("recording.described", {"kind": "video", "verdict": "intact"}, {}, "录像 · 完好", "Video · Intact"),
        ("derivative.made", {"kind": "viewing", "size_bytes": 5}, {}, "查看副本 · 5 B", "viewing copy · 5 B"),
        (
            "recording.released", {"mode": "manual", "already_absent": True}, {}, "由人操作 · 记录仪上已没有",
            "by a person · it was no longer there",
        ),
        (
            "access.allowed", {"action": "recording.view", "via": "web"}, {"detail": "original"},
            "查看内容 · 原始文件 · 经浏览器", "watch · original · in the browser",
        ),
        (
            "access.denied", {"action": "recording.view", "via": "web", "reason": "no-role"}, {},
            "查看内容 · 经浏览器 · 您的角色没有此项权限。", "watch · in the browser · Your roles do not allow this.",
        ),
        (
            "fixity.checked", {"store": "a", "outcome": "manifest-copy-damaged"}, {}, "a · 清单 · 字节不符",
            "a · manifest · Bytes differ",
        ),
        ("finding.raised", {"kind": "copy-missing", "store": "a"}, {}, "缺少一份副本 · a", "A copy is missing · a"),
        (
            "copy.removed", {"store": "a", "reason": "store-given-up-bytes-left"}, {},
            "a · 该存储已停用，数据仍留在其磁盘上", "a · the store was given up, the bytes stay on its disk",
        ),
        (
            "access.allowed", {"action": "recording.list", "via": "cli"}, {"detail": "presence x y.mp4"},
            "列出音像资料 · 查询去向: x y.mp4 · 经命令行", "list recordings · what became of it: x y.mp4 · on the command line",
        ),
        (
            "finding.closed", {"kind": "copy-bad", "store": "a", "reason": "repaired"}, {},
            "一份副本读回不符 · a · 替换损坏的副本", "A copy does not read back · a · in the place of a bad copy",
        ),
        ("an.event", {"anything": 1}, {}, "", ""),
    ],
)  # fmt: skip
def test_an_entry_reads_as_a_sentence_in_both_languages(
    event: str, public: dict, disclosed: dict, chinese: str, english: str
) -> None:
    entry = an_entry(event, public, disclosed)
    assert entry_line(entry, "zh-CN") == chinese
    assert entry_line(entry, "en") == english


@pytest.mark.parametrize("event", sorted(custody_lines._LINES))
def test_an_entry_with_missing_or_unknown_codes_is_shown_and_not_refused(event: str) -> None:
    assert entry_line(an_entry(event, {}), "zh-CN") is not None
    unknown = dict.fromkeys(("reason", "kind", "verdict", "action", "via", "outcome", "mode", "copies"), "new-code")
    assert entry_line(an_entry(event, unknown), "zh-CN") is not None


def test_what_the_last_examination_measured_is_told_in_words_with_its_figures() -> None:
    notes = ["frames-missing: stated=209 found=83", "end-not-stated: this container cannot show it", "new-code: 1"]
    timeline = [
        an_entry("recording.described", {}, {"evidence_notes": ["empty: size=0"]}),
        an_entry("recording.described", {}, {"evidence_notes": notes}),
    ]
    assert note_lines(timeline, "zh-CN") == [
        ("缺少画面帧", "stated=209 found=83"),
        ("这种格式不标明结尾：结尾缺失无法察觉", ""),
        ("new-code", "1"),
    ]
    assert note_lines([], "en") == []


def test_quantities_are_written_for_people() -> None:
    assert [size_text(n) for n in (None, 0, 999, 1_000, 123_456, 10**9, 5 * 10**12)] == [
        "—", "0 B", "999 B", "1.0 kB", "123 kB", "1.0 GB", "5.00 TB",
    ]  # fmt: skip
    assert [duration_text(n) for n in (None, -1, 0, 3_661_000)] == ["—", "—", "0:00:00", "1:01:01"]
    assert [signed_seconds(n) for n in (-1_500, 0, 320_000)] == ["-1.5 s", "+0.0 s", "+320.0 s"]


@pytest.mark.parametrize(
    ("event_type", "public", "disclosed", "told"),
    [
        (
            "recording.flagged", {"flag": "complaint", "standing": True, "ground": "objection"}, {"words": "当场声明"},
            "Complaint · put on · The party objects and may complain or petition · 当场声明",
        ),
        (
            "recording.flagged", {"flag": "sensitive", "standing": False, "ground": "lifted"}, {},
            "Sensitive · lifted · lifted by approval",
        ),
        ("recording.archived", {"reason": "time"}, {}, "nobody filed it within 24 hours"),
        ("recording.disposing", {"mode": "automatic"}, {}, "under a standing determination"),
        ("recording.classified", {"category": "", "item": "", "basis": "bulk"}, {}, "taken back · judged together with others"),
        ("document.filed", {"size_bytes": 2500}, {"name": "函.pdf"}, "函.pdf · 2.5 kB"),
        ("matter.acted", {"number": "DY2026-0001", "act": "agree", "state": "agreed"}, {}, "DY2026-0001 · agree · agreed"),
    ],
)  # fmt: skip
def test_entries_of_rules_are_told_in_words(event_type: str, public: dict, disclosed: dict, told: str) -> None:
    entry = TimelineRow(
        entry=EntryId.new(1),
        event_type=event_type,
        at=datetime(2026, 11, 27, tzinfo=UTC),
        actor="",
        index=1,
        public=public,
        disclosed=disclosed,
    )
    assert entry_line(entry, "en") == told
