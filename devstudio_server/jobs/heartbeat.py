"""Keeps what this process holds: renews its leases in time, and lets go of what it can no longer be sure of."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from uuid import NAMESPACE_DNS, UUID, uuid5

from sqlalchemy.orm import Session

from devstudio_server.db import SYSTEM_TENANT_ID, Actor, Units
from devstudio_server.jobs.life import Life
from devstudio_server.jobs.models import Job, Lease
from devstudio_server.jobs.queue import LeaseLost
from devstudio_server.jobs.repository import LEASE_S, JobRepository, LeaseRepository, WorkerRepository
from devstudio_server.kit.logging import get_logger

WORKER_ID: UUID = uuid5(NAMESPACE_DNS, "worker.devstudio.renum")
BEAT_S = 3.0
"""How often leases are renewed: several may be missed before one is lost."""
MARGIN_S = 2.0
"""How long before its end a lease that was not renewed counts as lost: time to kill what runs under it."""
WATCH_S = 0.25

_log = get_logger("jobs")


def worker_of(tenant_id: UUID) -> Actor:
    """Return the worker itself, as it handles the queue of a tenant."""
    return Actor(tenant_id=tenant_id, user_id=WORKER_ID, name="worker")


def resource_of(job_id: UUID) -> str:
    """Name the lease of a job."""
    return f"job:{job_id}"


class HeldLease:
    """The lease of one attempt at one job, as `devstudio_server.jobs.queue.Hold` asks."""

    def __init__(self, life: Life, tenant_id: UUID, job_id: UUID, fence: int, payload: dict[str, Any]) -> None:
        """Hold from now on."""
        self.tenant_id = tenant_id
        self.job_id = job_id
        self.fence = fence
        self.payload = payload
        self.lost = threading.Event()
        self.settled = False
        """Whether the attempt is over, and its lease is let go of: nothing is to be renewed any more."""
        self.certain_until = time.monotonic() + LEASE_S - MARGIN_S
        self._holder = str(life.id)
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    def check(self, session: Session) -> None:
        """Raise `LeaseLost` unless the lease is this attempt's, as the transaction of ``session`` sees it."""
        lease = LeaseRepository(session).find(resource_of(self.job_id))
        if self.lost.is_set() or lease is None or (lease.holder, lease.fence) != (self._holder, self.fence):
            self.lose("another worker took the job")
            raise LeaseLost(f"the lease of job {self.job_id} with fence {self.fence} is lost")

    def renew(self, session: Session) -> None:
        """Let the lease hold on, or raise `LeaseLost`."""
        self.check(session)
        leases = LeaseRepository(session)
        lease = leases.find(resource_of(self.job_id))
        if lease is not None:
            leases.renew(lease)

    def finish(self, session: Session) -> None:
        """Note in the transaction of ``session`` that the job is done. Raises `LeaseLost`."""
        lease = self._let_go(session)
        JobRepository(session).finish(self.job_id)
        if lease is not None:
            LeaseRepository(session).remove(lease)

    def put_back(self, session: Session) -> Job | None:
        """Let any worker take the job, at once. Raises `LeaseLost`."""
        lease = self._let_go(session)
        if lease is not None:
            LeaseRepository.release(lease)
        return JobRepository(session).put_back(self.job_id)

    def _let_go(self, session: Session) -> Lease | None:
        self.check(session)
        self.settled = True
        return LeaseRepository(session).find(resource_of(self.job_id))

    def lose(self, reason: str) -> None:
        """End this attempt: kill what it started, and let it write nothing more."""
        with self._lock:
            if self.lost.is_set():
                return
            self.lost.set()
            callbacks = list(self._callbacks)
        _log.warning("lease_lost", job_id=str(self.job_id), fence=self.fence, reason=reason)
        for callback in callbacks:  # each in a thread of its own: an engine that does not answer keeps nobody else
            threading.Thread(target=_quietly, args=(callback,), name="devstudio-fence", daemon=True).start()

    @contextmanager
    def whenever_lost(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call ``callback`` when the lease is lost within the block; at once when it is lost already."""
        with self._lock:
            lost = self.lost.is_set()
            self._callbacks.append(callback)
        if lost:
            _quietly(callback)
        try:
            yield
        finally:
            with self._lock:
                self._callbacks.remove(callback)


def _quietly(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception as error:  # noqa: BLE001 - what cannot be killed now is reaped by its owner's label
        _log.warning("fencing_failed", exc_info=error)


Watcher = Callable[[Session, Sequence[HeldLease]], Callable[[], None]]
"""Looks, in a unit of a tenant, after what is under way there; what it returns is called after the unit."""


class Heartbeat:
    """Two threads: one renews by the database, the other watches the time, whatever the database does."""

    def __init__(self, units: Units, life: Life, slots: int, beat_s: float = BEAT_S) -> None:
        """Renew what ``life`` holds every ``beat_s`` seconds. ``slots`` is how many jobs it does at once."""
        self.life = life
        self.draining = False
        """Whether this process takes no more jobs."""
        self.workers = 0
        """How many processes there are that only work, as of the last beat."""
        self._units = units
        self._slots = slots
        self._beat_s = beat_s
        self._lock = threading.Lock()
        self._held: dict[UUID, HeldLease] = {}
        self._watchers: list[Watcher] = []
        self._stopping = threading.Event()
        self._due = threading.Event()
        self._threads = [
            threading.Thread(target=loop, name=f"devstudio-{name}", daemon=True)
            for name, loop in (("heartbeat", self._beat_loop), ("lease-watch", self._watch_loop))
        ]

    def watch(self, watcher: Watcher) -> None:
        """Let ``watcher`` look with each beat at what is under way."""
        self._watchers.append(watcher)

    def start(self) -> None:
        """Note that this process is there, before it takes anything, and start the threads."""
        self.beat()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads, and say that this process is gone."""
        self._stopping.set()
        self._due.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(10)
        try:
            with self._units.begin(worker_of(SYSTEM_TENANT_ID)) as session:
                WorkerRepository(session).over(self.life.id)
        except Exception as error:  # noqa: BLE001 - then its row expires
            _log.warning("farewell_failed", exc_info=error)

    def hurry(self) -> None:
        """Beat now, instead of at the next time. From any thread."""
        self._due.set()

    def held(self) -> list[HeldLease]:
        """Return what is held now."""
        with self._lock:
            return list(self._held.values())

    @contextmanager
    def keeping(self, hold: HeldLease) -> Iterator[None]:
        """Keep ``hold`` within the block."""
        with self._lock:
            self._held[hold.job_id] = hold
        try:
            yield
        finally:
            with self._lock:
                self._held.pop(hold.job_id, None)

    def beat(self) -> None:
        """Renew everything now."""
        with self._units.begin(worker_of(SYSTEM_TENANT_ID)) as session:
            workers = WorkerRepository(session)
            workers.seen(self.life, self._slots, draining=self.draining)
            self.workers = sum(row.kind == "worker" and not row.draining for row in workers.alive())
        by_tenant: dict[UUID, list[HeldLease]] = {}
        for hold in self.held():
            if not hold.settled:
                by_tenant.setdefault(hold.tenant_id, []).append(hold)
        for tenant_id, holds in by_tenant.items():
            self._renew(tenant_id, holds)

    def _renew(self, tenant_id: UUID, holds: list[HeldLease]) -> None:
        asked = time.monotonic()
        renewed = []
        with self._units.begin(worker_of(tenant_id)) as session:
            for hold in holds:
                with suppress(LeaseLost):
                    if not hold.settled:
                        hold.renew(session)
                        renewed.append(hold)
            following = [watcher(session, renewed) for watcher in self._watchers]
        for hold in renewed:
            hold.certain_until = asked + LEASE_S - MARGIN_S
        for follow in following:
            follow()

    def _beat_loop(self) -> None:
        while not self._stopping.is_set():
            self._due.wait(self._beat_s)
            self._due.clear()
            if self._stopping.is_set():
                return
            try:
                self.beat()
            except Exception as error:  # noqa: BLE001 - a database that is away for a moment must not end the thread
                _log.warning("heartbeat_failed", reason=type(error).__name__)

    def _watch_loop(self) -> None:
        while not self._stopping.wait(WATCH_S):
            time_now = time.monotonic()
            for hold in self.held():
                if time_now >= hold.certain_until and not hold.settled:
                    hold.lose("it could not be renewed in time")
