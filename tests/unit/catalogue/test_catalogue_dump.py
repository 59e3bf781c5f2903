"""A dump of either engine is taken in again: the same rows, also those that refer to later rows of their own table."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from catalogue import Catalogue
from catalogue.carrying import CARRIED, EVIDENCE, NOT_TRUE_ANY_MORE
from catalogue.dump import LEFT_OUT, row_line, table_line, take_in
from catalogue.schema import metadata
from evidence.errors import CatalogueError, ConfigError, EntryInvalidError, EvidenceError
from support.catalogue_rows import make_bureau, recording


def lines_of(catalogue: Catalogue, scratch) -> tuple[str, list[bytes]]:
    with catalogue.dumping(scratch) as dump:
        out = []
        for table in dump.tables():
            out.append(table_line(table))
            out += [row_line(row) for row in table.rows]
        return dump.revision, out


def rows(catalogue: Catalogue) -> dict[str, list]:
    with catalogue.engine.connect() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(sa.select(table))))
            for table in metadata.sorted_tables
            if table.name not in LEFT_OUT
        }


def test_what_was_dumped_is_what_is_taken_in(catalogue: Catalogue, tmp_path) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        late, early = recording(bureau), recording(bureau)
        uow.recordings.add(late)
        uow.recordings.add(early)
        uow.recordings.update(min(late.id, early.id), attached_to=max(late.id, early.id))
        uow.settings.put("brake", '{"a": "留痕 😀"}')
    revision, lines = lines_of(catalogue, tmp_path)
    assert not list(tmp_path.glob("backup-*"))
    take_in(tmp_path / "again.db", revision, lines)
    again = Catalogue.open(f"sqlite:///{tmp_path}/again.db")
    assert rows(again) == rows(catalogue)
    again.close()


def test_a_dump_sees_one_moment_while_others_write(catalogue: Catalogue, tmp_path) -> None:
    with catalogue.begin() as uow:
        uow.settings.put("a", "before")
    with catalogue.dumping(tmp_path) as dump:
        with catalogue.begin() as uow:
            uow.settings.put("a", "after")
        told = {table.name: list(table.rows) for table in dump.tables()}
    assert told["settings"] == [["a", "before"]]


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ([b"nonsense\n"], EntryInvalidError),
        ([b'{"table":"no_such","columns":["a"]}\n'], EntryInvalidError),
        ([b'{"table":"settings","columns":["name","colour"]}\n'], EntryInvalidError),
        ([b'{"table":"settings","columns":["name","value"]}\n', b'["a"]\n'], EntryInvalidError),
        ([b'{"table":"settings","columns":["name","value"]}\n', b'["a",1.5]\n'], EntryInvalidError),
        ([b'["a"]\n'], EntryInvalidError),
        ([b'{"table":"settings","columns":["name","value"]}\n', b'["a",null]\n'], CatalogueError),
        (
            [b'{"table":"posts","columns":["agent","unit","valid_from"]}\n', b'["agt_1","unt_1",1]\n'],
            CatalogueError,
        ),
    ],
)
def test_what_is_no_dump_ends_in_an_error_of_ours(tmp_path, lines, error: type[EvidenceError]) -> None:
    with pytest.raises(error):
        take_in(tmp_path / "bad.db", "0002", lines)


def test_of_every_table_it_is_said_whether_a_restored_home_keeps_its_rows() -> None:
    named = [*EVIDENCE, *CARRIED, *NOT_TRUE_ANY_MORE]
    assert sorted(named) == sorted(metadata.tables)


def test_a_dump_of_a_newer_program_is_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match="newer"):
        take_in(tmp_path / "new.db", "9999", [])
