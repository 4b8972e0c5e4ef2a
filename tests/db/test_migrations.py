"""Migrations: they make exactly the models' schema, and go down and up with rows in every table, on both databases."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from devstudio_server.db.migrate import current_revision, downgrade, migrate, migrations_folder, newest_revision
from devstudio_server.db.registry import DOMAINS_WITH_TABLES, all_tables
from devstudio_server.kit.ids import new_id
from support.databases import Database, Databases, unrestricted
from support.rows import digests, fill, tables_of
from support.studio import CHECKOUT

STARTS = 4
OPEN = """import sys
from devstudio_server.db.opening import open_database
open_database(sys.argv[1], sys.argv[2]).dispose()
"""


@pytest.fixture
def empty(databases: Databases, tmp_path: Path) -> Iterator[Database]:
    """A database that nothing was ever done with."""
    with databases.empty(tmp_path / "empty.db") as made:
        yield made


@pytest.fixture
def engine(empty: Database) -> Iterator[Engine]:
    """An engine of the owner, who migrates."""
    made = empty.owner()
    yield made
    made.dispose()


@pytest.fixture
def everything(empty: Database) -> Iterator[Engine]:
    """An engine that no policy holds back."""
    made = unrestricted(empty.owner())
    yield made
    made.dispose()


def tables(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return tables_of(connection)


def test_models_and_migrations_do_not_differ(engine: Engine) -> None:
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, all_tables()) == []
    assert tables(engine) == set(all_tables().tables)


def test_up_down_and_up_again_with_rows_in_every_table(engine: Engine, everything: Engine) -> None:
    migrate(engine)
    tenant = new_id()
    assert len(fill(everything, tenant)) == len(tables(engine)) > 20
    before = digests(everything)
    assert all(digest.startswith("1 rows") for digest in before.values())
    migrate(engine)
    assert digests(everything) == before, "migrating to where one is changes no row"
    downgrade(engine, "base")
    assert tables(engine) == set()
    migrate(engine)
    assert tables(engine) == set(all_tables().tables)
    fill(everything, tenant)


def test_an_older_database_keeps_its_rows_and_its_tenants_become_known(engine: Engine, everything: Engine) -> None:
    migrate(engine, "0001")
    tenants = sorted([new_id(), new_id()])
    older = {name for tenant in tenants for name in fill(everything, tenant)}
    before = rows(everything, older)
    assert all(len(found) == 2 for found in before.values())
    migrate(engine)
    after = rows(everything, older)
    assert {name: [kept(row, before[name][0]) for row in found] for name, found in after.items()} == before
    with everything.connect() as connection:
        known = connection.execute(sa.select(all_tables().tables["ds_tenants"]).order_by(sa.text("tenant_id"))).all()
    assert [row.tenant_id for row in known] == tenants
    assert {(row.event_seq, row.audit_seq, row.audit_hash) for row in known} == {(0, 0, "0" * 64)}
    downgrade(engine, "0001")
    assert (tables(engine), current_revision(engine)) == (older, "0001")
    assert rows(everything, older) == before, "back at the older schema, with every row"
    migrate(engine)
    assert rows(everything, older) == after, "and up again"


Row = dict[str, object]


def rows(everything: Engine, names: set[str]) -> dict[str, list[Row]]:
    """Return the rows of tables as the database has them now, whatever the models say."""
    with everything.connect() as connection:
        return {
            name: [dict(row) for row in connection.execute(sa.text(f"SELECT * FROM {name} ORDER BY id")).mappings()]
            for name in sorted(names)
        }


def kept(row: Row, like: Row) -> Row:
    """Return the columns of ``row`` that ``like`` has."""
    return {name: row[name] for name in like}


def test_servers_that_start_at_once_migrate_once(empty: Database, engine: Engine) -> None:
    command = [sys.executable, "-c", OPEN, empty.url, empty.owner_url]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "sandbox"), str(CHECKOUT / "evidence")])
    }
    started = [
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, cwd="/") for _ in range(STARTS)
    ]
    ended = [(process.communicate(timeout=240)[1], process.returncode) for process in started]
    assert [code for _, code in ended] == [0] * STARTS, ended
    assert current_revision(engine) == newest_revision()
    assert tables(engine) == set(all_tables().tables)


def config() -> Config:
    made = Config()
    made.set_main_option("script_location", str(migrations_folder()))
    return made


def test_there_is_one_line_of_migrations_from_nothing_to_one_head() -> None:
    script = ScriptDirectory.from_config(config())
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1


def test_migrations_do_not_import_the_models() -> None:
    for file in (migrations_folder() / "versions").glob("*.py"):
        assert "devstudio_server" not in file.read_text(), file.name


def test_every_package_with_models_is_registered() -> None:
    root = Path(migrations_folder()).parent / "devstudio_server"
    assert sorted(path.parent.name for path in root.glob("*/models.py")) == sorted(DOMAINS_WITH_TABLES)
