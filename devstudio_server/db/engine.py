"""The engine, with SQLite set up so that threads and crashes do no harm."""

from __future__ import annotations

import sqlite3
from typing import Any

import sqlalchemy
from sqlalchemy import Engine, event

BUSY_TIMEOUT_MS = 10_000
# Set by a unit of work that only reads; any other takes SQLite's write lock at once, so that two
# units never both read and then fail to become writers (SQLITE_BUSY without a wait).
READ_ONLY = "devstudio_read_only"


def create_engine(url: str) -> Engine:
    """Make an engine for ``url``, an SQLAlchemy database URL."""
    engine = sqlalchemy.create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite`, not by the driver
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",  # an acknowledged write survives a power cut
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sqlalchemy.Connection) -> None:
    read_only = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
