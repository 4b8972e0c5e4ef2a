"""HTTP of bundles."""

from __future__ import annotations

from devstudio_server.auth import Permission
from devstudio_server.evidence.errors import BundleTooLarge
from devstudio_server.evidence.schemas import BundleQuery
from devstudio_server.evidence.service import BundleService
from devstudio_server.kit.errors import NotFound
from devstudio_server.web import Attachment, Call, Operations

operations = Operations("evidence")


# Reading the audit is asked for, because a part of it leaves the house; who has that may read all the rest.
@operations.operation(
    "GET",
    "evidence/bundle",
    permission=Permission.AUDIT_READ,
    summary="Export the evidence of a task or a session",
    errors=(NotFound, BundleTooLarge),
    outside=True,
)
def get_bundle(call: Call, query: BundleQuery) -> Attachment:
    """Return a file that shows what was asked, changed, approved and proven, to be verified without this server."""
    made = BundleService(call.units, call.actor, call.ports).export(query)
    return Attachment(made.name, len(made.content), iter([made.content]))
