"""HTTP of sync and its conflicts."""

from __future__ import annotations

from uuid import UUID

from devstudio_server.auth import Permission
from devstudio_server.kit.errors import Conflict, Invalid, PreconditionFailed
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.specs.conflict_schemas import (
    ConflictQuery,
    ConflictRead,
    ResolveConflict,
    ResolveResult,
    SyncRead,
    SyncRequest,
)
from devstudio_server.specs.sync import ConflictService, SessionSync, conflict_read
from devstudio_server.web import Call, ListPage, Operations

operations = Operations("spec-sessions")


def _sync(call: Call) -> SessionSync:
    return SessionSync(call.session, call.actor, call.port(GitStorage), call.port(WorkspaceStorage))


def _conflicts(call: Call) -> ConflictService:
    return ConflictService(call.session, call.actor, _sync(call).specs)


@operations.operation(
    "POST",
    "spec-sessions/{session_id}/sync",
    permission=Permission.SPEC_UPDATE,
    summary="Sync a spec session with its files",
    errors=(Conflict,),
)
def sync_spec_session(call: Call, session_id: UUID, body: SyncRequest) -> SyncRead:
    """Take in what was changed in the session's files, block by block; what both sides changed becomes a conflict."""
    sync = _sync(call)
    return sync.read(sync.run(sync.specs.get(session_id), body.source))


@operations.operation(
    "GET", "spec-sessions/{session_id}/conflicts", permission=Permission.SPEC_READ, summary="List a session's conflicts"
)
def list_conflicts(call: Call, session_id: UUID, query: ConflictQuery) -> ListPage[ConflictRead]:
    """List the conflicts of a session with the texts of both sides, newest first."""
    page = _conflicts(call).list(session_id, query)
    return ListPage(items=[conflict_read(row) for row in page.items], next_cursor=page.next_cursor)


@operations.operation(
    "POST",
    "conflicts/{conflict_id}/resolve",
    permission=Permission.SPEC_UPDATE,
    summary="Resolve a conflict",
    errors=(Conflict, Invalid, PreconditionFailed),
)
def resolve_conflict(call: Call, conflict_id: UUID, body: ResolveConflict) -> ResolveResult:
    """Take what is stored, what came from outside, both, or another text; documents and files follow."""
    return _conflicts(call).resolve(conflict_id, body, call.if_match)
