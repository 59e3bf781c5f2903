"""The bureau's worst cases about persons: somebody sees what they may not, approves what is their own, learns who complained."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from access import DeniedError
from app.matter_forms import all_forms
from catalogue.matters import MatterFilter
from evidence import canonical
from evidence.errors import AccessDeniedError, NotFoundError, PolicyUnmetError, StateConflictError
from matters import looking
from matters.form import APPROVER, PROPOSER, Act, Form
from matters.turn import NewLink
from matters.writing import folded_of
from retention.desk import RetentionDesk
from support import footage
from support.assured_home import AssuredHome, make_home
from support.recorders import gb_name
from support.use_house import make_house

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
SECRET = "举报人某"
FORMS = list(all_forms())


def bytes_of(file: bytes | Path) -> bytes:
    """What a made file holds."""
    return file if isinstance(file, bytes) else file.read_bytes()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[AssuredHome]:
    made = make_home(tmp_path)
    yield made
    made.close()


# --- two persons, for every form -------------------------------------------------------------------------------------
def deciding(form: Form) -> list[Act]:
    """Acts that consent: by the part, by a frozen view, or by their name."""
    return [
        act for act in form.acts
        if not act.hidden and (act.role == APPROVER or act.name.startswith(("approve", "confirm", "go-on")))
    ]  # fmt: skip


def shaping(form: Form, act: Act) -> list[Act]:
    """Acts of persons that ask for what this act consents to: they lead to a state in which it waits, or change it there."""
    begun = [form.opening] if form.opening.after in act.before else []
    return begun + [
        one for one in form.acts
        if not one.hidden and one not in deciding(form)
        and (one.after in act.before or (not one.after and set(one.before) & set(act.before)))
    ]  # fmt: skip


#: Acts that may be done by who consents later, each with its reason.
MAY = {
    ("access-request", "check"): "a step between asker and leader; it asks for nothing",
    ("clearing-batch", "keep"): "it only takes out of the list",
    ("clearing-batch", "attended-by"): "who watches",
    ("hold", "add"): "holding more is always safe",
    ("hold", "move-review"): "a date to look again",
    ("disc", "measure"): "what was measured of the medium",
    ("disc", "ask-loan"): "its guard makes the asker the borrower",
    ("device-issue", "refuse-transfer"): "it refuses",
}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.kind)
def test_r17_nobody_consents_to_what_they_asked_for_whatever_the_kind(form: Form) -> None:
    for act in deciding(form):
        forbidden = {*act.never, *((PROPOSER,) if act.role == APPROVER else ())}
        asked_by = [
            one.name for one in shaping(form, act)
            if not ({one.role} & forbidden) and not (one.only and set(one.only) <= forbidden)
            and (form.kind, one.name) not in MAY
        ]  # fmt: skip
        assert not asked_by, f"{form.kind}.{act.name}: {asked_by} and the consent by one person"


def test_r17_no_form_gives_the_consenting_part_to_an_act_its_asker_can_do() -> None:
    with_approver = [form for form in FORMS if any(act.role == APPROVER for act in form.acts)]
    assert len(with_approver) > 12
    for form in with_approver:
        for act in form.acts:
            if act.role == APPROVER and not act.hidden:
                asked = [one for one in (form.opening, *form.acts) if one.role == PROPOSER]
                kept_apart = set(act.never) - {APPROVER}
                assert asked or kept_apart, f"{form.kind}.{act.name}: nobody is kept from it"


def test_r05_who_asks_for_a_transfer_does_not_approve_it_nor_receives_the_recorder_by_it(home: AssuredHome) -> None:
    unit = home.administration.create_unit(home.administrator, name="一科").id
    clerk, both = home.agent("采集员", "station_operator", unit=unit), home.agent("兼任", "station_operator", unit=unit)
    leader, officer = home.agent("负责人", "unit_leader", unit=unit), home.agent("甲", "officer", unit=unit)
    home.administration.grant_role(home.administrator, agent=both.agent, role="unit_leader", unit=unit)
    [clip] = home.ingest({gb_name(): footage.voice_mp3()})
    desk = home.desk()
    issued = desk.open(
        clerk, "device-issue", {"asset": "A1", "holder": officer.agent}, unit=unit,
        links=[NewLink(role="recorder", target=clip.device)],
    )  # fmt: skip
    desk.act(both, issued.id, "ask-transfer", {"next_holder": leader.agent, "transfer": "调岗"})
    with pytest.raises(DeniedError, match="same-person"):
        desk.act(both, issued.id, "approve-transfer", seen=desk.view(both, issued.id).seen)
    with pytest.raises(PolicyUnmetError):
        desk.act(leader, issued.id, "approve-transfer", seen=desk.view(leader, issued.id).seen)


# --- the complainant ----------------------------------------------------------------------------------------------------
def test_r23_the_letter_of_a_complainant_is_read_by_nobody_who_may_not_know_the_name(home: AssuredHome) -> None:
    legal, leader = home.agent("法制员", "legal_reviewer"), home.agent("负责人", "unit_leader")
    desk, papers = home.desk(), home.papers()
    values = {"title": "投诉", "source": "complaint", "named": "named", "complainant": SECRET, "matter": "态度"}
    row = desk.open(legal, "complaint", values)
    letter = papers.file(legal, row.id, "complaint", f"{SECRET}的信.pdf", io.BytesIO(PDF))
    assert [one.id for one in desk.view(legal, row.id).documents] == [letter.id]
    assert SECRET not in str(desk.view(leader, row.id)) + str(desk.history(leader, row.id))
    with pytest.raises(NotFoundError):
        papers.open(leader, letter.id)
    with papers.open(legal, letter.id)[1] as stream:
        assert stream.read() == PDF


def test_r23_a_digest_in_the_log_does_not_let_names_be_tried_until_one_fits(home: AssuredHome) -> None:
    legal, leader = home.agent("法制员", "legal_reviewer"), home.agent("负责人", "unit_leader")
    desk = home.desk()
    values = {"title": "投诉", "source": "complaint", "named": "named", "complainant": SECRET, "matter": "态度"}
    row = desk.open(legal, "complaint", values)
    with home.catalogue.read() as uow:
        folded = folded_of(uow, uow.matters.get(row.id))
    form = all_forms().of("complaint")
    public = {name: text for name, text in folded.row.words.items() if name not in ("complainant", "contact")}
    told = {
        "number": row.number, "kind": row.kind, "state": row.state, "version": row.version, "facts": dict(row.facts),
        "words": public, "persons": sorted([role, agent] for role, agent in folded.persons), "links": [], "documents": [],
    }  # fmt: skip
    assert looking.digest_of(folded, form) == hashlib.sha256(canonical.dumps(told)).hexdigest()
    assert desk.view(leader, row.id).seen == desk.view(legal, row.id).seen


def test_r23_who_enters_the_result_of_an_investigation_does_not_decide(home: AssuredHome) -> None:
    leader, other = home.agent("负责人", "unit_leader"), home.agent("法制员", "legal_reviewer")
    desk = home.desk()
    row = desk.open(other, "complaint", {"title": "投诉", "source": "complaint", "named": "none", "matter": "态度"})
    desk.act(leader, row.id, "accept")
    desk.act(leader, row.id, "assign", {"investigator": other.agent})
    desk.act(leader, row.id, "report", {"report": "查无此事"})
    with pytest.raises(DeniedError, match="same-person"):
        desk.act(
            leader, row.id, "decide", {"outcome": "unfounded", "decision": "x"}, seen=desk.view(leader, row.id).seen
        )


# --- persons without rights ---------------------------------------------------------------------------------------------
def test_r09_a_part_in_a_matter_shows_nothing_to_who_has_no_role_any_more(home: AssuredHome) -> None:
    legal, other = home.agent("法制员", "legal_reviewer"), home.agent("别人", "legal_reviewer")
    desk = home.desk()
    values = {"title": "投诉", "source": "complaint", "named": "named", "complainant": SECRET, "matter": "态度"}
    row = desk.open(legal, "complaint", values)
    home.administration.revoke_role(home.administrator, agent=legal.agent, role="legal_reviewer")
    with pytest.raises(AccessDeniedError):
        desk.view(legal, row.id)
    with pytest.raises(AccessDeniedError):
        desk.history(legal, row.id)
    assert desk.find(legal) == []
    assert desk.find(legal, MatterFilter(person=legal.agent)) == []
    assert desk.counts(legal) == {}
    assert desk.known(legal, [row.id]) == {}
    home.administration.deactivate(home.administrator, agent=other.agent)
    assert desk.find(other) == []


def test_r17_an_asker_does_not_make_a_case_of_others_tell_its_recordings(home: AssuredHome) -> None:
    house = make_house(home)
    chief, stranger = house.people["director"], house.people["other leader"]
    case = house.desk.open(
        chief, "working-material", {"title": "某案", "cause": "占道", "no_party": True, "place": "路"},
        unit=house.units["first"], links=[NewLink(role="footage", target=house.recording)],
    )  # fmt: skip
    link = NewLink(role="case", target=case.id)
    row = house.ask("other leader", links=[link], unit=house.units["second"])
    house.desk.act(stranger, row.id, "change-list", links=[link])
    shown = house.desk.view(stranger, row.id).links
    assert house.recording not in {one.target for one in shown}


def test_r23_whom_a_complaint_is_about_does_not_read_its_number_where_his_recording_is_kept(home: AssuredHome) -> None:
    legal, officer = home.agent("法制员", "legal_reviewer"), home.agent("甲", "officer", code="900123")
    desk = home.desk()
    [clip] = home.ingest({gb_name(officer="900123", extension="mp3"): footage.voice_mp3()}, describe=True)
    assert clip.officer == officer.agent
    row = desk.open(
        legal, "complaint",
        {"title": "投诉", "source": "complaint", "named": "none", "matter": "态度", "respondent": officer.agent},
        links=[NewLink(role="footage", target=clip.id)],
    )  # fmt: skip
    retention = RetentionDesk(home.catalogue, authoriser=home.gate, clock=home.clock, forms=all_forms())
    assert row.number in str(retention.show(legal, clip.id).decision)
    told = str(retention.show(officer, clip.id).decision)
    assert row.number not in told
    assert "complaint" not in told


def test_r23_a_stand_in_of_whom_a_complaint_is_about_neither_sees_nor_handles_it(home: AssuredHome) -> None:
    house = make_house(home)
    leader, colleague = house.people["leader"], house.people["colleague"]
    legal = home.agent("法制员", "legal_reviewer", unit=house.units["first"])
    values = {
        "delegate": colleague.agent, "acts": ["procedure.see", "procedure.decide", "access.approve"], "begins": house.moment(),
        "ends": house.moment(days=2), "reason": "出差",
    }  # fmt: skip
    proposed = house.desk.open(leader, "delegation", values)
    seen = house.desk.view(house.people["security"], proposed.id).seen
    house.desk.act(house.people["security"], proposed.id, "approve", seen=seen)
    said = {"title": "投诉", "source": "complaint", "named": "none", "matter": "态度"}
    about = house.desk.open(legal, "complaint", {**said, "respondent": leader.agent}, unit=house.units["first"])
    other = house.desk.open(legal, "complaint", said, unit=house.units["first"])
    assert house.desk.view(colleague, other.id).row.number == other.number, "what is lent works"
    with pytest.raises(DeniedError, match="concerned"):
        house.desk.view(colleague, about.id)
    wanted = MatterFilter(kinds=("complaint",))
    assert [row.id for row in house.desk.find(colleague, wanted)] == [other.id]
    assert list(house.desk.known(colleague, [about.id, other.id])) == [other.id]
    with pytest.raises(DeniedError, match="concerned"):
        house.desk.act(colleague, about.id, "withdraw", {"withdrawn": "x"})


def test_r16_who_handled_a_case_does_not_close_it_after_handing_it_over(home: AssuredHome) -> None:
    handler, new = home.agent("甲", "unit_leader"), home.agent("乙", "officer")
    second = home.agent("丙", "officer")
    desk = home.desk()
    case = desk.open(
        handler, "case",
        {"title": "某案", "cause": "占道", "procedure": "ordinary", "second_officer": second.agent, "no_party": True},
    )  # fmt: skip
    desk.act(handler, case.id, "hand-over", {"new_handler": new.agent, "handed_over": "调岗"})
    for act in ("close", "withdraw"):
        with pytest.raises(DeniedError, match="same-person"):
            desk.act(handler, case.id, act, {"withdrawn_why": "x"}, seen=desk.view(handler, case.id).seen)


def test_r21_no_further_copy_is_slipped_in_after_a_treated_one_was_approved(home: AssuredHome) -> None:
    asker, leader = home.agent("甲", "unit_leader"), home.agent("乙", "unit_leader")
    third = home.agent("丙", "unit_leader")
    desk, papers = home.desk(), home.papers()
    [clip] = home.ingest({"a.jpg": footage.photo_jpg()})
    row = desk.open(
        asker, "treatment", {"title": "宣传", "covered": ["faces"], "how": "打码", "occasion": "公众号"},
        links=[NewLink(role="footage", target=clip.id)],
    )  # fmt: skip
    role, good = "treated-media", bytes_of(footage.photo_png())
    papers.file(asker, row.id, role, "a.png", io.BytesIO(good))
    desk.act(leader, row.id, "approve", seen=desk.view(leader, row.id).seen)
    for anybody in (asker, leader, third):
        with pytest.raises((StateConflictError, AccessDeniedError)):
            papers.file(anybody, row.id, role, "b.jpg", io.BytesIO(bytes_of(footage.photo_jpg())))
    assert len(desk.view(leader, row.id).documents) == 1
    papers.file(third, row.id, "note", "说明.pdf", io.BytesIO(PDF))
