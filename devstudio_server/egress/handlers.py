"""HTTP of egress."""

from __future__ import annotations

from uuid import UUID

from devstudio_server.auth import Permission
from devstudio_server.egress.errors import EgressLeaseNotOpen, EgressScopeInvalid, EgressSelfApproval, EgressTooLong
from devstudio_server.egress.schemas import (
    EgressLeaseApprove,
    EgressLeaseCreate,
    EgressLeaseDeny,
    EgressLeaseQuery,
    EgressLeaseRead,
    EgressLogQuery,
    EgressRequestQuery,
    EgressRequestRead,
)
from devstudio_server.egress.service import EgressPolicy, EgressService
from devstudio_server.kit.errors import Conflict, NotFound
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.specs.service import SpecService
from devstudio_server.web import Call, ListPage, Operations
from devstudio_server.web.schemas import list_page

operations = Operations("egress")


def _service(call: Call) -> EgressService:
    return EgressService(call.session, call.actor, call.port(EgressPolicy))


@operations.operation(
    "POST",
    "egress/leases",
    permission=Permission.EXEC_RUN,
    status=201,
    summary="Ask for an egress lease",
    errors=(NotFound, Conflict, EgressScopeInvalid, EgressTooLong),
)
def request_egress_lease(call: Call, body: EgressLeaseCreate) -> EgressLeaseRead:
    """Ask that runs of a project, of one task or one run may reach some domains. Nothing opens until it is approved."""
    specs = SpecService(call.session, call.actor, call.port(GitStorage), call.port(WorkspaceStorage))
    return _service(call).request(body, specs)


@operations.operation("GET", "egress/leases", permission=Permission.EXEC_VIEW_LOGS, summary="List egress leases")
def list_egress_leases(call: Call, query: EgressLeaseQuery) -> ListPage[EgressLeaseRead]:
    """List the tenant's leases, newest first."""
    return list_page(EgressLeaseRead, _service(call).list(query))


@operations.operation(
    "GET", "egress/leases/{lease_id}", permission=Permission.EXEC_VIEW_LOGS, summary="Get an egress lease"
)
def get_egress_lease(call: Call, lease_id: UUID) -> EgressLeaseRead:
    """Return one lease."""
    return _service(call).get(lease_id)


@operations.operation(
    "POST",
    "egress/leases/{lease_id}/approve",
    permission=Permission.EGRESS_APPROVE,
    summary="Approve an egress lease",
    errors=(EgressLeaseNotOpen, EgressSelfApproval, EgressTooLong),
)
def approve_egress_lease(call: Call, lease_id: UUID, body: EgressLeaseApprove) -> EgressLeaseRead:
    """Let the lease begin now. Who asked for it cannot approve it, except where there is a single local user."""
    return _service(call).approve(lease_id, body.expires_in_s)


@operations.operation(
    "POST",
    "egress/leases/{lease_id}/deny",
    permission=Permission.EGRESS_APPROVE,
    summary="Deny an egress lease",
    errors=(EgressLeaseNotOpen,),
)
def deny_egress_lease(call: Call, lease_id: UUID, body: EgressLeaseDeny) -> EgressLeaseRead:
    """Turn the request down, with a reason."""
    return _service(call).deny(lease_id, body.reason)


@operations.operation(
    "POST",
    "egress/leases/{lease_id}/revoke",
    permission=Permission.EGRESS_APPROVE,
    summary="Revoke an egress lease",
    errors=(EgressLeaseNotOpen,),
)
def revoke_egress_lease(call: Call, lease_id: UUID) -> EgressLeaseRead:
    """End the lease before its time. Connections that go on because of it are cut within a second or so."""
    return _service(call).revoke(lease_id)


@operations.operation(
    "GET",
    "egress/leases/{lease_id}/requests",
    permission=Permission.EXEC_VIEW_LOGS,
    summary="List the requests of a lease",
)
def list_egress_lease_requests(call: Call, lease_id: UUID, query: EgressLogQuery) -> ListPage[EgressRequestRead]:
    """List what went through because of a lease, newest first."""
    return list_page(EgressRequestRead, _service(call).log(lease_id, query))


@operations.operation(
    "GET", "egress/requests", permission=Permission.EXEC_VIEW_LOGS, summary="List the requests of runs"
)
def list_egress_requests(call: Call, query: EgressRequestQuery) -> ListPage[EgressRequestRead]:
    """List what runs asked their proxies for, allowed or refused, newest first."""
    return list_page(EgressRequestRead, _service(call).requests(query))
