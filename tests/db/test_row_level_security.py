"""PostgreSQL itself keeps tenants apart: every table has its policy, and the server's role cannot get round it.

What is asked of the database here is asked by `psql`, as somebody would who got hold of the role's password.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, select

from devstudio_server.db import Actor, Units, create_engine
from devstudio_server.db.migrate import newest_revision
from devstudio_server.db.opening import DatabaseNotReadyError, open_database
from devstudio_server.db.registry import all_tables
from devstudio_server.db.roles import DEFAULT_ROLE, UnsafeRoleError
from devstudio_server.kit.ids import new_id
from devstudio_server.projects.models import Project
from support.databases import Database, Databases, unrestricted
from support.rows import digests, fill, tables_of
from support.services import OWNER, PASSWORD, Postgres

DATABASE_KINDS = ("postgresql",)

SETTING = "devstudio.tenant_id"
READ_BY_OWNER = ("ds_audit", "ds_tenants")
"""Of every tenant, and never changed: the owner verifies the chains of all, and lists tenants for the worker."""
FOREIGN_COPY = (
    "INSERT INTO devstudio.{table} SELECT (jsonb_populate_record(t,"
    " jsonb_build_object('id', gen_random_uuid(), 'tenant_id', '{tenant}'))).* FROM devstudio.{table} AS t"
)


@dataclass
class Filled:
    """A database in which each of two tenants has one row in every table."""

    database: Database
    everything: Engine
    ana: UUID
    eve: UUID

    def tables(self) -> list[str]:
        with self.everything.connect() as connection:
            return sorted(tables_of(connection))

    def psql(self, *statements: str, tenant: UUID | None = None) -> subprocess.CompletedProcess[str]:
        """Run statements as the server's role, each for itself, in one session of `psql`."""
        context = [] if tenant is None else [f"SET {SETTING} = '{tenant}'"]
        arguments = [part for statement in (*context, *statements) for part in ("-c", statement)]
        command = ["psql", self.database.url, "--no-psqlrc", "-qAt", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd="/")

    def counts(self, tenant: UUID | None) -> dict[str, int]:
        """Return how many rows of each table the role sees."""
        names = self.tables()
        done = self.psql(*(f"SELECT count(*) FROM devstudio.{name}" for name in names), tenant=tenant)
        assert done.returncode == 0, done.stderr
        return dict(zip(names, map(int, done.stdout.split()), strict=True))


@pytest.fixture
def filled(database: Database) -> Iterator[Filled]:
    everything = unrestricted(database.engine())
    made = Filled(database, everything, new_id(), new_id())
    for tenant in (made.ana, made.eve):
        fill(everything, tenant)
    yield made
    everything.dispose()


def test_psql_sees_no_row_of_any_table_without_or_with_a_foreign_context(filled: Filled) -> None:
    nobody, ana = filled.counts(None), filled.counts(filled.ana)
    assert set(nobody) == set(all_tables().tables)
    assert {name for name, count in nobody.items() if count} == set(), "closed without a context"
    assert {name for name, count in filled.counts(new_id()).items() if count} == set(), "closed to a foreign context"
    assert set(ana.values()) == {1}, "and open to the tenant's own row"


def test_psql_sees_nothing_with_a_context_that_is_no_tenant(filled: Filled) -> None:
    for context in ("", "%", "x", f"{filled.ana}' OR true --", "null"):
        quoted = context.replace("'", "''")
        done = filled.psql(f"SET {SETTING} = '{quoted}'", "SELECT count(*) FROM devstudio.ds_projects")
        assert done.stdout.strip() in {"0", ""}, context
        assert done.stdout.strip() == "0" or "invalid input syntax for type uuid" in done.stderr


def test_rows_of_another_tenant_are_never_written(filled: Filled) -> None:
    before = digests(filled.everything, filled.ana)
    for table in filled.tables():
        where = f"devstudio.{table} WHERE tenant_id = '{filled.ana}'"
        planted = filled.psql(FOREIGN_COPY.format(table=table, tenant=filled.ana), tenant=filled.eve)
        assert "row-level security" in planted.stderr, (table, planted.stderr)
        given = f"UPDATE devstudio.{table} SET tenant_id = '{filled.ana}'"
        moved = filled.psql(given, tenant=filled.eve)
        assert "row-level security" in moved.stderr or "permission denied" in moved.stderr, (table, moved.stderr)
        for statement in (
            f"UPDATE {where.replace(' WHERE', ' SET source_module = $$x$$ WHERE')}",
            f"DELETE FROM {where}",
        ):
            for tenant in (filled.eve, None):
                filled.psql(statement, tenant=tenant)
    assert digests(filled.everything, filled.ana) == before


