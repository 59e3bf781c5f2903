"""Dates of keeping in the database: what is due and what is stale is found by an index, on both engines."""

from __future__ import annotations

import sqlalchemy as sa

from catalogue import Catalogue
from catalogue.rules import DateRow
from evidence.ids import RecordingId
from evidence.model import RecordingState, Visibility
from support.catalogue_rows import T0, after, make_bureau, recording

MANY = 800


def fill(catalogue: Catalogue, *, due: int, stale: int) -> list[RecordingId]:
    """Many recordings, a few of them due, a few stale; others without a date."""
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        other = make_bureau(uow, unit_name="执法二科", officer_code="B1")
        found = []
        for number in range(MANY):
            row = recording(
                bureau if number % 2 else other, state=RecordingState.STORED, name=f"{number}.mp4",
                unit=(bureau if number % 2 else other).unit,
            )  # fmt: skip
            uow.recordings.add(row)
            found.append(row.id)
            at = after(days=number - due) if number % 5 else None
            uow.rules.put_date(
                DateRow(recording=row.id, state="keep" if at else "held", due_at=at, stale=number >= MANY - stale)
            )
    return found


def plans(catalogue: Catalogue, ask) -> list[tuple[str, str]]:
    """Statements that ``ask`` ran, each with the plan of the engine."""
    seen: list[tuple[str, object]] = []

    def note(_connection, _cursor, statement, parameters, _context, _many) -> None:
        seen.append((statement, parameters))

    engines = {catalogue.engine, catalogue._engines.read}
    for engine in engines:
        sa.event.listen(engine, "before_cursor_execute", note)
    with catalogue.read() as uow:
        ask(uow)
    for engine in engines:
        sa.event.remove(engine, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN " if catalogue.engine_name == "sqlite" else "EXPLAIN "
    told = []
    for text, values in seen:
        if "rule_dates" in text:
            with catalogue.engine.begin() as connection:
                rows = connection.exec_driver_sql(explain + text, values)
                told.append((text, "\n".join(str(row) for row in rows)))
    return told


def test_r10_the_scan_for_what_is_due_touches_only_what_is_due(catalogue: Catalogue) -> None:
    fill(catalogue, due=20, stale=4)
    with catalogue.engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE")
    everything = Visibility(everything=True)
    asked = plans(
        catalogue,
        lambda uow: (
            uow.rules.due(before=T0, limit=50),
            uow.rules.due(before=T0, limit=50, seen=everything),
            uow.rules.stale(limit=50),
        ),
    )
    assert len(asked) == 3
    scan = "SCAN rule_dates" if catalogue.engine_name == "sqlite" else "Seq Scan on rule_dates"
    for (text, plan), index in zip(
        asked, ("ix_rule_dates_due", "ix_rule_dates_due", "ix_rule_dates_stale"), strict=True
    ):
        assert index in plan, f"{text}\n{plan}"
        assert scan not in plan or f"{scan} USING" in plan, f"{text}\n{plan}"


def test_r10_what_is_due_comes_in_order_by_pages_and_only_for_those_who_may_see_it(catalogue: Catalogue) -> None:
    ids = fill(catalogue, due=20, stale=0)
    with catalogue.read() as uow:
        whole = uow.rules.due(before=T0, limit=500)
        first = uow.rules.due(before=T0, limit=10)
        assert first[-1].due_at is not None
        rest = uow.rules.due(before=T0, limit=500, after=(first[-1].due_at, first[-1].recording))
        rows = {row.id: row for row in uow.recordings.seen(ids, Visibility(everything=True))}
        unit = rows[whole[0].recording].unit
        mine = uow.rules.due(before=T0, limit=500, seen=Visibility(units=frozenset({unit})))
        narrowed = uow.rules.due(before=T0, limit=500, seen=Visibility(everything=True), unit=unit)
        nobody = uow.rules.due(before=T0, limit=500, seen=Visibility())
    assert len(whole) == 20 - 20 // 5
    assert first + rest == whole
    assert [row.due_at for row in whole] == sorted(row.due_at for row in whole)
    assert mine == narrowed == [row for row in whole if rows[row.recording].unit == unit]
    assert 0 < len(mine) < len(whole)
    assert nobody == []
    assert all(row.due_at is not None and row.due_at < T0 for row in whole)
