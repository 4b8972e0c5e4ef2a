"""What others ask about the queue: which installation this is, and which processes do its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from devstudio_server.db import SYSTEM_TENANT_ID, Units
from devstudio_server.db.models import Tenant
from devstudio_server.jobs.heartbeat import worker_of
from devstudio_server.jobs.repository import JobRepository, WorkerRepository


@dataclass(frozen=True)
class Process:
    """A process that does jobs, as it last said."""

    kind: str
    host: str
    pid: int
    slots: int
    draining: bool


def installation_of(units: Units) -> str:
    """Return the id of the installation: one for each database, made at its first use."""
    actor = worker_of(SYSTEM_TENANT_ID)
    with units.begin(actor):
        pass  # a unit adds the row of a tenant that is new
    with units.begin(actor, read_only=True) as session:
        return str(session.scalars(select(Tenant.id)).one())


def processes(units: Units) -> Sequence[Process]:
    """Return the processes that do jobs now."""
    with units.begin(worker_of(SYSTEM_TENANT_ID), read_only=True) as session:
        return [
            Process(row.kind, row.host.split(" ", maxsplit=1)[0], row.pid, row.slots, row.draining)
            for row in WorkerRepository(session).alive()
        ]


def unfinished_payloads(session: Session) -> list[dict[str, object]]:
    """Return what the jobs are about that are still to be done, or under way, in the tenant of ``session``."""
    return [job.payload for job in JobRepository(session).unfinished()]
