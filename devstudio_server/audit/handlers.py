"""HTTP of the audit."""

from __future__ import annotations

from devstudio_server.audit.schemas import AuditQuery, AuditRead
from devstudio_server.audit.service import AuditService
from devstudio_server.auth.permissions import Permission
from devstudio_server.web import Call, ListPage, Operations
from devstudio_server.web.schemas import list_page

operations = Operations("audit")


@operations.operation("GET", "audit", permission=Permission.AUDIT_READ, summary="Read the audit", outside=True)
def list_audit(call: Call, query: AuditQuery) -> ListPage[AuditRead]:
    """List who did what in the tenant, newest first. Reading it is noted in it, too."""
    with call.units.begin(call.actor) as session:
        return list_page(AuditRead, AuditService(session).list(query))
