"""Search and lists of recordings against a plain Python model, on both databases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalogue import Catalogue
from catalogue.records import RecordingFilter, RecordingRow, UnitRow
from catalogue.words import normal_form, terms_of
from evidence.errors import InvalidInputError
from evidence.ids import RecordingId, UnitId
from evidence.model import RecordingKind, RecordingState, Visibility
from support.catalogue_rows import T0, Bureau, after, make_bureau, name_of, recording

ALL = Visibility(everything=True)
NOW = after(days=2)
WORDS = [
    "事故",
    "高速公路",
    "鱻",
    "章",
    "执法",
    "A0012345",
    "dsj_0007",
    "20261122",
    "7号",
    "%",
    "a_b",
    "\\x00",
    "Ｆ１",
    "😀",
    "O'Neil",
    '"q"',
]


class Filled:
    """A catalogue with recordings of every shape, and what its model knows of them."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        with catalogue.begin() as uow:
            self.bureau = make_bureau(uow)
            self.other = make_bureau(uow, unit_name="法规科", officer_code="B7700")
            self.rows = [self._row(number) for number in range(60)]
            for row in self.rows:
                uow.recordings.add(row)
        self.words = {row.id: self._words(row) for row in self.rows}

    def _row(self, number: int) -> RecordingRow:
        bureau = self.other if number % 3 == 0 else self.bureau
        words = [WORDS[number % len(WORDS)], WORDS[(number * 7 + 3) % len(WORDS)]]
        states = list(RecordingState)
        return recording(
            bureau,
            name=f"{words[0]}x{number:04d}.mp4",
            case_number=words[1],
            officer=bureau.officer if number % 2 else None,
            unit=bureau.unit if number % 5 else None,
            state=states[number % len(states)],
            kind=list(RecordingKind)[number % 4],
            important=number % 4 == 1,
            quarantine_reason="empty" if number % 6 == 2 else "",
            started_at=T0 + timedelta(minutes=number // 4) if number % 3 else None,
            discovered_at=T0 + timedelta(minutes=number // 5),
            deadline_at=T0 + timedelta(hours=number) if number % 4 else None,
            stored_at=T0 + timedelta(hours=30) if number % 7 == 0 else None,
        )

    def _words(self, row: RecordingRow) -> str:
        bureau = self.other if row.device == self.other.device else self.bureau
        unit_name, code = ("法规科", "B7700") if bureau is self.other else ("执法一科", "A0012345")
        words = [row.name, row.case_number, "SN-778899", "七号记录仪"]
        words += [unit_name] if row.unit else []
        words += ["执法人员", code] if row.officer else []
        return "\n".join(map(normal_form, words))

    def expected(self, wanted: RecordingFilter, visibility: Visibility = ALL) -> list[RecordingId]:
        rows = [row for row in self.rows if self._seen(row, visibility) and self._matches(row, wanted)]
        rows.sort(key=lambda row: (row.started_at or row.discovered_at, row.id), reverse=True)
        return [row.id for row in rows]

    @staticmethod
    def _seen(row: RecordingRow, visibility: Visibility) -> bool:
        mine = visibility.officer is not None and row.officer == visibility.officer
        return visibility.everything or row.unit in visibility.units or mine

    def _matches(self, row: RecordingRow, wanted: RecordingFilter) -> bool:
        at = row.started_at or row.discovered_at
        late = row.state is not RecordingState.DUPLICATE and bool(
            row.deadline_at and (row.stored_at or NOW) > row.deadline_at
        )
        return all(
            (
                wanted.started_from is None or at >= wanted.started_from,
                wanted.started_to is None or at < wanted.started_to,
                wanted.officer in (None, row.officer),
                wanted.device in (None, row.device),
                wanted.unit in (None, row.unit),
                not wanted.states or row.state in wanted.states,
                not wanted.kinds or row.kind in wanted.kinds,
                wanted.quarantined in (None, bool(row.quarantine_reason)),
                wanted.late in (None, late),
                wanted.important in (None, row.important),
                all(self._holds(row, term.text) for term in terms_of(wanted.text)),
            )
        )

    def _holds(self, row: RecordingRow, term: str) -> bool:
        if len(term) < 3 and re.fullmatch("[0-9a-z]+", term):
            return any(run.startswith(term) for run in re.findall("[0-9a-z]+", self.words[row.id]))
        return term in self.words[row.id]

    def found(
        self, wanted: RecordingFilter, visibility: Visibility = ALL, *, limit: int = 200, cap: int = 10_000
    ) -> list[RecordingId]:
        ids: list[RecordingId] = []
        cursor = ""
        with self.catalogue.read() as uow:
            while True:
                page = uow.recordings.search(wanted, visibility, cursor=cursor, limit=limit, now=NOW)
                ids += [row.id for row in page.rows]
                cursor = page.cursor
                if not cursor:
                    assert page.total == min(len(ids), cap) or (cap == 0 and page.total == len(ids))
                    assert page.total_capped == (len(ids) > page.total)
                    return ids


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('search')}/app.db"
    else:
        url = request.getfixturevalue("postgres_server").fresh_url()
    opened = Catalogue.open(url, migrate=True)
    yield Filled(opened)
    opened.close()


moments = st.none() | st.integers(-5, 20).map(lambda minutes: T0 + timedelta(minutes=minutes))
flags = st.none() | st.booleans()
filters = st.builds(
    RecordingFilter,
    started_from=moments,
    started_to=moments,
    states=st.frozensets(st.sampled_from(RecordingState), max_size=3),
    kinds=st.frozensets(st.sampled_from(RecordingKind), max_size=2),
    quarantined=flags,
    late=flags,
    important=flags,
    text=st.sampled_from(["", "", "", *WORDS]),
)
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quick
@given(wanted=filters, who=st.integers(0, 5), limit=st.integers(1, 50))
def test_r09_every_page_shows_exactly_what_matches_and_may_be_seen(
    filled: Filled, wanted: RecordingFilter, who: int, limit: int
) -> None:
    one, two = filled.bureau, filled.other
    visibility = [
        ALL,
        Visibility(),
        Visibility(units=frozenset({one.unit})),
        Visibility(units=frozenset({one.unit, two.unit})),
        Visibility(officer=one.officer),
        Visibility(units=frozenset({two.unit}), officer=one.officer),
    ][who]
    assert filled.found(wanted, visibility, limit=limit) == filled.expected(wanted, visibility)


@pytest.mark.parametrize(
    "text", ["事故", "章", "鱻", "高速公路", "执法人员", "a0012345", "0012", "七号", "SN-7788", "法规", "执法 0001"]
)
def test_words_of_one_or_two_characters_and_parts_of_codes_are_found(filled: Filled, text: str) -> None:
    expected = filled.expected(RecordingFilter(text=text))
    assert expected
    assert filled.found(RecordingFilter(text=text)) == expected


@quick
@given(text=st.text(alphabet=st.sampled_from("事故高速公路法执科号7A0x_%\\'\" *-().:"), max_size=12))
def test_whatever_is_typed_finds_what_contains_it_and_nothing_else(filled: Filled, text: str) -> None:
    assert filled.found(RecordingFilter(text=text)) == filled.expected(RecordingFilter(text=text))


@pytest.mark.parametrize("text", [*WORDS, "a", "0", "f1", "执法 7", "mp4 a0"])
def test_a_common_word_is_looked_up_another_way_with_the_same_answer(
    filled: Filled, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalogue.search.COUNT_CAP", 0)
    wanted, mine = RecordingFilter(text=text), Visibility(officer=filled.other.officer)
    assert filled.found(wanted, limit=7, cap=0) == filled.expected(wanted)
    assert filled.found(wanted, mine, limit=7, cap=0) == filled.expected(wanted, mine)


def test_filters_by_officer_device_and_unit(filled: Filled) -> None:
    for wanted in (
        RecordingFilter(officer=filled.bureau.officer),
        RecordingFilter(device=filled.other.device),
        RecordingFilter(unit=filled.bureau.unit),
    ):
        assert filled.expected(wanted)
        assert filled.found(wanted) == filled.expected(wanted)


@quick
@given(cursor=st.text(min_size=1, max_size=40))
def test_a_cursor_nobody_gave_out_is_refused(filled: Filled, cursor: str) -> None:
    with filled.catalogue.read() as uow, pytest.raises(InvalidInputError):
        uow.recordings.search(RecordingFilter(), ALL, cursor=cursor, now=NOW)


@pytest.mark.parametrize("cursor", ["W10", "WzEsMl0", "WzksInJlY18wIl0", "bnVsbA", "x" * 5000, "e30"])
def test_a_cursor_of_another_shape_is_refused(filled: Filled, cursor: str) -> None:
    with filled.catalogue.read() as uow, pytest.raises(InvalidInputError):
        uow.recordings.search(RecordingFilter(), ALL, cursor=cursor, now=NOW)


@pytest.mark.parametrize("limit", [0, -1, 201])
def test_a_page_has_a_bounded_number_of_rows(filled: Filled, limit: int) -> None:
    with filled.catalogue.read() as uow, pytest.raises(InvalidInputError):
        uow.recordings.search(RecordingFilter(), ALL, limit=limit, now=NOW)


def test_the_count_stops_at_its_cap(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalogue.search.COUNT_CAP", 10)
    with filled.catalogue.read() as uow:
        page = uow.recordings.search(RecordingFilter(), ALL, limit=5, now=NOW)
    assert (page.total, page.total_capped) == (10, True)


def test_a_recording_that_arrives_between_two_pages_neither_repeats_nor_hides_another(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        rows = [recording(bureau, discovered_at=after(minutes=minute)) for minute in range(6)]
        for row in rows:
            uow.recordings.add(row)
    with catalogue.read() as uow:
        first = uow.recordings.search(RecordingFilter(), ALL, limit=3, now=NOW)
    with catalogue.begin() as uow:
        uow.recordings.add(recording(bureau, discovered_at=after(minutes=59)))
    with catalogue.read() as uow:
        second = uow.recordings.search(RecordingFilter(), ALL, cursor=first.cursor, limit=3, now=NOW)
    assert [row.id for row in first.rows + second.rows] == [row.id for row in reversed(rows)]


def finds(catalogue: Catalogue, text: str) -> int:
    with catalogue.read() as uow:
        return uow.recordings.search(RecordingFilter(text=text), ALL, now=NOW).total


def test_a_recording_is_found_by_what_changed_about_it_in_the_same_transaction(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau: Bureau = make_bureau(uow)
        row = recording(bureau)
        uow.recordings.add(row)
    assert (finds(catalogue, "执法人员"), finds(catalogue, "厦园执")) == (0, 0)
    with catalogue.begin() as uow:
        uow.recordings.update(row.id, officer=bureau.officer, case_number="厦园执7号")
        assert uow.recordings.search(RecordingFilter(text="厦园执"), ALL, now=NOW).total == 1
    assert (finds(catalogue, "执法人员"), finds(catalogue, "厦园执")) == (1, 1)
    with catalogue.begin() as uow:
        uow.recordings.add_name(name_of(row, "重点标记.mp4"))
        uow.people.update_agent(bureau.officer, name="新名字")
        uow.devices.update(bureau.device, label="九号记录仪")
    assert [finds(catalogue, text) for text in ("重点", "新名", "九号", "执法人员", "七号")] == [1, 1, 1, 0, 0]


def test_a_recording_moved_to_another_department_is_found_under_it(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        row = recording(bureau, unit=bureau.unit)
        uow.recordings.add(row)
        other = UnitRow(id=UnitId.new(5), name="园林监察", valid_from=T0)
        uow.people.add_unit(other)
        assert uow.recordings.update(row.id, unit=other.id) == replace(row, unit=other.id)
    assert (finds(catalogue, "监察"), finds(catalogue, "一科")) == (1, 0)
