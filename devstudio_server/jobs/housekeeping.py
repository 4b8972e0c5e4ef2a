"""Work that the clock asks for: what has expired is removed, in small transactions, in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from sqlalchemy.orm import Session

from devstudio_server.db import Actor, Units
from devstudio_server.jobs.heartbeat import WORKER_ID
from devstudio_server.kit.logging import get_logger

EVERY_S = 600.0
BATCH = 500
"""Rows that one transaction removes: writers of the tenant wait no longer than that takes."""

Chore = Callable[[Session, int], int]
"""Removes up to so many rows of the unit's tenant, and returns how many it found."""

_log = get_logger("jobs")


class Housekeeping:
    """A thread that does every chore for every tenant, again and again."""

    def __init__(self, units: Units, chores: Mapping[str, Chore], every_s: float = EVERY_S) -> None:
        """Do ``chores``, by name, every ``every_s`` seconds; the first time at once."""
        self._units = units
        self._chores = dict(chores)
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="devstudio-housekeeping", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop after the transaction that is under way."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def run_once(self) -> dict[str, int]:
        """Do every chore for every tenant now; return how many rows each removed."""
        removed = dict.fromkeys(self._chores, 0)
        for tenant_id in self._units.tenants():
            keeper = Actor(tenant_id=tenant_id, user_id=WORKER_ID, name="housekeeping")
            for name, chore in self._chores.items():
                removed[name] += self._exhaust(keeper, chore)
        return removed

    def _exhaust(self, keeper: Actor, chore: Chore) -> int:
        total = 0
        while not self._stopping.is_set():
            with self._units.begin(keeper) as session:
                removed = chore(session, BATCH)
            total += removed
            if removed < BATCH:
                break
        return total

    def _loop(self) -> None:
        while True:
            try:
                removed = {name: count for name, count in self.run_once().items() if count}
                if removed:
                    _log.info("expired_removed", **removed)
            except Exception as error:  # noqa: BLE001 - a database that is away for a moment must not end the thread
                _log.error("housekeeping_failed", exc_info=error)
            if self._stopping.wait(self._every_s):
                return
