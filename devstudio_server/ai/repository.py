"""All SQL of the AI gateway."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import ColumnElement, String, cast, delete, func, select
from sqlalchemy.orm import Session

from devstudio_server.ai.budget_schemas import ReservationStatus
from devstudio_server.ai.models import (
    COST_STEP,
    NO_MONEY,
    AgentSettings,
    Budget,
    BudgetReservation,
    BudgetWarning,
    Metric,
)


@dataclass(frozen=True)
class UsageTotals:
    """Sums over calls: their number, tokens, and US dollars."""

    calls: int
    tokens_input: int
    tokens_output: int
    cost_estimated: Decimal


class CostColumn(StrEnum):
    """What costs are summed by: a column, the model's id, or the day in UTC."""

    MODEL = "model"
    OPERATION = "operation_type"
    PROJECT = "project_id"
    SESSION = "session_id"
    TASK = "task_id"
    DAY = "day"


class CostFilter(BaseModel):
    """Which calls are meant: those of a project, a session or a task, from ``since`` on and before ``until``."""

    project_id: UUID | None = None
    session_id: UUID | None = None
    task_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class GroupedCosts:
    """Sums over the calls of one group, which one or two columns name."""

    key: str | None
    second: str | None
    calls: int
    tokens_input: int
    tokens_output: int
    tokens_cache_read: int
    tokens_cache_write: int
    cost: Decimal

    def plus(self, other: GroupedCosts) -> GroupedCosts:
        """Return the sums of both, of no group."""
        return GroupedCosts(
            None,
            None,
            self.calls + other.calls,
            self.tokens_input + other.tokens_input,
            self.tokens_output + other.tokens_output,
            self.tokens_cache_read + other.tokens_cache_read,
            self.tokens_cache_write + other.tokens_cache_write,
            self.cost + other.cost,
        )

    def with_cost(self, cost: Decimal) -> GroupedCosts:
        """Return the same with another cost."""
        return replace(self, cost=cost)


class MetricRepository:
    """Adds and sums the calls of models within one unit of work."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def add(self, metric: Metric) -> Metric:
        """Store one call, together with all others that the unit adds."""
        self._session.add(metric)
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

    def costs(self, wanted: CostFilter, columns: Sequence[CostColumn]) -> Sequence[GroupedCosts]:
        """Sum calls, by up to two columns."""
        keys = [self._key(column) for column in columns]
        query = select(
            *keys,
            func.count(Metric.id),
            func.coalesce(func.sum(Metric.tokens_input), 0),
            func.coalesce(func.sum(Metric.tokens_output), 0),
            func.coalesce(func.sum(Metric.tokens_cache_read), 0),
            func.coalesce(func.sum(Metric.tokens_cache_write), 0),
            func.sum(Metric.cost_estimated),
        ).group_by(*keys)
        for column in (CostColumn.PROJECT, CostColumn.SESSION, CostColumn.TASK):
            if (value := getattr(wanted, column.value)) is not None:
                query = query.where(getattr(Metric, column.value) == value)
        if wanted.since is not None:
            query = query.where(Metric.created_at >= wanted.since)
        if wanted.until is not None:
            query = query.where(Metric.created_at < wanted.until)
        return [_grouped(row, len(keys)) for row in self._session.execute(query)]

    def _key(self, column: CostColumn) -> ColumnElement[Any]:
        if column is CostColumn.MODEL:
            return cast(Metric.provider + "/" + Metric.model_used, String)
        if column is not CostColumn.DAY:
            return getattr(Metric, column.value)  # type: ignore[no-any-return]
        if self._session.get_bind().dialect.name == "postgresql":
            return func.to_char(func.timezone("UTC", Metric.created_at), "YYYY-MM-DD")
        return func.strftime("%Y-%m-%d", Metric.created_at)

    def find(self, metric_id: UUID) -> Metric | None:
        """Return a call."""
        return self._session.scalars(select(Metric).where(Metric.id == metric_id)).one_or_none()

    def spent(self, project_id: UUID | None, task_id: UUID | None, since: datetime | None) -> Decimal:
        """Return what calls cost from a time on: those of a task, of a project, or all of the tenant's."""
        query = select(func.sum(Metric.cost_estimated)).select_from(Metric)
        if task_id is not None:
            query = query.where(Metric.task_id == task_id)
        elif project_id is not None:
            query = query.where(Metric.project_id == project_id)
        if since is not None:
            query = query.where(Metric.created_at >= since)
        return (self._session.scalar(query) or NO_MONEY).quantize(COST_STEP)


