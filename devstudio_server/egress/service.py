"""The rules of egress: who asks, who approves, for how long, and what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import Actor
from devstudio_server.egress.errors import (
    EgressLeaseNotFound,
    EgressLeaseNotOpen,
    EgressScopeInvalid,
    EgressSelfApproval,
    EgressTooLong,
)
from devstudio_server.egress.models import EgressLease, EgressRequest
from devstudio_server.egress.repository import EgressRepository
from devstudio_server.egress.schemas import (
    EgressLeaseCreate,
    EgressLeaseQuery,
    EgressLeaseRead,
    EgressLogQuery,
    EgressRequestQuery,
    LeaseStatus,
)
from devstudio_server.kit.clock import now
from devstudio_server.kit.pagination import Page, page_of
from devstudio_server.specs.service import SpecService

MAX_LEASE_HOURS = 24.0
"""Longest that a lease lasts, unless the operator says otherwise."""
LOG_DAYS = 90
"""How long requests are kept."""


@dataclass(frozen=True)
class EgressPolicy:
    """What this server allows. ``project_of_run`` knows runs, which lie in a layer above."""

    longest_s: int
    project_of_run: Callable[[Session, UUID], UUID | None]


class EgressService:
    """Asks for, decides on and ends leases, and reads the log."""

    def __init__(self, session: Session, actor: Actor, policy: EgressPolicy) -> None:
        """Work in ``session`` for ``actor``."""
        self._session = session
        self._actor = actor
        self._policy = policy
        self._egress = EgressRepository(session)

    def request(self, payload: EgressLeaseCreate, specs: SpecService) -> EgressLeaseRead:
        """Ask for a lease for a project that may be changed, or for a task or run of it."""
        project = specs.projects.get_writable(payload.project_id)
        if payload.task_id is not None:
            session = specs.get(specs.get_task(payload.task_id).session_id)
            if session.project_id != project.id:
                raise EgressScopeInvalid("task_id", payload.task_id)
        if payload.run_id is not None and self._policy.project_of_run(self._session, payload.run_id) != project.id:
            raise EgressScopeInvalid("run_id", payload.run_id)
        lease = EgressLease(
            project_id=project.id,
            task_id=payload.task_id,
            run_id=payload.run_id,
            domains=payload.domains,
            reason=payload.reason,
            duration_s=self._allowed(payload.expires_in_s),
            max_bytes_up=payload.max_bytes_up,
            max_bytes_down=payload.max_bytes_down,
            requested_by=self._actor.user_id,
        )
        self._egress.add(lease)
        return read(lease)

    def get(self, lease_id: UUID) -> EgressLeaseRead:
        """Return a lease; raises `EgressLeaseNotFound`."""
        return read(self._find(lease_id))

    def list(self, query: EgressLeaseQuery) -> Page[EgressLeaseRead]:
        """Return one page of leases, newest first."""
        scope = {"project_id": query.project_id, "task_id": query.task_id, "run_id": query.run_id}
        rows = self._egress.list(query.page(), status=query.status, at=now(), **scope)
        return page_of([read(row) for row in rows], query.limit, lambda lease: lease.id)

    def approve(self, lease_id: UUID, expires_in_s: int | None) -> EgressLeaseRead:
        """Let a lease begin now; raises `EgressSelfApproval` for who asked for it."""
        lease = self._find(lease_id, LeaseStatus.REQUESTED)
        own = lease.requested_by == self._actor.user_id
        if own and not self._actor.sole_user:
            raise EgressSelfApproval
        duration_s = self._allowed(expires_in_s or lease.duration_s)
        lease.status, lease.self_approved, lease.duration_s = LeaseStatus.APPROVED, own, duration_s
        lease.approved_by, lease.approved_at = self._actor.user_id, now()
        lease.expires_at = lease.approved_at + timedelta(seconds=duration_s)
        return self._changed(lease)

    def deny(self, lease_id: UUID, reason: str) -> EgressLeaseRead:
        """Turn a request for a lease down."""
        return self._end(self._find(lease_id, LeaseStatus.REQUESTED), LeaseStatus.DENIED, reason)

    def revoke(self, lease_id: UUID) -> EgressLeaseRead:
        """End a lease before its time; what goes on because of it is cut within a second or so."""
        return self._end(self._find(lease_id, LeaseStatus.APPROVED), LeaseStatus.REVOKED, None)

    def log(self, lease_id: UUID, query: EgressLogQuery) -> Page[EgressRequest]:
        """Return one page of the requests that a lease allowed, newest first."""
        self._find(lease_id)
        rows = self._egress.requests(query.page(), verdict=query.verdict, lease_id=lease_id)
        return page_of(rows, query.limit, lambda row: row.id)

    def requests(self, query: EgressRequestQuery) -> Page[EgressRequest]:
        """Return one page of the requests of runs, allowed or not, newest first."""
        scope = {"project_id": query.project_id, "run_id": query.run_id}
        rows = self._egress.requests(query.page(), verdict=query.verdict, **scope)
        return page_of(rows, query.limit, lambda row: row.id)

    def _find(self, lease_id: UUID, wanted: LeaseStatus | None = None) -> EgressLease:
        lease = self._egress.find(lease_id)
        if lease is None:
            raise EgressLeaseNotFound(lease_id)
        if wanted is not None and lease.standing is not wanted:
            raise EgressLeaseNotOpen(lease.standing, wanted)
        return lease

    def _allowed(self, duration_s: int) -> int:
        if duration_s > self._policy.longest_s:
            raise EgressTooLong(self._policy.longest_s)
        return duration_s

    def _end(self, lease: EgressLease, status: LeaseStatus, reason: str | None) -> EgressLeaseRead:
        lease.status, lease.end_reason = status, reason
        lease.ended_by, lease.ended_at = self._actor.user_id, now()
        return self._changed(lease)

    def _changed(self, lease: EgressLease) -> EgressLeaseRead:
        lease.version += 1
        self._egress.flush()
        return read(lease)


def read(lease: EgressLease) -> EgressLeaseRead:
    """Return a lease as it stands now."""
    return EgressLeaseRead.model_validate(lease).model_copy(update={"status": lease.standing})


def expire_leases(session: Session, limit: int) -> int:
    """Write down that leases have expired, up to ``limit`` of them; return how many. They ended when their time did."""
    expired: Sequence[EgressLease] = EgressRepository(session).expired(now(), limit)
    for lease in expired:
        lease.status, lease.ended_at = LeaseStatus.EXPIRED, lease.expires_at
        lease.version += 1
    session.flush()
    return len(expired)


def remove_old_requests(session: Session, days: int, limit: int) -> int:
    """Remove up to ``limit`` requests that are older than ``days``; return how many."""
    return EgressRepository(session).remove_requests(now() - timedelta(days=days), limit)
