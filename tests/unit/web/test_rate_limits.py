"""Which limits hold for whom, what is left of them, and that one that cannot be read is refused."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from devstudio_server.db import Actor
from devstudio_server.kit.errors import TooManyRequests
from devstudio_server.kit.ids import new_id
from devstudio_server.operations import all_operations
from devstudio_server.web.rate_limits import RATES, Limit, RateLimiter, parse_rates


def person(tenant_id: UUID | None = None, *, sole_user: bool = False) -> Actor:
    return Actor(tenant_id=tenant_id or new_id(), user_id=new_id(), sole_user=sole_user)


def admitted(limiter: RateLimiter, actor: Actor, times: int, limit: Limit, special: Limit | None = None) -> int:
    """Return how many of ``times`` requests were admitted."""

    async def ask() -> int:
        count = 0
        for _ in range(times):
            try:
                await limiter.admit(actor, limit, special)
            except TooManyRequests:
                continue
            count += 1
        return count

    return asyncio.run(ask())


def test_the_seeds_figures_are_the_defaults_of_a_team() -> None:
    assert RATES["generate.tenant"] == "10/minute"
    assert RATES["execute.tenant"] == "100/hour"
    assert RATES["deploy.tenant"] == "5/minute"
    declared = {operation.id: operation.limit for operation in all_operations() if operation.limit}
    assert declared["generate_code"] is Limit.GENERATE
    assert declared["apply_patch"] is Limit.EXECUTE
    for scope in ("tenant", "user"):
        assert {f"read.{scope}", f"write.{scope}"} <= set(RATES)


def test_people_of_a_tenant_share_its_limit_and_tenants_share_nothing() -> None:
    limiter = RateLimiter({"execute.tenant": "5/day"})
    ana = person()
    bob = person(ana.tenant_id)
    assert admitted(limiter, ana, 3, Limit.WRITE, Limit.EXECUTE) == 3
    assert admitted(limiter, bob, 3, Limit.WRITE, Limit.EXECUTE) == 2
    assert admitted(limiter, person(), 6, Limit.WRITE, Limit.EXECUTE) == 5


def test_each_person_has_an_own_limit_beside() -> None:
    limiter = RateLimiter({"write.user": "2/day", "write.tenant": "3/day"})
    ana = person()
    assert admitted(limiter, ana, 5, Limit.WRITE) == 2
    bob = person(ana.tenant_id)
    assert admitted(limiter, bob, 5, Limit.WRITE) < 2  # what Ana was refused counted for the tenant, too


def test_the_same_user_id_in_two_tenants_is_two_people() -> None:
    limiter = RateLimiter({"write.user": "1/day"})
    ana = person()
    twin = Actor(tenant_id=new_id(), user_id=ana.user_id)
    assert admitted(limiter, ana, 2, Limit.WRITE) == 1
    assert admitted(limiter, twin, 2, Limit.WRITE) == 1


def test_in_the_local_mode_only_what_is_configured_holds() -> None:
    assert admitted(RateLimiter(), person(sole_user=True), 50, Limit.WRITE, Limit.GENERATE) == 50
    configured = RateLimiter({"generate.tenant": "3/day"})
    assert admitted(configured, person(sole_user=True), 50, Limit.WRITE, Limit.GENERATE) == 3
    assert admitted(RateLimiter({"generate.tenant": ""}), person(), 50, Limit.WRITE, Limit.GENERATE) == 50


def test_an_operation_that_is_special_counts_against_both() -> None:
    limiter = RateLimiter({"generate.tenant": "100/day", "write.user": "4/day"})
    assert admitted(limiter, person(), 9, Limit.WRITE, Limit.GENERATE) == 4


def test_the_quota_is_that_of_the_narrowest_limit() -> None:
    limiter = RateLimiter({"generate.tenant": "4/day"})

    async def ask() -> list[tuple[int, int]]:
        ana = person()
        quotas = [await limiter.admit(ana, Limit.WRITE, Limit.GENERATE) for _ in range(2)]
        return [(quota.limit, quota.remaining) for quota in quotas if quota]

    assert asyncio.run(ask()) == [(4, 3), (4, 2)]


@pytest.mark.parametrize(
    ("rates", "says"),
    [
        ({"generate": "1/day"}, "no rate limit `generate`"),
        ({"generate.x": "1/day"}, "generate.tenant"),
        ({"generate.tenant": "x"}, "write it as `10/minute`"),
        ({"generate.tenant": "-1/day"}, "write it as"),
        ({"generate.tenant": "1/fortnight"}, "write it as"),
    ],
)
def test_a_limit_that_cannot_be_read_is_refused(rates: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_rates(rates)
