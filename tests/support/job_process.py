"""What does jobs in one process, without the rest of it: as many of them as a test needs, on one database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from devstudio_server.db import Actor, Units
from devstudio_server.jobs import EmbeddedWorker, Heartbeat, JobKind, JobQueue, JobRunner, Place, Worker
from devstudio_server.jobs.delivery import DeliveredWorker, Delivery
from devstudio_server.jobs.life import Life, LifeKind
from devstudio_server.jobs.models import Job
from devstudio_server.jobs.reconciler import Reconciler
from support.domain_world import DomainWorld


class JobProcess:
    """A life with its heartbeat, its worker and its reconciler."""

    def __init__(
        self,
        domain: DomainWorld,
        handlers: Mapping[str, Any],
        threads: int = 2,
        actor_of: Callable[[Job], Actor] | None = None,
        *,
        kind: LifeKind = "server",
        host: str = "",
        beat_s: float = 0.2,
        places: Collection[Place] = frozenset(Place),
        units: Units | None = None,
        delivered: str = "",
    ) -> None:
        """Do the jobs of ``handlers``; a ``host`` of its own makes it a process of another machine.

        With ``delivered``, the URL of a PostgreSQL database, Procrastinate brings the jobs.
        """
        self.units = units or domain.units
        life = Life.begun(kind)
        self.life = replace(life, host=host) if host else life
        kinds = [work if isinstance(work, JobKind) else JobKind(name, work) for name, work in handlers.items()]
        self.heartbeat = Heartbeat(self.units, self.life, threads, beat_s)
        delivery = Delivery({kind.name for kind in kinds if kind.place is Place.WORKER}, lambda: bool(delivered))
        actor = actor_of or (lambda _job: domain.actor)
        self.runner = JobRunner(self.units, domain.ports, kinds, actor, self.heartbeat, delivery.enqueued)
        self.worker: Worker = (
            DeliveredWorker(self.runner, delivered, threads)
            if delivered
            else EmbeddedWorker(self.runner, threads, places)
        )
        self.reaped: list[frozenset[str]] = []
        self.reconciler = Reconciler(self.units, self.heartbeat, self.worker.wake, self._reap, every_s=0.2)
        self.reconciler.add(delivery.sweep)
        domain.ports.provide(JobQueue, JobQueue(self.worker.wake, delivery.enqueued))

    def _reap(self, alive: Collection[str]) -> int:
        self.reaped.append(frozenset(alive))
        return 0

    def start(self) -> None:
        self.heartbeat.start()
        self.reconciler.start()
        self.worker.start()

    def stop(self, grace_s: float = 10.0) -> None:
        self.worker.stop(grace_s)
        self.reconciler.stop()
        self.heartbeat.stop()

    def vanish(self) -> None:
        """Stop beating without a word, as a machine that is cut off: what it does goes on, and can renew nothing."""
        self.heartbeat._stopping.set()
        self.heartbeat._due.set()
        self.reconciler._stopping.set()
