"""Sandboxes that are started before anybody asks, so that a run need not wait for one.

Each waits for one run of one tenant, and serves no other: it was never used when it is handed over, and it is removed
when its run closes it. While it waits, its supervisor waits to be spoken to, which takes no CPU time.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol
from uuid import UUID

from devstudio_sandbox.base import SupervisedSandbox
from devstudio_sandbox.errors import SandboxError
from devstudio_sandbox.pool_stock import Parked, PoolPolicy, Shape, Stock
from devstudio_sandbox.ports import Backend, BackendStatus, Language, Sandbox, SandboxSpec

log = logging.getLogger(__name__)

MEMINFO = Path("/proc/meminfo")
RETRY_S = (1.0, 60.0)
"""First and longest pause after one could not be made."""


class ParkingBackend(Backend, Protocol):
    """A backend whose sandboxes can be made before their run is known."""

    def park(self, shape: Shape, ttl_s: int) -> SupervisedSandbox:
        """Start one for no run; raises as `open`."""

    def adopt(self, parked: SupervisedSandbox, run_id: UUID, ttl_s: int) -> None:
        """Give one to its run: it lives ``ttl_s`` from now. Raises `SandboxError` when it is dead."""

    def record(self, parked: SupervisedSandbox, run_id: UUID) -> None:
        """Write where other processes see it whose run it serves; may take a moment."""

    def image(self, language: Language) -> str:
        """Name the image that sandboxes are made of now; raises as `open`."""


@dataclass(frozen=True)
class PoolStats:
    """Figures since the start, and how many wait now."""

    parked: int
    made: int
    handed_over: int
    cold: int
    """Opened without the pool: none waited, or the run has egress."""
    dead: int
    """Found dead before they were handed over."""
    retired: int
    """Not wanted any more, too old, or of an image that was built again."""


def available_memory() -> int | None:
    """Return the bytes that this machine can still give (proc(5), MemAvailable); ``None`` where it does not tell."""
    try:
        for line in MEMINFO.read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return None
    return None


class PooledBackend:
    """A backend that hands over sandboxes which wait; see :class:`devstudio_sandbox.ports.Backend`.

    Parameters
    ----------
    backend
        Makes them. The pool closes those that wait, and nothing else of it.
    policy
        How many wait, and for how long.
    memory
        Tells how many bytes the machine can still give.

    """

    def __init__(
        self,
        backend: ParkingBackend,
        policy: PoolPolicy | None = None,
        memory: Callable[[], int | None] = available_memory,
    ) -> None:
        self.name = backend.name
        self._backend, self._memory = backend, memory
        self._policy = policy or PoolPolicy()
        self._changed = threading.Condition()
        self._stock = Stock(self._policy)
        self._doomed: list[Parked] = []
        self._unrecorded: list[tuple[SupervisedSandbox, UUID]] = []
        self._asked = 0.0
        self._short_since: float | None = None
        self._not_before = 0.0
        self._pause_s = 0.0
        self._checked = 0.0
        self._counts = dict.fromkeys(("made", "handed_over", "cold", "dead", "retired"), 0)
        self._thread: threading.Thread | None = None
        self._closed = False

    def open(self, spec: SandboxSpec) -> Sandbox:
        """Hand over one that waits, or start one."""
        if spec.egress is None:  # its mount has to be made with the sandbox
            shape = Shape.of(spec)
            parked = self._ask(shape)
            while parked is not None:
                if self._hand_over(parked, spec):
                    return parked.sandbox
                with self._changed:
                    parked = self._stock.take(shape)
        self._count("cold")
        return self._backend.open(spec)

    def status(self) -> BackendStatus:
        """Look whether the backend works, and say how the pool does."""
        status, stats = self._backend.status(), self.stats()
        if not status.available:
            return status
        served = f"{stats.handed_over} of {stats.handed_over + stats.cold} runs had one that waited"
        return replace(status, detail=f"{status.detail}; {stats.parked} sandboxes wait, {served}")

    def prepare(self, language: Language, say: Callable[[str], None]) -> None:
        """Make what `open` needs."""
        self._backend.prepare(language, say)

    def reap(self, keep: Collection[UUID] = (), only: Collection[UUID] | None = None) -> int:
        """Remove the sandboxes of runs; those that wait have none."""
        return self._backend.reap(keep, only)

    def reap_owners(self, alive: Collection[str]) -> int:
        """Remove what dead owners left, those that waited for them included."""
        return self._backend.reap_owners(alive)

    def stats(self) -> PoolStats:
        """Return the figures, for operators."""
        with self._changed:
            return PoolStats(parked=len(self._stock), **self._counts)

    def close(self) -> None:
        """Remove all that wait, and make no more. What was handed over stays; `open` goes on, without a pool."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()
        self._bury()
        self._take_out("retired", list(self._stock))

    def _ask(self, shape: Shape) -> Parked | None:
        with self._changed:
            if self._closed:
                return None
            if self._thread is None:
                self._thread = threading.Thread(target=self._tend, name="devstudio-sandbox-pool", daemon=True)
                self._thread.start()
            self._asked = time.monotonic()
            parked = self._stock.ask(shape, self._asked)
            if self._short_since is None:
                self._short_since = self._asked
            self._changed.notify_all()
            return parked

    def _hand_over(self, parked: Parked, spec: SandboxSpec) -> bool:
        """Give it to its run, unless it is dead: it has to answer."""
        alive = parked.sandbox.quiet()
        try:
            if alive:
                self._backend.adopt(parked.sandbox, spec.run_id, spec.ttl_s)
        except SandboxError as problem:
            log.info("a sandbox that waited does not answer: %s", problem)
            alive = False
        with self._changed:
            self._counts["handed_over" if alive else "dead"] += 1
            if alive:
                self._unrecorded.append((parked.sandbox, spec.run_id))
            else:
                self._doomed.append(parked)
            self._changed.notify_all()
        return alive

    def _count(self, what: str) -> None:
        with self._changed:
            self._counts[what] += 1

    def _tend(self) -> None:
        """Look after those that wait, until the pool is closed. Nothing that goes wrong may end this."""
        while self._wait():
            try:
                self._record()
                self._bury()
                self._look_after()
                self._make_one()
            except Exception as problem:  # noqa: BLE001 - an engine that is gone now may be back later
                self._pause_s = min(max(2 * self._pause_s, RETRY_S[0]), RETRY_S[1])
                self._not_before = time.monotonic() + self._pause_s
                log.warning("no sandbox can be made in advance, next try in %.0f s: %s", self._pause_s, problem)

    def _wait(self) -> bool:
        """Wait until there may be something to do; tell whether to go on."""
        with self._changed:
            if not self._closed:
                self._changed.wait(self._until_next())
            return not self._closed

    def _until_next(self) -> float | None:
        if self._unrecorded or self._doomed:
            return 0.0
        if self._stock.idle:
            return None
        now = time.monotonic()
        due = max(self._checked + self._policy.check_s, self._not_before)
        if self._stock.missing(now):
            due = min(due, self._due())
        return max(0.0, due - now)

    def _due(self) -> float:
        """Say when the next one may be made: not at the start of a run, unless runs start all the time."""
        settled = self._asked + self._policy.settle_s
        if self._short_since is not None:
            settled = min(settled, self._short_since + self._policy.patience_s)
        return max(settled, self._not_before)

    def _record(self) -> None:
        with self._changed:
            unrecorded, self._unrecorded = self._unrecorded, []
        for sandbox, run_id in unrecorded:
            self._backend.record(sandbox, run_id)

    def _bury(self) -> None:
        """Remove those that were found dead when they were to be handed over."""
        with self._changed:
            doomed, self._doomed = self._doomed, []
        for parked in doomed:
            discard(parked)

    def _look_after(self) -> None:
        """Remove those that are dead, not wanted any more, or of an old image."""
        now = time.monotonic()
        if max(self._checked + self._policy.check_s, self._not_before) > now:
            return
        self._checked = now
        with self._changed:
            self._stock.forget(now)
            waiting, over = list(self._stock), self._stock.surplus(now)
        self._take_out("dead", (parked for parked in waiting if not parked.sandbox.quiet()))
        self._take_out("retired", waiting if self._is_low() else over)
        images = {language: self._backend.image(language) for language in {one.shape.language for one in waiting}}
        self._take_out("retired", (parked for parked in waiting if parked.image != images[parked.shape.language]))

    def _take_out(self, reason: str, doomed: Iterable[Parked]) -> None:
        """Remove those that still wait."""
        with self._changed:
            gone = [parked for parked in doomed if self._stock.discard(parked)]
            self._counts[reason] += len(gone)
        for parked in gone:
            discard(parked)

    def _make_one(self) -> None:
        with self._changed:
            now = time.monotonic()
            shape = self._stock.missing(now) if now >= self._due() else None
        if shape is None:
            return
        if self._is_low():
            self._not_before = now + self._policy.check_s
            return
        image = self._backend.image(shape.language)
        sandbox = self._backend.park(shape, self._policy.ttl_s)
        self._pause_s = 0.0
        with self._changed:
            self._stock.add(Parked(sandbox, shape, image, time.monotonic()))
            self._counts["made"] += 1
            if self._stock.missing(time.monotonic()) is None:
                self._short_since = None

    def _is_low(self) -> bool:
        available = self._memory()
        return available is not None and available < self._policy.spare_memory_bytes

    def _image(self, parked: Parked) -> str:
        return self._backend.image(parked.shape.language)


def discard(parked: Parked) -> None:
    """Remove one that nobody had."""
    try:
        parked.sandbox.close()
    except Exception as problem:  # noqa: BLE001 - one that can't be removed must not keep the others
        log.warning("a sandbox that waited could not be removed: %s", problem)
