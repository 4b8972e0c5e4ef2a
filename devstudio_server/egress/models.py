"""The tables of egress."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Float, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db import TenantRow, VersionedRow
from devstudio_server.egress.schemas import LeaseStatus
from devstudio_server.kit.clock import now


class EgressLease(VersionedRow):
    """Leave for the runs of a project, of one task or of one run to reach some domains for some time.

    ``status`` stays ``approved`` until housekeeping comes by; `standing` is what holds now.
    """

    __tablename__ = "ds_egress_leases"
    __subject__ = "egress_lease"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("ds_projects.id"), index=True)
    task_id: Mapped[UUID | None] = mapped_column(ForeignKey("ds_tasks.id"))
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("ds_runs.id"))
    domains: Mapped[list[Any]]
    reason: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(20), default=LeaseStatus.REQUESTED)
    duration_s: Mapped[int] = mapped_column(Integer)
    max_bytes_up: Mapped[int] = mapped_column(BigInteger)
    max_bytes_down: Mapped[int] = mapped_column(BigInteger)
    requested_by: Mapped[UUID]
    approved_by: Mapped[UUID | None]
    approved_at: Mapped[datetime | None]
    self_approved: Mapped[bool] = mapped_column(Boolean, default=False)
    expires_at: Mapped[datetime | None]
    ended_by: Mapped[UUID | None]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None] = mapped_column(Text)

    @property
    def standing(self) -> LeaseStatus:
        """How it stands now."""
        status = LeaseStatus(self.status)
        over = status is LeaseStatus.APPROVED and self.expires_at is not None and self.expires_at <= now()
        return LeaseStatus.EXPIRED if over else status


class EgressRequest(TenantRow):
    """One connection that a run asked its proxy for. ``proxy_id`` is the life of the proxy that told of it.

    It is a log of its own, so neither events nor the audit repeat it.
    """

    __tablename__ = "ds_egress_requests"
    __table_args__ = (
        Index("ix_ds_egress_requests_lease_id_id", "lease_id", "id"),
        Index("ix_ds_egress_requests_run_id_id", "run_id", "id"),
        Index("ix_ds_egress_requests_proxy_id_number", "proxy_id", "number"),
    )

    lease_id: Mapped[UUID | None] = mapped_column(ForeignKey("ds_egress_leases.id"))
    project_id: Mapped[UUID] = mapped_column(ForeignKey("ds_projects.id"))
    run_id: Mapped[UUID]
    proxy_id: Mapped[UUID]
    number: Mapped[int] = mapped_column(Integer)
    method: Mapped[str] = mapped_column(String(20))
    host: Mapped[str] = mapped_column(String(255))
    port: Mapped[int] = mapped_column(Integer)
    path: Mapped[str] = mapped_column(String(500), default="")
    verdict: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(Text, default="")
    bytes_up: Mapped[int] = mapped_column(BigInteger, default=0)
    bytes_down: Mapped[int] = mapped_column(BigInteger, default=0)
    duration_s: Mapped[float | None] = mapped_column(Float)
    """None while it goes on, or when the proxy died before it ended."""
