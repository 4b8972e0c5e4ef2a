"""Which sandbox backend this server uses. Chosen once: a stopped engine is an error, never a silent step down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

from devstudio_sandbox import Backend, PooledBackend, SandboxError


class BackendChoice:
    """Calls ``choose`` until it gives a backend, and keeps that one."""

    def __init__(self, choose: Callable[[], Backend]) -> None:
        """``choose`` raises `SandboxUnavailable` while there is none."""
        self._choose = choose
        self._lock = threading.Lock()
        self._backend: Backend | None = None

    def __call__(self) -> Backend:
        """Return the backend; raises `SandboxUnavailable`."""
        with self._lock:
            if self._backend is None:
                self._backend = self._choose()
            return self._backend

    def reap_owners(self, alive: Collection[str]) -> int:
        """Remove the sandboxes of every owner that is not ``alive``; return how many. None where nothing works now."""
        try:
            return self().reap_owners(alive)
        except SandboxError:
            return 0

    def close(self) -> None:
        """Remove the sandboxes that wait for runs; those of runs stay."""
        with self._lock:
            if isinstance(self._backend, PooledBackend):
                self._backend.close()
