"""Cases and working material: numbers, officers, corrections, footage, clips, archiving, closing and reopening."""

from __future__ import annotations

import io
import os

import pytest

from access import DeniedError
from cases import dossier_parts
from cases.dossier_parts import clock_text, milliseconds
from evidence.clock import to_text
from evidence.errors import PolicyUnmetError, StateConflictError
from evidence.events import RecordingArchived, RecordingDisposing
from evidence.ids import RecordingId
from matters import recording_facts
from matters.turn import NewLink
from matters.values import FormError
from retention.disposal_checks import was_filed
from support import footage
from support.assured_home import AssuredHome
from support.recorders import gb_name

PDF = b"%PDF-1.7\n" + os.urandom(500).hex().encode() + b"\n%%EOF\n"


@pytest.fixture
def people(home: AssuredHome):
    """Handler, second officer, leader of one unit; the recordings below are the handler's."""
    unit = home.administration.create_unit(home.administrator, name="执法一科").id
    return (
        home.agent("执法甲", "officer", unit=unit, code="900123"), home.agent("执法乙", "officer", unit=unit, code="900124"),
        home.agent("科长", "unit_leader", unit=unit),
    )  # fmt: skip


@pytest.fixture
def recordings(home: AssuredHome, people):
    rows = home.ingest(
        {
            gb_name(counter=1): footage.talking_mp4(),
            gb_name(counter=2): os.urandom(2000),
            gb_name(counter=3): os.urandom(2100),
        }
    )  # fmt: skip
    with home.catalogue.begin() as uow:
        for row in rows:
            assert row.officer == people[0].agent, "the name carries the handler's number"
        return [uow.recordings.get(row.id) for row in rows]


def opened(home: AssuredHome, people, *recordings, **values):
    handler, second, _leader = people
    given = {
        "title": "某某违法停车案",
        "cause": "占用绿地",
        "procedure": "ordinary",
        "second_officer": second.agent,
        **values,
    }
    return home.desk().open(
        handler, "case", given, links=[NewLink(role="footage", target=one.id) for one in recordings]
    )


def complete(home: AssuredHome, people, case):
    return home.desk().act(
        people[0], case.id, "edit",
        {
            "happened_at": "2026-11-20T09:00", "place": "湖滨南路", "course": "巡查发现，拍照取证。", "result": "罚款二百元",
            "parties": [{"name": "李某", "kind": "个人"}], "archive_period": "months:120",
        },
    )  # fmt: skip


def fixed(home: AssuredHome, people, case, **outcome):
    """A fixation record of everything in the case, printed, signed and filed."""
    handler, second, _leader = people
    desk = home.desk()
    record = desk.open(
        handler, "fixation",
        {
            "object": "执法记录仪音像资料", "method": "copy", "made_at": "2026-11-21T10:00", "place": "办公室",
            "proves": "违法事实", "first_officer": handler.agent, "second_officer": second.agent, "witness": "none",
            "no_witness_why": "无在场人员",
        },
        links=[NewLink(role="case", target=case.id)],
    )  # fmt: skip
    desk.act(handler, record.id, "print")
    home.papers().file(handler, record.id, "fixation-scan", "固定记录.pdf", io.BytesIO(PDF))
    given = {"outcome": "no-objection", "signed_on": "2026-11-22", **outcome}
    return desk.act(handler, record.id, "sign", given)


def closed(home: AssuredHome, people, case, **values):
    leader = people[2]
    desk = home.desk()
    return desk.act(leader, case.id, "close", values, seen=desk.view(leader, case.id).seen)


# --- R13: one dossier -------------------------------------------------------------------------------------------------
def test_r13_a_case_joins_footage_documents_and_officers_under_a_number_without_gaps(home, people, recordings) -> None:
    case = opened(home, people, *recordings[:2])
    assert len(case.number) == 8
    assert case.number.endswith("0001")
    with pytest.raises(FormError):
        opened(home, people, cause="")
    assert opened(home, people).number == str(int(case.number) + 1)
    row = home.papers().file(people[1], case.id, "decision", "决定书.pdf", io.BytesIO(PDF))
    view = home.desk().view(people[1], case.id)
    assert [one.id for one in view.documents] == [row.id]
    footage_links = sorted((one for one in view.links if one.role == "footage"), key=dossier_parts.order_of)
    assert [one.target for one in footage_links] == [one.id for one in recordings[:2]]
    assert {one.role for one in view.persons} == {"handler", "officer"}
    with pytest.raises(FormError):
        opened(home, people, second_officer=people[0].agent)
    assert home.verify().findings == ()