def test_nothing_is_written_without_a_context(filled: Filled) -> None:
    before = digests(filled.everything)
    for table in filled.tables():
        filled.psql(f"DELETE FROM devstudio.{table}", f"UPDATE devstudio.{table} SET tenant_id = gen_random_uuid()")
    assert digests(filled.everything) == before


def test_the_audit_can_be_read_and_added_to_only(filled: Filled) -> None:
    before = digests(filled.everything)["ds_audit"]
    for statement in (
        "UPDATE devstudio.ds_audit SET action = 'x'",
        "DELETE FROM devstudio.ds_audit",
        "TRUNCATE devstudio.ds_audit",
    ):
        done = filled.psql(statement, tenant=filled.ana)
        assert "permission denied for table ds_audit" in done.stderr, done.stderr
    with filled.everything.begin() as connection:
        connection.execute(sa.text("UPDATE ds_tenants SET audit_anchor_seq = 0"))  # nothing was pruned
    for statement in ("UPDATE ds_audit SET action = 'x'", "DELETE FROM ds_audit", "TRUNCATE ds_audit"):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), filled.everything.begin() as connection:
            connection.execute(sa.text(statement))
    assert digests(filled.everything)["ds_audit"] == before, "not even as a superuser, short of removing the trigger"


FORBIDDEN = (
    "ALTER TABLE devstudio.ds_projects DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE devstudio.ds_projects NO FORCE ROW LEVEL SECURITY",
    "ALTER TABLE devstudio.ds_projects OWNER TO devstudio_app",
    "ALTER TABLE devstudio.ds_audit DISABLE TRIGGER ALL",
    "DROP TABLE devstudio.ds_projects",
    "DROP SCHEMA devstudio CASCADE",
    "TRUNCATE devstudio.ds_projects CASCADE",
    "CREATE TABLE devstudio.mine (id int)",
    "CREATE TABLE public.mine (id int)",
    "CREATE SCHEMA mine",
    "CREATE VIEW devstudio.mine AS SELECT * FROM devstudio.ds_projects",
    "CREATE FUNCTION devstudio.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE POLICY mine ON devstudio.ds_projects USING (true)",
    "DROP POLICY tenant_isolation_projects ON devstudio.ds_projects",
    "ALTER POLICY tenant_isolation_projects ON devstudio.ds_projects USING (true)",
    f"SET ROLE {OWNER}",
    "SET ROLE postgres",
    f"SET SESSION AUTHORIZATION {OWNER}",
    f"GRANT {OWNER} TO {DEFAULT_ROLE}",
    f"ALTER ROLE {DEFAULT_ROLE} BYPASSRLS",
    f"ALTER ROLE {DEFAULT_ROLE} SUPERUSER",
    "SET session_replication_role = replica",
    "SET row_security = off; SELECT * FROM devstudio.ds_projects",
    "COPY devstudio.ds_projects TO '/tmp/devstudio-leak'",
    "COPY devstudio.ds_projects TO PROGRAM 'cat'",
    "SELECT * FROM pg_authid",
    "UPDATE devstudio.alembic_version SET version_num = 'x'",
    "INSERT INTO devstudio.alembic_version VALUES ('x')",
)


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_role_can_change_neither_the_schema_nor_its_own_rights(filled: Filled, statement: str) -> None:
    before = catalog(filled.everything)
    done = filled.psql(statement, tenant=filled.ana)
    said = ("permission denied", "must be owner", "must have admin option", "must be superuser", "row-level security")
    assert done.returncode != 0
    assert any(words in done.stderr for words in said), done.stderr
    assert catalog(filled.everything) == before


