"""Rows for every table, made from the models, so that a table of tomorrow gets its row as well."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from devstudio_server.db.engine import SCHEMA
from devstudio_server.db.registry import all_tables
from devstudio_server.kit.ids import new_id


def tables_of(connection: Connection) -> set[str]:
    """Return the tables of the server that the database has; Alembic's own is none of them."""
    schema = SCHEMA if connection.dialect.name == "postgresql" else None
    return set(sa.inspect(connection).get_table_names(schema)) - {"alembic_version"}


def fill(everything: Engine, tenant_id: UUID) -> dict[str, UUID]:
    """Add a row of the tenant to every table that the database has, and return their ids, by table.

    ``everything`` is an engine that no policy holds back. Columns that the database does not have yet are left out.
    """
    ids: dict[str, UUID] = {}
    with everything.begin() as connection:
        present = tables_of(connection)
        for table in all_tables().sorted_tables:
            if table.name in present:
                ids[table.name] = new_id()
                columns = _columns(connection, table.name)
                values = {c.name: value_of(c, tenant_id, ids) for c in table.columns if c.name in columns}
                # Not the table itself, whose defaults would name columns that are not there yet.
                there = sa.table(table.name, *(sa.column(name, table.c[name].type) for name in values))
                connection.execute(there.insert().values(values))
    return ids


def _columns(connection: Connection, table: str) -> set[str]:
    schema = SCHEMA if connection.dialect.name == "postgresql" else None
    return {column["name"] for column in sa.inspect(connection).get_columns(table, schema)}


def value_of(column: sa.Column[Any], tenant_id: UUID, ids: dict[str, UUID]) -> Any:
    """Make a value that fits a column; a foreign key gets the row that was made for its table."""
    for key in column.foreign_keys:
        return ids[key.column.table.name]
    if isinstance(column.type, sa.Uuid):
        if column.name == "tenant_id":
            return tenant_id
        return ids[column.table.name] if column.primary_key else new_id()
    if isinstance(column.type, sa.String):
        return tenant_id.hex[: column.type.length or 32]
    kinds: tuple[tuple[type, Any], ...] = (
        (sa.Boolean, True),
        (sa.Integer, 1),
        (sa.Numeric, 1),
        (sa.Float, 1),
        (sa.JSON, {}),
        (sa.LargeBinary, b"x"),
    )
    found = next((value for kind, value in kinds if isinstance(column.type, kind)), None)
    return datetime.now(UTC) if found is None else found


def add_rows(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert many rows, all with the same columns, the fastest way that the database has."""
    if connection.dialect.name == "sqlite":
        connection.execute(table.insert(), list(rows))
        return
    names = ", ".join(map(connection.dialect.identifier_preparer.quote, rows[0]))
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:  # type: ignore[attr-defined]
        for row in rows:
            copy.write_row([json.dumps(value) if isinstance(value, (dict, list)) else value for value in row.values()])


def digests(everything: Engine, tenant_id: UUID | None = None, without: Iterable[str] = ()) -> dict[str, str]:
    """Return a digest of the rows of each table, of one tenant or of all; equal digests mean that nothing changed."""
    found = {}
    with everything.connect() as connection:
        for name in sorted(tables_of(connection) - set(without)):
            table = all_tables().tables[name]
            query = sa.select(table).order_by(table.c.id)
            if tenant_id is not None:
                query = query.where(table.c.tenant_id == tenant_id)
            rows = connection.execute(query).all()
            found[name] = f"{len(rows)} rows {sha256(repr(rows).encode()).hexdigest()}"
    return found
