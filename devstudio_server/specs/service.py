"""The rules of spec sessions: documents with versions, tasks with derived status, files that follow."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from slugify import slugify
from sqlalchemy.orm import Session

from devstudio_server.db import Actor, after_commit, check_version
from devstudio_server.kit.clock import now
from devstudio_server.kit.pagination import Page, page_of
from devstudio_server.projects.service import ProjectService
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.specs.approvals import DocumentGates
from devstudio_server.specs.documents import DocumentStore, FileTarget, texts_of
from devstudio_server.specs.errors import (
    DocumentTypeUnknown,
    DocumentVersionNotFound,
    SpecSessionNotFound,
    TaskNotFound,
)
from devstudio_server.specs.evidence import EvidenceLedger, summary_of
from devstudio_server.specs.index import SpecIndex
from devstudio_server.specs.lint import lint, structure_warnings
from devstudio_server.specs.models import DocumentApproval, Spec, SpecSession, Task
from devstudio_server.specs.repository import SpecRepository
from devstudio_server.specs.schemas import (
    CriterionRead,
    DocumentRead,
    Documents,
    DocumentStatus,
    DocumentType,
    DocumentVersionQuery,
    LintRead,
    LintWarning,
    SessionStatus,
    SpecSessionCreate,
    SpecSessionQuery,
    SpecSessionRead,
    SpecSessionSummary,
    SpecSessionUpdate,
    TaskEvidence,
    TaskList,
    TaskRead,
    TaskStatus,
    TaskUpdate,
)
from devstudio_server.specs.status import Standing, proofs_of, standings
from devstudio_server.specs.sync_files import ALL_FILES, MARKDOWN_FILES, SyncedFiles

MAX_SLUG = 60
MAX_VERSION_DIGITS = 9


class SpecService:
    """Creates, reads and changes spec sessions and their tasks."""

    def __init__(self, session: Session, actor: Actor, git: GitStorage, workspaces: WorkspaceStorage) -> None:
        """Work in ``session`` for ``actor``."""
        self._session = session
        self._actor = actor
        self._specs = SpecRepository(session)
        self.projects = ProjectService(session, actor, git, workspaces)
        self.documents = DocumentStore(self._specs, actor)
        self.gates = DocumentGates(self._specs)
        self.evidence = EvidenceLedger(session)

    def create(self, payload: SpecSessionCreate) -> SpecSession:
        """Create a session with three empty documents in a project that may be changed."""
        project = self.projects.get_writable(payload.project_id)
        session = self._specs.add(
            SpecSession(
                project_id=project.id,
                title=payload.title,
                description=payload.description,
                author_id=self._actor.user_id,
                slug=self._free_slug(project.id, payload.title),
            )
        )
        self.project_files(session)
        return session

    def _free_slug(self, project_id: UUID, title: str) -> str:
        stem = slugify(title, max_length=MAX_SLUG) or "session"
        taken = self._specs.slugs(project_id, stem)
        candidates = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(taken) + 2))
        return next(slug for slug in candidates if slug not in taken)

    def get(self, session_id: UUID) -> SpecSession:
        """Return a session of a project that is still there; raises `SpecSessionNotFound`."""
        session = self._specs.find(session_id)
        if session is None:
            raise SpecSessionNotFound(session_id)
        self.projects.get(session.project_id)
        return session

    def list(self, query: SpecSessionQuery) -> Page[SpecSession]:
        """Return one page of sessions, newest first."""
        rows = self._specs.list(query.page(), project_id=query.project_id, status=query.status)
        return page_of(rows, query.limit, lambda session: session.id)

    def update(self, session_id: UUID, payload: SpecSessionUpdate, expected: int | None) -> SpecSession:
        """Change a session; raises `PreconditionFailed` when ``expected`` is stale."""
        session = self.get(session_id)
        check_version(session, expected)
        self.projects.get_writable(session.project_id)
        for name, value in payload.model_dump(exclude={"documents"}, exclude_none=True).items():
            setattr(session, name, value)
        if payload.status is not None:
            session.completed_at = now() if payload.status is SessionStatus.COMPLETED else None
        self.write(session, payload.documents.given() if payload.documents else {})
        return session

    def delete(self, session_id: UUID, expected: int | None) -> None:
        """Take a session out of sight; its files stay in the project's tree."""
        session = self.get(session_id)
        check_version(session, expected)
        session.deleted = True
        session.version += 1

    def write(
        self,
        session: SpecSession,
        texts: dict[DocumentType, str],
        *,
        notebook: bool = True,
        sources: Collection[FileTarget] = ALL_FILES,
        conflicts_changed: bool = False,
    ) -> SyncedFiles:
        """Store new texts and what was changed in the files, derive criteria, tasks and statuses; the files follow.

        ``notebook=False`` leaves the notebook's file to the caller, who is saving it.
        """
        edited = self._session.is_modified(session) or conflicts_changed
        rows = self.documents.rows(session)
        before = texts_of(rows)
        changed = self.documents.store(session, texts, rows)
        files = self.files(session)
        taken_in = files.take_in(texts_of(rows), sources)
        changed += self.documents.store(session, taken_in, rows)
        after = texts_of(rows)
        files.book.follow(after)
        if edited or changed or files.book.changed:
            session.version += 1
        if changed:
            if session.status == SessionStatus.DRAFT:
                session.status = SessionStatus.ACTIVE
            self.gates.follow(session, before, after)
            self._index(session).rebuild(after)
        self._index(session).answer_ticks(files.ticked, after[DocumentType.TASKS])
        self._specs.flush()
        after_commit(self._session, files.project(after, ALL_FILES if notebook else MARKDOWN_FILES))
        return files

    def files(self, session: SpecSession) -> SyncedFiles:
        """Return what reads and writes the files of a session."""
        tree = self.projects.tree(self.projects.get(session.project_id))
        return SyncedFiles(self._specs, self._actor, session, tree)

    def project_files(self, session: SpecSession) -> None:
        """Write the files of a new session after the commit."""
        files = self.files(session)
        after_commit(self._session, files.project(files.take_in(self.documents.texts(session)), ALL_FILES))

    def read(self, session: SpecSession) -> SpecSessionRead:
        """Return the public shape of a session, and write its files again if they are gone."""
        rows, approvals = self.documents.rows(session), self.gates.rows(session.id)
        texts = {kind: row.content for kind, row in rows.items()}
        after_commit(self._session, self.files(session).restore(texts))
        documents = {kind.value: _document_read(rows.get(kind), approvals.get(kind)) for kind in DocumentType}
        summary = SpecSessionSummary.model_validate(session).model_dump()
        return SpecSessionRead(**summary, documents=Documents(**documents), warnings=[*self.warnings(texts)])

    def warnings(self, texts: dict[DocumentType, str]) -> Sequence[LintWarning]:
        """Return what looks wrong with the shape of the documents."""
        return structure_warnings(texts)

    def lint(self, session_id: UUID) -> LintRead:
        """Return what looks wrong in a session's documents, with its place, and how they cover each other."""
        session = self.get(session_id)
        proven = proofs_of(self._specs.criteria(session.id), self._specs.evidence(session.id))
        return lint(self.documents.texts(session), proven)

    def tasks(self, session_id: UUID) -> TaskList:
        """Return the tasks of a session, in the document's order, with derived status and evidence."""
        session = self.get(session_id)
        return TaskList(items=[*self.task_reads(session)], criteria=[*self.criteria(session)])

    def task_reads(self, session: SpecSession) -> Sequence[TaskRead]:
        """Return the tasks of ``session`` in the document's order."""
        found = self._standings(session.id)
        rows = [task for task in self._specs.all_tasks(session.id) if not task.removed]
        return [_task_read(task, found) for task in rows]

    def criteria(self, session: SpecSession) -> Sequence[CriterionRead]:
        """Return the criteria of ``session`` with what proves them."""
        rows = self._specs.criteria(session.id)
        proofs = proofs_of(rows, self._specs.evidence(session.id))
        return [
            CriterionRead(
                key=row.key,
                text=row.text,
                proven=row.key in proofs,
                run_id=proofs[row.key].run_id if row.key in proofs else None,
            )
            for row in rows
        ]

    def task(self, task_id: UUID) -> TaskRead:
        """Return one task."""
        task = self.get_task(task_id)
        return _task_read(task, self._standings(task.session_id))

    def task_evidence(self, task_id: UUID) -> TaskEvidence:
        """Return where each criterion of a task stands, why, and all that runs said about it."""
        return self.evidence.of_task(self.get_task(task_id))

    def _standings(self, session_id: UUID) -> dict[str, Standing]:
        return standings(self._specs.criteria(session_id), self._specs.evidence(session_id))

    def get_task(self, task_id: UUID) -> Task:
        """Return the row of a task; raises `TaskNotFound`."""
        task = self._specs.find_task(task_id)
        if task is None:
            raise TaskNotFound(task_id)
        self.get(task.session_id)
        return task

    def update_task(self, task_id: UUID, payload: TaskUpdate, expected: int | None) -> TaskRead:
        """Change what is not the document's; raises `PreconditionFailed` when ``expected`` is stale."""
        task = self.get_task(task_id)
        check_version(task, expected)
        session = self.get(task.session_id)
        self.projects.get_writable(session.project_id)
        changes = payload.model_dump(exclude_none=True)
        if "status" in changes:
            task.progress, task.progress_reason = changes.pop("status"), ""
        for name, value in changes.items():
            setattr(task, name, value)
        changed, before = self._session.is_modified(task), task.version
        self._index(session).refresh_statuses()
        if changed and task.version == before:
            task.version += 1
        self._specs.flush()
        return self.task(task_id)

    def document_versions(self, session_id: UUID, name: str, query: DocumentVersionQuery) -> Page[Spec]:
        """Return one page of a document's versions, newest first."""
        session = self.get(session_id)
        rows = self._specs.versions(session.id, _document_type(name), query.page())
        return page_of(rows, query.limit, lambda spec: spec.id)

    def approve_document(self, session_id: UUID, name: str, version: int) -> SpecSession:
        """Approve the present version of a document; raises `DocumentNotApprovable` when ``version`` is another."""
        session = self.get(session_id)
        self.projects.get_writable(session.project_id)
        kind = _document_type(name)
        self.gates.approve(self.documents.rows(session).get(kind), kind, version, self._actor.user_id)
        return session

    def reopen_document(self, session_id: UUID, name: str) -> SpecSession:
        """Make a document a draft again."""
        session = self.get(session_id)
        self.projects.get_writable(session.project_id)
        self.gates.reopen(session, _document_type(name))
        return session

    def document_version(self, session_id: UUID, name: str, version: str) -> Spec:
        """Return one version of a document; raises `DocumentVersionNotFound`."""
        session = self.get(session_id)
        kind = _document_type(name)
        known = version.isascii() and version.isdecimal() and len(version) <= MAX_VERSION_DIGITS
        spec = self._specs.version(session.id, kind, int(version)) if known else None
        if spec is None:
            raise DocumentVersionNotFound(version)
        return spec

    def record_progress(self, task_id: UUID, progress: TaskStatus, reason: str) -> None:
        """Note where the work on a task stands. ``done`` cannot be noted: it is derived."""
        if progress is TaskStatus.DONE:
            message = "`done` is derived from evidence and cannot be set"
            raise ValueError(message)
        task = self.get_task(task_id)
        task.progress, task.progress_reason = progress, reason
        self._index(self.get(task.session_id)).refresh_statuses()

    def link_commit(self, task_id: UUID, commit: str, run_id: UUID) -> None:
        """Add a commit to a task's links."""
        task = self.get_task(task_id)
        task.links = [*task.links, {"type": "commit", "commit": commit, "run_id": str(run_id)}]

    def criteria_digests(self, session_id: UUID) -> dict[str, str]:
        """Return the sha256 of each criterion's present text, by key."""
        return {row.key: row.sha256 for row in self._specs.criteria(session_id)}

    def _index(self, session: SpecSession) -> SpecIndex:
        return SpecIndex(self._specs, session)


def _document_read(spec: Spec | None, approval: DocumentApproval | None) -> DocumentRead:
    read = DocumentRead(content=spec.content if spec else "", version=spec.version if spec else 0)
    if approval is not None:
        read.status, read.status_reason = DocumentStatus(approval.status), approval.reason
        read.approved_by, read.approved_at = approval.approved_by, approval.approved_at
    return read


def _document_type(name: str) -> DocumentType:
    try:
        return DocumentType(name)
    except ValueError:
        raise DocumentTypeUnknown(name) from None


def _task_read(task: Task, found: Mapping[str, Standing]) -> TaskRead:
    values = {name: getattr(task, name) for name in TaskRead.model_fields if name != "evidence"}
    return TaskRead(**values, evidence=summary_of(task, found))
