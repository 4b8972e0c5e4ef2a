"""All SQL of the embedded queue, for the jobs of one tenant."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from devstudio_server.jobs.models import FINISHED, PENDING, RUNNING, Job
from devstudio_server.kit.clock import now


class JobRepository:
    """Reads and changes jobs within one unit of work."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def add(self, job: Job) -> None:
        """Enqueue ``job``."""
        self._session.add(job)
        self._session.flush()

    def take_next(self) -> Job | None:
        """Take the oldest pending job, or return None."""
        job = self._session.scalars(select(Job).where(Job.status == PENDING).order_by(Job.id).limit(1)).one_or_none()
        if job is not None:
            job.status = RUNNING
            job.attempts += 1
        return job

    def finish(self, job_id: UUID) -> None:
        """Note that a job was done."""
        self._session.execute(update(Job).where(Job.id == job_id).values(status=FINISHED, finished_at=now()))

    def requeue_running(self) -> int:
        """Put back every job that a worker of an earlier life of this server had; return how many."""
        put_back = update(Job).where(Job.status == RUNNING).values(status=PENDING).returning(Job.id)
        return len(self._session.scalars(put_back).all())
