"""The role of the server on PostgreSQL: it owns nothing, so that row-level security holds for it whatever it does."""

from __future__ import annotations

from sqlalchemy import Engine, text

from devstudio_server.db.delivery import DELIVERY_SCHEMA
from devstudio_server.db.engine import SCHEMA
from devstudio_server.db.migrate import MIGRATION_LOCK

DEFAULT_ROLE = "devstudio_app"


class UnsafeRoleError(RuntimeError):
    """The database role of the server could pass row-level security by."""


def grant(owner: Engine, role: str) -> None:
    """Give ``role``, which exists, what the server needs in a migrated database, and nothing more. Safe to repeat.

    ``owner`` is an engine of the schema's owner. Audit rows can be added and read, but not changed.
    """
    quoted = owner.dialect.identifier_preparer.quote(role)
    with owner.begin() as connection:
        # Two that grant at once would change the same rows of the catalog.
        connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
        for statement in (
            f"GRANT USAGE ON SCHEMA {SCHEMA} TO {quoted}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {SCHEMA} TO {quoted}",
            f"REVOKE UPDATE, DELETE, TRUNCATE ON {SCHEMA}.ds_audit FROM {quoted}",
            f"REVOKE INSERT, UPDATE, DELETE ON {SCHEMA}.alembic_version FROM {quoted}",
            f"GRANT EXECUTE ON FUNCTION {SCHEMA}.known_tenants() TO {quoted}",
            f"GRANT USAGE ON SCHEMA {DELIVERY_SCHEMA} TO {quoted}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {DELIVERY_SCHEMA} TO {quoted}",
            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {DELIVERY_SCHEMA} TO {quoted}",
            f"GRANT EXECUTE ON FUNCTION {SCHEMA}.audited_tenants() TO {quoted}",
        ):
            connection.execute(text(statement))


def check_role(engine: Engine) -> None:
    """Raise `UnsafeRoleError` when the role of ``engine`` is a superuser, passes RLS by, or owns a table."""
    if engine.dialect.name != "postgresql":
        return
    query = text(
        "SELECT current_user, r.rolsuper, r.rolbypassrls,"
        " EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = :schema AND pg_has_role(tableowner, 'USAGE'))"
        " FROM pg_roles AS r WHERE r.rolname = current_user"
    )
    with engine.connect() as connection:
        name, is_super, bypasses, owns = connection.execute(query, {"schema": SCHEMA}).one()
    what = [
        said
        for said, holds in (
            ("is a superuser", is_super),
            ("has BYPASSRLS", bypasses),
            ("owns the tables, or may act as their owner", owns),
        )
        if holds
    ]
    if what:
        message = (
            f"The database role {name!r} {' and '.join(what)}, so row-level security could be passed by. Give the "
            "server a role of its own (DEVSTUDIO_DATABASE_URL), and the owner's to `devstudio migrate` "
            "(DEVSTUDIO_DATABASE_OWNER_URL)."
        )
        raise UnsafeRoleError(message)