class BudgetRepository:
    """Reads and adds budgets, and what is reserved of them, within one unit of work."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def add(self, row: Budget | BudgetReservation | BudgetWarning) -> None:
        """Store a new row, together with all others that the unit adds."""
        self._session.add(row)

    def flush(self) -> None:
        """Send pending changes to the database."""
        self._session.flush()

    def of(self, subject_ids: Collection[UUID]) -> Sequence[Budget]:
        """Return the budgets of a tenant, of projects and of tasks."""
        return self._session.scalars(select(Budget).where(Budget.subject_id.in_(list(subject_ids)))).all()

    def reservations(self, reservation_ids: Collection[UUID]) -> Sequence[BudgetReservation]:
        """Return the reservations of calls."""
        query = select(BudgetReservation).where(BudgetReservation.id.in_(list(reservation_ids)))
        return self._session.scalars(query).all()

    def due(self, at: datetime, limit: int) -> Sequence[BudgetReservation]:
        """Return up to ``limit`` open reservations whose time is over."""
        query = (
            select(BudgetReservation)
            .where(BudgetReservation.status == ReservationStatus.OPEN, BudgetReservation.expires_at <= at)
            .order_by(BudgetReservation.expires_at)
            .limit(limit)
        )
        return self._session.scalars(query).all()

    def reserved(self, project_id: UUID | None, task_id: UUID | None) -> Decimal:
        """Return what open reservations hold: those of a task, of a project, or all of the tenant's."""
        query = select(func.sum(BudgetReservation.amount)).where(BudgetReservation.status == ReservationStatus.OPEN)
        if task_id is not None:
            query = query.where(BudgetReservation.task_id == task_id)
        elif project_id is not None:
            query = query.where(BudgetReservation.project_id == project_id)
        return (self._session.scalar(query) or NO_MONEY).quantize(COST_STEP)

    def last_warning(self, budget_id: UUID) -> BudgetWarning | None:
        """Return the newest warning about a budget."""
        query = (
            select(BudgetWarning).where(BudgetWarning.budget_id == budget_id).order_by(BudgetWarning.id.desc()).limit(1)
        )
        return self._session.scalars(query).one_or_none()

    def remove_closed(self, before: datetime, limit: int) -> int:
        """Remove up to ``limit`` reservations that hold nothing and whose time was over before ``before``."""
        old = self._session.scalars(
            select(BudgetReservation.id)
            .where(BudgetReservation.status != ReservationStatus.OPEN, BudgetReservation.expires_at < before)
            .limit(limit)
        ).all()
        if old:
            self._session.execute(delete(BudgetReservation).where(BudgetReservation.id.in_(old)))
        return len(old)


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


def _grouped(row: Sequence[Any], keys: int) -> GroupedCosts:
    names = [None if value is None else str(value) for value in row[:keys]] + [None, None]
    calls, read, written, cache_read, cache_written, cost = row[keys:]
    return GroupedCosts(
        key=names[0],
        second=names[1],
        calls=int(calls),
        tokens_input=int(read),
        tokens_output=int(written),
        tokens_cache_read=int(cache_read),
        tokens_cache_write=int(cache_written),
        cost=(cost or NO_MONEY).quantize(COST_STEP),
    )
