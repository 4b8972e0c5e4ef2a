"""Migrations: they make exactly the models' schema, and go down and up with rows in every table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from devstudio_server.db import create_engine
from devstudio_server.db.migrate import migrate, migrations_folder
from devstudio_server.db.registry import DOMAINS_WITH_TABLES, all_tables
from devstudio_server.kit.ids import new_id


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = create_engine(f"sqlite:///{tmp_path / 'test.db'}")
    yield made
    made.dispose()


def config() -> Config:
    made = Config()
    made.set_main_option("script_location", str(migrations_folder()))
    return made


def downgrade(engine: Engine) -> None:
    prepared = config()
    with engine.begin() as connection:
        prepared.attributes["connection"] = connection
        command.downgrade(prepared, "base")


def tables(engine: Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names()) - {"alembic_version"}


def value_of(column: sa.Column[Any], ids: dict[str, UUID]) -> Any:
    """Make a value that fits a column; a foreign key gets the row that was made for its table."""
    for key in column.foreign_keys:
        return ids[key.column.table.name]
    if isinstance(column.type, sa.Uuid):
        return ids[column.table.name] if column.primary_key else new_id()
    kinds: tuple[tuple[type, Any], ...] = (
        (sa.Boolean, True), (sa.Integer, 1), (sa.Numeric, 1), (sa.JSON, {}), (sa.String, "x"), (sa.DateTime, None),
    )  # fmt: skip
    found = next((value for kind, value in kinds if isinstance(column.type, kind)), None)
    return datetime.now(UTC) if found is None else found


def fill(engine: Engine) -> int:
    metadata = all_tables()
    ids = {table.name: new_id() for table in metadata.sorted_tables}
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(table.insert().values({c.name: value_of(c, ids) for c in table.columns}))
    return len(ids)


def test_models_and_migrations_do_not_differ(engine: Engine) -> None:
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, all_tables()) == []
    assert tables(engine) == set(all_tables().tables)


def test_up_down_and_up_again_with_rows_in_every_table(engine: Engine) -> None:
    migrate(engine)
    assert fill(engine) == len(tables(engine)) > 10
    migrate(engine)
    with engine.connect() as connection:
        counts = {
            name: connection.scalar(sa.select(sa.func.count()).select_from(sa.table(name))) for name in tables(engine)
        }
    assert set(counts.values()) == {1}, "migrating to where one is changes no row"
    downgrade(engine)
    assert tables(engine) == set()
    migrate(engine)
    assert tables(engine) == set(all_tables().tables)
    fill(engine)


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
