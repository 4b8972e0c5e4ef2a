"""Budgets: what is held, what is counted, who is warned, and what becomes of calls that nobody settles."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import pytest
from sqlalchemy import select

from devstudio_server.ai.budget_desk import desk_of
from devstudio_server.ai.budget_errors import BudgetExceeded
from devstudio_server.ai.budget_schemas import BudgetPeriod, BudgetRead, BudgetScope, BudgetWrite
from devstudio_server.ai.budgets import BudgetService, Purpose, expire_reservations
from devstudio_server.ai.models import BudgetReservation, Metric
from devstudio_server.audit.models import AuditEntry
from devstudio_server.audit.recorder import record_audit
from devstudio_server.db import Actor, Units
from devstudio_server.db.scope import REQUEST_ID
from devstudio_server.events.models import Event
from devstudio_server.events.recorder import record_events
from devstudio_server.kit.errors import Invalid, PreconditionFailed
from devstudio_server.kit.ids import new_id
from devstudio_server.projects.models import Project
from support.budget_world import HOLD, metric
from support.databases import Database

T = TypeVar("T")
JULY = datetime(2026, 7, 31, 23, 59, tzinfo=UTC)


class Budgets:
    """One tenant's budgets, at a time that a test sets."""

    def __init__(self, units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
        self.units = units
        self.actor = Actor(tenant_id=new_id(), user_id=new_id())
        self.at = JULY
        monkeypatch.setattr("devstudio_server.ai.budgets.clock", lambda _session: self.at)
        with units.begin(self.actor) as session:
            project = Project(name="P", type="api", template="python", created_by=self.actor.user_id)
            session.add(project)
            session.flush()
            self.purpose = Purpose(project_id=project.id)

    def do(self, work: Callable[[BudgetService], T]) -> T:
        with self.units.begin(self.actor) as session:
            return work(BudgetService(session))

    def set(
        self, limit: str | None, scope: BudgetScope = BudgetScope.TENANT, period: BudgetPeriod | None = None
    ) -> BudgetRead:
        payload = BudgetWrite(limit=None if limit is None else Decimal(limit), period=period)
        return self.do(lambda budgets: budgets.put(scope, self.purpose, payload, None))

    def read(self, scope: BudgetScope = BudgetScope.TENANT) -> BudgetRead:
        with self.units.begin(self.actor, read_only=True) as session:
            return BudgetService(session).read(scope, self.purpose)

    def figures(self, scope: BudgetScope = BudgetScope.TENANT) -> tuple[Decimal, Decimal]:
        read = self.read(scope)
        return read.spent, read.reserved

    def reserve(self, amount: str = "1", **fields: Any) -> UUID:
        hold = replace(HOLD, purpose=self.purpose, amount=Decimal(amount), **fields)
        return self.do(lambda budgets: budgets.reserve(hold))

    def settle(self, reservation: UUID | None, cost: str) -> list[str]:
        made = metric(cost, self.purpose)
        return self.do(lambda budgets: budgets.settle(made, reservation))

    def rows(self, kind: type[T]) -> list[T]:
        with self.units.begin(self.actor, read_only=True) as session:
            return list(session.scalars(select(kind).order_by(kind.id)))  # type: ignore[attr-defined]

    def events(self, subject: str) -> list[dict[str, object]]:
        return [event.payload for event in self.rows(Event) if event.type == f"{subject}.created"]


@pytest.fixture
def budgets(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Budgets]:
    units = Units(database.engine(), recorders=(record_events, record_audit))
    yield Budgets(units, monkeypatch)
    units.engine.dispose()


def test_a_call_holds_its_worst_case_until_it_is_settled_with_what_it_cost(budgets: Budgets) -> None:
    budgets.set("10")
    held = budgets.reserve("4")
    assert budgets.figures() == (0, 4)
    assert budgets.read().left == 6
    assert budgets.settle(held, "1.5") == []
    assert budgets.figures() == (Decimal("1.5"), 0)
    assert budgets.read().left == Decimal("8.5")
    (row,) = budgets.rows(Metric)
    assert (row.cost_estimated, row.project_id) == (Decimal("1.5"), budgets.purpose.project_id)


def test_a_call_that_was_not_made_holds_nothing_any_more(budgets: Budgets) -> None:
    budgets.set("10")
    held = budgets.reserve("4")
    for _ in range(2):
        budgets.do(lambda found: found.release(held))
        assert budgets.figures() == (0, 0)
    assert budgets.rows(Metric) == []


def test_a_call_counts_in_the_budgets_of_its_project_and_of_the_tenant(budgets: Budgets) -> None:
    budgets.set("10")
    budgets.set("3", BudgetScope.PROJECT)
    held = budgets.reserve("2")
    with pytest.raises(BudgetExceeded) as refused:
        budgets.reserve("1.5")
    assert refused.value.extra == {
        "scope": "project", "limit": 3.0, "spent": 0.0, "reserved": 2.0, "left": 1.0, "needed": 1.5,
    }  # fmt: skip
    assert "The budget of the project is $3.00" in refused.value.detail
    assert refused.value.headers == {"Retry-After": "30"}, "there is room once the call under way is settled"
    assert budgets.figures() == (0, 2), "what is refused holds nothing, in no budget"
    budgets.settle(held, "2")
    assert budgets.figures(BudgetScope.PROJECT) == (2, 0) == budgets.figures()
    with pytest.raises(BudgetExceeded) as refused:
        budgets.reserve("1.5")
    assert refused.value.headers == {}, "waiting does not help"


def test_a_limit_of_nothing_refuses_all_that_costs(budgets: Budgets) -> None:
    budgets.set("0")
    with pytest.raises(BudgetExceeded):
        budgets.reserve("0.00000001")
    assert budgets.read().left == 0
    assert budgets.events("budget_warning") == []


def test_without_a_limit_calls_are_counted_and_none_is_refused(budgets: Budgets) -> None:
    held = budgets.reserve("800")
    read = budgets.read()
    assert (read.limit, read.left, read.reserved, read.version) == (None, None, 800, 0)
    budgets.settle(held, "700")
    assert budgets.read().spent == 700
    assert budgets.set(None).spent == 700


def test_one_call_may_cost_no_more_than_the_project_allows(budgets: Budgets) -> None:
    with pytest.raises(BudgetExceeded) as refused:
        budgets.reserve("2", limit=Decimal("1.99"))
    assert refused.value.extra["scope"] == "call"
    assert "call_limit_usd" in refused.value.detail
    budgets.reserve("1.99", limit=Decimal("1.99"))


def test_a_budget_that_is_set_late_knows_what_was_spent_and_is_held(budgets: Budgets) -> None:
    budgets.settle(budgets.reserve(), "0.25")
    held = budgets.reserve("2")
    budgets.purpose, mine = Purpose(project_id=new_id()), budgets.purpose
    budgets.settle(budgets.reserve(), "5")
    budgets.purpose = mine
    for scope, spent in ((BudgetScope.TENANT, "5.25"), (BudgetScope.PROJECT, "0.25")):
        assert (budgets.set("9", scope).spent, budgets.read(scope).reserved) == (Decimal(spent), 2)
    budgets.settle(held, "1")
    assert budgets.figures() == (Decimal("6.25"), 0)
    assert budgets.figures(BudgetScope.PROJECT) == (Decimal("1.25"), 0)


def test_a_month_begins_with_nothing_spent_and_all_time_goes_on(budgets: Budgets) -> None:
    budgets.set("10")
    budgets.set("10", BudgetScope.PROJECT)
    budgets.settle(budgets.reserve("9"), "9")
    over = budgets.reserve("1")
    budgets.at += timedelta(minutes=2)
    assert budgets.read().warned == 0
    assert budgets.figures() == (0, 1)
    budgets.settle(over, "0.5")
    assert budgets.figures() == (Decimal("0.5"), 0), "what is settled in August is August's"
    assert budgets.figures(BudgetScope.PROJECT) == (Decimal("9.5"), 0)


def test_somebody_is_warned_once_at_80_and_once_at_100_percent_in_each_month(budgets: Budgets) -> None:
    budgets.set("10")
    held = [budgets.reserve("1") for _ in range(10)]
    said = [budgets.settle(one, "1") for one in held]
    assert said[:7] == [[]] * 7
    assert said[7] == ["80 % of this month's budget of the tenant are spent: $8.00 of $10.00."]
    assert said[8] == []
    assert said[9] == ["100 % of this month's budget of the tenant are spent: $10.00 of $10.00."]
    assert [(event["scope"], event["key"]) for event in budgets.events("budget_warning")] == [
        ("tenant", "80"), ("tenant", "100"),
    ]  # fmt: skip
    assert len([entry for entry in budgets.rows(AuditEntry) if entry.action == "budget_warning.created"]) == 2
    assert (budgets.read().warned, budgets.read().warned_at) == (100, JULY)
    budgets.at += timedelta(minutes=2)
    assert (budgets.read().warned, budgets.read().warned_at) == (0, None)
    budgets.settle(budgets.reserve("9.5"), "9.5")
    assert [event["key"] for event in budgets.events("budget_warning")] == ["80", "100", "80"]


def test_one_call_may_pass_both_marks_and_each_is_told(budgets: Budgets) -> None:
    budgets.set("10")
    assert budgets.settle(budgets.reserve("10"), "10") != []
    assert [event["key"] for event in budgets.events("budget_warning")] == ["80", "100"]


def test_another_limit_warns_of_what_is_reached_and_again_later(budgets: Budgets) -> None:
    budgets.set("10")
    budgets.settle(budgets.reserve("5"), "5")
    assert budgets.set("6").warned == 80
    assert budgets.set("100").warned == 0
    assert budgets.set("100").version == 3, "the same again is no change"
    budgets.settle(budgets.reserve("80"), "80")
    assert [event["key"] for event in budgets.events("budget_warning")] == ["80", "80"]


def test_what_a_provider_bills_above_the_worst_case_is_counted_in_full_and_said(budgets: Budgets) -> None:
    budgets.set("2")
    said = budgets.settle(budgets.reserve("1"), "3")
    assert "billed more for a call than its worst case: $3.00000000 instead of at most $1.00000000" in said[-1]
    assert budgets.figures() == (3, 0)
    assert budgets.read().left == 0


def test_a_call_is_billed_once_however_often_it_is_settled(budgets: Budgets) -> None:
    budgets.set("10")
    held = budgets.reserve("2")
    for _ in range(3):
        budgets.settle(held, "1")
    assert budgets.figures() == (1, 0)
    assert len(budgets.rows(Metric)) == 1


def test_what_nobody_settles_holds_until_it_expires_and_counts_with_its_input_then(budgets: Budgets) -> None:
    budgets.set("10")
    budgets.reserve("9", estimate=Decimal("0.4"), hold_s=100.0)
    budgets.at += timedelta(seconds=159)
    with pytest.raises(BudgetExceeded):
        budgets.reserve("2")
    budgets.at += timedelta(seconds=1)
    assert budgets.figures() == (Decimal("0.4"), 0), "whether or not somebody has come by"
    budgets.reserve("2")
    assert budgets.figures() == (Decimal("0.4"), 2)
    (row,) = budgets.rows(Metric)
    assert (row.cost_estimated, row.estimated, row.success) == (Decimal("0.4"), True, False)
    assert [row.status for row in budgets.rows(BudgetReservation)] == ["expired", "open"]


def test_a_settlement_after_the_expiry_replaces_what_was_guessed(budgets: Budgets) -> None:
    budgets.set("10")
    held = budgets.reserve("9", estimate=Decimal("0.4"))
    budgets.at += timedelta(hours=1)
    with budgets.units.begin(budgets.actor) as session:
        assert expire_reservations(session, 10) == 1
    budgets.settle(held, "3")
    assert budgets.figures() == (3, 0)
    assert [row.cost_estimated for row in budgets.rows(Metric)] == [3]


def test_reservations_that_hold_nothing_are_removed_after_a_month(budgets: Budgets) -> None:
    budgets.settle(budgets.reserve(), "1")
    budgets.reserve(hold_s=86400.0 * 60)
    budgets.at += timedelta(days=31, minutes=10)
    with budgets.units.begin(budgets.actor) as session:
        assert expire_reservations(session, 10) == 1
    assert [row.status for row in budgets.rows(BudgetReservation)] == ["open"]


def test_a_stale_version_changes_nothing(budgets: Budgets) -> None:
    def put(limit: int, expected: int) -> Callable[[BudgetService], BudgetRead]:
        payload = BudgetWrite(limit=Decimal(limit))
        return lambda found: found.put(BudgetScope.TENANT, Purpose(), payload, expected)

    with pytest.raises(PreconditionFailed):
        budgets.do(put(1, 1))
    assert budgets.do(put(1, 0)).version == 1
    with pytest.raises(PreconditionFailed):
        budgets.do(put(2, 0))
    assert budgets.do(put(2, 1)).limit == 2


def test_counting_is_told_to_nobody_but_a_new_limit_is(budgets: Budgets) -> None:
    budgets.set("10")
    before = len(budgets.rows(Event))
    budgets.reserve()
    assert len(budgets.rows(Event)) == before
    budgets.set("11")
    assert [event.type for event in budgets.rows(Event)][before:] == ["budget.updated"]


def test_those_who_share_a_commit_keep_their_own_request(budgets: Budgets, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one who commits for others leaves each event and audit entry with the request that asked for it."""
    desk, took, others_wait = desk_of(budgets.units), [], threading.Event()
    commit, is_first = desk._commit, desk._is_first

    def commit_once_the_others_wait(actor: Actor, batch: list[Any]) -> None:
        took.append(len(batch))
        assert others_wait.wait(30)
        commit(actor, batch)

    def join(actor: Actor, request: Any) -> bool:
        first = is_first(actor, request)
        if len(desk._lines[actor.tenant_id, actor.user_id]) == 2:
            others_wait.set()
        return first

    def settle(request_id: str) -> None:
        REQUEST_ID.set(request_id)
        desk.do(budgets.actor, lambda found: found.settle(metric("1", budgets.purpose)), budgets.purpose)

    monkeypatch.setattr(desk, "_commit", commit_once_the_others_wait)
    monkeypatch.setattr(desk, "_is_first", join)
    threads = [threading.Thread(target=settle, args=(name,)) for name in ("one", "two", "three")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert took == [1, 2]
    told = {event.payload.get("request_id") for event in budgets.rows(Event) if event.type == "metric.created"}
    entries = {entry.request_id for entry in budgets.rows(AuditEntry) if entry.action == "metric.created"}
    assert told == entries == {"one", "two", "three"}


def test_what_one_does_wrong_is_not_the_fault_of_those_it_shares_a_commit_with(budgets: Budgets) -> None:
    desk = desk_of(budgets.units)

    def settle(provider: str) -> object:
        made = metric("1", budgets.purpose)
        made.provider = provider
        return desk.do(budgets.actor, lambda found: found.settle(made), budgets.purpose)

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(settle, "x" * 50 if number % 4 == 0 else "openai") for number in range(40)]
    refused = [one for one in asked if one.exception() is not None]
    assert len(refused) == 10
    assert {type(one.exception()) for one in refused} == {Invalid}
    assert len(budgets.rows(Metric)) == 30
