"""What persons judge a recording to be: categories, the bureau's list, and the flags of R11 that only an approval lifts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from access import DeniedError
from catalogue.records import RecordingFilter
from evidence.clock import to_text
from evidence.errors import InvalidInputError, PolicyUnmetError, StateConflictError
from evidence.ids import RecordingId
from evidence.model import Visibility
from matters.turn import NewLink
from retention.classification import CHANGED, DUPLICATE, GOING, SAME, Classifier
from retention.recompute import Recompute
from support import footage
from support.assured_home import AssuredHome
from support.recorders import gb_name
from support.schedules import bring_in

MEDIA = {gb_name(): footage.voice_mp3(), "b.jpg": footage.photo_jpg()}


def classifier_of(home: AssuredHome) -> Classifier:
    return Classifier(home.catalogue, authoriser=home.gate, recorder=home.recorder, clock=home.clock)


@pytest.fixture
def classifier(home: AssuredHome) -> Classifier:
    bring_in(home)
    return classifier_of(home)


@pytest.fixture
def manager(home: AssuredHome):
    return home.agent("管理员", "retention_manager", unit=None)


def rules(home: AssuredHome, recording: RecordingId):
    with home.catalogue.read() as uow:
        return uow.rules.of(recording)


def found(home: AssuredHome, **wanted) -> set[RecordingId]:
    with home.catalogue.read() as uow:
        page = uow.recordings.search(
            RecordingFilter(**wanted), Visibility(everything=True), now=home.clock.now().wall
        )  # fmt: skip
        return {row.id for row in page.rows}


def test_r11_an_unclassified_recording_is_shown_as_such_until_a_person_judges_it(home, classifier, manager) -> None:
    one, two = home.ingest(MEDIA)
    assert found(home, unclassified=True) == {one.id, two.id}
    outcome = classifier.classify(manager, [one.id], category="penalty", words="占道经营处罚")
    assert outcome.done == [one.id]
    said = rules(home, one.id)
    assert (said.category, said.basis, said.classified_by, said.long_term) == (
        "penalty",
        "person",
        manager.agent,
        False,
    )
    assert found(home, unclassified=True) == {two.id}
    assert found(home, unclassified=False) == {one.id}
    assert found(home, category="penalty") == {one.id}
    assert home.disclosed("recording.classified", one.id) == [{"words": "占道经营处罚"}]
    assert classifier.classify(manager, [one.id], category="penalty").left == {one.id: SAME}
    classifier.retract(manager, one.id, words="误分类")
    assert (rules(home, one.id).category, found(home, unclassified=True)) == ("", {one.id, two.id})
    assert home.verify().verdict == "good"


def test_r10_many_are_classified_exactly_as_the_list_was_looked_at(home, classifier, manager) -> None:
    one, two = home.ingest(MEDIA)
    both = [one.id, two.id]
    with pytest.raises(InvalidInputError, match="looked at"):
        classifier.classify(manager, both, category="street")
    plan = classifier.plan(manager, both, category="street")
    assert [(row.recording, row.before, row.left) for row in plan.rows] == [(one.id, "", ""), (two.id, "", "")]
    classifier.classify(manager, [two.id], category="penalty")
    with pytest.raises(StateConflictError):
        classifier.classify(manager, both, category="street", sha256=plan.sha256)
    assert rules(home, one.id).category == ""
    plan = classifier.plan(manager, both, category="penalty")
    outcome = classifier.classify(manager, both, category="penalty", sha256=plan.sha256)
    assert (outcome.done, outcome.left, outcome.complete) == ([one.id], {two.id: SAME}, True)
    assert (rules(home, one.id).basis, rules(home, two.id).basis) == ("bulk", "person")
    assert len(home.entries("recording.classified")) == 2, "one entry for each recording"


def test_r10_what_changed_between_look_and_act_is_left_and_told(home, classifier, manager, monkeypatch) -> None:
    monkeypatch.setattr("retention.classification._AT_ONCE", 1)
    one, two = sorted(home.ingest(MEDIA), key=lambda row: row.id)
    plan = classifier.plan(manager, [one.id, two.id], category="street")
    real = classifier._enter
    other = classifier_of(home)

    def meanwhile(uow, now, actor, plan, row, **rest):
        if row.recording == one.id:
            return real(uow, now, actor, plan, row, **rest)
        uow.rules.change(two.id, category="penalty", classified_at=now.wall - timedelta(days=1))
        return real(uow, now, actor, plan, row, **rest)

    monkeypatch.setattr(classifier, "_enter", meanwhile)
    outcome = classifier.classify(manager, [one.id, two.id], category="street", sha256=plan.sha256)
    assert (outcome.done, outcome.left) == ([one.id], {two.id: CHANGED})
    with home.catalogue.begin() as uow:
        uow.rules.change(two.id, disposing_at=home.clock.now().wall)
    with pytest.raises(PolicyUnmetError, match="going"):
        other.classify(manager, [two.id], category="street")
    plan = other.plan(manager, [one.id, two.id], category="major")
    assert [row.left for row in plan.rows] == ["", GOING]


def test_r09_one_recording_that_is_not_theirs_refuses_the_whole_list(home, classifier) -> None:
    unit = home.administration.create_unit(home.administrator, name="执法一科").id
    officer = home.agent("执法员", "officer", unit=None, code="900123", home_unit=unit)
    rows = home.ingest(MEDIA)
    own = [row for row in rows if row.officer == officer.agent]
    foreign = [row for row in rows if row.officer != officer.agent]
    assert own, "a name with the officer's code is theirs"
    assert foreign
    with pytest.raises(DeniedError):
        classifier.plan(officer, [row.id for row in rows], category="street")
    with pytest.raises(DeniedError):
        classifier.flag(officer, [row.id for row in rows], flag="complaint", ground="objection", words="扬言投诉")
    assert home.entries("recording.classified") == []
    work = classifier.worklist(officer)
    assert ([one.row.id for one in work.items], work.total) == ([row.id for row in own], len(own))
    classifier.classify(officer, [own[0].id], category="street")
    assert classifier.worklist(officer).total == len(own) - 1


def test_r11_each_of_the_three_grounds_keeps_for_the_long_term_and_lifting_needs_a_second_person(
    home, classifier, manager
) -> None:  # fmt: skip
    leader = home.agent("负责人", "unit_leader", unit=None)
    desk = home.desk()
    one, two = home.ingest(MEDIA)
    third = home.ingest({"c.png": footage.photo_png()}, card="third")[0]
    for row, flag, ground in (
        (one, "complaint", "objection"), (two, "obstruction", "assault"), (third, "sensitive", "injury"),
    ):  # fmt: skip
        classifier.flag(manager, [row.id], flag=flag, ground=ground, words="现场情况")
        assert (getattr(rules(home, row.id), flag), rules(home, row.id).long_term) == (True, True)
        assert found(home, flags=frozenset({flag})) == {row.id}
    Recompute(home.catalogue, clock=home.clock, desk=desk).run()
    with home.catalogue.read() as uow:
        assert {uow.rules.date_of(row.id).state for row in (one, two, third)} == {"permanent"}
        assert len(uow.cold.lacking("cold", stored_before=home.clock.now().wall, limit=10)) == 6, "cold copies, too"
    link = [NewLink(role="flagged", target=one.id)]
    with pytest.raises(PolicyUnmetError, match="none of these flags"):
        desk.open(manager, "flag-lift", {"title": "x", "flags": ["sensitive"], "why": "误标"}, links=link)
    with pytest.raises(PolicyUnmetError, match="long-term preservation"):
        desk.open(manager, "flag-lift", {"title": "x", "flags": ["long-term"], "why": "误标"}, links=link)
    asked = desk.open(
        manager, "flag-lift", {"title": "x", "flags": ["complaint", "long-term"], "why": "误标"}, links=link
    )
    assert rules(home, one.id).complaint, "asking lifts nothing"
    home.grant_directly(manager.agent, "unit_leader")
    with pytest.raises(DeniedError, match="same-person"):
        desk.act(manager, asked.id, "approve", seen=desk.view(manager, asked.id).seen)
    desk.act(leader, asked.id, "approve", seen=desk.view(leader, asked.id).seen)
    assert (rules(home, one.id).complaint, rules(home, one.id).long_term) == (False, False)
    assert [one["standing"] for one in home.entries("recording.flagged")].count(False) == 2
    assert home.verify().verdict == "good"


def test_r11_a_flag_that_was_set_anew_is_not_lifted_by_the_answer_to_the_old_one(home, classifier, manager) -> None:
    leader = home.agent("负责人", "unit_leader", unit=None)
    desk = home.desk()
    [row] = home.ingest({gb_name(): footage.voice_mp3()})
    classifier.flag(manager, [row.id], flag="complaint", ground="objection", words="扬言投诉")
    values = {"title": "x", "flags": ["complaint", "long-term"], "why": "撤回投诉"}
    asked = desk.open(manager, "flag-lift", values, links=[NewLink(role="flagged", target=row.id)])
    classifier.flag(leader, [row.id], flag="complaint", ground="complained", words="又来投诉")
    with pytest.raises(PolicyUnmetError, match="again after"):
        desk.act(leader, asked.id, "approve", seen=desk.view(leader, asked.id).seen)
    assert rules(home, row.id).complaint


def test_r11_a_category_of_the_long_term_class_makes_footage_long_term_for_good(home, classifier, manager) -> None:
    [row] = home.ingest({gb_name(): footage.voice_mp3()})
    classifier.classify(manager, [row.id], category="major")
    assert rules(home, row.id).long_term
    classifier.classify(manager, [row.id], category="street")
    assert (rules(home, row.id).category, rules(home, row.id).long_term) == ("street", True)
    assert [one["ground"] for one in home.entries("recording.flagged")] == ["class"]


@pytest.mark.parametrize(
    ("flag", "ground", "words"),
    [
        ("nosuch", "objection", "x"),
        ("complaint", "assault", "x"),
        ("complaint", "objection", " "),
        ("complaint", "objection", "\x00"),
    ],
)
def test_r11_a_flag_needs_a_ground_and_words(home, classifier, manager, flag, ground, words) -> None:
    [row] = home.ingest({gb_name(): footage.voice_mp3()})
    with pytest.raises(InvalidInputError):
        classifier.flag(manager, [row.id], flag=flag, ground=ground, words=words)
    assert home.entries("recording.flagged") == []


def test_r10_a_duplicate_and_an_unknown_category_are_refused_with_words(home, classifier, manager) -> None:
    [kept] = home.ingest({gb_name(): footage.voice_mp3()})
    home.ingest({gb_name(): footage.voice_mp3()}, card="other")
    with home.catalogue.read() as uow:
        [twin] = uow.references.duplicates_of(kept.id)
    with pytest.raises(PolicyUnmetError, match=DUPLICATE):
        classifier.classify(manager, [twin], category="street")
    with pytest.raises(InvalidInputError, match="has no category"):
        classifier.classify(manager, [kept.id], category="nosuch")
    with pytest.raises(InvalidInputError):
        classifier.classify(manager, [kept.id])
    with pytest.raises(InvalidInputError):
        classifier.plan(manager, [], category="street")
    assert to_text(home.clock.now().wall)