def test_r09_another_unit_neither_sees_nor_files_anything(home, people, recordings) -> None:
    case = opened(home, people, *recordings)
    other = home.administration.create_unit(home.administrator, name="执法二科").id
    stranger = home.agent("二科科长", "unit_leader", unit=other)
    with pytest.raises(DeniedError):
        home.desk().view(stranger, case.id)
    with pytest.raises(DeniedError):
        home.papers().file(stranger, case.id, "decision", "x.pdf", io.BytesIO(PDF))


# --- R14: corrections are added facts ---------------------------------------------------------------------------------
def test_r14_a_correction_stands_beside_what_it_corrects_with_who_and_why(home, people) -> None:
    case = opened(home, people)
    desk = home.desk()
    desk.act(people[0], case.id, "edit", {"place": "湖滨北路"})
    with pytest.raises(FormError) as refused:
        desk.act(people[0], case.id, "edit", {"place": "湖滨南路"})
    assert refused.value.fields == {"why": "missing"}
    with pytest.raises(PolicyUnmetError, match="nothing is changed"):
        desk.act(people[0], case.id, "edit", {"place": "湖滨北路", "why": "重报"})
    desk.act(people[1], case.id, "edit", {"place": "湖滨南路", "title": "某某违法停车案", "why": "笔误"})
    last = desk.history(people[0], case.id)[-1]
    assert last.actor == people[1].agent
    assert last.disclosed["words"] == {
        "place": "湖滨南路", "why": "笔误", "correction": [{"field": "place", "before": "湖滨北路", "after": "湖滨南路"}],
    }  # fmt: skip
    assert "湖滨北路" in str(desk.history(people[0], case.id)[1].disclosed)
    published = b"".join(path.read_bytes() for path in home.published[0].rglob("*") if path.is_file())
    assert "湖滨".encode() not in published
    assert home.verify().findings == ()


# --- footage, order, clips --------------------------------------------------------------------------------------------
def test_footage_keeps_its_order_and_makes_room(home, people, recordings) -> None:
    first, second, third = recordings
    case = opened(home, people, first, second)
    desk = home.desk()
    desk.act(people[0], case.id, "link", links=[NewLink(role="footage", target=third.id)])
    desk.act(people[0], case.id, "place", {"recording": third.id, "place_number": 1})
    links = [one for one in desk.view(people[0], case.id).links if one.role == "footage"]
    assert [one.target for one in sorted(links, key=dossier_parts.order_of)] == [third.id, first.id, second.id]
    desk.act(people[0], case.id, "link", unlinks=[NewLink(role="footage", target=first.id)])
    assert len([one for one in desk.view(people[0], case.id).links if one.role == "footage"]) == 2
    with pytest.raises(FormError):
        desk.act(people[0], case.id, "place", {"recording": first.id, "place_number": 1})


def test_a_clip_lies_inside_of_a_recording_of_the_case(home, people, recordings) -> None:
    video, other, _third = recordings
    home.intake.secure(video.id)  # its length is known now
    case = opened(home, people, video)
    desk = home.desk()

    def clip(**values):
        return desk.act(people[0], case.id, "clip", {"recording": video.id, **values})

    for wrong, name in (
        ({"clip_from": "x"}, "clip_from"), ({"clip_from": "99:59:59"}, "clip_from"),
        ({"clip_from": "0.5", "clip_to": "0.2"}, "clip_to"), ({"clip_from": "0", "clip_to": "2:00:00"}, "clip_to"),
        ({"recording": other.id, "clip_from": "0"}, "recording"),
    ):  # fmt: skip
        with pytest.raises(FormError) as refused:
            clip(**wrong)
        assert list(refused.value.fields) == [name]
    clip(clip_from="0.2", clip_to="0.7", clip_note="当事人承认")
    clip(clip_from="0:00.9")
    view = desk.view(people[0], case.id)
    clips = [(one.key, dict(one.facts)) for one in view.links if one.role == "clip"]
    assert clips == [
        ("c1", {"in_ms": "200", "out_ms": "700", "order": "1"}), ("c2", {"in_ms": "900", "out_ms": "900", "order": "2"}),
    ]  # fmt: skip
    assert view.row.words[f"link:clip:{video.id}:c1"] == "当事人承认"
    with pytest.raises(PolicyUnmetError, match="clips of it"):
        desk.act(people[0], case.id, "link", unlinks=[NewLink(role="footage", target=video.id)])
    desk.act(people[0], case.id, "unclip", unlinks=[NewLink(role="clip", target=video.id, key="c1")])
    assert [one.key for one in desk.view(people[0], case.id).links if one.role == "clip"] == ["c2"]
    assert home.verify().findings == ()


