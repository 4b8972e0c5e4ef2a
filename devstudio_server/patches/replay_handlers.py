"""HTTP of replays."""

from __future__ import annotations

from uuid import UUID

from devstudio_server.auth import Permission
from devstudio_server.kit.errors import Conflict, NotFound, Unavailable
from devstudio_server.patches.replay import ReplayService
from devstudio_server.patches.replay_schemas import ReplayList, ReplayStarted
from devstudio_server.web import Call, Limit, Operations

operations = Operations("code")


def _service(call: Call) -> ReplayService:
    return ReplayService(call.session, call.actor, call.ports)


@operations.operation(
    "POST",
    "code/patches/{patch_id}/replay",
    permission=Permission.CODE_APPROVE,
    status=202,
    summary="Make and test a patch again",
    errors=(NotFound, Conflict, Unavailable),
    limit=Limit.EXECUTE,
)
def replay_patch(call: Call, patch_id: UUID) -> ReplayStarted:
    """Queue a run that makes the patch again from what was recorded, and tests it in a sandbox without a network."""
    return _service(call).start(patch_id)


@operations.operation(
    "GET", "code/patches/{patch_id}/replays", permission=Permission.SPEC_READ, summary="List the replays of a patch"
)
def list_replays(call: Call, patch_id: UUID) -> ReplayList:
    """Return what came out the same, and what did not; newest first."""
    return _service(call).list(patch_id)
