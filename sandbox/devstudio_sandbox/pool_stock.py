"""What a pool holds, and what it should hold: bookkeeping without threads, clocks or engines."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

from devstudio_sandbox.base import SupervisedSandbox
from devstudio_sandbox.ports import Language, Limits, SandboxSpec

MIB = 1024 * 1024


@dataclass(frozen=True)
class Shape:
    """What can't be changed any more once a sandbox was made, so that only a run like it may have it."""

    tenant_id: UUID
    language: Language
    limits: Limits

    @classmethod
    def of(cls, spec: SandboxSpec) -> Self:
        """Take it from what a run asks for."""
        return cls(spec.tenant_id, spec.language, spec.limits)


@dataclass(frozen=True)
class PoolPolicy:
    """How many sandboxes wait, and for how long."""

    floor: int = 1
    """For each shape that was asked for within ``idle_s``."""
    cap: int = 4
    """For one tenant, all its shapes together."""
    total: int = 16
    """In all."""
    window_s: float = 30.0
    """As many wait, within floor and cap, as were asked for in so many seconds."""
    idle_s: float = 900.0
    """After so many seconds without demand, all of a shape go; what is more than wanted goes at that age."""
    settle_s: float = 2.0
    """None is made until so many seconds after the last was asked for: the start of that run comes first …"""
    patience_s: float = 10.0
    """… but where there is always a next one, it is made all the same after so many seconds."""
    check_s: float = 5.0
    """How often those that wait are looked after."""
    spare_memory_bytes: int = 1024 * MIB
    """None is made, and those that wait go, while this machine has less memory to give than that."""

    @property
    def ttl_s(self) -> int:
        """When one that waits ends by itself, should its owner be stopped but not dead."""
        return int(4 * self.idle_s) + 60


@dataclass(eq=False)
class Parked:
    """One that waits."""

    sandbox: SupervisedSandbox
    shape: Shape
    image: str
    since: float


@dataclass
class Demand:
    """When one shape was asked for."""

    opened: deque[float] = field(default_factory=deque)

    def note(self, now: float, window_s: float) -> None:
        """Somebody asks for one now."""
        self.opened.append(now)
        self._forget(now, window_s)

    def wanted(self, now: float, policy: PoolPolicy) -> int:
        """Return how many should wait."""
        if now - self.opened[-1] >= policy.idle_s:
            return 0
        self._forget(now, policy.window_s)
        recent = sum(now - time < policy.window_s for time in self.opened)
        return min(policy.cap, max(policy.floor, recent))

    def _forget(self, now: float, window_s: float) -> None:
        while len(self.opened) > 1 and now - self.opened[0] >= window_s:
            self.opened.popleft()


class Stock:
    """All that wait, and what was asked for. Not thread-safe: the pool holds a lock around each call."""

    def __init__(self, policy: PoolPolicy) -> None:
        self._policy = policy
        self._parked: dict[Shape, deque[Parked]] = {}
        self._demand: dict[Shape, Demand] = {}

    def __len__(self) -> int:
        """Count those that wait."""
        return sum(map(len, self._parked.values()))

    def __iter__(self) -> Iterator[Parked]:
        """Give all that wait; a snapshot."""
        return iter([parked for waiting in self._parked.values() for parked in waiting])

    @property
    def idle(self) -> bool:
        """Whether there is nothing to look after."""
        return not self._parked and not self._demand

    def ask(self, shape: Shape, now: float) -> Parked | None:
        """Take the one that has waited longest out of the stock, and note the demand."""
        self._demand.setdefault(shape, Demand()).note(now, self._policy.window_s)
        return self.take(shape)

    def take(self, shape: Shape) -> Parked | None:
        """Take the one that has waited longest out of the stock."""
        waiting = self._parked.get(shape)
        if not waiting:
            return None
        parked = waiting.popleft()
        if not waiting:
            del self._parked[shape]
        return parked

    def add(self, parked: Parked) -> None:
        """Put one in."""
        self._parked.setdefault(parked.shape, deque()).append(parked)

    def discard(self, parked: Parked) -> bool:
        """Take this one out; tell whether it was still there."""
        waiting = self._parked.get(parked.shape, deque())
        if parked not in waiting:
            return False
        waiting.remove(parked)
        if not waiting:
            del self._parked[parked.shape]
        return True

    def missing(self, now: float) -> Shape | None:
        """Return the shape of which one should be made now: of those that lack one, the last that was asked for."""
        for shape in sorted(self._demand, key=self._asked, reverse=True):
            lacks = len(self._parked.get(shape, ())) < self._demand[shape].wanted(now, self._policy)
            if lacks and self._of_tenant(shape.tenant_id) < self._policy.cap and self._has_room_for(shape):
                return shape
        return None

    def surplus(self, now: float) -> list[Parked]:
        """Tell which should go: not wanted any more, too old, or in the way of a shape that was asked for later."""
        over = [parked for parked in self if self._is_over(parked, now)]
        missing = self.missing(now)
        if missing and not over and len(self) >= self._policy.total:
            over.append(self._parked[min(self._parked, key=self._asked)][0])
        return over

    def forget(self, now: float) -> None:
        """Forget shapes that nobody has asked for in a long time."""
        for shape in [shape for shape, demand in self._demand.items() if not demand.wanted(now, self._policy)]:
            del self._demand[shape]

    def _is_over(self, parked: Parked, now: float) -> bool:
        demand, age = self._demand.get(parked.shape), now - parked.since
        wanted = demand.wanted(now, self._policy) if demand else 0
        if not wanted or age >= 3 * self._policy.idle_s:
            return True
        return age >= self._policy.idle_s and len(self._parked[parked.shape]) > wanted

    def _asked(self, shape: Shape) -> float:
        return self._demand[shape].opened[-1] if shape in self._demand else 0.0

    def _of_tenant(self, tenant_id: UUID) -> int:
        return sum(len(waiting) for shape, waiting in self._parked.items() if shape.tenant_id == tenant_id)

    def _has_room_for(self, shape: Shape) -> bool:
        """There is room in all, or one whose shape was asked for earlier can go."""
        return len(self) < self._policy.total or any(self._asked(other) < self._asked(shape) for other in self._parked)
