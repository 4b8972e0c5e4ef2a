"""The table of key-value entries."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db import VersionedRow
from devstudio_server.db.base import JsonData


class KvEntry(VersionedRow):
    """One value. The seed's key (``scope``, ``key``) is unique within a tenant."""

    __tablename__ = "ds_kv"
    __subject__ = "kv"
    __table_args__ = (UniqueConstraint("tenant_id", "scope", "key"),)

    scope: Mapped[str] = mapped_column(String(50))
    key: Mapped[str] = mapped_column(String(200))
    value_json: Mapped[Any] = mapped_column(JsonData)
    expires_at: Mapped[datetime | None]
