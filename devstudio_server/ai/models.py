"""The tables of the AI gateway: what each call of a model used, cost and led to, and the settings of projects."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Integer, Numeric, String
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db import TenantRow, VersionedRow

COST_DIGITS = 14
COST_PLACES = 8


class Metric(TenantRow):
    """One call of a model. ``cost_estimated`` is in US dollars, sizes are in characters.

    ``estimated`` marks token counts that the provider did not give, or gave absurdly, and that were made from the
    lengths of the texts. ``context_size`` is what was sent, ``diff_size`` the text of the answer's files or documents.
    """

    __tablename__ = "ds_metrics"
    __subject__ = "metric"

    run_id: Mapped[UUID | None]
    task_id: Mapped[UUID | None] = mapped_column(index=True)
    operation_type: Mapped[str] = mapped_column(String(20))
    provider: Mapped[str] = mapped_column(String(20))
    model_used: Mapped[str] = mapped_column(String(200))
    tokens_input: Mapped[int]
    tokens_output: Mapped[int]
    cost_estimated: Mapped[Decimal] = mapped_column(Numeric(COST_DIGITS, COST_PLACES))
    estimated: Mapped[bool] = mapped_column(default=False)
    duration_ms: Mapped[int]
    success: Mapped[bool]
    context_size: Mapped[int | None]
    diff_size: Mapped[int | None]


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
