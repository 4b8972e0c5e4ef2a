"""Brings the database to the newest schema. The migrations travel inside the package."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

_HERE = Path(__file__).resolve().parent.parent


def migrations_folder() -> Path:
    """Return the folder of the migrations: beside the package in a wheel, at the top of a checkout."""
    inside = _HERE / "migrations"
    return inside if inside.is_dir() else _HERE.parent / "migrations"


def migrate(engine: Engine, revision: str = "head") -> None:
    """Upgrade the database of ``engine`` to ``revision``."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
