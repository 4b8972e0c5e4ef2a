"""The table of the embedded queue."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, String
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
