"""Which runs are under way in this process, so that a cancel reaches them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from uuid import UUID

from devstudio_sandbox import Sandbox
from devstudio_server.jobs import current_job
from devstudio_server.kit.metrics import ACTIVE_CONTAINERS


class RunControl:
    """The sandboxes of the runs that this process does."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = threading.Lock()
        self._sandboxes: dict[UUID, Sandbox] = {}

    @contextmanager
    def running(self, run_id: UUID, sandbox: Sandbox) -> Iterator[None]:
        """Make ``sandbox`` reachable while its run lasts; it is killed when the run's job loses its lease."""
        with self._lock:
            self._sandboxes[run_id] = sandbox
        ACTIVE_CONTAINERS.inc()
        job = current_job()
        try:
            with job.hold.whenever_lost(sandbox.kill) if job else nullcontext():
                yield
        finally:
            ACTIVE_CONTAINERS.dec()
            with self._lock:
                self._sandboxes.pop(run_id, None)

    def active(self) -> list[UUID]:
        """Return the runs that have a sandbox now."""
        with self._lock:
            return list(self._sandboxes)

    def kill(self, run_id: UUID) -> bool:
        """Kill what a run started; False when this process does not do that run."""
        with self._lock:
            sandbox = self._sandboxes.get(run_id)
        if sandbox is None:
            return False
        sandbox.kill()
        return True
