"""Public shapes of budgets."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from pydantic import Field, field_serializer

from devstudio_server.web.schemas import Payload, Shape

MAX_LIMIT_USD = 900_000


class BudgetScope(StrEnum):
    """Whose spending a budget limits."""

    TENANT = "tenant"
    PROJECT = "project"
    TASK = "task"


class BudgetPeriod(StrEnum):
    """What a limit is for: each calendar month in UTC, or all time."""

    MONTH = "month"
    TOTAL = "total"


class ReservationStatus(StrEnum):
    """How the reservation of a call stands. Only an open one holds money."""

    OPEN = "open"
    SETTLED = "settled"
    RELEASED = "released"
    EXPIRED = "expired"


class BudgetWrite(Payload):
    """A limit in US dollars, as it shall be from now on. 0 lets nothing through that costs; null takes it away."""

    limit: Decimal | None = Field(ge=0, le=MAX_LIMIT_USD, decimal_places=8, description="US dollars, or null.")
    period: BudgetPeriod | None = Field(
        None, description="By default, a month for the tenant, and all time for projects and tasks."
    )


class BudgetRead(Shape):
    """A budget, in US dollars. ``version`` is 0, and nothing is limited, until someone sets it.

    ``reserved`` is what calls under way may cost at worst; ``left`` is what is neither spent nor reserved, null without
    a limit. ``warned_at`` is when 80 or 100 percent were last passed in this period.
    """

    scope: BudgetScope
    project_id: UUID | None
    task_id: UUID | None
    period: BudgetPeriod
    limit: Decimal | None
    spent: Decimal
    reserved: Decimal
    left: Decimal | None
    warned: int = Field(description="The highest percentage that was warned of in this period: 0, 80 or 100.")
    warned_at: datetime | None
    version: int
    updated_at: datetime | None

    @field_serializer("limit", "spent", "reserved", "left")
    def _as_number(self, value: Decimal | None) -> float | None:
        return None if value is None else float(value)
