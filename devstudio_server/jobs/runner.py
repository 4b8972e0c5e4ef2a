"""Does jobs: takes one with its lease, does it while the lease holds, and lets go of it in the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import Actor, Units, acting
from devstudio_server.jobs.heartbeat import Heartbeat, HeldLease, resource_of, worker_of
from devstudio_server.jobs.models import Job
from devstudio_server.jobs.queue import JobContext, JobKind, LeaseLost, Place, doing
from devstudio_server.jobs.repository import JobRepository, LeaseRepository
from devstudio_server.kit.errors import Unavailable
from devstudio_server.kit.logging import get_logger
from devstudio_server.web.ports import Ports

MAX_ATTEMPTS = 5
"""How often a job is begun. One whose workers died each time would be the end of the next, too."""

_log = get_logger("jobs")


@dataclass(frozen=True)
class Taken:
    """A job that this process holds the lease of."""

    job: Job
    hold: HeldLease


class JobRunner:
    """Takes and does the jobs of one process, in as many threads as call it."""

    def __init__(
        self,
        units: Units,
        ports: Ports,
        kinds: Iterable[JobKind],
        actor_of: Callable[[Job], Actor],
        heartbeat: Heartbeat,
        tell: Callable[[Session, Job], None] | None = None,
    ) -> None:
        """Do the jobs of ``kinds``; ``actor_of`` says on whose behalf. ``tell`` others of one that is put back."""
        self.units = units
        self.heartbeat = heartbeat
        self.kinds = {kind.name: kind for kind in kinds}
        self.stopping = threading.Event()
        self._ports = ports
        self._actor_of = actor_of
        self._tell = tell

    def kinds_of(self, places: Collection[Place]) -> frozenset[str]:
        """Return the names of the kinds that are done at ``places``."""
        return frozenset(kind.name for kind in self.kinds.values() if kind.place in places)

    def do_next(self, tenant_id: UUID, kinds: Collection[str], job_id: UUID | None = None) -> bool:
        """Do the oldest pending job of a tenant, or the one that is named. False when there was nothing to take."""
        taken = self.take(tenant_id, kinds, job_id)
        if taken is None:
            return False
        self.do(taken)
        return True

    def take(self, tenant_id: UUID, kinds: Collection[str], job_id: UUID | None = None) -> Taken | None:
        """Take a job and its lease in one transaction."""
        life = self.heartbeat.life
        try:
            with self.units.begin(worker_of(tenant_id)) as session:
                job = JobRepository(session).take(kinds, job_id)
                if job is None:
                    return None
                lease = LeaseRepository(session).take(resource_of(job.id), str(life.id))
                hold = HeldLease(life, tenant_id, job.id, lease.fence, job.payload)
        except Exception as error:  # noqa: BLE001 - a database that is away for a moment must not end the worker
            _log.error("job_take_failed", exc_info=error)
            return None
        return Taken(job, hold)

    def do(self, taken: Taken) -> None:
        """Do a job that was taken. It never raises: a job's failure is the job's, not the worker's."""
        job, hold = taken.job, taken.hold
        with self.heartbeat.keeping(hold):
            try:
                self._handle(job, hold)
            except LeaseLost as lost:
                _log.warning("job_left", job_id=str(job.id), kind=job.kind, attempt=job.attempts, reason=str(lost))
                return
            except Unavailable as error:
                _log.warning("job_put_back", job_id=str(job.id), kind=job.kind, attempt=job.attempts, reason=str(error))
                self._settle(hold, put_back=True)
                return
            except Exception as error:  # noqa: BLE001 - as said above
                _log.error("job_failed", job_id=str(job.id), kind=job.kind, exc_info=error)
            if not hold.lost.is_set():
                self._settle(hold, put_back=False)

    def let_go(self) -> int:
        """Put back what is still under way, so that another worker takes it at once; kill what it started here."""
        count = 0
        self.heartbeat.draining = True
        for hold in self.heartbeat.held():
            count += self._settle(hold, put_back=True)
            hold.lose("this process ends")
        return count

    def _handle(self, job: Job, hold: HeldLease) -> None:
        kind = self.kinds[job.kind]
        context = JobContext(self._actor_of(job), self.units, self._ports, job.attempts, hold, self.stopping)
        with acting(context.actor), doing(context):
            if job.attempts <= MAX_ATTEMPTS:
                kind.handler(context, job.payload)
                return
            reason = f"The process that did it ended {MAX_ATTEMPTS} times before it was done, so it is not begun again."
            _log.error("job_given_up", job_id=str(job.id), kind=job.kind, attempts=job.attempts - 1)
            if kind.give_up is not None:
                kind.give_up(context, job.payload, reason)

    def _settle(self, hold: HeldLease, *, put_back: bool) -> bool:
        if hold.settled:
            return False
        try:
            with suppress(LeaseLost), self.units.begin(worker_of(hold.tenant_id)) as session:
                if put_back:
                    job = hold.put_back(session)
                    if job is not None and self._tell is not None:
                        self._tell(session, job)
                else:
                    hold.finish(session)
                return True
        except Exception as error:  # noqa: BLE001 - the lease expires, and the job is done again; the thread goes on
            _log.error("job_finish_failed", job_id=str(hold.job_id), exc_info=error)
        return False
