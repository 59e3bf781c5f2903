"""The engine of matters: a transaction and an entry for each act, two persons where two are asked for, nothing for other eyes."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from access import DeniedError
from catalogue.matters import MatterFilter
from evidence.errors import InvalidInputError, PolicyUnmetError, StateConflictError
from evidence.ids import MatterId
from evidence.model import Action
from matters.form import (
    APPROVER,
    PROPOSER,
    Act,
    Choice,
    Column,
    Field,
    FieldKind,
    Form,
    Forms,
    LinkRole,
    State,
    plain_number,
)
from matters.turn import Asked, NewLink, Turn
from matters.values import FormError
from support import footage
from support.assured_home import AssuredHome
from support.recorders import gb_name


def no_mondays(turn: Turn) -> None:
    if turn.value("day") == "monday":
        turn.refuse("not on Mondays", todo="Ask on another day.")


def also_note(turn: Turn) -> None:
    turn.also_open("note", asked=Asked(facts={"about": turn.row.number}))


NOTE = Form(
    kind="note", word="Note", words="Notes", number=plain_number("N"), see=Action.REGISTER_SEE,
    states=(State(code="open", word="Open"),),
    opening=Act(
        name="open", word="Note", after="open", action=Action.ACCESS_ASK, hidden=True,
        fields=(Field(name="about", word="About", kind=FieldKind.CHOICE),),
    ),
)  # fmt: skip
REQUEST = Form(
    kind="request", word="Request", words="Requests", number=plain_number("Q"), see=Action.REGISTER_SEE,
    states=(
        State(code="asked", word="Asked"), State(code="agreed", word="Agreed", final=True),
        State(code="withdrawn", word="Withdrawn", final=True),
    ),
    persons={PROPOSER: "Asks", APPROVER: "Agrees", "helper": "Helps"},
    opening=Act(
        name="ask", word="Ask", after="asked", action=Action.ACCESS_ASK, role=PROPOSER, guards=(no_mondays,),
        fields=(
            Field(name="title", word="Title", required=True, personal=True),
            Field(name="day", word="Day", kind=FieldKind.CHOICE, choices=(
                Choice(code="monday", word="Monday"), Choice(code="friday", word="Friday"),
            )),
            Field(name="informant", word="Informant", personal=True, seen_by=("helper",)),
            Field(name="helper", word="Helps", kind=FieldKind.AGENT, part="helper"),
        ),
        links=(LinkRole(role="footage", word="Footage"),),
    ),
    acts=(
        Act(
            name="agree", word="Agree", before=("asked",), after="agreed", action=Action.ACCESS_APPROVE, role=APPROVER,
            never=(PROPOSER,), frozen=True, effects=(also_note,),
        ),
        Act(name="withdraw", word="Withdraw", before=("asked",), after="withdrawn", action=Action.ACCESS_ASK, only=(PROPOSER,)),
        Act(
            name="add", word="Add", before=("asked",), action=Action.ACCESS_ASK, only=(PROPOSER,),
            links=(LinkRole(role="footage", word="Footage"),),
        ),
    ),
    register=(Column(word="Number", name="number"), Column(word="Title", name="title")),
)  # fmt: skip


@pytest.fixture
def unit(home: AssuredHome):
    return home.administration.create_unit(home.administrator, name="执法一科").id


def test_r17_the_asker_never_approves_and_each_act_is_an_entry(home: AssuredHome, unit) -> None:
    desk = home.desk(REQUEST, NOTE)
    leader = home.agent("负责人", "unit_leader", unit=unit)
    other = home.agent("另一负责人", "unit_leader", unit=unit)
    asked = desk.open(leader, "request", {"title": "调看"})
    assert (asked.number[-5:], asked.state, asked.unit, asked.version) == ("-0001", "asked", unit, 1)
    seen = desk.view(other, asked.id)
    assert [act.name for act in seen.acts] == ["agree"]
    assert "agree" not in [act.name for act in desk.view(leader, asked.id).acts]
    with pytest.raises(DeniedError, match="same-person"):
        desk.act(leader, asked.id, "agree", seen=seen.seen)
    agreed = desk.act(other, asked.id, "agree", seen=seen.seen)
    assert (agreed.state, agreed.approved_by, agreed.proposed_by) == ("agreed", other.agent, leader.agent)
    assert agreed.closed_at is not None
    acted = home.entries("matter.acted")
    assert [(one["kind"], one["act"], one["final"]) for one in acted] == [
        ("request", "ask", False), ("request", "agree", True), ("note", "open", False),
    ]  # fmt: skip
    assert acted[1]["facts"]["seen_sha256"] == seen.seen
    assert home.entries("access.denied")[-1]["reason"] == "same-person"
    published = b"".join(path.read_bytes() for path in home.published[0].rglob("*") if path.is_file())
    assert "调看".encode() not in published
    assert home.verify().verdict == "good"


def test_the_database_itself_refuses_one_person_in_both_parts(home: AssuredHome, unit) -> None:
    leader = home.agent("负责人", "unit_leader", unit=unit)
    row = home.desk(REQUEST, NOTE).open(leader, "request", {"title": "调看"})
    with pytest.raises(sa.exc.IntegrityError), home.catalogue.engine.begin() as connection:
        connection.execute(sa.text("UPDATE matters SET approved_by = proposed_by WHERE id = :id"), {"id": row.id})


def test_what_changed_since_it_was_looked_at_is_not_approved(home: AssuredHome, unit) -> None:
    desk = home.desk(REQUEST, NOTE)
    leader, other = home.agent("甲", "unit_leader", unit=unit), home.agent("乙", "unit_leader", unit=unit)
    first, second = home.ingest({gb_name(): footage.voice_mp3(), "b.jpg": footage.photo_jpg()})
    home.grant_directly(leader.agent, "unit_leader")
    row = desk.open(leader, "request", {"title": "调看"}, links=[NewLink(role="footage", target=first.id)])
    seen = desk.view(other, row.id).seen
    desk.act(leader, row.id, "add", links=[NewLink(role="footage", target=second.id)])
    with pytest.raises(StateConflictError, match="changed since"):
        desk.act(other, row.id, "agree", seen=seen)
    with pytest.raises(FormError):
        desk.act(other, row.id, "agree")
    assert {link.target for link in desk.view(other, row.id).links} == {first.id, second.id}
    assert desk.act(other, row.id, "agree", seen=desk.view(other, row.id).seen).state == "agreed"


def test_a_guard_refuses_and_nothing_is_entered_not_even_a_number(home: AssuredHome, unit) -> None:
    desk = home.desk(REQUEST, NOTE)
    leader = home.agent("负责人", "unit_leader", unit=unit)
    with pytest.raises(PolicyUnmetError, match="Mondays"):
        desk.open(leader, "request", {"title": "a", "day": "monday"})
    assert desk.open(leader, "request", {"title": "a", "day": "friday"}).number.endswith("-0001")
    assert len(home.entries("matter.acted")) == 1


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({}, {"title": "missing"}),
        ({"title": "  "}, {"title": "missing"}),
        ({"title": "a\nb"}, {"title": "not-that-kind"}),
        ({"title": "x" * 201}, {"title": "too-long"}),
        ({"title": "a", "day": "sunday", "strange": "x"}, {"day": "not-a-choice", "strange": "not-that-kind"}),
        ({"title": "a", "helper": "agt_1"}, {"helper": "not-that-kind"}),
        ({"title": "a", "helper": "agt_" + MatterId.new(1)[4:]}, {"helper": "not-found"}),
    ],
)
def test_what_is_not_filled_in_rightly_is_told_field_by_field(home: AssuredHome, unit, values, wrong) -> None:
    leader = home.agent("负责人", "unit_leader", unit=unit)
    with pytest.raises(FormError) as refused:
        home.desk(REQUEST, NOTE).open(leader, "request", values)
    assert refused.value.fields == wrong


def test_r23_a_field_for_few_eyes_is_left_out_for_everybody_else(home: AssuredHome, unit) -> None:
    desk = home.desk(REQUEST, NOTE)
    leader, clerk = home.agent("甲", "unit_leader", unit=unit), home.agent("乙", "unit_leader", unit=unit)
    values = {"title": "投诉", "informant": "不可外泄", "helper": clerk.agent}
    row = desk.open(leader, "request", values)
    assert desk.view(clerk, row.id).row.words["informant"] == "不可外泄"
    for text in (
        str(desk.view(leader, row.id).row), str(desk.find(leader)), str(desk.history(leader, row.id)),
    ):  # fmt: skip
        assert "不可外泄" not in text
    assert "不可外泄" in str(desk.history(clerk, row.id))


def test_r23_what_few_eyes_may_see_is_not_found_by_its_words_and_names_nobody(home: AssuredHome, unit) -> None:
    secret = Form(
        kind="complaint", word="Complaint", words="Complaints", number=plain_number("T"), see=Action.REGISTER_SEE,
        states=(State(code="open", word="Open"),), persons={"complainant": "Complainant", "keeper": "Keeper"},
        opening=Act(
            name="open", word="Open", after="open", action=Action.ACCESS_ASK, role="keeper",
            fields=(
                Field(name="title", word="Title", personal=True),
                Field(
                    name="complainant", word="Complainant", kind=FieldKind.AGENT, part="complainant", seen_by=("keeper",)
                ),
                Field(name="story", word="Story", personal=True, seen_by=("keeper",)),
            ),
        ),
    )  # fmt: skip
    desk = home.desk(secret)
    keeper, other = home.agent("甲", "unit_leader", unit=unit), home.agent("乙", "unit_leader", unit=unit)
    who = home.agent("丙", "officer", unit=unit)
    row = desk.open(keeper, "complaint", {"title": "来信", "complainant": who.agent, "story": "巷口之事"})
    assert [one.id for one in desk.find(keeper, MatterFilter(text="巷口"))] == [row.id]
    assert desk.find(other, MatterFilter(text="巷口")) == []
    assert desk.counts(other, MatterFilter(text="巷口")) == {}
    assert [one.id for one in desk.find(other, MatterFilter(text="来信"))] == [row.id]
    [told] = desk.each(other, MatterFilter(), most=5)
    for text in (str(desk.view(other, row.id)), str(desk.history(other, row.id)), str(told)):
        assert "巷口" not in text
        assert who.agent not in text
    assert who.agent in str(desk.view(keeper, row.id).persons)
    assert {one.role for one in desk.view(who, row.id).persons} == {"keeper", "complainant"}
    assert desk.known(other, [row.id])[row.id].words == {"title": "来信"}
    stranger = home.agent("丁", "unit_leader", unit=home.administration.create_unit(home.administrator, name="二科").id)
    assert desk.known(stranger, [row.id]) == {}


def test_r09_others_units_matters_are_neither_listed_nor_shown(home: AssuredHome, unit) -> None:
    desk = home.desk(REQUEST, NOTE)
    elsewhere = home.administration.create_unit(home.administrator, name="执法二科").id
    leader, stranger = home.agent("甲", "unit_leader", unit=unit), home.agent("乙", "unit_leader", unit=elsewhere)
    row = desk.open(leader, "request", {"title": "调看"})
    assert desk.find(stranger) == []
    assert [one.id for one in desk.find(leader, MatterFilter(text="调看"))] == [row.id]
    assert desk.counts(leader) == {("request", "asked"): 1}
    with pytest.raises(DeniedError):
        desk.view(stranger, row.id)
    with pytest.raises(DeniedError):
        desk.act(stranger, row.id, "agree", seen="x")


def test_what_waits_for_somebody_is_the_next_step_on_matters_of_others(home: AssuredHome, unit) -> None:
    desk = home.desk(REQUEST, NOTE)
    leader, other = home.agent("甲", "unit_leader", unit=unit), home.agent("乙", "unit_leader", unit=unit)
    officer = home.agent("丙", "officer", unit=unit)
    row = desk.open(leader, "request", {"title": "调看"})
    assert [(one.id, [act.name for act in acts]) for one, acts in desk.waiting(other)] == [(row.id, ["agree"])]
    assert desk.waiting(leader) == []
    assert desk.waiting(officer) == []
    desk.act(other, row.id, "agree", seen=desk.view(other, row.id).seen)
    assert desk.waiting(other) == []


def test_a_part_that_an_act_needs_and_a_state_that_is_over(home: AssuredHome, unit) -> None:
    desk = home.desk(REQUEST, NOTE)
    leader, other = home.agent("甲", "unit_leader", unit=unit), home.agent("乙", "unit_leader", unit=unit)
    row = desk.open(leader, "request", {"title": "调看"})
    with pytest.raises(DeniedError, match="no-part"):
        desk.act(other, row.id, "withdraw")
    with pytest.raises(StateConflictError):
        desk.act(leader, row.id, "withdraw", version=7)
    assert desk.act(leader, row.id, "withdraw", version=1).state == "withdrawn"
    with pytest.raises(StateConflictError, match="stands at"):
        desk.act(leader, row.id, "withdraw")
    with pytest.raises(InvalidInputError):
        desk.act(leader, row.id, "nosuch")
    with pytest.raises(InvalidInputError):
        desk.open(leader, "note", {})


def test_footage_the_actor_may_not_know_of_is_not_linked(home: AssuredHome, unit) -> None:
    desk = home.desk(REQUEST, NOTE)
    leader = home.agent("甲", "unit_leader", unit=unit)
    [foreign] = home.ingest({gb_name(): footage.voice_mp3()})
    with pytest.raises(DeniedError):
        desk.open(leader, "request", {"title": "x"}, links=[NewLink(role="footage", target=foreign.id)])
    with pytest.raises(InvalidInputError):
        desk.open(leader, "request", {"title": "x"}, links=[NewLink(role="other", target=foreign.id)])
    assert home.entries("matter.acted") == []


def test_a_link_to_a_matter_takes_only_the_kinds_it_names(home: AssuredHome, unit) -> None:
    role = LinkRole(role="case", word="Case", targets=("mat",), kinds=("request",))
    form = Form(
        kind="linked", word="Linked", words="Linked", number=plain_number("L"), see=Action.REGISTER_SEE,
        states=(State(code="open", word="Open"),),
        opening=Act(name="open", word="Open", after="open", action=Action.ACCESS_ASK, links=(role,)),
    )  # fmt: skip
    desk = home.desk(REQUEST, NOTE, form)
    leader = home.agent("甲", "unit_leader", unit=unit)
    asked = desk.open(leader, "request", {"title": "调看"})
    first = desk.open(leader, "linked", {}, links=[NewLink(role="case", target=asked.id)])
    with pytest.raises(FormError) as refused:
        desk.open(leader, "linked", {}, links=[NewLink(role="case", target=first.id)])
    assert refused.value.fields == {"case": "not-that-kind"}


def test_many_links_take_several_entries_and_are_all_there(home: AssuredHome, unit) -> None:
    link_many = REQUEST.opening.links[0]
    form = Form(
        kind="many", word="Many", words="Many", number=plain_number("M"), see=Action.REGISTER_SEE,
        states=(State(code="open", word="Open"),),
        opening=Act(
            name="open", word="Open", after="open", action=Action.ACCESS_ASK,
            links=(LinkRole(role="part", word="Part", targets=("unt",)), link_many),
        ),
    )  # fmt: skip
    desk = home.desk(form)
    leader = home.agent("甲", "unit_leader", unit=unit)
    row = desk.open(leader, "many", {}, links=[NewLink(role="part", target=unit, key=str(n)) for n in range(450)])
    assert row.version == 3
    assert len(desk.view(leader, row.id).links) == 450
    assert [len(one["links"]) for one in home.entries("matter.acted")] == [200, 200, 50]


def test_a_form_that_cannot_work_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="two forms"):
        Forms([NOTE, NOTE])
    with pytest.raises(ValueError, match="personal"):
        Forms([
            Form(
                kind="x", word="X", words="X", number=plain_number("X"), see=Action.REGISTER_SEE,
                states=(State(code="open", word="Open"),),
                opening=Act(
                    name="open", word="Open", after="open", action=Action.ACCESS_ASK, fields=(Field(name="a", word="A"),)
                ),
            )
        ])  # fmt: skip
