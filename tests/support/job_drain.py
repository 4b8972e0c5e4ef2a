"""Does the jobs of a `DomainWorld` in the order in which they were enqueued, each as often as one likes."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from sqlalchemy import select

from devstudio_server.execution.jobs import JOBS as RUN_JOBS
from devstudio_server.jobs.models import Job
from devstudio_server.patches.jobs import JOBS as PATCH_JOBS
from support.domain_world import DomainWorld

_HANDLERS = {kind.name: kind.handler for kind in (*RUN_JOBS, *PATCH_JOBS)}


class JobDrain:
    """What was delivered is remembered: a job that died is delivered again."""

    def __init__(self, domain: DomainWorld, deliveries: int = 1) -> None:
        """Deliver each job of ``domain`` so often."""
        self._domain = domain
        self._deliveries = deliveries
        self._done: set[UUID] = set()

    def jobs(self) -> list[Job]:
        """Return the jobs that nobody did yet, oldest first."""
        with self._domain.unit(read_only=True) as unit:
            return [job for job in unit.scalars(select(Job).order_by(Job.id)) if job.id not in self._done]

    def step(self) -> bool:
        """Do the oldest job; False when there is none."""
        job = next(iter(self.jobs()), None)
        if job is None:
            return False
        for attempt in range(self._deliveries):
            _HANDLERS[job.kind](self._domain.job(attempt + 1), dict(job.payload))
        self._done.add(job.id)
        return True

    def all(self) -> None:
        """Do every job, those too that come of it."""
        while self.step():
            pass

    def kinds(self) -> Counter[str]:
        """Count what was enqueued so far."""
        with self._domain.unit(read_only=True) as unit:
            return Counter(unit.scalars(select(Job.kind)))
