"""All SQL of the audit. Nothing here changes an entry; the database would refuse it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine, and_, delete, or_, select, text
from sqlalchemy.orm import Session

from devstudio_server.audit.models import AuditEntry
from devstudio_server.audit.schemas import AuditQuery
from devstudio_server.db import newest_first
from devstudio_server.db.models import Tenant

START = (-(2**63), UUID(int=0))
"""Before the first entry, whatever its number."""


@dataclass(frozen=True)
class Stretch:
    """Consecutive entries, with the tenant's counters as they were in the very same moment; None without any."""

    tenant: Tenant | None
    entries: Sequence[AuditEntry]


class AuditRepository:
    """Reads, and at the end of their retention removes, the entries of one tenant within one unit of work."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def list(self, query: AuditQuery) -> Sequence[AuditEntry]:
        """Return up to ``query.limit + 1`` entries, newest first."""
        found = select(AuditEntry)
        for name in ("action", "resource_type", "resource_id", "user_id", "request_id"):
            value = getattr(query, name)
            if value is not None:
                found = found.where(getattr(AuditEntry, name) == value)
        if query.since is not None:
            found = found.where(AuditEntry.created_at >= query.since)
        if query.until is not None:
            found = found.where(AuditEntry.created_at < query.until)
        return self._session.scalars(newest_first(found, AuditEntry, query.page())).all()

    def stretch(self, after: tuple[int, UUID], limit: int) -> Stretch:
        """Return up to ``limit`` entries after a number and id. One statement, so that no writer comes between."""
        seq, entry_id = after
        following = or_(AuditEntry.seq > seq, and_(AuditEntry.seq == seq, AuditEntry.id > entry_id))
        query = (
            select(Tenant, AuditEntry)
            .join(AuditEntry, and_(AuditEntry.tenant_id == Tenant.tenant_id, following), isouter=True)
            .order_by(AuditEntry.seq, AuditEntry.id)
            .limit(limit)
        )
        rows = self._session.execute(query).all()
        if rows:
            return Stretch(rows[0][0], [entry for _tenant, entry in rows if entry is not None])
        orphans = select(AuditEntry).where(following).order_by(AuditEntry.seq, AuditEntry.id).limit(limit)
        return Stretch(None, self._session.scalars(orphans).all())

    def oldest(self, limit: int) -> Sequence[AuditEntry]:
        """Return the oldest entries, up to ``limit``."""
        return self._session.scalars(select(AuditEntry).order_by(AuditEntry.seq).limit(limit)).all()

    def remove_through(self, last: AuditEntry) -> int:
        """Move the chain's anchor to ``last``, and remove it and what is older; return how many."""
        tenant = self._session.scalars(select(Tenant)).one()
        tenant.audit_anchor_seq, tenant.audit_anchor_hash = last.seq, last.hash
        self._session.flush()  # the database lets go only what is not newer than the anchor
        gone = delete(AuditEntry).where(AuditEntry.seq <= last.seq).returning(AuditEntry.seq)
        return len(self._session.scalars(gone, execution_options={"synchronize_session": False}).all())


def audited_tenants(engine: Engine) -> list[UUID]:
    """Return the tenants that have entries, whether or not they are known otherwise."""
    query = (
        text("SELECT tenant_id FROM audited_tenants()")
        if engine.dialect.name == "postgresql"
        else select(AuditEntry.__table__.c.tenant_id).distinct()
    )
    with engine.connect() as connection:
        return [UUID(str(row[0])) for row in connection.execute(query)]