def catalog(everything: Engine) -> list[tuple[object, ...]]:
    """Return what protects each table: owner, row-level security, force, and its policies."""
    query = sa.text(
        "SELECT c.relname, c.relowner::regrole::text, c.relrowsecurity, c.relforcerowsecurity,"
        " array(SELECT p.policyname || p.cmd || coalesce(p.qual, '') || coalesce(p.with_check, '')"
        "       FROM pg_policies AS p WHERE p.schemaname = 'devstudio' AND p.tablename = c.relname ORDER BY 1)"
        " FROM pg_class AS c WHERE c.relnamespace = 'devstudio'::regnamespace AND c.relkind = 'r' ORDER BY 1"
    )
    with everything.connect() as connection:
        return [tuple(row) for row in connection.execute(query)]


def test_every_table_has_a_tenant_and_a_policy_that_is_forced(filled: Filled) -> None:
    """Read from the catalog, so that a table of tomorrow that has none fails here."""
    names = filled.tables()
    assert set(names) == set(all_tables().tables)
    protected = {str(row[0]): row[1:] for row in catalog(filled.everything)}
    assert set(protected) == {*names, "alembic_version"}
    query = sa.text(
        "SELECT qual, with_check, cmd, permissive, roles::text FROM pg_policies"
        " WHERE schemaname = 'devstudio' AND tablename = :name AND policyname LIKE 'tenant\\_isolation\\_%'"
    )
    with filled.everything.connect() as connection:
        for name in names:
            assert protected[name][:3] == (OWNER, True, True), name
            (policy,) = connection.execute(query, {"name": name}).all()
            assert policy.qual == policy.with_check
            assert policy.qual.startswith("(tenant_id = ( SELECT (NULLIF(current_setting('devstudio.tenant_id'"), name
            assert (policy.cmd, policy.permissive, policy.roles) == ("ALL", "PERMISSIVE", "{public}"), name
            column = all_tables().tables[name].c.tenant_id
            assert (isinstance(column.type, sa.Uuid), column.nullable) == (True, False), name
        others = connection.execute(
            sa.text(
                "SELECT tablename, roles::text, cmd FROM pg_policies WHERE policyname NOT LIKE 'tenant\\_isolation\\_%'"
            )
        ).all()
    readable = {(name, f"{{{OWNER}}}", "SELECT") for name in READ_BY_OWNER}
    assert {tuple(row) for row in others} == readable, "no other policy lets anybody see more"


def test_the_role_owns_nothing_and_is_nobody_special(filled: Filled) -> None:
    query = sa.text(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,"
        " (SELECT count(*) FROM pg_class WHERE relowner = r.oid)"
        " + (SELECT count(*) FROM pg_namespace WHERE nspowner = r.oid)"
        " + (SELECT count(*) FROM pg_proc WHERE proowner = r.oid)"
        " + (SELECT count(*) FROM pg_database WHERE datdba = r.oid) AS owned,"
        " (SELECT count(*) FROM pg_auth_members WHERE member = r.oid) AS memberships"
        " FROM pg_roles AS r WHERE rolname = :role"
    )
    with filled.everything.connect() as connection:
        assert tuple(connection.execute(query, {"role": DEFAULT_ROLE}).one()) == (*[False] * 5, 0, 0)


def test_the_list_of_tenants_is_ids_and_only_for_the_role(filled: Filled) -> None:
    done = filled.psql("SELECT * FROM devstudio.known_tenants()")
    assert sorted(done.stdout.split()) == sorted([str(filled.ana), str(filled.eve)])
    with filled.everything.begin() as connection:
        connection.execute(sa.text("CREATE ROLE passer_by LOGIN"))
    try:
        url = filled.database.url.replace(f"{DEFAULT_ROLE}:{PASSWORD}", "passer_by")
        for question in ("SELECT * FROM devstudio.known_tenants()", "SELECT * FROM devstudio.ds_tenants"):
            with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(question)
    finally:
        with filled.everything.begin() as connection:
            connection.execute(sa.text("DROP ROLE passer_by"))


def test_the_owner_is_held_by_the_policies_too(filled: Filled) -> None:
    owner = filled.database.owner()
    with owner.connect() as connection:
        seen = {
            name: connection.scalar(sa.text(f"SELECT count(*) FROM {name}"))
            for name in filled.tables()
            if name not in READ_BY_OWNER
        }
    owner.dispose()
    assert set(seen.values()) == {0}


