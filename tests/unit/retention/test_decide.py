"""Until when a recording is kept and why: the rules one by one, and what must hold for all facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.calendar import add_months, local_date, start_of
from evidence.clock import BUREAU_ZONE
from evidence.lock_dates import due_at
from retention.decide import (
    CaseLink,
    Classified,
    Decision,
    FlagSet,
    InBatch,
    Item,
    Kept,
    Now,
    Order,
    Standing,
    Why,
    decide,
    reason_from_json,
)
from retention.periods import FOLLOWS_CASE, LONG_TERM, UNTIL_REVIEWED, months
from retention.schedule import DEFAULT, Schedule, Schedules, class_rows

DAY = timedelta(days=1)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BUREAU_ZONE).astimezone(UTC)


ROWS = class_rows(
    [
        {"category": "street", "keeps": "6个月"},
        {"category": "traffic", "keeps": "24个月"},
        {"category": "force", "keeps": "永久"},
        {"category": "penalty", "keeps": "同案卷"},
        {"category": "odd", "keeps": "待鉴定"},
    ]
)
ONE = Schedule(version=1, number="S-1", authority="a document", in_force_from=local("2026-01-01T00:00"), rows=ROWS)
ONLY = Schedules((DEFAULT, ONE))
CAME = local("2026-08-31T10:00")
SIX = local("2027-03-01T00:00")
LATER = Now(at=local("2031-01-01T00:00"))
STREET = (Classified(category="street", at=CAME),)
PLAIN = Item(accession=CAME, categories=STREET)


def whys(found: Decision) -> set[Why]:
    return {one.why for one in found.reasons}


def case(**rest) -> CaseLink:
    return CaseLink(**{"subject": "C-1", "open": False, "closed_at": CAME, "archive": months(120)} | rest)


def test_r10_ordinary_footage_is_due_after_six_months_and_not_a_moment_earlier() -> None:
    assert decide(PLAIN, ONLY, Now(at=SIX - timedelta(milliseconds=1))).standing is Standing.KEEP
    found = decide(PLAIN, ONLY, Now(at=SIX))
    assert (found.standing, found.due_at) == (Standing.ELIGIBLE, SIX)
    assert {one.why for one in found.decisive} == {Why.ORDINARY, Why.CATEGORY}


def test_r10_footage_nobody_classified_is_ordinary_and_never_eligible() -> None:
    found = decide(Item(accession=CAME), ONLY, LATER)
    assert (found.standing, found.due_at, found.unclassified) == (Standing.UNCLASSIFIED_DUE, SIX, True)
    assert Why.UNCLASSIFIED in whys(found)
    listed = Item(accession=CAME, batch=InBatch(subject="B-1", stage="proposed"))
    assert decide(listed, ONLY, LATER).standing is Standing.UNCLASSIFIED_DUE


@pytest.mark.parametrize(
    ("ended", "trusted", "due", "why"),
    [
        ("2000-01-01T00:00", True, SIX, Why.BEGINS_AT_ACCESSION),
        ("2000-01-01T00:00", False, SIX, Why.RECORDER_CLOCK_NOT_USED),
        ("2099-01-01T00:00", True, SIX, Why.RECORDER_CLOCK_NOT_USED),
        ("2026-09-01T01:00", False, SIX, Why.RECORDER_CLOCK_NOT_USED),
        ("2026-09-01T01:00", True, local("2027-03-02T00:00"), Why.BEGINS_AT_END),
    ],
)
def test_r10_no_recorder_clock_makes_footage_due_earlier(ended: str, trusted: bool, due: datetime, why: Why) -> None:
    found = decide(replace(PLAIN, ended_at=local(ended), end_trusted=trusted, end_source="name"), ONLY, LATER)
    assert found.due_at == due
    assert why in whys(found)


def test_r10_our_own_clock_when_it_is_not_believed_makes_nothing_due() -> None:
    found = decide(PLAIN, ONLY, Now(at=LATER.at, believed=False))
    assert (found.standing, found.due_at) == (Standing.KEEP, SIX)
    assert Why.CLOCK_NOT_BELIEVED in {one.why for one in found.decisive}
    unknown = decide(replace(PLAIN, accession=None), ONLY, LATER)
    assert (unknown.standing, unknown.due_at) == (Standing.NO_DATE, None)
    assert [one.why for one in unknown.decisive] == [Why.ACCESSION_UNKNOWN]


def test_r10_the_longest_class_wins_and_a_conflict_is_told() -> None:
    both = replace(PLAIN, categories=(*STREET, Classified(category="traffic", at=CAME)))
    found = decide(both, ONLY, LATER)
    assert found.due_at == local("2028-09-01T00:00")
    assert [one.subject for one in found.decisive] == ["traffic"]
    told = {(one.why, one.subject or one.detail) for one in found.reasons}
    assert {(Why.CATEGORY, "street"), (Why.CATEGORY, "traffic"), (Why.CLASSES_CONFLICT, "months:24")} <= told


def test_r10_a_category_that_no_schedule_knows_has_no_date() -> None:
    found = decide(replace(PLAIN, categories=(Classified(category="new", at=CAME),)), ONLY, LATER)
    assert (found.standing, found.due_at) == (Standing.NO_DATE, None)
    assert [one.subject for one in found.decisive] == ["new"]


@pytest.mark.parametrize("kind", ["complaint", "obstruction", "sensitive"])
def test_r11_a_flag_or_the_long_term_class_keeps_without_an_end(kind: str) -> None:
    found = decide(replace(PLAIN, flags=(FlagSet(kind=kind),)), ONLY, LATER)
    assert (found.standing, found.due_at, found.decisive[0].detail) == (Standing.PERMANENT, None, kind)
    force = replace(PLAIN, categories=(Classified(category="force", at=CAME),))
    assert decide(force, ONLY, LATER).standing is Standing.PERMANENT


def test_r11_a_device_mark_waits_for_a_person() -> None:
    found = decide(replace(PLAIN, device_mark=True), ONLY, LATER)
    assert (found.standing, found.decisive[0].why) == (Standing.NO_DATE, Why.DEVICE_MARK)
    odd = replace(PLAIN, categories=(Classified(category="odd", at=CAME),))
    assert decide(odd, ONLY, LATER).decisive[0].why is Why.UNTIL_REVIEWED


def test_r13_r19_case_footage_follows_the_case_and_an_open_case_has_no_date() -> None:
    assert decide(replace(PLAIN, cases=(case(open=True),)), ONLY, LATER).standing is Standing.NO_DATE
    found = decide(replace(PLAIN, cases=(case(),)), ONLY, LATER)
    assert (found.standing, found.due_at) == (Standing.KEEP, local("2036-09-01T00:00"))
    assert found.decisive[0].why is Why.CASE_ARCHIVE
    both = replace(PLAIN, cases=(case(), case(subject="C-2", open=True)))
    assert decide(both, ONLY, LATER).due_at is None
    assert decide(replace(PLAIN, cases=(case(archive=LONG_TERM),)), ONLY, LATER).standing is Standing.PERMANENT
    for unknown in (case(archive=None), case(closed_at=None), case(archive=FOLLOWS_CASE)):
        assert decide(replace(PLAIN, cases=(unknown,)), ONLY, LATER).decisive[0].why is Why.CASE_WITHOUT_PERIOD


def test_r19_a_class_that_follows_the_case_has_no_date_without_one() -> None:
    item = replace(PLAIN, categories=(Classified(category="penalty", at=CAME),))
    assert decide(item, ONLY, LATER).decisive[0].why is Why.NO_CASE_TO_FOLLOW
    assert decide(replace(item, cases=(case(),)), ONLY, LATER).due_at == local("2036-09-01T00:00")


def test_r27_a_closed_case_stays_as_long_as_it_may_be_contested() -> None:
    longer = replace(ONE, litigation_months=24)
    closed = case(closed_at=CAME + 90 * DAY, archive=months(6))
    found = decide(replace(PLAIN, cases=(closed,)), Schedules((DEFAULT, longer)), LATER)
    assert found.decisive[0].why is Why.LITIGATION
    assert found.due_at == start_of(add_months(local_date(CAME + 90 * DAY), 24) + DAY)


def test_r10_r22_a_hold_or_an_open_procedure_keeps_and_the_last_release_starts_the_cool_off() -> None:
    held = replace(PLAIN, holds=(Order(subject="H-1", kind="litigation"), Order(subject="H-2")))
    found = decide(held, ONLY, LATER)
    assert (found.standing, found.due_at, len(found.decisive)) == (Standing.HELD, None, 2)
    assert decide(replace(PLAIN, procedures=(Order(subject="P-1"),)), ONLY, LATER).standing is Standing.HELD
    early = decide(replace(PLAIN, last_release=CAME + DAY), ONLY, LATER)
    assert early.due_at == SIX, "the period is not started anew"
    late = decide(replace(PLAIN, last_release=local("2030-05-05T12:00")), ONLY, LATER)
    assert (late.due_at, late.decisive[0].why) == (local("2030-06-05T00:00"), Why.COOL_OFF)


def test_r10_a_hold_weighs_more_than_a_class_without_an_end_and_both_are_told() -> None:
    found = decide(replace(PLAIN, holds=(Order(subject="H-1"),), flags=(FlagSet(kind="complaint"),)), ONLY, LATER)
    assert found.standing is Standing.HELD
    assert {Why.HOLD, Why.FLAG} <= whys(found)


def test_r10_what_is_in_a_batch_says_so_and_what_is_gone_is_gone() -> None:
    listed = replace(PLAIN, batch=InBatch(subject="B-1", stage="notice"))
    assert decide(listed, ONLY, LATER).standing is Standing.IN_BATCH
    assert decide(replace(listed, holds=(Order(subject="H-1"),)), ONLY, LATER).standing is Standing.HELD
    gone = replace(listed, batch=InBatch(subject="B-1", stage="disposed"))
    assert decide(gone, ONLY, LATER).standing is Standing.GONE


def test_r10_a_determination_to_keep_is_a_claim_like_others() -> None:
    until = local("2029-01-01T00:00")
    assert decide(replace(PLAIN, kept=(Kept(subject="B-1", until=until),)), ONLY, LATER).due_at == until
    assert decide(replace(PLAIN, kept=(Kept(subject="B-1"),)), ONLY, LATER).standing is Standing.NO_DATE


def shorter(row: str) -> Schedules:
    rows = class_rows([{"category": "traffic", "keeps": row}])
    return ONLY.with_version(replace(ONE, version=2, in_force_from=CAME + 10 * DAY, rows=rows))


def test_r10_a_new_schedule_is_never_retroactive_by_itself() -> None:
    before = replace(PLAIN, categories=(Classified(category="traffic", at=CAME + DAY),))
    after = replace(PLAIN, categories=(Classified(category="traffic", at=CAME + 11 * DAY),))
    found = decide(before, shorter("12个月"), LATER)
    assert found.due_at == local("2028-09-01T00:00"), "classified under the longer one"
    assert found.decisive[0].version == 1
    assert decide(after, shorter("12个月"), LATER).due_at == local("2027-09-01T00:00")
    assert decide(replace(before, rebased_to=2), shorter("12个月"), LATER).due_at == local("2027-09-01T00:00")
    assert decide(before, shorter("36个月"), LATER).due_at == local("2029-09-01T00:00"), "longer ones apply at once"
    assert decide(before, shorter("永久"), LATER).standing is Standing.PERMANENT


def test_reasons_survive_being_stored() -> None:
    item = replace(
        PLAIN, cases=(case(), case(open=True)), holds=(Order(subject="H-1"),), flags=(FlagSet(kind="complaint"),)
    )
    for one in decide(item, ONLY, LATER).reasons:
        assert reason_from_json(one.to_json()) == one


# --- for all facts ----------------------------------------------------------------------------------------------------
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))
SUBJECTS = st.sampled_from(["X-1", "X-2"])
CLASSES = st.one_of(st.integers(6, 240).map(months), st.sampled_from([LONG_TERM, FOLLOWS_CASE, UNTIL_REVIEWED]))
CATEGORIES = st.builds(
    Classified,
    category=st.sampled_from([*ROWS, "unknown"]),
    at=st.none() | MOMENTS,
    period=st.none() | CLASSES,
)
CASES = st.builds(
    CaseLink, subject=SUBJECTS, open=st.booleans(), closed_at=st.none() | MOMENTS, archive=st.none() | CLASSES
)
ORDERS = st.builds(Order, subject=SUBJECTS, kind=SUBJECTS, since=st.none() | MOMENTS)
KEPT = st.builds(Kept, subject=SUBJECTS, until=st.none() | MOMENTS)
FLAGS = st.builds(FlagSet, kind=SUBJECTS)
MANY = 2


def some(what):
    return st.lists(what, max_size=MANY).map(tuple)


ITEMS = st.builds(
    Item,
    accession=st.none() | MOMENTS,
    ended_at=st.none() | MOMENTS,
    end_source=st.just("name"),
    end_trusted=st.booleans(),
    categories=some(CATEGORIES),
    device_mark=st.booleans(),
    flags=some(FLAGS),
    cases=some(CASES),
    holds=some(ORDERS),
    procedures=some(ORDERS),
    last_release=st.none() | MOMENTS,
    kept=some(KEPT),
    batch=st.none() | st.builds(InBatch, subject=SUBJECTS, stage=st.sampled_from(["proposed", "notice", "disposed"])),
    rebased_to=st.integers(0, 3),
)


@st.composite
def schedules(draw) -> Schedules:
    found, begins = Schedules(), datetime(2020, 1, 1, tzinfo=UTC)
    for number in range(1, draw(st.integers(1, 4))):
        begins += draw(st.integers(1, 900)) * DAY
        rows = [{"category": name, "keeps": draw(CLASSES).text()} for name in draw(st.sets(st.sampled_from([*ROWS])))]
        found = found.with_version(
            Schedule(
                version=number,
                number=f"S-{number}",
                authority="a",
                in_force_from=begins,
                rows=class_rows(rows),
                ordinary_months=draw(st.integers(6, 24)),
                litigation_months=draw(st.integers(0, 24)),
                cool_off_days=draw(st.integers(0, 90)),
            )
        )
    return found


NOWS = st.builds(Now, at=MOMENTS, believed=st.booleans())
BUSY = {Standing.ELIGIBLE, Standing.IN_BATCH, Standing.UNCLASSIFIED_DUE}


def not_earlier(before: Decision, after: Decision) -> bool:
    return after.due_at is None or (before.due_at is not None and after.due_at >= before.due_at)


@given(item=ITEMS, plans=schedules(), now=NOWS)
def test_r10_nothing_is_due_before_six_months_after_the_later_of_end_and_accession(item, plans, now) -> None:
    found = decide(item, plans, now)
    if found.due_at is not None:
        assert item.accession is not None
        assert found.due_at >= due_at(item.accession, item.ended_at if item.end_trusted else None)
        assert found.due_at >= item.accession + 181 * DAY
    if found.standing in BUSY:
        assert now.believed
        assert found.due_at is not None
        assert found.due_at <= now.at
    if found.standing is Standing.ELIGIBLE:
        assert item.categories
        assert not [*item.holds, *item.procedures, *item.flags]
        assert not item.device_mark
        assert not any(case.open for case in item.cases)
    assert found.decisive or found.standing is Standing.GONE


@given(item=ITEMS, plans=schedules(), now=NOWS, more=st.data())
def test_r10_what_protects_never_makes_footage_due_earlier(item, plans, now, more) -> None:
    before = decide(item, plans, now)
    follows = any(one.why is Why.NO_CASE_TO_FOLLOW for one in before.reasons)
    additions = {
        "holds": (*item.holds, more.draw(ORDERS)),
        "procedures": (*item.procedures, more.draw(ORDERS)),
        "flags": (*item.flags, more.draw(FLAGS)),
        "categories": (*item.categories, more.draw(CATEGORIES)),
        "kept": (*item.kept, more.draw(KEPT)),
        "device_mark": True,
        "last_release": max(item.last_release or more.draw(MOMENTS), more.draw(MOMENTS)),
    }
    if not follows:  # a class that follows a case gets its date from the case
        additions["cases"] = (*item.cases, more.draw(CASES))
    for name, value in additions.items():
        assert not_earlier(before, decide(replace(item, **{name: value}), plans, now)), name


@given(item=ITEMS, plans=schedules(), now=NOWS, back=st.integers(0, 4000))
def test_r10_a_clock_that_goes_back_makes_nothing_more_eligible(item, plans, now, back) -> None:
    here, earlier = decide(item, plans, now), decide(item, plans, replace(now, at=now.at - back * DAY))
    assert earlier.due_at == here.due_at
    assert (earlier.standing in BUSY) <= (here.standing in BUSY)
    assert decide(item, plans, replace(now, believed=False)).standing not in BUSY


@given(item=ITEMS, plans=schedules(), now=NOWS, keeps=CLASSES, name=st.sampled_from([*ROWS]))
def test_r10_no_new_version_makes_what_was_classified_before_due_earlier(item, plans, now, keeps, name) -> None:
    known = tuple(one for one in item.categories if one.at is None or one.at < plans.current.in_force_from + 901 * DAY)
    item = replace(item, categories=known, rebased_to=0)
    if item.accession is not None:
        item = replace(item, accession=min(item.accession, plans.current.in_force_from + 900 * DAY))
    new = Schedule(
        version=9,
        number="S-9",
        authority="a",
        in_force_from=datetime(2035, 1, 2, tzinfo=UTC),
        rows=class_rows([{"category": name, "keeps": keeps.text()}]),
    )
    before, after = decide(item, plans, now), decide(item, plans.with_version(new), now)
    gone = Why.CATEGORY_NOT_IN_SCHEDULE in {one.why for one in before.reasons}
    assert gone or not_earlier(before, after)