def test_r10_footage_that_was_taken_out_of_a_case_is_left_to_persons_by_clearing_that_runs_by_itself(
    home, people, recordings
) -> None:
    first, second, _third = recordings
    at = to_text(home.clock.now().wall)
    with home.catalogue.begin() as uow:  # a day after it came in, as everything is
        event = RecordingArchived(recording=first.id, sha256=first.sha256.hex, reason="time", at=at)
        recording_facts.say(uow, lambda one: home.recorder.record(uow.outbox, one, at=home.clock.now()), event)
    case = opened(home, people, first, second)
    home.desk().act(people[0], case.id, "link", unlinks=[NewLink(role="footage", target=first.id)])
    with home.catalogue.read() as uow:
        assert uow.rules.of(first.id).archived_reason == "time", "the first moment counts for its use"
        assert (was_filed(uow, first.id), was_filed(uow, second.id)) == (True, False)
    assert home.verify().findings == ()


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("83.5", 83_500),
        ("1:23.5", 83_500),
        ("0:01:23.500", 83_500),
        ("1：02", 62_000),
        ("7", 7_000),
        ("100:00", 6_000_000),
    ],
)
def test_positions_are_read_as_people_write_them(text: str, ms: int) -> None:
    assert milliseconds(text) == ms
    assert milliseconds(clock_text(ms)) == ms


