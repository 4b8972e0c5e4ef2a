"""Public shapes of sync: what was taken in from outside, and the conflicts that wait for a person."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import Field

from devstudio_server.specs.schemas import MAX_DOCUMENT, DocumentType, SpecSessionRead
from devstudio_server.web.schemas import ListQuery, Payload, Shape


class ConflictStatus(StrEnum):
    """Where a conflict stands."""

    OPEN = "open"
    RESOLVED = "resolved"


class ConflictKind(StrEnum):
    """``conflict``: both sides changed a block. ``deletion``: it was removed outside, and that is asked about."""

    CONFLICT = "conflict"
    DELETION = "deletion"


class ConflictSource(StrEnum):
    """Where the text came from: a Markdown file, the notebook's file, or the notebook as an editor saved it."""

    MARKDOWN = "markdown"
    NOTEBOOK = "notebook"
    EDITOR = "editor"


class ConflictChoice(StrEnum):
    """How a person answers a conflict; ``delete`` and ``restore`` answer a deletion."""

    OURS = "ours"
    THEIRS = "theirs"
    BOTH = "both"
    TEXT = "text"
    DELETE = "delete"
    RESTORE = "restore"


class SyncRequest(Payload):
    """What is looked at: the Markdown files alone, or the notebook's file, too."""

    source: Literal["files", "all"] = "all"


class ResolveConflict(Payload):
    """The answer. ``text`` is the block's new text, and is given with the choice `text` alone."""

    choice: ConflictChoice
    text: str | None = Field(None, max_length=MAX_DOCUMENT)


class ConflictQuery(ListQuery):
    """Filters of the list."""

    status: ConflictStatus | None = None


class ConflictRead(Shape):
    """One conflict. ``ours`` is what is stored, ``theirs`` what came from outside, null where the block is not there.

    Without a ``block_id`` it is about the whole document. ``resolution`` is the answer, or `settled` when one side was
    made like the other.
    """

    id: UUID
    session_id: UUID
    document: DocumentType
    block_id: str
    label: str
    kind: ConflictKind
    base: str | None
    ours: str | None
    theirs: str | None
    source: ConflictSource
    who: str
    status: ConflictStatus
    resolution: str | None
    resolved_by: UUID | None
    resolved_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


class DeletionRead(Shape):
    """Something that was removed outside and is still stored: answer the conflict ``id`` with `delete` or `restore`."""

    id: UUID
    version: int
    document: DocumentType
    path: str
    block_ids: list[str]


class SyncRead(Shape):
    """What a sync did. ``changed`` are the documents with a new version.

    ``conflicts`` and ``deletions`` are all that are open; ``kept`` are the files that could not be read and were left
    alone, and those that were put aside.
    """

    session: SpecSessionRead
    changed: list[DocumentType]
    conflicts: list[ConflictRead]
    deletions: list[DeletionRead]
    kept: list[str]


class ResolveResult(Shape):
    """The conflict as it was answered, and the session after it."""

    conflict: ConflictRead
    session: SpecSessionRead
