"""Public shapes of costs."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_serializer

from devstudio_server.ai.budget_schemas import BudgetRead
from devstudio_server.web.schemas import Shape

MAX_ITEMS = 1000


class CostGroup(StrEnum):
    """What costs are summed by."""

    MODEL = "model"
    OPERATION = "operation"
    PROJECT = "project"
    SESSION = "session"
    TASK = "task"
    CRITERION = "criterion"
    DAY = "day"


class CostQuery(BaseModel):
    """Which calls are summed, and by what. Days are those of UTC; ``from`` is included, ``to`` is not."""

    model_config = ConfigDict(extra="forbid")

    group_by: CostGroup = CostGroup.MODEL
    project_id: UUID | None = None
    session_id: UUID | None = None
    task_id: UUID | None = None
    since: datetime | None = Field(None, alias="from", description="From this time on.")
    until: datetime | None = Field(None, alias="to", description="Until before this time.")
    limit: int = Field(100, ge=1, le=MAX_ITEMS, description="Groups told apart; the rest is one, without a key.")


class CostSums(Shape):
    """Sums over calls; the cost is in US dollars. Cached tokens are some of those that went in."""

    calls: int
    tokens_input: int
    tokens_output: int
    tokens_cache_read: int
    tokens_cache_write: int
    cost: Decimal

    @field_serializer("cost")
    def _as_number(self, value: Decimal) -> float:
        return float(value)


class CostItem(CostSums):
    """The sums of one group. ``key`` is null for calls that belong to none, and for the groups beyond the limit."""

    key: str | None
    label: str


class CostReport(Shape):
    """Costs by group, the dearest first, days in their order, and the budget that they count in.

    By criterion, a task's cost is shared evenly by the criteria that it names; what is told are the accepted ones,
    which a passing run proved as they stand now. Calls and tokens are those of the tasks that name the criterion.
    """

    items: list[CostItem]
    total: CostSums
    budget: BudgetRead
    accepted_criteria: int | None = Field(None, description="How many there are; only by criterion.")
    cost_per_accepted_criterion: Decimal | None = Field(None, description="All costs, by the number of those.")

    @field_serializer("cost_per_accepted_criterion")
    def _as_number(self, value: Decimal | None) -> float | None:
        return None if value is None else float(value)
