"""The worker inside the server: threads that take jobs from the table."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from devstudio_server.db import Actor, Units
from devstudio_server.jobs.models import Job
from devstudio_server.jobs.queue import JobContext, JobHandler
from devstudio_server.jobs.repository import JobRepository
from devstudio_server.kit.logging import get_logger
from devstudio_server.web.ports import Ports

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
        self._wakeup = threading.Semaphore(0)
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._loop, name=f"devstudio-worker-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Put back what an earlier life left, and start the threads."""
        with self._units.system() as session:
            requeued = JobRepository(session).requeue_running()
        if requeued:
            _log.warning("jobs_requeued", count=requeued)
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Tell a thread that there is something to do."""
        self._wakeup.release()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Take no more jobs, and wait ``timeout_s`` seconds for those under way; the rest runs after the next start."""
        self._stopping = True
        self._wakeup.release(len(self._threads))
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout_s)

    def alive(self) -> bool:
        """Tell whether every thread still works."""
        return all(thread.is_alive() for thread in self._threads)

    def _loop(self) -> None:
        while not self._stopping:
            job = self._take()
            if job is not None:
                self._run(job)
            elif not self._stopping:
                self._wakeup.acquire(timeout=IDLE_S)

    def _take(self) -> Job | None:
        try:
            with self._units.system() as session:
                return JobRepository(session).take_next()
        except Exception as error:  # noqa: BLE001 - a database that is away for a moment must not end the worker
            _log.error("job_take_failed", exc_info=error)
            return None

    def _run(self, job: Job) -> None:
        try:
            context = JobContext(self._actor_of(job), self._units, self._ports, job.attempts)
            self._handlers[job.kind](context, job.payload)
        except Exception as error:  # noqa: BLE001 - a job's failure is the job's, not the worker's
            _log.error("job_failed", job_id=str(job.id), kind=job.kind, exc_info=error)
        try:
            with self._units.system() as session:
                JobRepository(session).finish(job.id)
        except Exception as error:  # noqa: BLE001 - the job runs again after the next start; the thread goes on
            _log.error("job_finish_failed", job_id=str(job.id), exc_info=error)
