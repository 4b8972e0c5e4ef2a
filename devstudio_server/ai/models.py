"""The tables of the AI gateway: what each call of a model used, cost and led to, and the settings of projects."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, Numeric, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db import TenantRow, VersionedRow
from devstudio_server.kit.clock import now

COST_DIGITS = 14
COST_PLACES = 8
COST_STEP = Decimal(1).scaleb(-COST_PLACES)
NO_MONEY = Decimal(0)


class Metric(TenantRow):
    """One call of a model. ``cost_estimated`` is in US dollars, sizes are in characters.

    ``estimated`` marks token counts that the provider did not give, or gave absurdly, and that were made from the
    lengths of the texts. ``context_size`` is what was sent, ``diff_size`` the text of the answer's files or documents.
    ``tokens_cache_read`` and ``tokens_cache_write`` are those of ``tokens_input`` that the provider's cache gave and
    took. ``carried`` tells what was sent, by name, SHA-256 and size in bytes, and never holds any of it.
    """

    __tablename__ = "ds_metrics"
    __subject__ = "metric"
    __table_args__ = (
        Index("ix_ds_metrics_tenant_id_created_at", "tenant_id", "created_at"),
        Index("ix_ds_metrics_project_id_created_at", "project_id", "created_at"),
    )

    run_id: Mapped[UUID | None]
    project_id: Mapped[UUID | None]
    session_id: Mapped[UUID | None] = mapped_column(index=True)
    task_id: Mapped[UUID | None] = mapped_column(index=True)
    operation_type: Mapped[str] = mapped_column(String(20))
    provider: Mapped[str] = mapped_column(String(20))
    model_used: Mapped[str] = mapped_column(String(200))
    tokens_input: Mapped[int]
    tokens_output: Mapped[int]
    tokens_cache_read: Mapped[int] = mapped_column(default=0, server_default="0")
    tokens_cache_write: Mapped[int] = mapped_column(default=0, server_default="0")
    cost_estimated: Mapped[Decimal] = mapped_column(Numeric(COST_DIGITS, COST_PLACES))
    estimated: Mapped[bool] = mapped_column(default=False)
    duration_ms: Mapped[int]
    success: Mapped[bool]
    context_size: Mapped[int | None]
    diff_size: Mapped[int | None]
    carried: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")


class AgentSettings(VersionedRow):
    """Which model works on a project, and within which limits."""

    __tablename__ = "ds_agent_settings"
    __subject__ = "agent_settings"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("ds_projects.id"), index=True)
    model: Mapped[str] = mapped_column(String(200))
    model_provider: Mapped[str] = mapped_column(String(20))
    temperature: Mapped[Decimal] = mapped_column(Numeric(3, 2), default=Decimal("0.7"))
    max_tokens: Mapped[int] = mapped_column(Integer, default=4000)
    policy: Mapped[dict[str, Any]] = mapped_column(default=dict)
    token_limits: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Budget(VersionedRow):
    """What a tenant, a project or a task may spend on models, in US dollars; ``subject_id`` is the id of that one.

    ``limit_usd`` is None where nothing is limited. ``spent`` and ``reserved`` follow every call and are told to nobody;
    ``month`` (``2026-11``) is the one that ``spent`` is of, empty for a budget without a period. ``warned`` is the
    highest percentage that somebody was warned of.
    """

    __tablename__ = "ds_budgets"
    __subject__ = "budget"
    __untold__: ClassVar[frozenset[str]] = frozenset({"month", "reserved", "spent", "warned"})
    __table_args__ = (UniqueConstraint("tenant_id", "subject_id"),)

    scope: Mapped[str] = mapped_column(String(10))
    subject_id: Mapped[UUID]
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("ds_projects.id"))
    task_id: Mapped[UUID | None] = mapped_column(ForeignKey("ds_tasks.id"))
    period: Mapped[str] = mapped_column(String(10))
    limit_usd: Mapped[Decimal | None] = mapped_column(Numeric(COST_DIGITS, COST_PLACES))
    month: Mapped[str] = mapped_column(String(7), default="")
    spent: Mapped[Decimal] = mapped_column(Numeric(COST_DIGITS, COST_PLACES), default=NO_MONEY)
    reserved: Mapped[Decimal] = mapped_column(Numeric(COST_DIGITS, COST_PLACES), default=NO_MONEY)
    warned: Mapped[int] = mapped_column(default=0)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    """When somebody set it, not when something was spent."""


class BudgetReservation(TenantRow):
    """One call's worst case, held until it is settled. ``project_id`` and ``task_id`` say which budgets hold it.

    ``amount`` is held, ``estimate`` is what the input alone costs by a guess, which counts when nobody settles before
    ``expires_at``; ``metric_id`` is the record of the call. All of it is in US dollars.
    """

    __tablename__ = "ds_budget_reservations"
    __table_args__ = (
        Index("ix_ds_budget_reservations_tenant_id_status_expires_at", "tenant_id", "status", "expires_at"),
    )

    project_id: Mapped[UUID | None]
    session_id: Mapped[UUID | None]
    task_id: Mapped[UUID | None]
    operation_type: Mapped[str] = mapped_column(String(20))
    provider: Mapped[str] = mapped_column(String(20))
    model_used: Mapped[str] = mapped_column(String(200))
    amount: Mapped[Decimal] = mapped_column(Numeric(COST_DIGITS, COST_PLACES))
    estimate: Mapped[Decimal] = mapped_column(Numeric(COST_DIGITS, COST_PLACES))
    tokens_input: Mapped[int]
    context_size: Mapped[int]
    status: Mapped[str] = mapped_column(String(10))
    expires_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    cost: Mapped[Decimal | None] = mapped_column(Numeric(COST_DIGITS, COST_PLACES))
    metric_id: Mapped[UUID | None]


class BudgetWarning(TenantRow):
    """Somebody was warned, once in a period, that ``level`` percent of a budget are spent."""

    __tablename__ = "ds_budget_warnings"
    __subject__ = "budget_warning"
    __table_args__ = (Index("ix_ds_budget_warnings_budget_id_id", "budget_id", "id"),)

    budget_id: Mapped[UUID] = mapped_column(ForeignKey("ds_budgets.id"))
    scope: Mapped[str] = mapped_column(String(10))
    project_id: Mapped[UUID | None]
    task_id: Mapped[UUID | None]
    month: Mapped[str] = mapped_column(String(7))
    level: Mapped[int]
    limit_usd: Mapped[Decimal] = mapped_column(Numeric(COST_DIGITS, COST_PLACES))
    spent: Mapped[Decimal] = mapped_column(Numeric(COST_DIGITS, COST_PLACES))

    @property
    def key(self) -> str:
        """What an event calls it: `80` or `100`."""
        return str(self.level)
