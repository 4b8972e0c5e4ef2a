"""HTTP of how patches are handed in, changed, rebased and reverted."""

from __future__ import annotations

from uuid import UUID

from devstudio_server.auth import Permission
from devstudio_server.kit.errors import Conflict, NotFound
from devstudio_server.patches.lifecycle import PatchLifecycle
from devstudio_server.patches.lifecycle_schemas import (
    PatchEdit,
    PatchUpload,
    RebaseRequest,
    RebaseResult,
    RevertRequest,
    RevisionList,
)
from devstudio_server.patches.schemas import PatchRead
from devstudio_server.web import Call, Operations

operations = Operations("code")


def _lifecycle(call: Call) -> PatchLifecycle:
    return PatchLifecycle(call.units, call.actor, call.ports)


@operations.operation(
    "POST",
    "code/patches",
    permission=Permission.CODE_GENERATE,
    status=201,
    summary="Upload a patch",
    errors=(NotFound, Conflict),
    outside=True,
)
def upload_patch(call: Call, body: PatchUpload) -> PatchRead:
    """Take a diff as a pending patch of a task. It is inspected and tried first; what is refused is named by line."""
    return _lifecycle(call).upload(body)


@operations.operation(
    "PUT",
    "code/patches/{patch_id}",
    permission=Permission.CODE_GENERATE,
    summary="Change a patch in review",
    errors=(Conflict,),
    outside=True,
)
def edit_patch(call: Call, patch_id: UUID, body: PatchEdit) -> PatchRead:
    """Change what is given. That makes another revision, takes every approval away, and the editor cannot approve."""
    return _lifecycle(call).edit(patch_id, body, call.if_match)


@operations.operation(
    "POST",
    "code/patches/{patch_id}/rebase",
    permission=Permission.CODE_GENERATE,
    summary="Rebase a patch",
    errors=(Conflict,),
    outside=True,
)
def rebase_patch(call: Call, patch_id: UUID, body: RebaseRequest) -> RebaseResult:
    """Bring a patch onto the newest commit of its branch; conflicts are shown, and nothing is changed then."""
    return _lifecycle(call).rebase(patch_id, body)


@operations.operation(
    "POST",
    "code/patches/{patch_id}/revert",
    permission=Permission.CODE_GENERATE,
    status=201,
    summary="Take an applied patch back",
    errors=(Conflict,),
    outside=True,
)
def revert_patch(call: Call, patch_id: UUID, body: RevertRequest) -> PatchRead:
    """Make a pending patch that takes an applied one back; it is reviewed, tested and applied as any other."""
    return _lifecycle(call).revert(patch_id, body)


@operations.operation(
    "GET",
    "code/patches/{patch_id}/revisions",
    permission=Permission.SPEC_READ,
    summary="List the revisions of a patch",
    outside=True,
)
def list_patch_revisions(call: Call, patch_id: UUID) -> RevisionList:
    """Return what a patch was, oldest first, and who made it so."""
    return _lifecycle(call).revisions(patch_id)
