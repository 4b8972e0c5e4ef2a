"""The table of events."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db import TenantRow


class Event(TenantRow):
    """One change. ``seq`` counts from 1 in each tenant, without gaps, in the order of the commits."""

    __tablename__ = "ds_events"
    __table_args__ = (UniqueConstraint("tenant_id", "seq"),)

    seq: Mapped[int] = mapped_column(BigInteger)
    type: Mapped[str] = mapped_column(String(60))
    subject_id: Mapped[UUID]
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
