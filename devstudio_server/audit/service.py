"""The rules of the audit: who reads it is noted in it, and what is older than the retention goes, oldest first."""

from __future__ import annotations

import json
from datetime import datetime
from uuid import NAMESPACE_DNS, UUID, uuid5

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from devstudio_server.audit.models import AuditEntry
from devstudio_server.audit.recorder import Deed, audit, record_audit
from devstudio_server.audit.repository import AuditRepository
from devstudio_server.audit.schemas import AuditQuery
from devstudio_server.db import Actor, Units
from devstudio_server.kit.pagination import Page, page_of

RETENTION_DAYS = 730
"""Two years, as the seed asks."""
PRUNED = "audit.pruned"
BATCH = 500
KEEPER_ID: UUID = uuid5(NAMESPACE_DNS, "audit.devstudio.renum")


class AuditService:
    """Reads a tenant's audit."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``, which is a unit that may write: reading is noted."""
        self._session = session
        self._entries = AuditRepository(session)

    def list(self, query: AuditQuery) -> Page[AuditEntry]:
        """Return one page of entries, newest first, and note who read them."""
        page = page_of(self._entries.list(query), query.limit, lambda entry: entry.id)
        asked = query.model_dump(mode="json", exclude_none=True, exclude={"limit", "cursor"})
        log_data_access(self._session, "audit", "read", details=asked | {"entries": len(page.items)})
        return page

    def remove_old(self, before: datetime, limit: int) -> int:
        """Remove up to ``limit`` of the oldest entries that are from before ``before``; return how many.

        The chain's anchor moves in the same transaction, and an entry says so: the rest can still be verified, and an
        anchor that moved without such an entry is found.
        """
        last: AuditEntry | None = None
        for entry in self._entries.oldest(limit):
            if entry.created_at >= before:
                break
            last = entry
        if last is None:
            return 0
        removed = self._entries.remove_through(last)
        details = {"through": last.seq, "hash": last.hash, "before": before.isoformat(), "removed": removed}
        audit(self._session, Deed(PRUNED, "audit", details=details))
        return removed


def log_data_access(
    session: Session,
    data_type: str,
    operation: str,
    resource_id: str = "",
    details: dict[str, object] | None = None,
) -> None:
    """Note that data was read, exported or downloaded: the seed's ``log_data_access``, in the unit of ``session``."""
    audit(session, Deed(f"data_{operation}", data_type, resource_id, details or {}))


def prune(engine: Engine, before: datetime) -> dict[UUID, int]:
    """Remove the entries of every tenant from before ``before``; return how many, by tenant.

    On PostgreSQL ``engine`` is the owner's: the server's role cannot remove entries. Tenants without old entries are
    not in the answer.
    """
    units = Units(engine, recorders=(record_audit,))
    removed: dict[UUID, int] = {}
    for tenant_id in units.tenants():
        keeper = Actor(tenant_id, KEEPER_ID, "retention")
        count = BATCH
        while count >= BATCH:
            with units.begin(keeper) as session:
                count = AuditService(session).remove_old(before, BATCH)
            if count:
                removed[tenant_id] = removed.get(tenant_id, 0) + count
    return removed


def is_pruning(entry: AuditEntry, seq: int, hash_: str) -> bool:
    """Tell whether ``entry`` says that retention removed everything through number ``seq``."""
    if entry.action != PRUNED:
        return False
    details = json.loads(entry.details)
    return isinstance(details, dict) and (details.get("through"), details.get("hash")) == (seq, hash_)
