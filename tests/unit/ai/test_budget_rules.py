"""Whatever calls do in whatever order, a budget tells the truth: Hypothesis looks for an order in which it does not."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select

from devstudio_server.ai.budget_errors import BudgetExceeded
from devstudio_server.ai.budget_schemas import BudgetPeriod, BudgetScope, BudgetWrite
from devstudio_server.ai.budgets import BudgetService, Purpose
from devstudio_server.ai.models import BudgetReservation, BudgetWarning, Metric
from devstudio_server.db import Actor, Units
from devstudio_server.db.registry import all_tables
from devstudio_server.kit.ids import new_id
from devstudio_server.projects.models import Project
from support.budget_world import HOLD, metric
from support.databases import Databases

T = TypeVar("T")
STEPS = {"small": (8, 20), "full": (200, 60)}
"""How many orders are tried, and how long each is."""
CENTS = st.integers(min_value=1, max_value=400).map(lambda cents: Decimal(cents) / 100)
HOLD_S = 600.0
GONE_S = 660
"""When a reservation has expired: its call's own time, and the margin."""


@dataclass
class Held:
    """What the test knows of a reservation."""

    id: UUID
    amount: Decimal
    estimate: Decimal
    project: bool
    until: datetime
    cost: Decimal | None = None
    ended: bool = False
    guessed: bool = False


class Clock:
    """The time, which goes on when a rule says so."""

    at = datetime(2026, 7, 1, tzinfo=UTC)


