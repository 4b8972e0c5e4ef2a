"""All SQL of the AI gateway."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from devstudio_server.ai.models import AgentSettings, Metric


@dataclass(frozen=True)
class UsageTotals:
    """Sums over calls: their number, tokens, and US dollars."""

    calls: int
    tokens_input: int
    tokens_output: int
    cost_estimated: Decimal


class MetricRepository:
    """Adds and sums the calls of models within one unit of work."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def add(self, metric: Metric) -> Metric:
        """Store one call."""
        self._session.add(metric)
        self._session.flush()
        return metric

    def totals(self, *, task_id: UUID | None = None) -> UsageTotals:
        """Sum all calls of the tenant, or those of one task."""
        query = select(
            func.count(Metric.id),
            func.coalesce(func.sum(Metric.tokens_input), 0),
            func.coalesce(func.sum(Metric.tokens_output), 0),
            func.sum(Metric.cost_estimated),
        )
        if task_id is not None:
            query = query.where(Metric.task_id == task_id)
        calls, tokens_input, tokens_output, cost = self._session.execute(query).one()
        return UsageTotals(calls, int(tokens_input), int(tokens_output), cost or Decimal(0))


class AgentSettingsRepository:
    """Reads and adds the settings of projects within one unit of work."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def find(self, project_id: UUID) -> AgentSettings | None:
        """Return the settings of a project."""
        query = select(AgentSettings).where(AgentSettings.project_id == project_id).order_by(AgentSettings.id).limit(1)
        return self._session.scalars(query).one_or_none()

    def add(self, settings: AgentSettings) -> None:
        """Store the first settings of a project."""
        self._session.add(settings)
        self._session.flush()
