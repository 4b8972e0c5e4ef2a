"""All SQL of egress."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, delete, func, or_, select
from sqlalchemy.orm import Session

from devstudio_server.db import newest_first
from devstudio_server.egress.models import EgressLease, EgressRequest
from devstudio_server.egress.schemas import LeaseStatus
from devstudio_server.kit.pagination import PageRequest


class EgressRepository:
    """Reads and adds leases and requests within one unit of work."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def flush(self) -> None:
        """Send pending changes to the database."""
        self._session.flush()

    def add(self, row: EgressLease | EgressRequest) -> None:
        """Store a new row."""
        self._session.add(row)
        self._session.flush()

    def find(self, lease_id: UUID) -> EgressLease | None:
        """Return a lease, or None."""
        return self._session.scalars(select(EgressLease).where(EgressLease.id == lease_id)).one_or_none()

    def list(
        self,
        page: PageRequest,
        *,
        project_id: UUID | None,
        task_id: UUID | None,
        run_id: UUID | None,
        status: LeaseStatus | None,
        at: datetime,
    ) -> Sequence[EgressLease]:
        """Return up to ``page.limit + 1`` leases whose columns have the values that are given, newest first."""
        scope = {"project_id": project_id, "task_id": task_id, "run_id": run_id}
        query = select(EgressLease).filter_by(**{name: value for name, value in scope.items() if value is not None})
        if status is not None:
            query = _standing(query, status, at)
        return self._session.scalars(newest_first(query, EgressLease, page)).all()

    def in_force(self, project_id: UUID, task_id: UUID | None, run_id: UUID, at: datetime) -> Sequence[EgressLease]:
        """Return the approved leases that hold for a run."""
        query = (
            _standing(select(EgressLease), LeaseStatus.APPROVED, at)
            .where(EgressLease.project_id == project_id)
            .where(or_(EgressLease.task_id.is_(None), EgressLease.task_id == task_id))
            .where(or_(EgressLease.run_id.is_(None), EgressLease.run_id == run_id))
            .order_by(EgressLease.id)
        )
        return self._session.scalars(query).all()

    def expired(self, at: datetime, limit: int) -> Sequence[EgressLease]:
        """Return up to ``limit`` approved leases whose time is over."""
        query = select(EgressLease).where(EgressLease.status == LeaseStatus.APPROVED, EgressLease.expires_at <= at)
        return self._session.scalars(query.limit(limit)).all()

    def bytes_of(self, lease_ids: Collection[UUID], *, but_of: UUID) -> dict[UUID, tuple[int, int]]:
        """Return the bytes up and down of each lease, without those that one proxy counts itself."""
        query = (
            select(EgressRequest.lease_id, func.sum(EgressRequest.bytes_up), func.sum(EgressRequest.bytes_down))
            .where(EgressRequest.lease_id.in_(list(lease_ids)), EgressRequest.proxy_id != but_of)
            .group_by(EgressRequest.lease_id)
        )
        return {lease_id: (int(up), int(down)) for lease_id, up, down in self._session.execute(query) if lease_id}

    def requests(
        self,
        page: PageRequest,
        *,
        verdict: str | None,
        project_id: UUID | None = None,
        run_id: UUID | None = None,
        lease_id: UUID | None = None,
    ) -> Sequence[EgressRequest]:
        """Return up to ``page.limit + 1`` requests whose columns have the values that are given, newest first."""
        wanted = {"verdict": verdict, "project_id": project_id, "run_id": run_id, "lease_id": lease_id}
        query = select(EgressRequest).filter_by(**{name: value for name, value in wanted.items() if value is not None})
        return self._session.scalars(newest_first(query, EgressRequest, page)).all()

    def requests_of(self, proxy_id: UUID, numbers: Collection[int]) -> Sequence[EgressRequest]:
        """Return the rows of some requests that one proxy told of."""
        query = select(EgressRequest).where(EgressRequest.proxy_id == proxy_id, EgressRequest.number.in_(list(numbers)))
        return self._session.scalars(query).all()

    def remove_requests(self, before: datetime, limit: int) -> int:
        """Remove up to ``limit`` requests that are older than ``before``."""
        old = self._session.scalars(
            select(EgressRequest.id).where(EgressRequest.created_at < before).limit(limit)
        ).all()
        if old:
            self._session.execute(delete(EgressRequest).where(EgressRequest.id.in_(old)))
        return len(old)


def _standing(query: Select[EgressLease], status: LeaseStatus, at: datetime) -> Select[EgressLease]:
    """Ask for how leases stand now, whether or not housekeeping has come by."""
    if status is LeaseStatus.APPROVED:
        return query.where(EgressLease.status == LeaseStatus.APPROVED, EgressLease.expires_at > at)
    if status is LeaseStatus.EXPIRED:
        over = (EgressLease.status == LeaseStatus.APPROVED) & (EgressLease.expires_at <= at)
        return query.where(or_(EgressLease.status == LeaseStatus.EXPIRED, over))
    return query.where(EgressLease.status == status)
