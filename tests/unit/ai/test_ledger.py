"""What conversations leave in the budgets, however their calls end: nothing held, and each call counted once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select

from devstudio_server.ai.budget_errors import BudgetExceeded
from devstudio_server.ai.budget_schemas import BudgetRead, BudgetScope
from devstudio_server.ai.budgets import BudgetService, Purpose
from devstudio_server.ai.errors import ClientLeft
from devstudio_server.ai.metering import count, worst_case
from devstudio_server.ai.models import BudgetReservation, Metric
from devstudio_server.ai.ports import ModelReply, TokenUsage
from devstudio_server.ai.prices import PriceBook
from devstudio_server.ai.schemas import Provider
from devstudio_server.ai.use import ModelUse
from devstudio_server.db.registry import all_tables
from devstudio_server.kit.errors import AppError
from devstudio_server.kit.stopping import StopSignal
from support.ai_world import GOOD_PLAN, PRICE_INPUT, PRICE_OUTPUT, World, plan_conversation
from support.budget_world import REQUEST, set_limit
from support.model_server import Answer, Call, Fault, Flow

COST = Decimal(1000 * PRICE_INPUT + 100 * PRICE_OUTPUT) / 1_000_000
LONG = Answer(calls=[Call("write_documents", {"requirements": "# Requirements\n" + "word " * 400})])


@pytest.fixture(autouse=True)
def limited(world: World) -> None:
    """Give the tenant a budget with room for some calls."""
    all_tables()
    set_limit(world.units, world.actor, Decimal(100))


def budget(world: World) -> BudgetRead:
    with world.units.begin(world.actor, read_only=True) as session:
        return BudgetService(session).read(BudgetScope.TENANT, Purpose())


def settled(world: World) -> list[str]:
    """Return how the reservations ended, after seeing that nothing is held and that the budget knows each cost."""
    with world.units.begin(world.actor, read_only=True) as session:
        ends = list(session.scalars(select(BudgetReservation.status).order_by(BudgetReservation.id)))
        total = session.scalar(select(func.sum(Metric.cost_estimated)).select_from(Metric)) or Decimal(0)
    read = budget(world)
    assert (read.spent, read.reserved) == (total, 0)
    return ends


def test_a_conversation_settles_each_of_its_calls(world: World) -> None:
    outcome = world.converse(world.gateway([Answer("no tool"), GOOD_PLAN]), plan_conversation())
    assert settled(world) == ["settled", "settled"]
    assert outcome.usage.cost_estimated == budget(world).spent == 2 * COST


@pytest.mark.parametrize(
    ("end", "billed"),
    [
        (Fault(status=500), False),
        (Fault(status=429), False),
        (Fault(status=401), False),
        (Fault(cut=True), True),
        (Fault(reset=True), True),
        (replace(LONG, flow=Flow(after=3, then="reset")), True),
        (replace(LONG, flow=Flow(after=3, then="garbage")), True),
    ],
)
def test_a_call_that_fails_holds_nothing_and_costs_what_may_be_billed(
    world: World,
    end: Answer | Fault,
    billed: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    with pytest.raises(AppError):
        world.converse(world.gateway([end]), plan_conversation())
    assert settled(world) == ["settled"]
    assert (budget(world).spent > 0) is billed


def test_a_stop_in_mid_stream_is_billed_once(world: World) -> None:
    stop = StopSignal()
    gateway = world.gateway([replace(LONG, flow=Flow(after=4, then="silent"))])

    def tell(event: dict[str, Any]) -> None:
        if event["phase"] == "delta":
            stop.set()

    with pytest.raises(ClientLeft):
        gateway.converse(plan_conversation(), units=world.units, actor=world.actor, progress=tell, left=stop)
    assert settled(world) == ["settled"]
    assert len(world.rows()) == 1
    assert budget(world).spent > 0


def test_a_call_that_does_not_fit_is_not_made(world: World) -> None:
    set_limit(world.units, world.actor, COST)
    gateway = world.gateway([GOOD_PLAN])
    with pytest.raises(BudgetExceeded):
        world.converse(gateway, plan_conversation())
    assert world.requests == []
    assert settled(world) == []
    assert world.rows() == []
    assert world.converse(gateway, plan_conversation(model="offline")).usage.cost_estimated == 0


def test_the_limit_of_one_call_holds_before_there_is_any_budget(world: World) -> None:
    set_limit(world.units, world.actor, None)
    use = ModelUse(policy={"call_limit_usd": 0.000001})
    with pytest.raises(BudgetExceeded) as refused:
        world.converse(world.gateway([GOOD_PLAN]), plan_conversation(settings=use))
    assert refused.value.extra["scope"] == "call"
    assert world.requests == []


def test_what_a_provider_counts_beyond_belief_is_estimated_and_settled(world: World) -> None:
    absurd = replace(GOOD_PLAN, usage=(10**12, 10**12))
    assert world.converse(world.gateway([absurd]), plan_conversation()).usage.estimated
    assert settled(world) == ["settled"]
    assert budget(world).spent < 1


@pytest.mark.parametrize("text", ["plain", "ação " * 50, "名前 ✓ 🎉" * 40, "\x00\x01" * 30, ""])
def test_the_worst_case_is_no_less_than_what_is_believed_of_a_provider_that_is_honest(text: str) -> None:
    request = replace(REQUEST, system=text)
    worst = worst_case(request)
    assert worst.output == request.max_tokens
    honest = ModelReply("x", (), "end", TokenUsage(len(text.encode()), request.max_tokens))
    counted = count(request, honest)
    assert counted.input <= worst.input
    assert counted.output <= worst.output


@pytest.mark.parametrize(
    ("provider", "name"), [(Provider.ANTHROPIC, "claude-sonnet-5-5"), (Provider.OPENAI, "gpt-6.1-terra")]
)
def test_the_worst_cost_covers_what_goes_into_the_providers_cache(provider: Provider, name: str) -> None:
    prices, tokens = PriceBook({}), worst_case(REQUEST)
    cached: Callable[[int, int], Decimal] = lambda read, write: prices.cost(  # noqa: E731 - one line of many figures
        provider, name, replace(tokens, cache_read=read, cache_write=write)
    )
    worst = prices.worst_cost(provider, name, tokens)
    for share in (0, 1, tokens.input // 2, tokens.input):
        assert worst >= cached(0, share) > 0
        assert worst >= cached(share, 0) > 0
        assert worst >= cached(share, tokens.input - share) > 0
