"""A backup holds every tenant's rows, policies and rights, and a server works on what was restored from it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from pathlib import Path

from sqlalchemy import select

from devstudio_server.db import Actor, Units
from devstudio_server.db.opening import open_database
from devstudio_server.kit.ids import new_id
from devstudio_server.projects.models import Project
from support.databases import Database, unrestricted
from support.rows import digests, fill
from support.services import PASSWORD, Postgres, binary


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [binary(program), *arguments]
    environment = os.environ | {"PGPASSWORD": PASSWORD}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd="/", env=environment)


def test_what_was_backed_up_is_restored(database: Database, postgres: Postgres, tmp_path: Path) -> None:
    everything = unrestricted(database.engine())
    tenants = new_id(), new_id()
    for tenant in tenants:
        fill(everything, tenant)
    before = digests(everything)
    everything.dispose()
    if database.kind == "postgresql":
        restored = restored_postgresql(database, postgres, tmp_path / "backup.dump")
    else:
        restored = restored_sqlite(database, tmp_path / "copy.db")
    everything = unrestricted(restored.engine())
    assert digests(everything) == before
    everything.dispose()
    engine = open_database(restored.url)
    for tenant in tenants:
        with Units(engine).begin(Actor(tenant, tenant), read_only=True) as unit:
            assert [row.tenant_id for row in unit.scalars(select(Project))] == [tenant]
    engine.dispose()
    if database.kind == "postgresql":
        postgres.drop(restored.url.rsplit("/", 1)[1])


def restored_postgresql(database: Database, postgres: Postgres, dump: Path) -> Database:
    """Back up as who may read past the policies; the owner may not, and is told instead of writing an empty file."""
    arguments = ["--format=custom", "--schema=devstudio", "--schema=procrastinate", f"--file={dump}"]
    refused = run("pg_dump", *arguments, database.owner_url)
    assert refused.returncode != 0
    assert "row-level security" in refused.stderr
    name = database.url.rsplit("/", 1)[1]
    done = run("pg_dump", *arguments, postgres.url(name, "postgres"))
    assert done.returncode == 0, done.stderr
    empty = postgres.empty_database()
    done = run("pg_restore", "--exit-on-error", f"--dbname={postgres.url(empty, 'postgres')}", str(dump))
    assert done.returncode == 0, done.stderr
    return Database("postgresql", postgres.app_url(empty), postgres.owner_url(empty))


def restored_sqlite(database: Database, copy: Path) -> Database:
    """Copy while the database is open, as `sqlite3 devstudio.db ".backup copy.db"` does."""
    source, target = sqlite3.connect(database.url.removeprefix("sqlite:///")), sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.close()
    return Database("sqlite", f"sqlite:///{copy}", f"sqlite:///{copy}")
