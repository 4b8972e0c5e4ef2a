"""All SQL of specs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from devstudio_server.db import newest_first
from devstudio_server.kit.pagination import PageRequest
from devstudio_server.specs.facts import CriterionFacts, TaskFacts, Written
from devstudio_server.specs.models import (
    Criterion,
    DocumentApproval,
    EvidenceRow,
    Projection,
    Spec,
    SpecSession,
    SyncConflict,
    Task,
)
from devstudio_server.specs.schemas import DocumentType

_MANY = 500
"""Values in one statement; a database takes only so many."""


class SpecRepository:
    """Reads and adds sessions, documents and their index within one unit of work."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def flush(self) -> None:
        """Send pending changes to the database."""
        self._session.flush()

    def find(self, session_id: UUID) -> SpecSession | None:
        """Return the session unless it is missing or deleted."""
        query = select(SpecSession).where(SpecSession.id == session_id, SpecSession.deleted.is_(False))
        return self._session.scalars(query).one_or_none()

    def list(self, page: PageRequest, *, project_id: UUID | None, status: str | None) -> Sequence[SpecSession]:
        """Return up to ``page.limit + 1`` sessions, newest first."""
        query = select(SpecSession).where(SpecSession.deleted.is_(False))
        if project_id is not None:
            query = query.where(SpecSession.project_id == project_id)
        if status is not None:
            query = query.where(SpecSession.status == status)
        return self._session.scalars(newest_first(query, SpecSession, page)).all()

    def find_at(self, project_id: UUID, slug: str) -> SpecSession | None:
        """Return the session of a project with this slug, unless it is missing or deleted."""
        query = select(SpecSession).where(
            SpecSession.project_id == project_id, SpecSession.slug == slug, SpecSession.deleted.is_(False)
        )
        return self._session.scalars(query).one_or_none()

    def slugs(self, project_id: UUID, prefix: str) -> set[str]:
        """Return the slugs of a project that start with ``prefix``, those of deleted sessions too."""
        query = select(SpecSession.slug).where(
            SpecSession.project_id == project_id, SpecSession.slug.startswith(prefix, autoescape=True)
        )
        return set(self._session.scalars(query))

    def add(self, session: SpecSession) -> SpecSession:
        """Store a new session."""
        self._session.add(session)
        self._session.flush()
        return session

    def documents(self, session_id: UUID, session_version: int | None = None) -> dict[DocumentType, Spec]:
        """Return the newest version of each document that was ever written, or was until ``session_version``."""
        newest_of = select(Spec.type, func.max(Spec.version).label("version")).where(Spec.session_id == session_id)
        if session_version is not None:
            newest_of = newest_of.where(Spec.session_version <= session_version)
        newest = newest_of.group_by(Spec.type).subquery()
        query = (
            select(Spec)
            .join(newest, (Spec.type == newest.c.type) & (Spec.version == newest.c.version))
            .where(Spec.session_id == session_id)
        )
        return {DocumentType(row.type): row for row in self._session.scalars(query)}

    def versions(self, session_id: UUID, kind: DocumentType, page: PageRequest) -> Sequence[Spec]:
        """Return up to ``page.limit + 1`` versions of a document, newest first."""
        query = select(Spec).where(Spec.session_id == session_id, Spec.type == kind)
        return self._session.scalars(newest_first(query, Spec, page)).all()

    def version(self, session_id: UUID, kind: DocumentType, version: int) -> Spec | None:
        """Return one version of a document."""
        query = select(Spec).where(Spec.session_id == session_id, Spec.type == kind, Spec.version == version)
        return self._session.scalars(query).one_or_none()

    def add_document(self, spec: Spec) -> None:
        """Store a new version of a document."""
        self._session.add(spec)

    def approvals(self, session_id: UUID) -> dict[DocumentType, DocumentApproval]:
        """Return where the documents of a session stand, those of which it was ever said."""
        query = select(DocumentApproval).where(DocumentApproval.session_id == session_id)
        return {DocumentType(row.type): row for row in self._session.scalars(query)}

    def add_approval(self, row: DocumentApproval) -> None:
        """Store where a document stands."""
        self._session.add(row)

    def criteria(self, session_id: UUID) -> Sequence[Criterion]:
        """Return the criteria of a session in the order of the text."""
        query = select(Criterion).where(Criterion.session_id == session_id).order_by(Criterion.position)
        return self._session.scalars(query).all()

    def criterion_facts(self, session_id: UUID) -> Sequence[CriterionFacts]:
        """Return what the rows of a session's criteria say, which is much less work than the rows."""
        query = select(Criterion.block_id, Criterion.key, Criterion.text, Criterion.sha256, Criterion.position)
        return [
            CriterionFacts._make(row) for row in self._session.execute(query.where(Criterion.session_id == session_id))
        ]

    def criteria_of(self, session_id: UUID, block_ids: Collection[str]) -> Iterator[Criterion]:
        """Yield the rows of some blocks."""
        for some in _batches(block_ids):
            query = select(Criterion).where(Criterion.session_id == session_id, Criterion.block_id.in_(some))
            yield from self._session.scalars(query).all()

    def task_facts(self, session_id: UUID) -> Sequence[TaskFacts]:
        """Return what the rows of a session's tasks say, in the order of the text."""
        columns = [getattr(Task, name) for name in TaskFacts._fields]
        query = select(*columns).where(Task.session_id == session_id).order_by(Task.position)
        return [TaskFacts._make(row) for row in self._session.execute(query)]

    def tasks_of(self, session_id: UUID, block_ids: Collection[str]) -> Iterator[Task]:
        """Yield the rows of some blocks."""
        for some in _batches(block_ids):
            query = select(Task).where(Task.session_id == session_id, Task.block_id.in_(some))
            yield from self._session.scalars(query).all()

    def all_tasks(self, session_id: UUID) -> Sequence[Task]:
        """Return the tasks of a session in the order of the text, those removed from it too."""
        query = select(Task).where(Task.session_id == session_id).order_by(Task.position)
        return self._session.scalars(query).all()

    def find_task(self, task_id: UUID) -> Task | None:
        """Return a task unless it is missing or no longer in its document."""
        query = (
            select(Task)
            .join(SpecSession, SpecSession.id == Task.session_id)
            .where(Task.id == task_id, Task.removed.is_(False), SpecSession.deleted.is_(False))
        )
        return self._session.scalars(query).one_or_none()

    def add_row(self, row: Criterion | Task | EvidenceRow) -> None:
        """Store a row of the index."""
        self._session.add(row)

    def remove_row(self, row: Criterion) -> None:
        """Remove a criterion that the text no longer has. Its evidence stays."""
        self._session.delete(row)

    def evidence(self, session_id: UUID) -> Sequence[EvidenceRow]:
        """Return everything that runs ever said about a session's criteria."""
        return self._session.scalars(select(EvidenceRow).where(EvidenceRow.session_id == session_id)).all()

    def project_evidence(self, project_id: UUID) -> Sequence[EvidenceRow]:
        """Return everything that runs ever said about the criteria of a project's sessions."""
        query = select(EvidenceRow).join(SpecSession, SpecSession.id == EvidenceRow.session_id)
        return self._session.scalars(query.where(SpecSession.project_id == project_id, ~SpecSession.deleted)).all()

    def projections(self, session_id: UUID, target: str) -> dict[DocumentType, Projection]:
        """Return what was last written to, or read from, the files of ``target``."""
        query = select(Projection).where(Projection.session_id == session_id, Projection.target == target)
        return {DocumentType(row.type): row for row in self._session.scalars(query)}

    def written(self, session_id: UUID) -> dict[tuple[str, DocumentType], Written]:
        """Return by which digests the files of a session are known, by target and document."""
        query = select(
            Projection.target, Projection.type, Projection.digest, Projection.file_digest, Projection.version
        ).where(Projection.session_id == session_id)
        return {
            (target, DocumentType(kind)): Written(digest, file_digest, version)
            for target, kind, digest, file_digest, version in self._session.execute(query)
        }

    def add_projection(self, row: Projection) -> None:
        """Store what was written to a file."""
        self._session.add(row)

    def open_conflicts(self, session_id: UUID) -> Sequence[SyncConflict]:
        """Return the conflicts of a session that wait for a person."""
        query = select(SyncConflict).where(SyncConflict.session_id == session_id, SyncConflict.status == "open")
        return self._session.scalars(query.order_by(SyncConflict.id)).all()

    def conflicts(self, session_id: UUID, page: PageRequest, *, status: str | None) -> Sequence[SyncConflict]:
        """Return up to ``page.limit + 1`` conflicts of a session, newest first."""
        query = select(SyncConflict).where(SyncConflict.session_id == session_id)
        if status is not None:
            query = query.where(SyncConflict.status == status)
        return self._session.scalars(newest_first(query, SyncConflict, page)).all()

    def find_conflict(self, conflict_id: UUID) -> SyncConflict | None:
        """Return a conflict."""
        return self._session.scalars(select(SyncConflict).where(SyncConflict.id == conflict_id)).one_or_none()

    def add_conflict(self, row: SyncConflict) -> None:
        """Store a new conflict."""
        self._session.add(row)


def _batches(values: Collection[str]) -> Iterator[list[str]]:
    every = sorted(values)
    return (every[start : start + _MANY] for start in range(0, len(every), _MANY))
