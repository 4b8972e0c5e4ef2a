"""The table of idempotency keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db import TenantRow


class IdempotencyKey(TenantRow):
    """The first answer to a POST with an ``Idempotency-Key``; ``status`` is null while it is being worked on."""

    __tablename__ = "ds_idempotency_keys"
    __table_args__ = (
        UniqueConstraint("tenant_id", "user_id", "key"),
        Index("ix_ds_idempotency_keys_tenant_id_expires_at", "tenant_id", "expires_at"),
    )

    user_id: Mapped[UUID]
    key: Mapped[str] = mapped_column(String(255))
    operation: Mapped[str] = mapped_column(String(100))
    request_sha256: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None] = mapped_column(Integer)
    response: Mapped[str] = mapped_column(Text, default="")
    headers: Mapped[dict[str, Any]] = mapped_column(default=dict)
    expires_at: Mapped[datetime]