@pytest.mark.parametrize("text", ["", "x", "1:60", "1:60:00", "-1", "1:2:3:4", "1.0000"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no position"):
        milliseconds(text)


def test_footage_that_is_being_cleared_is_not_taken_into_a_case(home, people, recordings) -> None:
    case = opened(home, people)
    now = home.clock.now()
    with home.catalogue.begin() as uow:
        event = RecordingDisposing(
            recording=recordings[1].id, matter=case.id, mode="review", list_sha256="0" * 64, at=to_text(now.wall)
        )
        recording_facts.say(uow, lambda one: home.recorder.record(uow.outbox, one, at=now), event)
    with pytest.raises(StateConflictError, match="being cleared"):
        home.desk().act(people[0], case.id, "link", links=[NewLink(role="footage", target=recordings[1].id)])


# --- R15, R16, R17: closing -------------------------------------------------------------------------------------------
def test_r15_a_case_is_closed_when_its_record_covers_everything(home, people, recordings) -> None:
    case = opened(home, people)
    with pytest.raises(FormError) as refused:
        closed(home, people, case)
    assert refused.value.fields == {"archive_period": "missing"}
    with pytest.raises(PolicyUnmetError, match="happened_at, place, course, result, parties"):
        closed(home, people, case, archive_period="months:120")
    complete(home, people, case)
    desk = home.desk()
    with pytest.raises(DeniedError):
        desk.act(people[0], case.id, "close", {}, seen=desk.view(people[0], case.id).seen)
    row = closed(home, people, case, archive_months=18)
    assert (row.state, row.facts["archive_period"]) == ("closed", "months:18")
    assert row.facts["archive_number"].endswith("0001")
    assert len(row.facts["archive_number"]) == 8
    assert home.verify().findings == ()


def test_r16_a_case_is_not_closed_before_its_footage_is_fixed_and_signed(home, people, recordings) -> None:
    case = opened(home, people, *recordings[:2])
    complete(home, people, case)
    with pytest.raises(PolicyUnmetError, match="2 recordings are not fixed"):
        closed(home, people, case)
    desk = home.desk()
    fixed(home, people, case)
    desk.act(people[0], case.id, "link", links=[NewLink(role="footage", target=recordings[2].id)])
    with pytest.raises(PolicyUnmetError, match=f"1 recordings are not fixed in writing: {recordings[2].id}"):
        closed(home, people, case)
    with pytest.raises(FormError):
        fixed(home, people, case, outcome="refused")
    again = fixed_last(home, people)
    desk.act(people[0], again, "sign", {"outcome": "refused", "outcome_why": "拒绝签字", "signed_on": "2026-11-23"})
    row = closed(home, people, case)
    assert row.state == "closed"
    assert home.verify().findings == ()


def fixed_last(home: AssuredHome, people):
    from catalogue.matters import MatterFilter

    return home.desk().find(people[0], MatterFilter(kinds=("fixation",), states=("printed",)))[0].id


def test_r17_closing_archives_the_footage_and_so_does_archiving_before(home, people, recordings) -> None:
    case = opened(home, people, *recordings[:2])
    complete(home, people, case)
    desk = home.desk()
    desk.act(people[0], case.id, "archive")
    moments = {row.id: archived(home, row.id) for row in recordings}
    assert moments[recordings[0].id] == ("case", True)
    assert moments[recordings[2].id] == ("", False)
    fixed(home, people, case)
    closed(home, people, case)
    assert len(home.entries("recording.archived")) == 2, "the first moment counts"
    desk.act(
        people[0], case.id, "add-late", {"late_why": "异地上交"}, links=[NewLink(role="footage", target=recordings[2].id)]
    )  # fmt: skip
    assert archived(home, recordings[2].id) == ("case", True)
    assert home.verify().findings == ()


def archived(home: AssuredHome, recording: RecordingId) -> tuple[str, bool]:
    with home.catalogue.read() as uow:
        rules = uow.rules.of(recording)
        return rules.archived_reason, rules.archived_at is not None


def test_a_case_is_reopened_by_a_second_person_and_keeps_its_archive_number(home, people, recordings) -> None:
    case = opened(home, people, recordings[0])
    complete(home, people, case)
    fixed(home, people, case)
    first = closed(home, people, case)
    desk = home.desk()
    with home.catalogue.begin() as uow:
        before = uow.rules.date_of(recordings[0].id)
    assert before.stale
    asked = desk.act(people[0], case.id, "ask-reopen", {"reopen_why": "发现新证据"})
    assert (asked.state, asked.closed_at) == ("reopening", first.closed_at)
    desk.act(people[2], case.id, "reopen", seen=desk.view(people[2], case.id).seen)
    view = desk.view(people[0], case.id)
    assert (view.row.state, view.row.closed_at) == ("open", None)
    again = closed(home, people, case)
    assert again.facts["archive_number"] == first.facts["archive_number"]
    leader_asks = desk.act(people[2], case.id, "ask-reopen", {"reopen_why": "再查"})
    with pytest.raises(DeniedError, match="same-person"):
        desk.act(people[2], leader_asks.id, "reopen", seen=desk.view(people[2], case.id).seen)
    assert home.verify().findings == ()


def test_a_case_with_anything_in_it_is_withdrawn_and_never_void(home, people, recordings) -> None:
    desk = home.desk()
    empty = opened(home, people)
    assert desk.act(people[0], empty.id, "void", {"void_why": "重号"}).state == "void"
    case = opened(home, people, recordings[0])
    with pytest.raises(PolicyUnmetError, match="filed with it"):
        desk.act(people[0], case.id, "void", {"void_why": "重号"})
    row = desk.act(people[2], case.id, "withdraw", {"withdrawn_why": "撤案", "archive_period": "months:60"})
    assert row.state == "withdrawn"
    assert archived(home, recordings[0].id) == ("case", True)


def test_officers_come_and_go_and_two_must_stay(home, people, recordings) -> None:
    handler, second, leader = people
    case = opened(home, people)
    complete(home, people, case)
    desk = home.desk()
    desk.act(handler, case.id, "officers", {"leaves": second.agent})
    with pytest.raises(PolicyUnmetError, match="two officers"):
        closed(home, people, case)
    desk.act(handler, case.id, "officers", {"joins": second.agent})
    desk.act(leader, case.id, "hand-over", {"new_handler": second.agent, "handed_over": "调岗"})
    parts = {(one.role, one.agent) for one in desk.view(second, case.id).persons}
    assert {("handler", second.agent), ("officer", handler.agent)} <= parts
    assert home.verify().findings == ()


def test_r15_working_material_is_sorted_footage_without_a_case(home, people, recordings) -> None:
    desk = home.desk()
    row = desk.open(
        people[0], "working-material", {"title": "日常巡查"}, links=[NewLink(role="footage", target=recordings[0].id)]
    )
    assert row.number.startswith("GZ")
    filed = desk.act(people[0], row.id, "file", {"archive_period": "months:6"})
    assert filed.state == "filed"
    assert archived(home, recordings[0].id) == ("working-material", True)
    assert home.verify().findings == ()


def test_r17_a_side_file_is_archived_with_its_recording(home, people) -> None:
    film, track = sorted(
        home.ingest({gb_name(counter=1): os.urandom(2000), gb_name(counter=1, extension="txt"): b"$GPRMC"}),
        key=lambda row: row.attached_to is not None,
    )
    assert track.attached_to == film.id
    case = opened(home, people, film)
    home.desk().act(people[0], case.id, "archive")
    assert archived(home, track.id) == archived(home, film.id) == ("case", True)
    assert home.verify().findings == ()


def test_r16_a_scan_from_before_a_change_does_not_sign_the_changed_record(home, people, recordings) -> None:
    case = opened(home, people, recordings[0])
    with pytest.raises(FormError):
        fixed(home, people, case, outcome="objection")
    desk, record = home.desk(), fixed_last(home, people)
    desk.act(people[0], record, "edit", {"proves": "占用绿地的时间和地点"})
    desk.act(people[0], record, "print")
    given = {"outcome": "objection", "outcome_why": "时间不对", "signed_on": "2026-11-23"}
    with pytest.raises(PolicyUnmetError, match="printed anew"):
        desk.act(people[0], record, "sign", given)
    home.papers().file(people[0], record, "fixation-scan", "新.pdf", io.BytesIO(PDF.replace(b"1.7", b"1.6", 1)))
    assert desk.act(people[0], record, "sign", given).state == "signed"
    assert home.verify().findings == ()
