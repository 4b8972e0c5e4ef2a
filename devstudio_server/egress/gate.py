"""The gate: gives a run its proxy when leases in force allow it something, and holds the proxy to them."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from devstudio_sandbox.egress.clients import proxy_environment
from devstudio_sandbox.egress.proxy import EgressProxy, Lease, ProxySettings
from devstudio_sandbox.egress.rules import read_rule
from devstudio_server.db import Actor, Units
from devstudio_server.egress.models import EgressLease
from devstudio_server.egress.recorder import RequestLog
from devstudio_server.egress.repository import EgressRepository
from devstudio_server.kit.clock import now
from devstudio_server.kit.errors import AppError
from devstudio_server.kit.ids import new_id
from devstudio_server.kit.logging import get_logger

EVERY_S = 0.5
"""How often the leases are read while a run has a proxy: what was revoked is cut within about twice that."""
BLIND_S = 10.0
"""How long a proxy goes on while the database does not answer, and nobody could know of a revocation."""

_log = get_logger("egress")


@dataclass(frozen=True)
class EgressScope:
    """The run that asks for its proxy, and who started it."""

    actor: Actor
    project_id: UUID
    run_id: UUID
    task_id: UUID | None = None


@dataclass(frozen=True)
class EgressAccess:
    """What a run got: the socket for its sandbox, variables for its commands, and what the leases name."""

    socket: Path
    env: Mapping[str, str] = field(default_factory=dict)
    domains: tuple[str, ...] = ()
    mirrors: Mapping[str, str] = field(default_factory=dict)
    """Addresses of package indexes by the name of their client, where the operator named one."""

    def allows(self, url: str) -> bool:
        """Tell whether the leases name the host of an address."""
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return any(read_rule(name).covers(parts.hostname or "", port) for name in self.domains)


Note = Callable[[str], None]
"""Takes a line for the log of the run, on the thread that opened the gate."""


class EgressGate:
    """The port: what a runner asks for a way out. This one has none."""

    @contextmanager
    def opened(self, scope: EgressScope | None, note: Note) -> Iterator[EgressAccess | None]:
        """Give a run its way out while the context lasts; None when no lease in force allows it anything."""
        del scope, note
        yield None


class ProxyGate(EgressGate):
    """A gate that starts one proxy process for each run that has leases."""

    def __init__(
        self, units: Units, settings: ProxySettings, mirrors: Mapping[str, str], every_s: float = EVERY_S
    ) -> None:
        """Read leases through ``units``; ``mirrors`` are addresses of package indexes by the name of their client."""
        self._units = units
        self._settings = settings
        self._mirrors = mirrors
        self._env = proxy_environment(own_authorities=bool(settings.authorities), mirrors=mirrors)
        self._every_s = every_s

    @contextmanager
    def opened(self, scope: EgressScope | None, note: Note) -> Iterator[EgressAccess | None]:
        """Start a proxy if there are leases; raises `SandboxError` when it does not start."""
        if scope is None:
            yield None
            return
        watch = ProxyWatch(self._units, self._settings, scope, self._every_s)
        leases = watch.read()
        if not leases:
            yield None
            return
        domains = tuple(sorted({name for lease in leases for name in lease.domains}))
        with watch.running(leases) as socket:
            note(f"Egress: {', '.join(domains)}, through a proxy, until {_last(leases)}. Every request is logged.")
            try:
                yield EgressAccess(socket, self._env, domains, self._mirrors)
            finally:
                for line in watch.told():
                    note(line)


class ProxyWatch:
    """One proxy, and the thread that tells it the leases and writes down what it did."""

    def __init__(self, units: Units, settings: ProxySettings, scope: EgressScope, every_s: float) -> None:
        """Prepare for one run."""
        self._units, self._scope, self._every_s = units, scope, every_s
        self._id = new_id()
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._log = RequestLog(self._id, scope.project_id, scope.run_id)
        self._turn = threading.Lock()
        """Held by who takes events or writes them: what came in between would be forgotten as if it were written."""
        self._proxy = EgressProxy(settings, self._events.put)
        self._stopping = threading.Event()
        self._seen = monotonic()
        self._refused: Counter[str] = Counter()
        self._requests = 0
        self._used: Mapping[UUID, tuple[int, int]] = {}
        self._gone = False

    def read(self) -> Sequence[EgressLease]:
        """Return the leases in force for the run."""
        scope = self._scope
        with self._units.begin(scope.actor, read_only=True) as session:
            leases = EgressRepository(session).in_force(scope.project_id, scope.task_id, scope.run_id, now())
            self._used = EgressRepository(session).bytes_of([lease.id for lease in leases], but_of=self._id)
        self._seen = monotonic()
        return leases

    @contextmanager
    def running(self, leases: Sequence[EgressLease]) -> Iterator[Path]:
        """Run the proxy and the thread."""
        self._proxy.start(self._told_to_proxy(leases))
        thread = threading.Thread(target=self._loop, name="devstudio-egress-gate", daemon=True)
        thread.start()
        try:
            yield self._proxy.socket
        finally:
            self._stopping.set()
            thread.join()
            self._proxy.close()
            self._write_last()

    def told(self) -> list[str]:
        """Return what the run's log should say at the end."""
        with self._turn:
            self._collect()
        lines = [f"Egress: {self._requests} requests, {self._refused.total()} of them refused."]
        lines += [f"Egress refused {count} times: {what}" for what, count in self._refused.most_common(10)]
        if self._gone:
            lines.append("Egress: the proxy ended in the middle of the run; nothing could be reached any more.")
        return lines

    def _loop(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                self._proxy.renew(self._told_to_proxy(self.read()))
                self._write()
            except AppError as problem:
                self._blind(problem)
            except Exception as problem:  # noqa: BLE001 - what cannot be watched must not go on
                _log.error("egress_watch_failed", exc_info=problem)
                self._proxy.renew([])

    def _blind(self, problem: AppError) -> None:
        _log.warning("egress_leases_not_read", reason=str(problem))
        if monotonic() - self._seen > BLIND_S:
            self._proxy.renew([])

    def _told_to_proxy(self, leases: Sequence[EgressLease]) -> list[Lease]:
        at = now()
        return [
            Lease(
                id=str(lease.id),
                domains=tuple(lease.domains),
                expires_in_s=max(0.0, ((lease.expires_at or at) - at).total_seconds()),
                up_limit=max(0, lease.max_bytes_up - self._used.get(lease.id, (0, 0))[0]),
                down_limit=max(0, lease.max_bytes_down - self._used.get(lease.id, (0, 0))[1]),
            )
            for lease in leases
        ]

    def _collect(self) -> None:
        while True:
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                return
            if event["event"] == "gone":
                self._gone = True
                _log.error("egress_proxy_ended", run_id=str(self._scope.run_id))
                continue
            self._count(event)
            self._log.take(event)

    def _count(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "request":
            self._requests += 1
            if event["verdict"] == "refused":
                self._refused[event["reason"]] += 1
        elif event["event"] == "end" and event["refused"]:
            self._refused[event["how"]] += 1

    def _write(self) -> None:
        """Write down what the proxy told since the last time."""
        with self._turn:
            self._collect()
            if self._log.waiting:
                with self._units.begin(self._scope.actor) as session:
                    self._log.write(session)
                self._log.written()

    def _write_last(self) -> None:
        """Write what is left; a run does not fail because its log of requests cannot be kept."""
        try:
            self._write()
        except AppError as problem:
            _log.error("egress_log_lost", run_id=str(self._scope.run_id), reason=str(problem))


def _last(leases: Sequence[EgressLease]) -> str:
    ends = [lease.expires_at for lease in leases if lease.expires_at is not None]
    return max(ends).strftime("%Y-%m-%d %H:%M:%S UTC")
