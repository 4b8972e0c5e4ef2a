"""What can go wrong with specs."""

from __future__ import annotations

from uuid import UUID

from devstudio_server.kit.errors import Conflict, Invalid, NotFound


class SpecSessionNotFound(NotFound):
    """No such session in this tenant."""

    def __init__(self, session_id: UUID) -> None:
        """Name the id that was asked for."""
        super().__init__(
            f"There is no spec session {session_id}. `GET /api/v1/spec-sessions` lists those that you can see."
        )


class TaskNotFound(NotFound):
    """No such task in this tenant."""

    def __init__(self, task_id: UUID) -> None:
        """Name the id that was asked for."""
        super().__init__(f"There is no task {task_id}. It may have been removed from its session's tasks document.")


class DocumentTypeUnknown(NotFound):
    """A session has no such document."""

    def __init__(self, name: str) -> None:
        """List those that it has."""
        super().__init__(f"A session has no document “{name[:40]}”. It has requirements, design and tasks.")


class DocumentVersionNotFound(NotFound):
    """The document has no such version."""

    def __init__(self, version: str) -> None:
        """Say where those that it has are listed."""
        super().__init__(
            f"This document has no version “{version[:40]}”. "
            "`GET /api/v1/spec-sessions/{id}/documents/{type}/versions` lists those that it has."
        )


class DocumentConflict(Conflict):
    """Two people changed the same lines."""

    title = "Both sides changed the same text"


class NotebookUnreadable(Invalid):
    """The notebook is no notebook of a session."""

    title = "Not a session's notebook"


class DocumentNotApprovable(Conflict):
    """The document is empty, or is not any more what was read."""

    title = "Not approved"
