"""Records what calls of models used, and tells the sums."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.ai.models import Metric
from devstudio_server.ai.repository import CostColumn, CostFilter, GroupedCosts, MetricRepository, UsageTotals

__all__ = ["CostColumn", "CostFilter", "GroupedCosts", "MetricService", "UsageTotals"]


class MetricService:
    """The ledger of model calls."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._metrics = MetricRepository(session)

    def record(self, metric: Metric) -> None:
        """Keep one call. It is recorded whatever became of its answer: it was paid for."""
        self._metrics.add(metric)

    def totals(self, *, task_id: UUID | None = None) -> UsageTotals:
        """Sum what the tenant, or one task, has used."""
        return self._metrics.totals(task_id=task_id)

    def costs(self, wanted: CostFilter, columns: Sequence[CostColumn]) -> Sequence[GroupedCosts]:
        """Sum calls, by up to two columns."""
        return self._metrics.costs(wanted, columns)
