"""The worker inside the server: threads that take jobs from the table."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from uuid import NAMESPACE_DNS, UUID, uuid5

from devstudio_server.db import Actor, Units, acting
from devstudio_server.jobs.models import Job
from devstudio_server.jobs.queue import JobContext, JobHandler
from devstudio_server.jobs.repository import JobRepository
from devstudio_server.kit.logging import get_logger
from devstudio_server.web.ports import Ports

WORKER_ID: UUID = uuid5(NAMESPACE_DNS, "worker.devstudio.renum")
IDLE_S = 30.0
"""How long a thread waits for a wake-up before it looks again by itself."""

_log = get_logger("jobs")


class EmbeddedWorker:
    """Runs jobs in ``threads`` threads. A job that was under way when the server died is run again from its start."""

    def __init__(
        self,
        units: Units,
        ports: Ports,
        handlers: Mapping[str, JobHandler],
        actor_of: Callable[[Job], Actor],
        threads: int = 2,
    ) -> None:
        """Do the jobs of ``handlers``, by kind; ``actor_of`` says on whose behalf a job is done."""
        self._units = units
        self._ports = ports
        self._handlers = dict(handlers)
        self._actor_of = actor_of
        self._due: SimpleQueue[UUID | None] = SimpleQueue()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._loop, name=f"devstudio-worker-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Put back what an earlier life left, and start the threads."""
        tenants = self._units.tenants()
        requeued = 0
        for tenant_id in tenants:
            with self._units.begin(_worker_of(tenant_id)) as session:
                requeued += JobRepository(session).requeue_running()
            self._due.put(tenant_id)
        if requeued:
            _log.warning("jobs_requeued", count=requeued)
        for thread in self._threads:
            thread.start()

    def wake(self, tenant_id: UUID) -> None:
        """Tell a thread that this tenant has something to do."""
        self._due.put(tenant_id)

    def stop(self, timeout_s: float = 10.0) -> None:
        """Take no more jobs, and wait ``timeout_s`` seconds for those under way; the rest runs after the next start."""
        self._stopping = True
        for _ in self._threads:
            self._due.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout_s)

    def alive(self) -> bool:
        """Tell whether every thread still works."""
        return all(thread.is_alive() for thread in self._threads)

    def _loop(self) -> None:
        while not self._stopping:
            try:
                tenant_id = self._due.get(timeout=IDLE_S)
            except Empty:
                self._look_everywhere()
                continue
            if tenant_id is not None and not self._stopping:
                self._serve(tenant_id)

    def _look_everywhere(self) -> None:
        """Ask every tenant's queue: a wake-up may have been lost with the connection that would have brought it."""
        try:
            for tenant_id in self._units.tenants():
                self._due.put(tenant_id)
        except Exception as error:  # noqa: BLE001 - a database that is away for a moment must not end the worker
            _log.error("job_take_failed", exc_info=error)

    def _serve(self, tenant_id: UUID) -> None:
        """Do one job of a tenant; its next waits behind those of the others."""
        actor = _worker_of(tenant_id)
        job = self._take(actor)
        if job is None:
            return
        self._due.put(tenant_id)
        self._run(actor, job)

    def _take(self, actor: Actor) -> Job | None:
        try:
            with self._units.begin(actor) as session:
                return JobRepository(session).take_next()
        except Exception as error:  # noqa: BLE001 - a database that is away for a moment must not end the worker
            _log.error("job_take_failed", exc_info=error)
            return None

    def _run(self, actor: Actor, job: Job) -> None:
        try:
            context = JobContext(self._actor_of(job), self._units, self._ports, job.attempts)
            with acting(context.actor):
                self._handlers[job.kind](context, job.payload)
        except Exception as error:  # noqa: BLE001 - a job's failure is the job's, not the worker's
            _log.error("job_failed", job_id=str(job.id), kind=job.kind, exc_info=error)
        try:
            with self._units.begin(actor) as session:
                JobRepository(session).finish(job.id)
        except Exception as error:  # noqa: BLE001 - the job runs again after the next start; the thread goes on
            _log.error("job_finish_failed", job_id=str(job.id), exc_info=error)


def _worker_of(tenant_id: UUID) -> Actor:
    """Return the worker itself, as it handles the queue of a tenant."""
    return Actor(tenant_id=tenant_id, user_id=WORKER_ID, name="worker")
