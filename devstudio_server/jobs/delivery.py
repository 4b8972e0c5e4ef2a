"""Brings jobs to workers that are processes of their own: Procrastinate carries the word, `ds_jobs` has the truth."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from procrastinate import App, PsycopgConnector
from sqlalchemy import make_url
from sqlalchemy.orm import Session

from devstudio_server.db import actor_of
from devstudio_server.db.delivery import DELIVERY_SCHEMA, QUEUE, TASK, deliver, forget_stalled, notify
from devstudio_server.jobs.models import Job
from devstudio_server.jobs.queue import Place
from devstudio_server.jobs.repository import JobRepository
from devstudio_server.jobs.runner import JobRunner
from devstudio_server.jobs.worker import LET_GO_S
from devstudio_server.kit.logging import get_logger

AGAIN_S = 1.0
POLL_S = 5.0

_log = get_logger("jobs")


class Delivery:
    """Sends word of jobs that any worker can do, while there are such workers."""

    def __init__(self, kinds: Collection[str], wanted: Callable[[], bool]) -> None:
        """Send word of jobs of ``kinds`` while ``wanted``."""
        self._kinds = kinds
        self._wanted = wanted

    def enqueued(self, session: Session, job: Job) -> None:
        """Send word of a job that is new, or there to be taken again: to the workers, or else to the servers."""
        if session.get_bind().dialect.name != "postgresql":
            return
        if job.kind in self._kinds and self._wanted():
            deliver(session, job.tenant_id, job.id)
        else:
            notify(session, job.tenant_id)

    def sweep(self, session: Session) -> int:
        """Send word again of what is pending in the tenant of ``session``, wherever the first was lost."""
        if not self._wanted():
            return 0
        forget_stalled(session)
        pending = JobRepository(session).pending(self._kinds)
        for job_id in pending:
            deliver(session, actor_of(session).tenant_id, job_id)
        return len(pending)


class DeliveredWorker:
    """Does the jobs that Procrastinate brings, so many at once. It waits for a database that is away."""

    def __init__(self, runner: JobRunner, database_url: str, concurrency: int) -> None:
        """Listen at the PostgreSQL database."""
        self._runner = runner
        self._kinds = runner.kinds_of({Place.WORKER})
        self._concurrency = concurrency
        self._app = App(connector=_connector(database_url))
        self._app.task(name=TASK, queue=QUEUE)(self._do)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serving: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="devstudio-delivery", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def wake(self, tenant_id: UUID) -> None:
        """Do nothing: word comes from the database."""
        del tenant_id

    def alive(self) -> bool:
        """Tell whether jobs are still taken."""
        return self._thread.is_alive()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Take no more jobs, and wait ``timeout_s`` seconds for those under way; the rest is put back."""
        self._runner.stopping.set()
        if self._loop is not None and self._serving is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._serving.cancel)
        until = time.monotonic() + timeout_s
        while self._runner.heartbeat.held() and time.monotonic() < until:
            time.sleep(0.05)
        put_back = self._runner.let_go()
        if put_back:
            _log.info("jobs_put_back", count=put_back)
        if self._thread.is_alive():
            self._thread.join(LET_GO_S)

    def _do(self, tenant_id: str, job_id: str) -> None:
        if not self._runner.stopping.is_set():
            self._runner.do_next(UUID(tenant_id), self._kinds, UUID(job_id))

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            self._loop.set_default_executor(ThreadPoolExecutor(self._concurrency + 2, "devstudio-job"))
            try:
                runner.run(self._serve())
            except asyncio.CancelledError:
                return

    async def _serve(self) -> None:
        self._serving = asyncio.current_task()
        while not self._runner.stopping.is_set():
            try:
                async with self._app.open_async():
                    await self._app.run_worker_async(
                        queues=[QUEUE],
                        concurrency=self._concurrency,
                        delete_jobs="always",
                        fetch_job_polling_interval=POLL_S,
                        install_signal_handlers=False,
                    )
            except Exception as error:  # noqa: BLE001 - a database that is away for a moment must not end the worker
                _log.warning("delivery_interrupted", reason=f"{type(error).__name__}: {error}"[:300])
            if not self._runner.stopping.is_set():
                await asyncio.sleep(AGAIN_S)


def _connector(database_url: str) -> PsycopgConnector:
    url = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    options = {"options": f"-c search_path={DELIVERY_SCHEMA}", "connect_timeout": 5, "tcp_user_timeout": 10_000}
    return PsycopgConnector(conninfo=url, kwargs=options, min_size=1, max_size=4, timeout=10.0)
