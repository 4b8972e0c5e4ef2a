"""The tables of the queue, of leases, and of the processes that hold them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db import TenantRow

PENDING, RUNNING, FINISHED = "pending", "running", "finished"


class Job(TenantRow):
    """One piece of work. ``attempts`` counts how often a worker took it."""

    __tablename__ = "ds_jobs"

    kind: Mapped[str] = mapped_column(String(50))
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    status: Mapped[str] = mapped_column(String(20), default=PENDING, index=True)
    user_id: Mapped[UUID]
    user_name: Mapped[str] = mapped_column(String(200), default="")
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    finished_at: Mapped[datetime | None]


class Lease(TenantRow):
    """Who holds a resource until when. ``fence`` goes up with each holder: work with an older one is refused."""

    __tablename__ = "ds_leases"
    __table_args__ = (UniqueConstraint("tenant_id", "resource"),)

    resource: Mapped[str] = mapped_column(String(150))
    holder: Mapped[str] = mapped_column(String(150))
    fence: Mapped[int] = mapped_column(BigInteger, default=1)
    expires_at: Mapped[datetime]


class WorkerRow(TenantRow):
    """A process that does jobs; ``id`` is its life's. A row whose time is up belongs to one that is gone."""

    __tablename__ = "ds_workers"

    kind: Mapped[str] = mapped_column(String(20))
    host: Mapped[str] = mapped_column(String(200))
    pid: Mapped[int] = mapped_column(Integer)
    started: Mapped[int] = mapped_column(BigInteger)
    slots: Mapped[int] = mapped_column(Integer)
    draining: Mapped[bool] = mapped_column(Boolean, default=False)
    expires_at: Mapped[datetime]
