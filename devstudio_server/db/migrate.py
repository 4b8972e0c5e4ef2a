"""Brings the database to the newest schema. The migrations travel inside the package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from devstudio_server.db.delivery import install
from devstudio_server.db.engine import SCHEMA

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
            connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
            install(connection)


def downgrade(engine: Engine, revision: str) -> None:
    """Take the database of ``engine`` back to ``revision``; ``base`` removes everything."""
    _run(engine, command.downgrade, revision)


def _run(engine: Engine, change: Callable[[Config, str], None], revision: str) -> None:
    config = _config()
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))  # one server at a time
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        config.attributes["connection"] = connection
        change(config, revision)


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
