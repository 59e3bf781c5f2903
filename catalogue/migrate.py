"""Creates the schema and brings it up to date (Alembic, run from inside the package)."""

from __future__ import annotations

import os
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from catalogue.engine import Engines
from catalogue.faults import translated
from evidence import durable
from evidence.errors import CatalogueUnavailableError, ConfigError

HOME = Path(__file__).parent / "migrations"
#: One migration at a time on PostgreSQL: the key of its advisory lock ("liuhen" in ASCII).
_LOCK = 0x6C697568656E


def prepare(engines: Engines, *, migrate: bool, create: bool) -> None:
    """Bring the schema to this program's version, or check that it is there.

    Args:
        engines: The database.
        migrate: Bring an older schema up to date.
        create: Make the schema where there is none.

    Raises:
        CatalogueLostError: Without ``create``: there is no catalogue, and nothing was written in its place.
        ConfigError: Without ``migrate``: the schema is older. Always: it is newer than this program.
    """
    if engines.path is not None and not _holds_something(engines.path):
        if not create:
            raise CatalogueLostError(f"there is no database {engines.path.name}")
        if not engines.path.exists():
            _create_file(engines.path)
    newest = _scripts().get_current_head()
    with translated(), engines.write.begin() as connection:
        current = _current(connection)
        if current == newest:
            return
        if current is not None and current not in {script.revision for script in _scripts().walk_revisions()}:
            raise ConfigError("the database was written by a newer program", todo="Install that version.")
        if not create and not sa.inspect(connection).has_table("alembic_version"):
            raise CatalogueLostError("the database holds no catalogue")
        if not migrate:
            raise ConfigError("the database has an older schema", todo="Start the service once.")
        _run(connection, "upgrade", "head")


class CatalogueLostError(ConfigError):
    """There is no catalogue where one should be. It comes back from log and stores, and nothing else takes its place."""

    def __init__(self, what: str) -> None:
        super().__init__(
            what, kept="Log and stores hold every recording and every entry.",
            todo="Make it again with `liuhen rebuild` (PostgreSQL: restore its backup); docs/runbooks/lost-database.md.",
        )  # fmt: skip


def upgrade(engine: sa.Engine, revision: str = "head") -> None:
    """Migrate up to a revision in one transaction."""
    with translated(), engine.begin() as connection:
        _run(connection, "upgrade", revision)


def make_at(engines: Engines, revision: str) -> None:
    """Make an empty SQLite database with the schema of one version: for a dump that was made of it.

    Raises:
        ConfigError: No such version is known: a newer program wrote it.
    """
    if revision not in {script.revision for script in _scripts().walk_revisions()}:
        raise ConfigError("the database was written by a newer program", todo="Install that version.")
    if engines.path is not None and not engines.path.exists():
        _create_file(engines.path)
    upgrade(engines.write, revision)


def current_revision(connection: sa.Connection) -> str:
    """Version of the schema that a connection sees; empty where there is none."""
    return _current(connection) or ""


def downgrade(engine: sa.Engine, revision: str) -> None:
    """Migrate down to a revision (``base`` removes every table) in one transaction."""
    with translated(), engine.begin() as connection:
        _run(connection, "downgrade", revision)


def _run(connection: sa.Connection, direction: str, revision: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    config = _config()
    config.attributes["connection"] = connection
    (command.upgrade if direction == "upgrade" else command.downgrade)(config, revision)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(HOME).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _current(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _holds_something(path: Path) -> bool:
    """Looked at before anything connects: SQLite writes the first page of an empty file."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CatalogueUnavailableError(f"{path.name} cannot be looked at ({error.strerror})") from error


def _create_file(path: Path) -> None:
    # The database holds personal values: readable by the service alone, from its first byte on.
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        raise CatalogueUnavailableError(f"{path.name} cannot be created ({error.strerror})") from error
    durable.fsync_dir(path.parent)
