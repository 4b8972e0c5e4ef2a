"""The table of the audit. The database refuses to change its rows, and to remove those that retention did not."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import BigInteger, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db import TenantRow


class AuditEntry(TenantRow):
    """One deed. ``seq`` counts from 1 in each tenant without gaps; ``hash`` covers the row and ``prev_hash``.

    ``details`` is canonical JSON as text, so that what was hashed is what is stored.
    """

    __tablename__ = "ds_audit"
    __table_args__ = (UniqueConstraint("tenant_id", "seq"),)

    seq: Mapped[int] = mapped_column(BigInteger)
    action: Mapped[str] = mapped_column(String(60))
    resource_type: Mapped[str] = mapped_column(String(60))
    resource_id: Mapped[str] = mapped_column(String(255), default="")
    user_id: Mapped[UUID]
    request_id: Mapped[str] = mapped_column(String(64), default="")
    details: Mapped[str] = mapped_column(Text, default="{}")
    prev_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