class Budgets(RuleBasedStateMachine):
    """Reserves, settles, releases and abandons calls of a tenant and of its project, beside a model of plain sums."""

    held = Bundle("held")
    database: Any = None

    def __init__(self) -> None:
        super().__init__()
        Clock.at = datetime(2026, 7, 1, tzinfo=UTC)
        self.units: Units = Budgets.database
        self.actor = Actor(tenant_id=new_id(), user_id=new_id())
        self.known: list[Held] = []
        self.limits: dict[BudgetScope, Decimal] = {}
        # Whether more than the limit may be spent by now: by a cost above the worst case, or a limit that was lowered.
        self.beyond = False
        self.warned = dict.fromkeys((BudgetScope.TENANT, BudgetScope.PROJECT), 0)
        self.warnings = 0

    def do(self, work: Callable[[BudgetService], T]) -> T:
        with self.units.begin(self.actor) as session:
            return work(BudgetService(session))

    @initialize(tenant=CENTS, project=CENTS)
    def begin(self, tenant: Decimal, project: Decimal) -> None:
        with self.units.begin(self.actor) as session:
            row = Project(name="P", type="api", template="python", created_by=self.actor.user_id)
            session.add(row)
            session.flush()
            self.project_id = row.id
        self.limit(BudgetScope.TENANT, tenant)
        self.limit(BudgetScope.PROJECT, project)

    def limit(self, scope: BudgetScope, limit: Decimal) -> None:
        payload = BudgetWrite(limit=limit, period=BudgetPeriod.TOTAL)
        self.do(lambda budgets: budgets.put(scope, Purpose(project_id=self.project_id), payload, None))
        if self.limits.get(scope) != limit:
            self.limits[scope] = limit
            self.warned[scope] = min(self.warned[scope], self.level(scope))
        self.warn()

    def level(self, scope: BudgetScope) -> int:
        spent = self.counted(scope)[0]
        return max((step for step in (80, 100) if spent and spent * 100 >= self.limits[scope] * step), default=0)

    def warn(self) -> None:
        """Count the warnings that are due: each level that is reached for the first time under this limit."""
        for scope in self.limits:
            self.warnings += sum(self.warned[scope] < step <= self.level(scope) for step in (80, 100))
            self.warned[scope] = max(self.warned[scope], self.level(scope))

    def counted(self, scope: BudgetScope) -> tuple[Decimal, Decimal]:
        """Return what is spent and held by the test's own sums."""
        mine = [one for one in self.known if one.project or scope is BudgetScope.TENANT]
        spent = sum((one.cost for one in mine if one.cost is not None), Decimal(0))
        return spent, sum((one.amount for one in mine if not one.ended), Decimal(0))

    @rule(target=held, amount=CENTS, share=st.integers(0, 100), project=st.booleans())
    def reserve(self, amount: Decimal, share: int, project: bool) -> Any:  # noqa: FBT001 - a rule is called by name
        self.expire()
        purpose = Purpose(project_id=self.project_id if project else None)
        scopes = list(BudgetScope)[: 2 if project else 1]
        fits = all(sum(self.counted(scope)) + amount <= self.limits[scope] for scope in scopes)
        hold = replace(HOLD, purpose=purpose, amount=amount, estimate=amount * share / 100, hold_s=HOLD_S)
        try:
            found = self.do(lambda budgets: budgets.reserve(hold))
        except BudgetExceeded:
            assert not fits, "there was room"
            return multiple()
        assert fits, "there was no room"
        one = Held(found, amount, amount * share / 100, project, Clock.at + timedelta(seconds=GONE_S))
        self.known.append(one)
        return one

    @rule(one=held, share=st.integers(0, 130))
    def settle(self, one: Held, share: int) -> None:
        cost = one.amount * share / 100
        made = metric(str(cost), Purpose(project_id=self.project_id if one.project else None))
        self.do(lambda budgets: budgets.settle(made, one.id))
        if not one.ended or one.guessed:
            # What expired may have made room for another call before it is settled after all.
            self.beyond = self.beyond or cost > one.amount or one.guessed
            one.cost, one.ended, one.guessed = cost, True, False
            self.warn()

    @rule(one=held, share=st.integers(0, 130))
    def settle_late(self, one: Held, share: int) -> None:
        self.pass_time(GONE_S)
        self.expire()
        self.settle(one, share)

    @rule(one=held)
    def release(self, one: Held) -> None:
        self.do(lambda budgets: budgets.release(one.id))
        one.ended = True

    @rule(seconds=st.sampled_from([1, 300, GONE_S]))
    def pass_time(self, seconds: int) -> None:
        Clock.at += timedelta(seconds=seconds)

    @rule()
    def expire(self) -> None:
        self.do(lambda budgets: budgets.expire(100))
        for one in self.known:
            if not one.ended and one.until <= Clock.at:
                one.cost, one.ended, one.guessed = one.estimate, True, True
        self.warn()

    @rule(scope=st.sampled_from([BudgetScope.TENANT, BudgetScope.PROJECT]), limit=CENTS)
    def change(self, scope: BudgetScope, limit: Decimal) -> None:
        self.expire()
        self.limit(scope, limit)
        spent, reserved = self.counted(scope)
        self.beyond = self.beyond or spent + reserved > limit

    @invariant()
    def figures_are_true(self) -> None:
        if not self.limits:
            return
        for scope, limit in self.limits.items():
            with self.units.begin(self.actor, read_only=True) as session:
                read = BudgetService(session).read(scope, Purpose(project_id=self.project_id))
            gone = [
                one
                for one in self.known
                if not one.ended and one.until <= Clock.at and (one.project or scope is BudgetScope.TENANT)
            ]
            spent, reserved = self.counted(scope)
            spent += sum((one.estimate for one in gone), Decimal(0))
            reserved -= sum((one.amount for one in gone), Decimal(0))
            assert (read.spent, read.reserved) == (spent, reserved), scope
            assert read.left == max(limit - spent - reserved, Decimal(0))
            assert self.beyond or spent + reserved <= limit, "more than the limit, though no call cost more than held"

    @invariant()
    def calls_are_recorded_once(self) -> None:
        with self.units.begin(self.actor, read_only=True) as session:
            total = session.scalar(select(func.sum(Metric.cost_estimated)).select_from(Metric)) or Decimal(0)
            opened = session.scalar(select(func.count(BudgetReservation.id)).where(BudgetReservation.status == "open"))
            warnings = session.scalar(select(func.count(BudgetWarning.id)))
        assert total == self.counted(BudgetScope.TENANT)[0]
        assert opened == sum(not one.ended for one in self.known)
        assert warnings == self.warnings


def test_no_order_of_calls_makes_a_budget_lie(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    examples, steps = STEPS[str(request.config.getoption("--bench-scale"))]
    all_tables()
    monkeypatch.setattr("devstudio_server.ai.budgets.clock", lambda _session: Clock.at)
    with tempfile.TemporaryDirectory() as folder:
        databases = Databases("sqlite", Path(folder))
        with databases.fresh(Path(folder) / "budgets.db") as database:
            Budgets.database = Units(database.engine())
            limits = settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            )
            run_state_machine_as_test(Budgets, settings=limits)
            Budgets.database.engine.dispose()
