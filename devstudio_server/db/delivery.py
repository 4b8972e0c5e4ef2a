"""Procrastinate's tables on PostgreSQL: they carry word of a job to a worker. What is to be done is in `ds_jobs`.

They live in a schema of their own and have no row-level security, so all that they hold is two ids.
"""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

from procrastinate.schema import SchemaManager
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from devstudio_server.db.unit_of_work import UNSCOPED

DELIVERY_SCHEMA = "procrastinate"
QUEUE = "devstudio"
TASK = "devstudio.job"
CHANNEL = "devstudio_jobs"
"""Where servers hear that a tenant has jobs."""
STALLED_S = 60
"""How long a worker of Procrastinate may be silent before what it took is nobody's."""

_MAKE = "CREATE SCHEMA procrastinate"
_ENTER = "SET LOCAL search_path = procrastinate"
# Its functions find their tables, whoever calls them from wherever.
_BIND = """DO $$ DECLARE made regprocedure; BEGIN
    FOR made IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'procrastinate'::regnamespace LOOP
        EXECUTE format('ALTER ROUTINE %s SET search_path = procrastinate', made);
    END LOOP;
END $$"""
_THERE = "SELECT to_regnamespace('procrastinate') IS NOT NULL"
_VERSION = "SELECT obj_description(to_regnamespace('procrastinate'), 'pg_namespace')"
_DEFER = """SELECT procrastinate.procrastinate_defer_jobs_v1(ARRAY[
    ROW(:queue, :task, 0, NULL, :name, CAST(:args AS jsonb), NULL)::procrastinate.procrastinate_job_to_defer_v1])
    WHERE NOT EXISTS (
        SELECT 1 FROM procrastinate.procrastinate_jobs WHERE status = 'todo' AND queueing_lock = :name)"""
_FORGET = """DELETE FROM procrastinate.procrastinate_jobs AS job WHERE status <> 'todo' AND NOT EXISTS (
    SELECT 1 FROM procrastinate.procrastinate_workers AS worker
    WHERE worker.id = job.worker_id AND worker.last_heartbeat > now() - make_interval(secs => :stalled))"""


def install(connection: Connection) -> None:
    """Make the tables, or bring them to the version of the library that is installed. The role is the owner's."""
    migrations = sorted(path.name for path in Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    before = connection.scalar(text("SELECT current_setting('search_path')"))
    there, version = connection.scalar(text(_THERE)), connection.scalar(text(_VERSION))
    if there and version == migrations[-1]:
        return
    if not there:
        connection.execute(text(_MAKE))
        scripts = [SchemaManager.get_schema()]
    else:
        folder = Path(SchemaManager.get_migrations_path())
        scripts = [(folder / name).read_text("utf-8") for name in migrations if name > str(version)]
    connection.execute(text(_ENTER))
    for script in scripts:
        connection.exec_driver_sql(script, execution_options={"no_parameters": True})
    connection.exec_driver_sql(_BIND, execution_options={"no_parameters": True})
    connection.execute(text(f"COMMENT ON SCHEMA {DELIVERY_SCHEMA} IS '{migrations[-1]}'"))
    connection.execute(text("SELECT set_config('search_path', :path, true)"), {"path": before})


def deliver(session: Session, tenant_id: UUID, job_id: UUID) -> None:
    """Send word of a job to a worker, in the transaction of ``session``; once, until a worker has taken it."""
    values = {
        "queue": QUEUE,
        "task": TASK,
        "name": str(job_id),
        "args": json.dumps({"tenant_id": str(tenant_id), "job_id": str(job_id)}),
    }
    session.execute(text(_DEFER), values, execution_options={UNSCOPED: True})


def notify(session: Session, tenant_id: UUID) -> None:
    """Tell the servers, once the transaction of ``session`` has committed, that a tenant has jobs."""
    values = {"channel": CHANNEL, "tenant": str(tenant_id)}
    session.execute(text("SELECT pg_notify(:channel, :tenant)"), values, execution_options={UNSCOPED: True})


def forget_stalled(session: Session) -> None:
    """Remove word that a worker took and then died with; the job itself is put back by its lease."""
    session.execute(text(_FORGET), {"stalled": STALLED_S}, execution_options={UNSCOPED: True})
