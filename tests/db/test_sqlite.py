"""What is SQLite's own: its settings, its locks, and its file on a disk that is full or not there."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import sqlalchemy
from sqlalchemy import select, text

from devstudio_server.db import Actor, Units, create_engine
from devstudio_server.db.engine import BUSY_TIMEOUT_MS
from devstudio_server.db.migrate import migrate
from devstudio_server.db.unit_of_work import UNSCOPED
from devstudio_server.kit.errors import StorageFull, Unavailable
from devstudio_server.projects.models import Project

DATABASE_KINDS = ("sqlite",)


def migrated(path: Path) -> sqlalchemy.Engine:
    engine = create_engine(f"sqlite:///{path}")
    migrate(engine)
    return engine


def project(name: str, actor: Actor) -> Project:
    return Project(name=name, type="api", template="python", created_by=actor.user_id)


def add(units: Units, actor: Actor, name: str = "mine") -> None:
    with units.begin(actor) as unit:
        unit.add(project(name, actor))


def names(units: Units) -> dict[str, UUID]:
    with units.engine.connect() as connection:
        return {row.name: row.tenant_id for row in connection.execute(select(Project.__table__))}


def test_sqlite_is_set_up_for_threads_and_crashes(units: Units, ana: Actor) -> None:
    expected = {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2, "busy_timeout": BUSY_TIMEOUT_MS}
    with units.begin(ana, read_only=True) as unit:
        plain = {UNSCOPED: True}
        assert {name: unit.scalar(text(f"PRAGMA {name}"), execution_options=plain) for name in expected} == expected


def test_a_database_that_stays_locked_is_unavailable_for_now(tmp_path: Path, ana: Actor) -> None:
    engine = migrated(tmp_path / "locked.db")

    @sqlalchemy.event.listens_for(engine, "connect")
    def be_impatient(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA busy_timeout=50")

    engine.dispose()
    other = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable) as refused, Units(engine).begin(ana) as unit:
        unit.scalars(select(Project)).all()
    other.close()
    engine.dispose()
    assert refused.value.headers == {"Retry-After": "2"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_told_and_saves_nothing(small_disk: Path, ana: Actor) -> None:
    units = Units(migrated(small_disk / "test.db"))
    add(units, ana)
    row = project("big", ana)
    row.description = "x" * 4 * 1024 * 1024
    with pytest.raises(StorageFull, match="nothing was saved"), units.begin(ana) as unit:
        unit.add(row)
    assert list(names(units)) == ["mine"]
    add(units, ana, "small")
    assert sorted(names(units)) == ["mine", "small"]
    units.engine.dispose()


def test_an_engine_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/no/such/folder/x.db")
    with pytest.raises(sqlalchemy.exc.OperationalError, match="unable to open"):
        engine.connect()


def test_a_database_that_cannot_be_opened_is_told_as_unavailable(tmp_path: Path) -> None:
    units = Units(create_engine(f"sqlite:///{tmp_path / 'no-such-folder' / 'test.db'}"))
    with pytest.raises(Unavailable, match="did not answer"), units.begin(Actor(uuid4(), uuid4())):
        raise AssertionError("no unit of work without a database")
