"""kill -9 under load, of the server and of its database: what was acknowledged is there, once, and it is whole."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from devstudio_server.audit.verify import verify_all
from devstudio_server.db.registry import all_tables
from support.databases import KINDS, Database, Databases, Kind, unrestricted
from support.services import Postgres, binary
from support.studio import Studio
from support.writers import Ledger, Writers

KILLS = {"small": 2, "full": 50}
DATABASE_KILLS = {"small": 2, "full": 20}
LOAD = 50
"""Writes that are acknowledged before each kill, at the rate of `support.writers.RATE` a second."""
OUTAGE_S = 1.0
RECOVERY_S = 30.0
SETTINGS = ("--DevStudioApp.sandbox_backend=process",)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    """A cluster of our own, since it is killed."""
    with Postgres() as made:
        yield made


@pytest.fixture(scope="module", params=KINDS)
def database_kind(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = request.param
    return kind


@contextmanager
def fresh(kind: Kind, cluster: Postgres, folder: Path) -> Iterator[Database]:
    databases = Databases(kind, folder, cluster if kind == "postgresql" else None)
    with databases.fresh(folder / "devstudio.db") as made:
        yield made


def check(database: Database, ledger: Ledger) -> None:
    """Hold the database against what was acknowledged, and against itself."""
    engine = unrestricted(database.engine())
    try:
        with engine.connect() as connection:
            check_writes(connection, ledger)
            check_streams(connection)
            check_references(connection)
        check_files(database, engine)
        assert verify_all(engine) == []
    finally:
        engine.dispose()


def check_writes(connection: Connection, ledger: Ledger) -> None:
    assert ledger.wrong == []
    sessions = all_tables().tables["ds_spec_sessions"].c
    rows = connection.execute(sa.select(sessions.title, sessions.id, sessions.description)).all()
    assert len({row.title for row in rows}) == len(rows), "no session is there twice"
    found = {row.title: str(row.id) for row in rows}
    assert {title: found.get(title) for title in ledger.sessions} == ledger.sessions, "every acknowledged one is there"
    assert set(found) - set(ledger.sessions) <= set(ledger.open), "and none that nobody sent"
    assert all(row.description == row.title[::-1] for row in rows)
    table = all_tables().tables["ds_kv"]
    stored = {row.key: row.value_json["n"] for row in connection.execute(sa.select(table.c.key, table.c.value_json))}
    for key, value in ledger.values.items():
        assert value <= stored[key] <= ledger.tried[key], "the newest acknowledged value, or one that was sent after it"


def check_streams(connection: Connection) -> None:
    """Numbers of events and audit entries have no gap, and the counters are at their ends."""
    tables = all_tables().tables
    for tenant in connection.execute(sa.select(tables["ds_tenants"])):
        for name, counter in (("ds_events", tenant.event_seq), ("ds_audit", tenant.audit_seq)):
            table = tables[name]
            mine = sa.select(table.c.seq).where(table.c.tenant_id == tenant.tenant_id).order_by(table.c.seq)
            assert list(connection.scalars(mine)) == list(range(1, counter + 1)), name
    events = tables["ds_events"]
    created = sa.select(events.c.subject_id).where(events.c.type == "spec_session.created")
    ids = sa.select(tables["ds_spec_sessions"].c.id)
    assert sorted(connection.scalars(created)) == sorted(connection.scalars(ids)), "one event for each session"


def check_references(connection: Connection) -> None:
    for table in all_tables().sorted_tables:
        for column in table.columns:
            for key in column.foreign_keys:
                parents = sa.select(key.column).where(key.column == column).correlate(table)
                orphans = sa.select(sa.func.count()).select_from(table).where(column.is_not(None), ~parents.exists())
                if key.column.table is not table:
                    assert connection.scalar(orphans) == 0, f"{table.name}.{column.name}"


def check_files(database: Database, engine: Engine) -> None:
    """Let the database check its own files."""
    if database.kind == "sqlite":
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalars().all() == ["ok"]
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        return
    url = engine.url
    where = ["-h", str(url.host), "-p", str(url.port), "-U", "postgres", "-d", str(url.database)]
    command = [binary("pg_amcheck"), "--install-missing", "--heapallindexed", "--parent-check", *where]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd="/")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def report(what: str, ledger: Ledger, kills: int) -> None:
    rate = ledger.acknowledged / ledger.busy_s
    print(
        f"\n{what}: killed {kills} times; {ledger.acknowledged} writes acknowledged ({rate:.0f}/s under load), "
        f"{len(ledger.sessions)} sessions; 0 lost, 0 twice; refusals: {dict(ledger.refusals)}"
    )


@pytest.mark.timeout(3600)
def test_the_server_killed_under_load_loses_nothing_that_it_acknowledged(
    database_kind: Kind, cluster: Postgres, tmp_path: Path, scale: str
) -> None:
    ledger = Ledger()
    with fresh(database_kind, cluster, tmp_path) as database:
        studio = Studio(tmp_path / "data", database.environment(), SETTINGS)
        with studio:
            writers = Writers(studio.api, ledger, studio.api.project()["id"])
            for _ in range(KILLS[scale]):
                with writers.at_work():
                    ledger.await_writes(LOAD)
                    time.sleep(random.uniform(0, 0.1))  # so that the kill hits anywhere
                    studio.kill()
                check(database, ledger)
                studio.start()
                writers.send_again()
                check(database, ledger)
        assert set(ledger.refusals) == set(), "a server that is killed refuses nothing before"
        assert ledger.acknowledged >= LOAD * KILLS[scale]
    report(f"server on {database_kind}", ledger, KILLS[scale])


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL], ids=["sigquit", "sigkill"])
def test_postgresql_killed_under_load_is_told_and_comes_back_by_itself(
    how: signal.Signals, cluster: Postgres, tmp_path: Path, scale: str
) -> None:
    ledger = Ledger()
    with fresh("postgresql", cluster, tmp_path) as database:
        with Studio(tmp_path / "data", database.environment(), SETTINGS) as studio:
            project_id = studio.api.project()["id"]
            writers = Writers(studio.api, ledger, project_id)
            for _ in range(DATABASE_KILLS[scale]):
                with writers.at_work():
                    ledger.await_writes(LOAD)
                    time.sleep(random.uniform(0, 0.1))  # so that the kill hits anywhere
                    cluster.stop(how)
                    studio.api.get(f"projects/{project_id}").problem(503)
                    time.sleep(OUTAGE_S)  # the outage; writers go on and are refused
                    cluster.start_again()
                    await_recovery(studio, project_id)
                    ledger.await_writes(LOAD)  # on the same server
                writers.send_again()
                check(database, ledger)
            assert studio.process.poll() is None, "it is the server that was started first"
        assert {status for status, _ in ledger.refusals} == {503}, ledger.refusals
        assert all("Try again" in detail for _, detail in ledger.refusals)
    report(f"PostgreSQL by {how.name}", ledger, DATABASE_KILLS[scale])


def await_recovery(studio: Studio, project_id: str) -> None:
    """Ask until the server answers again, which it must do by itself and soon."""
    deadline = time.monotonic() + RECOVERY_S
    while (answer := studio.api.get(f"projects/{project_id}")).status != 200:
        answer.problem(503)
        assert time.monotonic() < deadline
