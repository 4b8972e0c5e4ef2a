"""HTTP of spec sessions, documents and tasks."""

from __future__ import annotations

from uuid import UUID

from devstudio_server.auth import Permission
from devstudio_server.kit.errors import Conflict, NotFound
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.specs.schemas import (
    ApproveDocument,
    DocumentVersionQuery,
    DocumentVersionRead,
    DocumentVersionSummary,
    LintRead,
    SpecSessionCreate,
    SpecSessionQuery,
    SpecSessionRead,
    SpecSessionSummary,
    SpecSessionUpdate,
    TaskEvidence,
    TaskList,
    TaskRead,
    TaskUpdate,
)
from devstudio_server.specs.service import SpecService
from devstudio_server.web import Call, ListPage, Operations
from devstudio_server.web.schemas import list_page

operations = Operations("spec-sessions")


def _service(call: Call) -> SpecService:
    return SpecService(call.session, call.actor, call.port(GitStorage), call.port(WorkspaceStorage))


@operations.operation(
    "POST",
    "spec-sessions",
    permission=Permission.SPEC_CREATE,
    status=201,
    summary="Create a spec session",
    errors=(NotFound, Conflict),
)
def create_spec_session(call: Call, body: SpecSessionCreate) -> SpecSessionRead:
    """Create a session with three empty documents, and write its files into the project's tree."""
    service = _service(call)
    return service.read(service.create(body))


@operations.operation("GET", "spec-sessions", permission=Permission.SPEC_READ, summary="List spec sessions")
def list_spec_sessions(call: Call, query: SpecSessionQuery) -> ListPage[SpecSessionSummary]:
    """List the tenant's sessions, newest first."""
    return list_page(SpecSessionSummary, _service(call).list(query))


@operations.operation(
    "GET", "spec-sessions/{session_id}", permission=Permission.SPEC_READ, summary="Get a spec session"
)
def get_spec_session(call: Call, session_id: UUID) -> SpecSessionRead:
    """Return one session with its documents."""
    service = _service(call)
    return service.read(service.get(session_id))


@operations.operation(
    "PUT",
    "spec-sessions/{session_id}",
    permission=Permission.SPEC_UPDATE,
    summary="Change a spec session",
    errors=(Conflict,),
)
def update_spec_session(call: Call, session_id: UUID, body: SpecSessionUpdate) -> SpecSessionRead:
    """Change what is given. Criteria and tasks are derived anew from changed documents."""
    service = _service(call)
    return service.read(service.update(session_id, body, call.if_match))


@operations.operation(
    "DELETE", "spec-sessions/{session_id}", permission=Permission.SPEC_DELETE, summary="Delete a spec session"
)
def delete_spec_session(call: Call, session_id: UUID) -> None:
    """Take a session out of sight; its files stay in the project's tree."""
    _service(call).delete(session_id, call.if_match)


@operations.operation(
    "GET", "spec-sessions/{session_id}/tasks", permission=Permission.SPEC_READ, summary="List the tasks of a session"
)
def list_tasks(call: Call, session_id: UUID) -> TaskList:
    """Return the tasks in the document's order, each with its derived status and evidence."""
    return _service(call).tasks(session_id)


@operations.operation(
    "GET", "spec-sessions/{session_id}/lint", permission=Permission.SPEC_READ, summary="Lint a session's documents"
)
def lint_spec_session(call: Call, session_id: UUID) -> LintRead:
    """Return what is missing, vague, contradictory or untestable in the documents, and how they cover each other."""
    return _service(call).lint(session_id)


@operations.operation("GET", "tasks/{task_id}", permission=Permission.SPEC_READ, summary="Get a task")
def get_task(call: Call, task_id: UUID) -> TaskRead:
    """Return one task with its derived status and evidence."""
    return _service(call).task(task_id)


@operations.operation(
    "GET", "tasks/{task_id}/evidence", permission=Permission.SPEC_READ, summary="Get the evidence of a task"
)
def get_task_evidence(call: Call, task_id: UUID) -> TaskEvidence:
    """Return whether each criterion of a task is proven, lost or missing, why, and all that runs said about it."""
    return _service(call).task_evidence(task_id)


@operations.operation(
    "PUT", "tasks/{task_id}", permission=Permission.SPEC_UPDATE, summary="Change a task", errors=(Conflict,)
)
def update_task(call: Call, task_id: UUID, body: TaskUpdate) -> TaskRead:
    """Change who works on a task, how urgent it is, hours, and where the work stands, up to `review`."""
    return _service(call).update_task(task_id, body, call.if_match)


@operations.operation(
    "GET",
    "spec-sessions/{session_id}/documents/{document}/versions",
    permission=Permission.SPEC_READ,
    summary="List the versions of a document",
)
def list_document_versions(
    call: Call,
    session_id: UUID,
    document: str,
    query: DocumentVersionQuery,
) -> ListPage[DocumentVersionSummary]:
    """List the versions of requirements, design or tasks, newest first, without their texts."""
    return list_page(DocumentVersionSummary, _service(call).document_versions(session_id, document, query))


@operations.operation(
    "GET",
    "spec-sessions/{session_id}/documents/{document}/versions/{version}",
    permission=Permission.SPEC_READ,
    summary="Get a version of a document",
)
def get_document_version(
    call: Call,
    session_id: UUID,
    document: str,
    version: str,
) -> DocumentVersionRead:
    """Return a document as it was in one version."""
    return DocumentVersionRead.model_validate(_service(call).document_version(session_id, document, version))


@operations.operation(
    "POST",
    "spec-sessions/{session_id}/documents/{document}/approve",
    permission=Permission.CODE_APPROVE,
    summary="Approve a document",
    errors=(Conflict,),
)
def approve_document(call: Call, session_id: UUID, document: str, body: ApproveDocument) -> SpecSessionRead:
    """Approve requirements, design or tasks as they are; a later change makes a draft of them again."""
    service = _service(call)
    return service.read(service.approve_document(session_id, document, body.version))


@operations.operation(
    "POST",
    "spec-sessions/{session_id}/documents/{document}/reopen",
    permission=Permission.CODE_APPROVE,
    summary="Take back a document's approval",
    errors=(Conflict,),
)
def reopen_document(call: Call, session_id: UUID, document: str) -> SpecSessionRead:
    """Make a draft of an approved or suspect document."""
    service = _service(call)
    return service.read(service.reopen_document(session_id, document))
