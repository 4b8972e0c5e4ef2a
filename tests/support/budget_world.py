"""Budgets for tests: calls without a model, and a race of many calls for the last of a budget."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

from devstudio_server.ai.budget_errors import BudgetExceeded
from devstudio_server.ai.budget_schemas import BudgetScope, BudgetWrite
from devstudio_server.ai.budgets import BudgetService, Hold, Purpose, rounded_up
from devstudio_server.ai.ledger import Account, CallRecord, Ledger
from devstudio_server.ai.metering import worst_case
from devstudio_server.ai.models import Metric
from devstudio_server.ai.ports import ModelRequest, UserMessage
from devstudio_server.ai.prices import PriceBook
from devstudio_server.ai.schemas import Model, Provider
from devstudio_server.ai.settings import TokenPrice
from devstudio_server.ai.subjects import PlanSubject
from devstudio_server.db import Actor, Units
from devstudio_server.kit.ids import new_id

HOLD = Hold(
    purpose=Purpose(),
    operation="plan",
    provider="openai",
    model="m",
    amount=Decimal(1),
    estimate=Decimal("0.1"),
    tokens_input=100,
    context_size=400,
    hold_s=600.0,
)
MODEL = Model(
    id="openai/race",
    provider=Provider.OPENAI,
    name="race",
    context_window=None,
    price_input=1.0,
    price_output=2.0,
    endpoint="openai",
    outside=True,
)
PRICES = PriceBook({"openai/race": TokenPrice(Decimal(1), Decimal(2))})
REQUEST = ModelRequest(
    model="race",
    system="You plan.",
    messages=(UserMessage("Plan it."),),
    tools=(),
    max_tokens=1000,
    subject=PlanSubject("P", "api", "python", "S", "", "", (), {}, ()),
)
WORST = worst_case(REQUEST)
COST = rounded_up(PRICES.worst_cost(MODEL.provider, MODEL.name, WORST, MODEL.endpoint))
"""What one call of the race costs, which is its worst case."""


def metric(cost: str, purpose: Purpose) -> Metric:
    """Return the record of a call."""
    return Metric(
        project_id=purpose.project_id,
        session_id=purpose.session_id,
        task_id=purpose.task_id,
        operation_type="plan",
        provider="openai",
        model_used="m",
        tokens_input=100,
        tokens_output=10,
        tokens_cache_read=0,
        tokens_cache_write=0,
        cost_estimated=Decimal(cost),
        estimated=False,
        duration_ms=5,
        success=True,
    )


def set_limit(units: Units, actor: Actor, limit: Decimal | None) -> None:
    """Limit what the actor's tenant may spend in a month."""
    with units.begin(actor) as session:
        BudgetService(session).put(BudgetScope.TENANT, Purpose(), BudgetWrite(limit=limit), None)


def ledger_of(units: Units, actor: Actor) -> Ledger:
    """Return the ledger of a conversation."""
    return Ledger(Account(units, actor, "plan", None, MODEL, PRICES))


@dataclass(frozen=True)
class Race:
    """How a race ended: how many calls were let through, and how many refused for the budget; US dollars."""

    passed: int
    refused: int
    limit: Decimal
    spent: Decimal
    reserved: Decimal

    @property
    def overshoot(self) -> Decimal:
        """What was spent or held beyond the limit."""
        return max(self.spent + self.reserved - self.limit, Decimal(0))


def race(units: Units, calls: int, *, room: int = 1, people: int = 1) -> Race:
    """Let ``calls`` threads, of some people of one new tenant, reserve and settle at once; ``room`` calls have room.

    Each call that is let through costs its worst case.
    """
    tenant = new_id()
    actors = [Actor(tenant_id=tenant, user_id=new_id()) for _ in range(people)]
    set_limit(units, actors[0], COST * room)
    return run_race(units, actors, calls)


def run_race(units: Units, actors: list[Actor], calls: int) -> Race:
    """Let threads of ``actors`` call at once against the limit that there is."""
    ends: Counter[str] = Counter()
    failures: list[BaseException] = []
    ready = threading.Barrier(calls)

    def call(actor: Actor) -> None:
        ledger = ledger_of(units, actor)
        ready.wait()
        try:
            ledger.reserve(REQUEST, MODEL)
            ledger.record(CallRecord(WORST, 1, 10, success=True))
            ends["passed"] += 1
        except BudgetExceeded:
            ends["refused"] += 1
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=call, args=(actors[number % len(actors)],)) for number in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    with units.begin(actors[0], read_only=True) as session:
        read = BudgetService(session).read(BudgetScope.TENANT, Purpose())
    return Race(ends["passed"], ends["refused"], read.limit or Decimal(0), read.spent, read.reserved)
