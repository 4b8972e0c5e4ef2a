"""HTTP of patches."""

from __future__ import annotations

from uuid import UUID

from devstudio_server.auth import Permission
from devstudio_server.kit.errors import Conflict, NotFound, Unavailable
from devstudio_server.patches.review import ReviewService, approve_apart
from devstudio_server.patches.schemas import (
    ApplyRequest,
    ApplyResult,
    ApproveRequest,
    PatchPreview,
    PatchQuery,
    PatchRead,
    PreviewRequest,
    RejectRequest,
)
from devstudio_server.patches.service import PatchService
from devstudio_server.web import Call, Limit, ListPage, Operations

operations = Operations("code")


def _service(call: Call) -> PatchService:
    return PatchService(call.session, call.actor, call.ports)


def _review(call: Call) -> ReviewService:
    return ReviewService(call.session, call.actor, call.ports)


@operations.operation(
    "POST", "code/preview", permission=Permission.SPEC_READ, summary="Show a patch in full", errors=(NotFound,)
)
def preview_patch(call: Call, body: PreviewRequest) -> PatchPreview:
    """Return the unified diff and both sides of every file, and the digest that an approval names."""
    return _service(call).preview(body.patch_id)


@operations.operation("GET", "code/patches", permission=Permission.SPEC_READ, summary="List patches")
def list_patches(call: Call, query: PatchQuery) -> ListPage[PatchRead]:
    """List the tenant's patches, newest first."""
    return _service(call).list(query)


@operations.operation("GET", "code/patches/{patch_id}", permission=Permission.SPEC_READ, summary="Get a patch")
def get_patch(call: Call, patch_id: UUID) -> PatchRead:
    """Return one patch."""
    return _service(call).read(patch_id)


@operations.operation(
    "POST",
    "code/patches/{patch_id}/approve",
    permission=Permission.CODE_APPROVE,
    summary="Approve the exact bytes of a patch",
    errors=(Conflict,),
    outside=True,
)
def approve_patch(call: Call, patch_id: UUID, body: ApproveRequest) -> PatchRead:
    """Approve the bytes named by the digest; refused when the patch has others, or the approval would not count."""
    return approve_apart(
        call.units, call.actor, call.ports, patch_id, body.digest, revision=body.revision, expected=call.if_match
    )


@operations.operation(
    "POST",
    "code/patches/{patch_id}/reject",
    permission=Permission.CODE_APPROVE,
    summary="Reject a patch",
    errors=(Conflict,),
)
def reject_patch(call: Call, patch_id: UUID, body: RejectRequest) -> PatchRead:
    """Reject a patch with a reason, which the next generation for the task receives."""
    return _review(call).reject(patch_id, body.reason)


@operations.operation(
    "POST",
    "code/apply",
    permission=Permission.CODE_APPLY,
    status=202,
    summary="Apply an approved patch",
    errors=(NotFound, Conflict, Unavailable),
    limit=Limit.EXECUTE,
)
def apply_patch(call: Call, body: ApplyRequest) -> ApplyResult:
    """Queue the run that applies the patch in the sandbox, tests it there, and commits only when the tests pass."""
    return _service(call).apply(body.patch_id, body.branch)
