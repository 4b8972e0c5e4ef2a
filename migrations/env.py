"""Alembic's environment: runs migrations on the connection that `devstudio_server.db.migrate` opened."""

from __future__ import annotations

from typing import Any

from alembic import context

from devstudio_server.db.base import UtcDateTime
from devstudio_server.db.registry import all_tables


def render_item(kind: str, item: Any, _context: Any) -> str | bool:
    """Write our column types as SQLAlchemy's own, so that a migration never depends on code that changes."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


def run() -> None:
    """Run the migrations in the caller's transaction."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=all_tables(),
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        render_item=render_item,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