def test_the_tenant_of_a_transaction_does_not_outlive_it(filled: Filled) -> None:
    engine = create_engine(filled.database.url, pool_size=1, max_overflow=0)
    units = Units(engine)
    query = sa.text("SELECT pg_backend_pid(), current_setting('devstudio.tenant_id', true)")

    def told() -> tuple[int, str, int]:
        """Ask the pooled connection past the engine: which backend, which tenant, how many projects."""
        raw = engine.raw_connection()
        cursor = raw.cursor()
        cursor.execute(str(query))
        pid, tenant = cursor.fetchone() or (0, "")
        cursor.execute("SELECT count(*) FROM devstudio.ds_projects")
        (seen,) = cursor.fetchone() or (-1,)
        raw.close()
        return pid, tenant or "", seen

    def fail() -> None:
        with units.begin(Actor(filled.ana, filled.ana)):
            raise KeyError

    pid = told()[0]
    with units.begin(Actor(filled.ana, filled.ana)) as unit:
        assert len(unit.scalars(select(Project)).all()) == 1
    assert told() == (pid, "", 0), "after a commit"
    with pytest.raises(KeyError):
        fail()
    assert told() == (pid, "", 0), "after a roll-back"
    with units.begin(Actor(filled.eve, filled.eve), read_only=True) as unit:
        assert [row.tenant_id for row in unit.scalars(select(Project))] == [filled.eve]
    assert told() == (pid, "", 0), "after a unit that only read"
    engine.dispose()


def test_a_statement_that_forgets_the_tenant_is_filtered_by_the_database(filled: Filled) -> None:
    """The second line: with the filter of the session taken away, row-level security still holds."""
    engine = create_engine(filled.database.url)
    with Units(engine).begin(Actor(filled.ana, filled.ana)) as unit:
        forgetful = {"devstudio_unscoped": True}
        seen = unit.scalars(select(Project), execution_options=forgetful).all()
        changed = unit.execute(sa.update(Project.__table__).values(name="mine now"), execution_options=forgetful)
    engine.dispose()
    assert ([row.tenant_id for row in seen], changed.rowcount) == ([filled.ana], 1)


def test_a_role_that_could_pass_the_policies_by_is_refused(database: Database, postgres: Postgres) -> None:
    name = database.url.rsplit("/", 1)[1]
    with psycopg.connect(postgres.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE passes_by LOGIN BYPASSRLS")
        connection.execute(f"CREATE ROLE heir LOGIN IN ROLE {OWNER}")
    try:
        for role, what in (
            (OWNER, "owns the tables"),
            ("postgres", "is a superuser"),
            ("passes_by", "has BYPASSRLS"),
            ("heir", "may act as their owner"),
        ):
            with pytest.raises(UnsafeRoleError, match=what):
                open_database(postgres.url(name, role))
    finally:
        with psycopg.connect(postgres.url("postgres", "postgres"), autocommit=True) as connection:
            connection.execute("DROP ROLE passes_by")
            connection.execute("DROP ROLE heir")


def test_a_database_that_is_not_ready_is_told_with_what_to_do(databases: Databases, postgres: Postgres) -> None:
    name = postgres.empty_database()
    url, owner = postgres.app_url(name), postgres.owner(name)
    with pytest.raises(DatabaseNotReadyError, match=r"no schema that this role may see.*devstudio migrate"):
        open_database(url)
    open_database(url, postgres.owner_url(name)).dispose()
    with owner.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    with pytest.raises(DatabaseNotReadyError, match=r"the schema 0001.*devstudio migrate"):
        open_database(url)
    with owner.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :newest"), {"newest": newest_revision()})
    owner.dispose()
    open_database(url).dispose()
    postgres.drop(name)
    with pytest.raises(DatabaseNotReadyError, match="does not exist") as refused:
        open_database(url)
    assert PASSWORD not in str(refused.value)


def test_no_planner_knows_that_ids_rise_with_time(filled: Filled) -> None:
    """Or it reads a list by the primary key, through the newer rows of every other tenant."""
    query = sa.text(
        "SELECT c.relname FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid"
        " WHERE c.relnamespace = 'devstudio'::regnamespace AND c.relkind = 'r' AND a.attname = 'id'"
        " AND a.attstattarget = 0"
    )
    with filled.everything.connect() as connection:
        assert set(connection.scalars(query)) == set(filled.tables())
