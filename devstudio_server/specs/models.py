"""The tables of specs. Criteria and tasks are an index derived from the documents."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db import TenantRow, VersionedRow
from devstudio_server.kit.clock import now
from devstudio_server.specs.schemas import DocumentStatus, EvidenceOutcome, Priority, SessionStatus, TaskStatus

FOLDER = ".devstudio/specs"
_SESSION = "ds_spec_sessions.id"


class SpecSession(VersionedRow):
    """One spec session of a project."""

    __tablename__ = "ds_spec_sessions"
    __subject__ = "spec_session"
    __table_args__ = (UniqueConstraint("project_id", "slug"),)

    project_id: Mapped[UUID] = mapped_column(ForeignKey("ds_projects.id"), index=True)
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(20), default=SessionStatus.DRAFT)
    author_id: Mapped[UUID]
    completed_at: Mapped[datetime | None]
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    slug: Mapped[str] = mapped_column(String(80))
    document_versions: Mapped[dict[str, Any]] = mapped_column(default=dict)
    deleted: Mapped[bool] = mapped_column(Boolean, default=False)

    @property
    def folder(self) -> str:
        """The session's folder in the project's tree."""
        return f"{FOLDER}/{self.slug}"

    @property
    def notebook_file(self) -> str:
        """The session's notebook in the project's tree."""
        return f"{self.folder}/{self.slug}.ipynb"

    @property
    def notebook_path(self) -> str:
        """The session's notebook below the tenant's workspace."""
        return f"{self.project_id}/{self.notebook_file}"


class Spec(TenantRow):
    """One version of one document, first current in ``session_version`` of its session."""

    __tablename__ = "ds_specs"
    __subject__ = "spec"
    __table_args__ = (UniqueConstraint("session_id", "type", "version"),)

    session_id: Mapped[UUID] = mapped_column(ForeignKey(_SESSION), index=True)
    type: Mapped[str] = mapped_column(String(20))
    content: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer, default=1)
    session_version: Mapped[int] = mapped_column(Integer)
    created_by: Mapped[UUID]
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class DocumentApproval(VersionedRow):
    """Where a document stands: a draft, approved by somebody, or suspect since what it stands on was changed.

    ``reason`` says why it is suspect. A document without a row is a draft.
    """

    __tablename__ = "ds_document_approvals"
    __subject__ = "document_approval"
    __table_args__ = (UniqueConstraint("session_id", "type"),)

    session_id: Mapped[UUID] = mapped_column(ForeignKey(_SESSION), index=True)
    type: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(20), default=DocumentStatus.DRAFT)
    document_version: Mapped[int] = mapped_column(Integer, default=0)
    approved_by: Mapped[UUID | None]
    approved_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(Text, default="")


class Criterion(TenantRow):
    """An acceptance criterion as the present requirements state it. ``sha256`` is that of its normalised text."""

    __tablename__ = "ds_criteria"
    __table_args__ = (UniqueConstraint("session_id", "block_id"),)

    session_id: Mapped[UUID] = mapped_column(ForeignKey(_SESSION), index=True)
    block_id: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(20))
    text: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    position: Mapped[int] = mapped_column(Integer)


class Task(VersionedRow):
    """A task as the present document states it. ``status`` is derived; ``progress`` is where the work stands."""

    __tablename__ = "ds_tasks"
    __subject__ = "task"
    __table_args__ = (UniqueConstraint("session_id", "block_id"),)

    session_id: Mapped[UUID] = mapped_column(ForeignKey(_SESSION), index=True)
    block_id: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(20))
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(20), default=TaskStatus.TODO)
    status_reason: Mapped[str] = mapped_column(Text, default="")
    progress: Mapped[str] = mapped_column(String(20), default=TaskStatus.TODO)
    progress_reason: Mapped[str] = mapped_column(Text, default="")
    assignee: Mapped[str] = mapped_column(String(10), default="agent")
    dod: Mapped[str | None] = mapped_column(Text)
    priority: Mapped[str] = mapped_column(String(10), default=Priority.MEDIUM)
    estimated_hours: Mapped[int | None] = mapped_column(Integer)
    actual_hours: Mapped[int | None] = mapped_column(Integer)
    completed_at: Mapped[datetime | None]
    links: Mapped[list[Any]] = mapped_column(default=list)
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    criteria: Mapped[list[Any]] = mapped_column(default=list)
    optional: Mapped[bool] = mapped_column(Boolean, default=False)
    position: Mapped[int] = mapped_column(Integer)
    removed: Mapped[bool] = mapped_column(Boolean, default=False)


class EvidenceRow(TenantRow):
    """What a run on a committed tree said about a criterion with the text that ``sha256`` names; never changed.

    The newest row of a text counts. ``tests`` are those that proved it, also where it is ``failed``: then ``lost_by``
    names the run or the patch that took the proof away. ``strict``: without the patch, ``base_run_id`` saw them fail.
    """

    __tablename__ = "ds_evidence"
    __subject__ = "evidence"
    __table_args__ = (Index("ix_ds_evidence_session_block", "session_id", "block_id"),)

    session_id: Mapped[UUID] = mapped_column(ForeignKey(_SESSION), index=True)
    block_id: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(20))
    sha256: Mapped[str] = mapped_column(String(64))
    run_id: Mapped[UUID] = mapped_column(ForeignKey("ds_runs.id"))
    commit: Mapped[str] = mapped_column(String(64))
    tree: Mapped[str | None] = mapped_column(String(64))
    branch: Mapped[str | None] = mapped_column(String(200))
    tests: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    strict: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    base_run_id: Mapped[UUID | None]
    patch_id: Mapped[UUID | None]
    log_sha256: Mapped[str | None] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(10), default=EvidenceOutcome.PROVEN, server_default="proven")
    lost_at: Mapped[datetime | None]
    lost_reason: Mapped[str | None] = mapped_column(Text)
    lost_by: Mapped[UUID | None]


class Projection(TenantRow):
    """The text of a document as it was last written to a file, or sent by an editor: the base of a three-way merge.

    ``version`` is that of the session that the file or the editor said it had. ``digest`` is the SHA-256 of what
    stands in the file, which differs from ``content`` where a conflict is open. ``previous`` and ``previous_digest``
    are those of before the last write, which may not have come to pass, or of which an editor may know nothing yet.
    ``file_digest`` is the SHA-256 of all of the notebook's file as the server wrote it.
    """

    __tablename__ = "ds_projections"
    __table_args__ = (UniqueConstraint("session_id", "target", "type"),)

    session_id: Mapped[UUID] = mapped_column(ForeignKey(_SESSION), index=True)
    target: Mapped[str] = mapped_column(String(20))
    type: Mapped[str] = mapped_column(String(20))
    content: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer)
    digest: Mapped[str | None] = mapped_column(String(64))
    previous: Mapped[str | None] = mapped_column(Text)
    previous_digest: Mapped[str | None] = mapped_column(String(64))
    file_digest: Mapped[str | None] = mapped_column(String(64))


class SyncConflict(VersionedRow):
    """A block that was changed here and outside in the same lines, or that somebody removed outside; it waits.

    ``ours`` is what is stored, ``theirs`` what came from outside; None where the block is not there, and ``behind`` is
    the block that it followed. ``earlier`` are texts from outside that ``theirs`` took the place of. Without a
    ``block_id`` it is about the whole document. Rows stay when they are resolved.
    """

    __tablename__ = "ds_sync_conflicts"
    __subject__ = "sync_conflict"
    __table_args__ = (Index("ix_ds_sync_conflicts_session_id_id", "session_id", "id"),)

    session_id: Mapped[UUID] = mapped_column(ForeignKey(_SESSION))
    document: Mapped[str] = mapped_column(String(20))
    block_id: Mapped[str] = mapped_column(String(80))
    label: Mapped[str] = mapped_column(String(200), default="")
    kind: Mapped[str] = mapped_column(String(20))
    base: Mapped[str | None] = mapped_column(Text)
    ours: Mapped[str | None] = mapped_column(Text)
    theirs: Mapped[str | None] = mapped_column(Text)
    earlier: Mapped[list[Any]] = mapped_column(default=list)
    behind: Mapped[str] = mapped_column(String(80), default="")
    source: Mapped[str] = mapped_column(String(20))
    who: Mapped[str] = mapped_column(String(200), default="")
    author_id: Mapped[UUID]
    session_version: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(String(20), default="open")
    resolution: Mapped[str | None] = mapped_column(String(20))
    resolved_by: Mapped[UUID | None]
    resolved_at: Mapped[datetime | None]
