"""Rate limits, per tenant and per user, by the `limits` library.

The strategy is the sliding window counter: two counters for each limit, weighted by time. It lets nobody take twice the
limit around the turn of a window, as a fixed window does, and costs the same for 5 as for 50,000 requests, which a
moving window, with one entry for each request, does not.

In the local mode one person is all there is, so only limits that the configuration names hold there.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from devstudio_server.db import Actor
from devstudio_server.kit.errors import TooManyRequests
from devstudio_server.kit.logging import get_logger
from devstudio_server.kit.metrics import RATE_LIMITED, RATE_LIMITS_SKIPPED

ANSWER_S = 0.25
"""How long Redis may take to answer; a request never waits longer for its limits."""
PAUSE_S = 1.0
"""How long a Redis that did not answer is left alone; requests pass meanwhile."""

_log = get_logger("web")


class Limit(StrEnum):
    """What an operation counts against. Each also counts against `READ` or `WRITE`."""

    READ = "read"
    WRITE = "write"
    PLAN = "plan"
    GENERATE = "generate"
    EXECUTE = "execute"
    DEPLOY = "deploy"


RATES: dict[str, str] = {
    "read.tenant": "60000/minute",
    "read.user": "12000/minute",
    "write.tenant": "12000/minute",
    "write.user": "6000/minute",
    "plan.tenant": "20/minute",
    "generate.tenant": "10/minute",
    "execute.tenant": "100/hour",
    "deploy.tenant": "5/minute",
}
"""The limits of a team. Generation, runs and deploys are the seed's; the rest only stops what runs wild."""
_NAMES = frozenset(f"{limit}.{scope}" for limit in Limit for scope in ("tenant", "user"))


def parse_rates(rates: Mapping[str, str]) -> dict[str, RateLimitItem]:
    """Return limits by name; an empty rate is no limit. ``ValueError`` says what is wrong."""
    unknown = sorted(set(rates) - _NAMES)
    if unknown:
        message = f"there is no rate limit `{unknown[0]}`; the names are {', '.join(sorted(_NAMES))}"
        raise ValueError(message)
    found = {}
    for name, rate in rates.items():
        if not rate:
            continue
        try:
            found[name] = parse(rate)
        except ValueError as error:
            message = f"the rate limit `{name}` is {rate!r}; write it as `10/minute` or `100/hour`"
            raise ValueError(message) from error
    return found


@dataclass(frozen=True)
class Quota:
    """What is left of a limit. ``reset_s`` are the seconds until some of it is given back."""

    limit: int
    remaining: int
    reset_s: int

    @property
    def headers(self) -> dict[str, str]:
        """The headers of draft 6 of the IETF's rate limit headers, which clients know."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_s),
        }


class RateLimiter:
    """Admits or refuses requests. Without ``redis_url`` it counts in memory, for this server alone.

    When Redis does not answer, requests pass: a limit protects the service and must not be what takes it down.
    """

    def __init__(self, rates: Mapping[str, str] | None = None, redis_url: str = "") -> None:
        """Use `RATES`, with those of ``rates`` in their place."""
        own = dict(rates or {})
        self._local = parse_rates(own)
        self._team = parse_rates(RATES | own)
        self._pool = _pool_of(redis_url) if redis_url else None
        self._windows = SlidingWindowCounterRateLimiter(_storage_of(self._pool) if self._pool else MemoryStorage())
        self._paused_until = 0.0
        self._down = False

    async def admit(self, actor: Actor, limit: Limit, special: Limit | None = None) -> Quota | None:
        """Count one request of ``actor``; raises `TooManyRequests`.

        Return what is left of the narrowest limit, None when none holds or Redis did not answer.
        """
        items = self._items(actor, limit, special)
        if not items:
            return None
        if self._pool is None:
            return await self._count(items)
        if time.monotonic() < self._paused_until:
            RATE_LIMITS_SKIPPED.inc()
            return None
        if self._down:
            self._paused_until = time.monotonic() + PAUSE_S  # this request tries; the others go on without
        try:
            async with asyncio.timeout(ANSWER_S):
                quota = await self._count(items)
        except (RedisError, OSError, TimeoutError) as error:
            self._lost(error)
            return None
        except TooManyRequests:
            self._found()
            raise
        self._found()
        return quota

    def _items(self, actor: Actor, limit: Limit, special: Limit | None) -> list[tuple[str, RateLimitItem, str]]:
        """Return name, rate and key of every limit that holds, the widest first."""
        rates = self._local if actor.sole_user else self._team
        if not rates:
            return []
        tenant = str(actor.tenant_id)
        found = []
        for kind in (limit, special) if special else (limit,):
            for scope, key in (("tenant", tenant), ("user", f"{tenant}:{actor.user_id}")):
                item = rates.get(name := f"{kind}.{scope}")
                if item is not None:
                    found.append((name, item, f"{name}:{key}"))
        return found

    async def _count(self, items: list[tuple[str, RateLimitItem, str]]) -> Quota:
        for name, item, key in items:
            if not await self._windows.hit(item, key):
                RATE_LIMITED.labels(name).inc()
                raise _refused(name, item, await self._quota(item, key))
        _, item, key = items[-1]
        return await self._quota(item, key)

    async def _quota(self, item: RateLimitItem, key: str) -> Quota:
        stats = await self._windows.get_window_stats(item, key)
        return Quota(item.amount, stats.remaining, max(1, math.ceil(stats.reset_time - time.time())))

    def _lost(self, error: BaseException) -> None:
        RATE_LIMITS_SKIPPED.inc()
        self._paused_until = time.monotonic() + PAUSE_S
        if not self._down:
            self._down = True
            _log.warning("rate_limits_skipped", reason=f"Redis does not answer ({type(error).__name__})")

    def _found(self) -> None:
        self._paused_until = 0.0
        if self._down:
            self._down = False
            _log.info("rate_limits_back")

    async def close(self) -> None:
        """Close the connections to Redis."""
        if self._pool is not None:
            await self._pool.disconnect()


def _pool_of(url: str) -> ConnectionPool:
    """Return connections that answer soon or fail: a second try would only make the request wait."""
    waits = {"socket_timeout": ANSWER_S, "socket_connect_timeout": ANSWER_S}
    return ConnectionPool.from_url(url, retry=Retry(NoBackoff(), 0), **waits)


def _storage_of(pool: ConnectionPool) -> RedisStorage:
    prefix = "devstudio:limits"
    return RedisStorage("async+redis://", implementation="redispy", key_prefix=prefix, connection_pool=pool)  # type: ignore[arg-type]


def _refused(name: str, item: RateLimitItem, quota: Quota) -> TooManyRequests:
    limit, scope = name.split(".")
    whose = "Your tenant's" if scope == "tenant" else "Your own"
    seconds = "second" if quota.reset_s == 1 else "seconds"
    message = f"{whose} limit for `{limit}` is reached: {item}. Try again in {quota.reset_s} {seconds}."
    return TooManyRequests(message, headers=quota.headers | {"Retry-After": str(quota.reset_s)}, limit=name)
