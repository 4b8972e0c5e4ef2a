"""Wakes those who follow logs: at once for what this process writes, within `POLL_S` for what another one does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from uuid import UUID
from weakref import WeakKeyDictionary

from devstudio_server.kit.logging import get_logger

POLL_S = 0.1
"""How often a server asks the database, in one statement for each tenant, for logs that are followed here."""
AWAY_S = 1.0

LogState = Hashable
"""Something that is another whenever a log or its run has changed."""
States = Callable[[UUID, Sequence[UUID]], Mapping[UUID, LogState]]

_log = get_logger("execution")


class LogWatch:
    """Events for those who wait for the growth of a log. With ``states``, a thread looks for growth while any wait."""

    def __init__(self, states: States | None = None) -> None:
        """``states`` tells how logs stand; None when whoever appends always notifies."""
        self._states = states
        self._changed = threading.Condition()
        # Weak, so that an event nobody waits for any more is gone: a finished run never notifies.
        self._waiting: dict[UUID, WeakKeyDictionary[asyncio.Event, asyncio.AbstractEventLoop]] = {}
        self._tenants: dict[UUID, UUID] = {}
        self._seen: dict[UUID, LogState] = {}
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def watch(self, tenant_id: UUID, run_id: UUID) -> asyncio.Event:
        """Return an event that is set at the next growth. To be called on the event loop."""
        event = asyncio.Event()
        with self._changed:
            self._waiting = {run: events for run, events in self._waiting.items() if events}
            self._waiting.setdefault(run_id, WeakKeyDictionary())[event] = asyncio.get_running_loop()
            if self._states is not None:
                self._tenants[run_id] = tenant_id
                self._start()
                self._changed.notify()
        return event

    def notify(self, run_id: UUID) -> None:
        """Set the events of a run; from any thread."""
        with self._changed:
            waiting = list(self._waiting.pop(run_id, {}).items())
        for event, loop in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    def close(self) -> None:
        """Stop the thread."""
        self._closed.set()
        with self._changed:
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(5)

    def _start(self) -> None:
        if self._thread is None and not self._closed.is_set():
            self._thread = threading.Thread(target=self._look, name="devstudio-log-watch", daemon=True)
            self._thread.start()

    def _look(self) -> None:
        while True:
            with self._changed:
                if self._closed.is_set():
                    return
                if not any(self._waiting.values()):
                    self._tenants.clear()
                    self._seen.clear()
                    self._changed.wait()
                    continue
                followed = {run: tenant for run, tenant in self._tenants.items() if self._waiting.get(run)}
                self._tenants = dict(followed)
            try:
                self._compare(followed)
            except Exception as error:  # noqa: BLE001 - a database that is away for a moment must not end the thread
                _log.warning("logs_not_watched", reason=type(error).__name__)
                self._closed.wait(AWAY_S)
            self._closed.wait(POLL_S)

    def _compare(self, followed: dict[UUID, UUID]) -> None:
        """Wake those whose log is not as it was. One that is new here is woken: it may have grown since it was read."""
        if self._states is None:
            return
        seen: dict[UUID, LogState] = {}
        for tenant_id in set(followed.values()):
            runs = [run for run, its_tenant in followed.items() if its_tenant == tenant_id]
            seen |= self._states(tenant_id, runs)
        before, self._seen = self._seen, seen
        for run_id, state in seen.items():
            if run_id not in before or before[run_id] != state:
                self.notify(run_id)
