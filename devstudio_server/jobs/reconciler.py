"""Puts right what a process left that is gone: its jobs, its leases, its sandboxes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import SYSTEM_TENANT_ID, Units
from devstudio_server.db.clock import clock
from devstudio_server.jobs.heartbeat import Heartbeat, resource_of, worker_of
from devstudio_server.jobs.life import surely_over
from devstudio_server.jobs.queue import LeaseLost
from devstudio_server.jobs.repository import JobRepository, LeaseRepository, WorkerRepository
from devstudio_server.kit.logging import get_logger

EVERY_S = 10.0
LEADER = "reconciler"

Sweep = Callable[[Session], int]
"""Puts something right in a unit of one tenant, and returns how much."""

_log = get_logger("jobs")


class Reconciler:
    """A thread of each process. One of them leads, and looks after the database; each looks after its own engine."""

    def __init__(
        self,
        units: Units,
        heartbeat: Heartbeat,
        wake: Callable[[UUID], None],
        reap: Callable[[Collection[str]], int],
        *,
        every_s: float = EVERY_S,
    ) -> None:
        """Call ``wake`` for a tenant that has jobs again, ``reap`` with the ids of the lives that go on."""
        self._units = units
        self._heartbeat = heartbeat
        self._wake = wake
        self._reap = reap
        self._every_s = every_s
        self._sweeps: list[Sweep] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="devstudio-reconciler", daemon=True)

    def add(self, sweep: Sweep) -> None:
        """Let ``sweep`` look at each tenant, too."""
        self._sweeps.append(sweep)

    def start(self) -> None:
        """Look now, and then again and again."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after what is under way, and let another lead."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(10)
        with suppress(Exception):  # then the lease expires
            self._resign()

    def run_once(self) -> None:
        """Put right what can be put right now."""
        alive, gone = self._lives()
        if self._leads(alive) or gone:  # who sees that a process has ended need not wait for the one that leads
            for tenant_id in self._units.tenants():
                self._put_right(tenant_id, alive)
        removed = self._reap(alive)
        if removed:
            _log.warning("sandboxes_reaped", count=removed)

    def _lives(self) -> tuple[frozenset[str], int]:
        """Return the ids of the lives that go on, and how many are over, by their time or by their process."""
        own = self._heartbeat.life.id
        with self._units.begin(worker_of(SYSTEM_TENANT_ID)) as session:
            workers = WorkerRepository(session)
            time = clock(session)
            alive, gone = {str(own)}, 0
            for row in workers.all():
                if row.id == own:
                    continue
                if row.expires_at > time and not surely_over(row.host, row.pid, row.started):
                    alive.add(str(row.id))
                    continue
                _log.warning("process_gone", life=str(row.id), kind=row.kind, host=row.host, pid=row.pid)
                workers.over(row.id)
                gone += 1
        return frozenset(alive), gone

    def _leads(self, alive: Collection[str]) -> bool:
        own = str(self._heartbeat.life.id)
        with self._units.begin(worker_of(SYSTEM_TENANT_ID)) as session:
            leases = LeaseRepository(session)
            lease = leases.find(LEADER)
            if lease is not None and lease.holder == own:
                leases.renew(lease)
            elif lease is None or lease.holder not in alive or lease.expires_at <= clock(session):
                leases.take(LEADER, own)
            else:
                return False
        return True

    def _resign(self) -> None:
        with self._units.begin(worker_of(SYSTEM_TENANT_ID)) as session:
            lease = LeaseRepository(session).find(LEADER)
            if lease is not None and lease.holder == str(self._heartbeat.life.id):
                LeaseRepository.release(lease)

    def _put_right(self, tenant_id: UUID, alive: Collection[str]) -> None:
        with self._units.begin(worker_of(tenant_id)) as session:
            put_back = self._put_back_lost(session, alive)
            for sweep in self._sweeps:
                sweep(session)
        if put_back:
            _log.warning("jobs_requeued", tenant_id=str(tenant_id), jobs=[str(job_id) for job_id in put_back])
            self._wake(tenant_id)

    def _put_back_lost(self, session: Session, alive: Collection[str]) -> Sequence[UUID]:
        """Put back every job whose lease is over, or whose holder is."""
        jobs, leases = JobRepository(session), LeaseRepository(session)
        own = {hold.job_id for hold in self._heartbeat.held()}
        put_back = []
        for job in jobs.running():
            lease = leases.find(resource_of(job.id))
            if job.id in own or (lease is not None and lease.holder in alive and lease.expires_at > clock(session)):
                continue
            jobs.put_back(job.id)
            if lease is not None:
                leases.release(lease)
            put_back.append(job.id)
        return put_back

    def _loop(self) -> None:
        while True:
            try:
                self.run_once()
            except LeaseLost:
                pass
            except Exception as error:  # noqa: BLE001 - a database that is away for a moment must not end the thread
                _log.warning("reconcile_failed", reason=f"{type(error).__name__}: {error}"[:300])
            if self._stopping.wait(self._every_s):
                return
