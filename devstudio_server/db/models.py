"""The table that the unit of work itself stands on: which tenants there are, and how far their streams have come."""

from __future__ import annotations

from sqlalchemy import BigInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db.base import TenantRow

NO_HASH = "0" * 64
"""The hash before the first row of an audit chain."""


class Tenant(TenantRow):
    """One tenant, known from its first write on. The counters give events and audit rows their numbers, without gaps.

    ``audit_hash`` is the hash of the newest audit row; ``audit_anchor_seq`` and ``audit_anchor_hash`` are number and
    hash of the newest one that retention removed, so that the rest of the chain can still be verified.
    """

    __tablename__ = "ds_tenants"
    __table_args__ = (UniqueConstraint("tenant_id"),)

    event_seq: Mapped[int] = mapped_column(BigInteger, default=0)
    audit_seq: Mapped[int] = mapped_column(BigInteger, default=0)
    audit_hash: Mapped[str] = mapped_column(String(64), default=NO_HASH)
    audit_anchor_seq: Mapped[int] = mapped_column(BigInteger, default=0)
    audit_anchor_hash: Mapped[str] = mapped_column(String(64), default=NO_HASH)
