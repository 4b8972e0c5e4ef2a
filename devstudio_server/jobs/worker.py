"""The worker inside the server: threads that take jobs from the table."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from queue import Empty, SimpleQueue
from typing import Protocol
from uuid import UUID

from devstudio_server.jobs.queue import Place
from devstudio_server.jobs.runner import JobRunner
from devstudio_server.kit.logging import get_logger

IDLE_S = 10.0
"""How long a thread waits for a wake-up before it looks again by itself."""
LET_GO_S = 3.0
"""How long a job that was put back may take to see it."""
EVERYWHERE = frozenset(Place)

_log = get_logger("jobs")


class Worker(Protocol):
    """The port to what does jobs, wherever it hears of them."""

    def start(self) -> None:
        """Begin to take jobs."""

    def wake(self, tenant_id: UUID) -> None:
        """Hear that this tenant has something to do."""

    def stop(self, timeout_s: float = 10.0) -> None:
        """Take no more jobs, and wait ``timeout_s`` seconds for those under way; the rest is put back."""

    def alive(self) -> bool:
        """Tell whether jobs are still taken."""


class EmbeddedWorker:
    """Does jobs in ``threads`` threads. A job that was under way when its process died is done again from its start."""

    def __init__(self, runner: JobRunner, threads: int = 2, places: Collection[Place] = EVERYWHERE) -> None:
        """Do the jobs of ``places`` by ``runner``."""
        self._runner = runner
        self._kinds = runner.kinds_of(places)
        self._due: SimpleQueue[UUID | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._loop, name=f"devstudio-worker-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Start the threads; they look at once for what is there."""
        for thread in self._threads:
            thread.start()
        self._look_everywhere()

    def wake(self, tenant_id: UUID) -> None:
        """Tell a thread that this tenant has something to do."""
        self._due.put(tenant_id)

    def stop(self, timeout_s: float = 10.0) -> None:
        """Take no more jobs, and wait ``timeout_s`` seconds for those under way; the rest is put back."""
        self._runner.stopping.set()
        for _ in self._threads:
            self._due.put(None)
        self._join(timeout_s)
        put_back = self._runner.let_go()
        if put_back:
            _log.info("jobs_put_back", count=put_back)
            self._join(LET_GO_S)

    def alive(self) -> bool:
        """Tell whether every thread still works."""
        return all(thread.is_alive() for thread in self._threads)

    def _join(self, timeout_s: float) -> None:
        until = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, until - time.monotonic()))

    def _loop(self) -> None:
        while not self._runner.stopping.is_set():
            try:
                tenant_id = self._due.get(timeout=IDLE_S)
            except Empty:
                self._look_everywhere()
                continue
            if tenant_id is not None and not self._runner.stopping.is_set():
                self._serve(tenant_id)

    def _look_everywhere(self) -> None:
        """Ask every tenant's queue: a wake-up may have been lost, or never sent from another process."""
        try:
            for tenant_id in self._runner.units.tenants():
                self._due.put(tenant_id)
        except Exception as error:  # noqa: BLE001 - a database that is away for a moment must not end the worker
            _log.error("job_take_failed", exc_info=error)

    def _serve(self, tenant_id: UUID) -> None:
        """Do one job of a tenant; its next waits behind those of the others."""
        taken = self._runner.take(tenant_id, self._kinds)
        if taken is None:
            return
        self._due.put(tenant_id)
        self._runner.do(taken)
