"""All SQL of the queue: jobs, leases and the processes that hold them, each within one unit of work."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from devstudio_server.db.clock import clock
from devstudio_server.jobs.life import Life
from devstudio_server.jobs.models import FINISHED, PENDING, RUNNING, Job, Lease, WorkerRow
from devstudio_server.kit.clock import now

LEASE_S = 15.0
"""How long a lease holds without being renewed."""
NOBODY = ""
LONG_AGO = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


class JobRepository:
    """Reads and changes jobs."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def add(self, job: Job) -> None:
        """Enqueue ``job``."""
        self._session.add(job)
        self._session.flush()

    def take(self, kinds: Collection[str], job_id: UUID | None = None) -> Job | None:
        """Take the oldest pending job of ``kinds``, or the one that is named, if it is there to be taken."""
        query = select(Job).where(Job.status == PENDING, Job.kind.in_(kinds)).order_by(Job.id).limit(1)
        if job_id is not None:
            query = query.where(Job.id == job_id)
        job = self._session.scalars(query).one_or_none()
        if job is not None:
            job.status = RUNNING
            job.attempts += 1
        return job

    def pending(self, kinds: Collection[str]) -> Sequence[UUID]:
        """Return the ids of the pending jobs of ``kinds``, oldest first."""
        query = select(Job.id).where(Job.status == PENDING, Job.kind.in_(kinds)).order_by(Job.id)
        return self._session.scalars(query).all()

    def finish(self, job_id: UUID) -> None:
        """Note that a job was done."""
        job = self._session.get(Job, job_id)
        if job is not None:
            job.status, job.finished_at = FINISHED, now()

    def put_back(self, job_id: UUID) -> Job | None:
        """Let any worker take a job again, and return it; None when it is not under way."""
        job = self._session.get(Job, job_id)
        if job is None or job.status != RUNNING:
            return None
        job.status = PENDING
        return job

    def running(self) -> Sequence[Job]:
        """Return the jobs that a worker took and has not finished."""
        return self._session.scalars(select(Job).where(Job.status == RUNNING).order_by(Job.id)).all()

    def unfinished(self) -> Sequence[Job]:
        """Return the jobs that are still to be done, or under way."""
        return self._session.scalars(select(Job).where(Job.status.in_((PENDING, RUNNING))).order_by(Job.id)).all()


class LeaseRepository:
    """Reads and changes leases."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def find(self, resource: str) -> Lease | None:
        """Return the lease of a resource as the database has it now."""
        query = select(Lease).where(Lease.resource == resource).execution_options(populate_existing=True)
        return self._session.scalars(query).one_or_none()

    def take(self, resource: str, holder: str) -> Lease:
        """Make ``holder`` the one that holds the resource; whoever did has an older fence from now on."""
        lease = self.find(resource)
        until = clock(self._session) + timedelta(seconds=LEASE_S)
        if lease is None:
            lease = Lease(resource=resource, holder=holder, fence=1, expires_at=until)
            self._session.add(lease)
        else:
            lease.holder, lease.fence, lease.expires_at = holder, lease.fence + 1, until
        self._session.flush()
        return lease

    def renew(self, lease: Lease) -> None:
        """Let a lease hold on."""
        lease.expires_at = clock(self._session) + timedelta(seconds=LEASE_S)

    @staticmethod
    def release(lease: Lease) -> None:
        """Let the resource be anybody's. The fence stays, so that the next holder's is higher."""
        lease.holder, lease.expires_at = NOBODY, LONG_AGO

    def remove(self, lease: Lease) -> None:
        """Forget the lease of a resource that nobody will hold again."""
        self._session.delete(lease)


class WorkerRepository:
    """Reads and changes the processes. They belong to no tenant, so the unit is the system's."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def seen(self, life: Life, slots: int, *, draining: bool) -> None:
        """Note that ``life`` goes on."""
        until = clock(self._session) + timedelta(seconds=LEASE_S)
        row = self._session.get(WorkerRow, life.id)
        if row is None:
            row = WorkerRow(id=life.id, kind=life.kind, host=life.host, pid=life.pid, started=life.started)
            self._session.add(row)
        row.slots, row.draining, row.expires_at = slots, draining, until

    def all(self) -> Sequence[WorkerRow]:
        """Return every process that was not removed yet."""
        return self._session.scalars(select(WorkerRow).order_by(WorkerRow.id)).all()

    def alive(self) -> Sequence[WorkerRow]:
        """Return the processes that are there."""
        time = clock(self._session)
        return [row for row in self.all() if row.expires_at > time]

    def over(self, life_id: UUID) -> None:
        """Forget a process that has ended."""
        self._session.execute(delete(WorkerRow).where(WorkerRow.id == life_id))
