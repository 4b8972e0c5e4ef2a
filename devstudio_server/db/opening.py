"""Opens the database as the server needs it: with the newest schema, and on PostgreSQL as a role that owns nothing."""

from __future__ import annotations

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from devstudio_server.db.engine import create_engine
from devstudio_server.db.migrate import current_revision, migrate, newest_revision
from devstudio_server.db.roles import DEFAULT_ROLE, check_role, grant


class DatabaseNotReadyError(RuntimeError):
    """The database cannot be used as it is; the message says what to do."""


def open_database(url: str, owner_url: str = "") -> Engine:
    """Return an engine for ``url``. SQLite is migrated; so is PostgreSQL when the owner's URL is given.

    Raises `DatabaseNotReadyError` when the database does not answer or has another schema, `UnsafeRoleError` when the
    server's role could pass row-level security by.
    """
    engine = create_engine(url)
    try:
        _prepare(engine, owner_url)
    except DBAPIError as error:
        engine.dispose()
        message = f"The database at {engine.url.render_as_string()} cannot be used: {str(error.orig).strip()}"
        raise DatabaseNotReadyError(message) from error
    except BaseException:
        engine.dispose()
        raise
    return engine


def _prepare(engine: Engine, owner_url: str) -> None:
    """Migrate where that is possible, and check the role and the schema."""
    if engine.dialect.name == "sqlite":
        migrate(engine)
        return
    if owner_url:
        migrate_as_owner(owner_url, engine.url.username or DEFAULT_ROLE)
    check_role(engine)
    found, wanted = current_revision(engine), newest_revision()
    if found != wanted:
        what = f"the schema {found}" if found else "no schema that this role may see"
        message = (
            f"The database at {engine.url.render_as_string()} has {what}, and this version needs {wanted}. "
            "Run `devstudio migrate` with DEVSTUDIO_DATABASE_OWNER_URL set."
        )
        raise DatabaseNotReadyError(message)


def migrate_as_owner(owner_url: str, role: str) -> None:
    """Bring a PostgreSQL database to the newest schema as its owner, and grant ``role`` what the server needs."""
    owner = create_engine(owner_url)
    try:
        migrate(owner)
        grant(owner, role)
    finally:
        owner.dispose()
