"""The schema: made by migrations only, the same as the tables the code uses, on both databases."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from catalogue import Catalogue, engine, migrate
from catalogue.schema import metadata
from evidence.errors import CatalogueUnavailableError, ConfigError
from support.catalogue_rows import make_bureau, recording


def _without_search_tables(name: str | None, kind: str, _parents: object) -> bool:
    """The full-text table stands on SQLite only, the index of the token arrays on PostgreSQL only."""
    return not (kind == "table" and name is not None and name.startswith("recording_fts"))


def _tables_as_they_are(catalogue: Catalogue) -> dict[str, object]:
    """Columns, keys and indexes (with their conditions) as the database itself tells them."""
    inspector = sa.inspect(catalogue.engine)
    return {
        table: {
            "columns": [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in inspector.get_columns(table)],
            "primary": inspector.get_pk_constraint(table),
            "foreign": sorted(map(str, inspector.get_foreign_keys(table))),
            "unique": sorted(map(str, inspector.get_unique_constraints(table))),
            "checks": sorted(map(str, inspector.get_check_constraints(table))),
            "indexes": [
                (
                    i["name"],
                    i["column_names"],
                    i["unique"],
                    {k: str(v) for k, v in i.get("dialect_options", {}).items()},
                )
                for i in sorted(inspector.get_indexes(table), key=lambda index: str(index["name"]))
            ],
        }
        for table in metadata.tables
    }


def test_what_the_migrations_make_is_what_the_code_uses(catalogue: Catalogue) -> None:
    with catalogue.engine.begin() as connection:
        options = {"include_name": _without_search_tables, "compare_type": True}
        changes = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    only_postgresql = "ix_recording_texts_tokens" if catalogue.engine_name == "sqlite" else ""
    assert [change for change in changes if change[1].name != only_postgresql] == []


def test_migrated_tables_have_the_defaults_keys_and_index_conditions_of_the_code(catalogue: Catalogue) -> None:
    migrated = _tables_as_they_are(catalogue)
    migrate.downgrade(catalogue.engine, "base")
    metadata.create_all(catalogue.engine)
    assert migrated == _tables_as_they_are(catalogue)


def test_migrations_run_up_down_and_up_again_with_rows_in_the_tables(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        uow.recordings.add(recording(make_bureau(uow)))
    migrate.downgrade(catalogue.engine, "base")
    with catalogue.engine.connect() as connection:
        assert set(sa.inspect(connection).get_table_names()) == {"alembic_version"}
    migrate.upgrade(catalogue.engine)
    with catalogue.begin() as uow:
        assert list(uow.recordings.all_ids()) == []
        uow.recordings.add(recording(make_bureau(uow)))


def test_opening_again_finds_what_was_written(database_url: str) -> None:
    first = Catalogue.open(database_url, migrate=True)
    with first.begin() as uow:
        row = recording(make_bureau(uow))
        uow.recordings.add(row)
    first.close()
    again = Catalogue.open(database_url)
    with again.read() as uow:
        assert uow.recordings.get(row.id) == row
    again.close()


def test_a_missing_schema_is_a_matter_of_configuration(postgres_url: str, sqlite_url: str) -> None:
    for url in (postgres_url, sqlite_url):
        with pytest.raises(ConfigError):
            Catalogue.open(url)


def test_a_schema_of_a_newer_program_is_refused_even_with_migrate(database_url: str) -> None:
    opened = Catalogue.open(database_url, migrate=True)
    with opened.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    opened.close()
    with pytest.raises(ConfigError, match="newer"):
        Catalogue.open(database_url, migrate=True)


def test_an_older_schema_is_refused_without_migrate(database_url: str) -> None:
    opened = Catalogue.open(database_url, migrate=True)
    migrate.downgrade(opened.engine, "base")
    opened.close()
    with pytest.raises(ConfigError, match="older"):
        Catalogue.open(database_url)


def test_the_sqlite_library_in_this_process_is_one_that_cannot_corrupt_its_log(sqlite_url: str) -> None:
    opened = Catalogue.open(sqlite_url, migrate=True)
    assert opened.engine_name == "sqlite"
    with opened.engine.connect() as connection:
        version = connection.exec_driver_sql("SELECT sqlite_version()").scalar_one()
    opened.close()
    assert version == opened.library_version
    assert tuple(map(int, version.split("."))) >= (3, 51, 3)


def test_an_sqlite_library_with_the_log_reset_bug_is_refused(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.sqlite_library, "sqlite_version_info", (3, 51, 2))
    with pytest.raises(ConfigError, match="write-ahead log"):
        Catalogue.open(sqlite_url, migrate=True)


def test_every_sqlite_connection_is_durable_checked_and_readers_cannot_write(sqlite_url: str) -> None:
    engines = engine.connect(sqlite_url)
    for one, query_only in ((engines.write, 0), (engines.read, 1)):
        with one.connect() as connection:
            facts = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "query_only")
            }
        assert facts == {
            "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000, "query_only": query_only,
        }  # fmt: skip
    engines.dispose()


def test_the_database_file_can_be_read_by_the_service_alone(sqlite_url: str, tmp_path: Path) -> None:
    opened = Catalogue.open(sqlite_url, migrate=True)
    with opened.begin() as uow:
        uow.settings.put("a", "b")
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir() if path.name.startswith("app.db")
    }
    opened.close()
    assert "app.db-wal" in modes
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize(
    "url", ["mysql://x/y", "sqlite://", "sqlite:///relative.db", "not an address", "sqlite:////nowhere/at/all/app.db"]
)
def test_an_address_that_cannot_be_served_is_a_matter_of_configuration(url: str) -> None:
    with pytest.raises(ConfigError):
        Catalogue.open(url, migrate=True)


def test_a_server_that_does_not_answer_is_tried_again_later(tmp_path: Path) -> None:
    with pytest.raises(CatalogueUnavailableError):
        Catalogue.open(f"postgresql://postgres@/nothing?host={tmp_path}")


def test_a_server_that_does_not_sync_is_refused(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = engine._show
    monkeypatch.setattr(engine, "_show", lambda connection, name: "off" if name == "fsync" else real(connection, name))
    with pytest.raises(ConfigError, match="PostgreSQL"):
        Catalogue.open(postgres_url)


def test_a_file_that_is_no_database_is_reported_as_damaged(tmp_path: Path) -> None:
    (tmp_path / "app.db").write_bytes(b"this is not a database" * 400)
    with pytest.raises(Exception, match="damaged") as caught:
        Catalogue.open(f"sqlite:///{tmp_path}/app.db", migrate=True)
    assert getattr(caught.value, "code", "") == "catalogue"


def test_a_backup_taken_beside_a_writer_is_whole_and_stands_alone(sqlite_url: str, tmp_path: Path) -> None:
    opened = Catalogue.open(sqlite_url, migrate=True)
    with opened.begin() as uow:
        row = recording(make_bureau(uow))
        uow.recordings.add(row)
    target = tmp_path / "copy.db"
    with opened.begin() as uow:
        uow.settings.put("open", "transaction")
        opened.backup(target)
    opened.close()
    assert sorted(path.name for path in tmp_path.glob("copy.db*")) == ["copy.db"]
    plain = sqlite3.connect(target)
    assert plain.execute("SELECT id FROM recordings").fetchall() == [(row.id,)]
    assert plain.execute("SELECT count(*) FROM settings").fetchone() == (0,)
    plain.close()


def test_a_backup_never_replaces_a_file_and_is_not_offered_for_postgresql(catalogue: Catalogue, tmp_path: Path) -> None:
    target = tmp_path / "taken.db"
    target.write_bytes(b"precious")
    with pytest.raises(Exception, match=r"exists already|own tools") as caught:
        catalogue.backup(target)
    assert getattr(caught.value, "code", "") == "usage"
    assert target.read_bytes() == b"precious"
