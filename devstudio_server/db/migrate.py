"""Brings the database to the newest schema. The migrations travel inside the package."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from devstudio_server.db.delivery import install
from devstudio_server.db.engine import BUSY_TIMEOUT_MS, MIGRATION_TIMEOUT_MS, SCHEMA

MIGRATION_LOCK = 0x64657673
_HERE = Path(__file__).resolve().parent.parent


def migrations_folder() -> Path:
    """Return the folder of the migrations: beside the package in a wheel, at the top of a checkout."""
    inside = _HERE / "migrations"
    return inside if inside.is_dir() else _HERE.parent / "migrations"


def migrate(engine: Engine, revision: str = "head") -> None:
    """Upgrade the database of ``engine`` to ``revision``. On PostgreSQL its role must be the owner of the schema."""
    _run(engine, command.upgrade, revision)
    if engine.dialect.name == "postgresql" and revision == "head":
        with engine.begin() as connection:
            _take_turn(connection)
            install(connection)


def downgrade(engine: Engine, revision: str) -> None:
    """Take the database of ``engine`` back to ``revision``; ``base`` removes everything."""
    _run(engine, command.downgrade, revision)


def _run(engine: Engine, change: Callable[[Config, str], None], revision: str) -> None:
    config = _config()
    with _patient(engine) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            _take_turn(connection)
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        config.attributes["connection"] = connection
        change(config, revision)


def _take_turn(connection: Connection) -> None:
    """Let one server at a time change the schema."""
    connection.execute(text(f"SELECT set_config('lock_timeout', '{MIGRATION_TIMEOUT_MS}', true)"))
    connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))


@contextmanager
def _patient(engine: Engine) -> Iterator[Connection]:
    """Give a connection that waits for the migration of another server; on PostgreSQL, `_take_turn` does."""
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        if not isinstance(raw, sqlite3.Connection):
            yield connection
            return
        raw.execute(f"PRAGMA busy_timeout={MIGRATION_TIMEOUT_MS}")
        try:
            yield connection
        finally:
            raw.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    return config


def newest_revision() -> str:
    """Return the revision that this version of the program works with."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    return str(head)


def current_revision(engine: Engine) -> str | None:
    """Return the revision that the database of ``engine`` is at; None when it was never migrated."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()
