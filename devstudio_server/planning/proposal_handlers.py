"""HTTP of proposals."""

from __future__ import annotations

from uuid import UUID

from devstudio_server.auth import Permission
from devstudio_server.kit.errors import Conflict, PreconditionFailed
from devstudio_server.planning.proposal_schemas import (
    AcceptProposal,
    AcceptResult,
    ProposalQuery,
    ProposalRead,
    ProposalSummary,
    RejectProposal,
)
from devstudio_server.planning.proposals import ProposalService
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.specs.service import SpecService
from devstudio_server.web import Call, ListPage, Operations
from devstudio_server.web.schemas import list_page

operations = Operations("planning")


def _service(call: Call) -> ProposalService:
    specs = SpecService(call.session, call.actor, call.port(GitStorage), call.port(WorkspaceStorage))
    return ProposalService(call.session, call.actor, specs)


@operations.operation(
    "GET", "spec-sessions/{session_id}/proposals", permission=Permission.SPEC_READ, summary="List proposals"
)
def list_proposals(call: Call, session_id: UUID, query: ProposalQuery) -> ListPage[ProposalSummary]:
    """List a session's proposals without their texts, newest first."""
    return list_page(ProposalSummary, _service(call).list(session_id, query))


@operations.operation("GET", "proposals/{proposal_id}", permission=Permission.SPEC_READ, summary="Get a proposal")
def get_proposal(call: Call, proposal_id: UUID) -> ProposalRead:
    """Return a proposal, block by block, beside what the documents say now."""
    service = _service(call)
    return service.read(service.get(proposal_id))


@operations.operation(
    "POST",
    "proposals/{proposal_id}/accept",
    permission=Permission.SPEC_UPDATE,
    summary="Accept a proposal",
    errors=(Conflict, PreconditionFailed),
)
def accept_proposal(call: Call, proposal_id: UUID, body: AcceptProposal) -> AcceptResult:
    """Put all blocks, or those named, into the documents. A block that was changed meanwhile stays open, with both."""
    return _service(call).accept(proposal_id, body.blocks, call.if_match)


@operations.operation(
    "POST",
    "proposals/{proposal_id}/reject",
    permission=Permission.SPEC_UPDATE,
    summary="Reject a proposal",
    errors=(Conflict, PreconditionFailed),
)
def reject_proposal(call: Call, proposal_id: UUID, body: RejectProposal) -> ProposalRead:
    """Refuse what is not decided yet; the next plan of the stage reads why."""
    return _service(call).reject(proposal_id, body.reason, call.if_match)
