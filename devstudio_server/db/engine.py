"""The engine. A transaction opens in one round trip, with its tenant, and with the writers of a tenant one by one.

Both databases keep the same promise: whoever writes sees the newest rows of their tenant and nobody else writes them
until the commit. SQLite takes its write lock at the start (``BEGIN IMMEDIATE``); PostgreSQL takes an advisory lock of
the tenant. So a read that decides a write is never stale, whatever the isolation level.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from uuid import UUID

import sqlalchemy
from sqlalchemy import URL, Engine, event, make_url

BUSY_TIMEOUT_MS = 10_000
"""How long a writer waits for the one before it."""
MIGRATION_TIMEOUT_MS = 120_000
"""How long a server that starts waits for another that migrates."""
ABANDONED_MS = 15_000
"""How long a transaction may ask for nothing: a host that is cut off must not keep the other writers of its tenant."""
SCHEMA = "devstudio"
"""The schema of the tables on PostgreSQL."""
TCP: Mapping[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""How soon a connection that is cut is given up: a worker must know before its leases are another's."""
# Execution options of a connection, read when its transaction begins.
READ_ONLY = "devstudio_read_only"
TENANT = "devstudio_tenant"


def create_engine(url: str, **options: Any) -> Engine:
    """Make an engine for ``url``, an SQLAlchemy database URL of SQLite or PostgreSQL; ``options`` are SQLAlchemy's."""
    target = _with_driver(url)
    if target.get_backend_name() == "postgresql":
        options["connect_args"] = dict(TCP) | dict(options.get("connect_args", {}))
    engine = sqlalchemy.create_engine(target, **options)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    elif engine.dialect.name == "postgresql":
        event.listen(engine, "connect", _prepare_postgresql)
        event.listen(engine, "begin", _begin_postgresql)
    return engine


def _with_driver(url: str) -> URL:
    """Read ``postgres://`` and ``postgresql://`` as psycopg's, which is the driver that is installed."""
    parsed = make_url(url)
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername in {"postgres", "postgresql"} else parsed


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite`, not by the driver
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous=FULL")  # an acknowledged write survives a power cut
    connection.execute("PRAGMA foreign_keys=ON")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on. SQLite does not wait while another process turns it on, whatever the timeout."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: sqlalchemy.Connection) -> None:
    read_only = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    connection.autocommit = True  # transactions are begun by `_begin_postgresql`, not by the driver


def _begin_postgresql(connection: sqlalchemy.Connection) -> None:
    """Begin with the schema and the tenant set for this transaction alone, so that a pooler may sit between."""
    options = connection.get_execution_options()
    read_only, tenant = options.get(READ_ONLY, False), options.get(TENANT)
    setting = str(UUID(str(tenant))) if tenant is not None else ""  # a UUID, so it needs no quoting
    settings = {
        "search_path": SCHEMA,
        "devstudio.tenant_id": setting,
        "lock_timeout": BUSY_TIMEOUT_MS,
        "idle_in_transaction_session_timeout": ABANDONED_MS,
    }
    set_all = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    statements = ["BEGIN READ ONLY" if read_only else "BEGIN", f"SELECT {set_all}"]
    if tenant is not None and not read_only:
        statements.append(f"SELECT pg_advisory_xact_lock({_lock_number(setting)})")
    # Without parameters the driver sends all of it at once.
    connection.exec_driver_sql("; ".join(statements), execution_options={"no_parameters": True})


def _lock_number(tenant: str) -> int:
    """Return the advisory lock of a tenant, 64 bits. Two tenants that share one only wait for each other."""
    return int.from_bytes(sha256(f"devstudio:{tenant}".encode()).digest()[:8], "big", signed=True)
