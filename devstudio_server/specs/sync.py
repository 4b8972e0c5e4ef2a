"""Sync of a session: takes in what other programs wrote into its files, and lets the files follow its documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import Actor, check_version
from devstudio_server.kit.errors import Conflict, Invalid, NotFound
from devstudio_server.kit.pagination import Page, page_of
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.specs.block_ids import own_ids
from devstudio_server.specs.conflict_schemas import (
    ConflictChoice,
    ConflictKind,
    ConflictQuery,
    ConflictRead,
    ConflictStatus,
    DeletionRead,
    ResolveConflict,
    ResolveResult,
    SyncRead,
)
from devstudio_server.specs.conflicts import ConflictBook
from devstudio_server.specs.documents import FileTarget
from devstudio_server.specs.markdown import strip_ids
from devstudio_server.specs.merge import Patch, overlay
from devstudio_server.specs.models import SpecSession, SyncConflict
from devstudio_server.specs.repository import SpecRepository
from devstudio_server.specs.schemas import DocumentType
from devstudio_server.specs.segments import PREAMBLE, split
from devstudio_server.specs.service import SpecService
from devstudio_server.specs.sync_files import ALL_FILES

Source = Literal["files", "all"]
"""The Markdown files alone, or the notebook's file, too."""

_TARGETS: dict[Source, frozenset[FileTarget]] = {"files": frozenset({"markdown"}), "all": ALL_FILES}
_ANSWERS = {
    ConflictKind.CONFLICT: {ConflictChoice.OURS, ConflictChoice.THEIRS, ConflictChoice.BOTH, ConflictChoice.TEXT},
    ConflictKind.DELETION: {ConflictChoice.DELETE, ConflictChoice.RESTORE},
}


class ConflictNotFound(NotFound):
    """No such conflict in this tenant."""

    def __init__(self, conflict_id: UUID) -> None:
        """Name the id that was asked for."""
        super().__init__(
            f"There is no conflict {conflict_id}. `GET /api/v1/spec-sessions/{{id}}/conflicts` lists a session's."
        )


class ConflictAnswered(Conflict):
    """The conflict is not open any more."""

    title = "Already resolved"


class AnswerUnfit(Invalid):
    """The answer does not fit the conflict."""

    title = "Not an answer to this conflict"


@dataclass(frozen=True)
class SyncResult:
    """What a sync did, and every conflict that is open now."""

    session: SpecSession
    changed: Sequence[DocumentType]
    open: Sequence[SyncConflict]
    kept: Sequence[str]

    @property
    def conflicts(self) -> Sequence[SyncConflict]:
        """Those where both sides have a text, or where ours was removed."""
        return [row for row in self.open if row.kind == ConflictKind.CONFLICT]

    @property
    def deletions(self) -> Sequence[SyncConflict]:
        """Those where something was removed outside."""
        return [row for row in self.open if row.kind == ConflictKind.DELETION]


class SessionSync:
    """Syncs sessions with their files, within one unit of work."""

    def __init__(self, session: Session, actor: Actor, git: GitStorage, workspaces: WorkspaceStorage) -> None:
        """Work in ``session`` for ``actor``."""
        self.specs = SpecService(session, actor, git, workspaces)

    def run(self, session: SpecSession, sources: Source = "all") -> SyncResult:
        """Take in what was changed in the files of ``sources``; the files are written after the commit."""
        self.specs.projects.get_writable(session.project_id)
        untouched = self.specs.files(session)
        if untouched.is_as_written():
            return SyncResult(session, [], untouched.book.rows, [])
        before = dict(session.document_versions)
        files = self.specs.write(session, {}, sources=_TARGETS[sources])
        changed = [kind for kind in DocumentType if session.document_versions.get(kind) != before.get(kind)]
        return SyncResult(session, changed, files.book.rows, files.kept)

    def read(self, result: SyncResult) -> SyncRead:
        """Return the public shape of what a sync did."""
        return SyncRead(
            session=self.specs.read(result.session),
            changed=list(result.changed),
            conflicts=[conflict_read(row) for row in result.conflicts],
            deletions=[self._deletion(result.session, row) for row in result.deletions],
            kept=list(result.kept),
        )

    def _deletion(self, session: SpecSession, row: SyncConflict) -> DeletionRead:
        kind = DocumentType(row.document)
        blocks = [row.block_id]
        if not row.block_id:
            blocks = [s.id for s in split(kind, row.ours or "") if s.id != PREAMBLE]
        path = f"{session.folder}/{kind.value}.md" if row.source == "markdown" else session.notebook_file
        return DeletionRead(id=row.id, version=row.version, document=kind, path=path, block_ids=blocks)


class ConflictService:
    """Lists conflicts, and has people answer them."""

    def __init__(self, session: Session, actor: Actor, specs: SpecService) -> None:
        """Work in ``session`` for ``actor`` with ``specs``."""
        self._rows = SpecRepository(session)
        self._specs = specs
        self._actor = actor

    def list(self, session_id: UUID, query: ConflictQuery) -> Page[SyncConflict]:
        """Return one page of a session's conflicts, newest first."""
        session = self._specs.get(session_id)
        rows = self._rows.conflicts(session.id, query.page(), status=query.status)
        return page_of(rows, query.limit, lambda row: row.id)

    def resolve(self, conflict_id: UUID, answer: ResolveConflict, expected: int | None) -> ResolveResult:
        """Do what a person answered; raises `PreconditionFailed` when a side was changed since ``expected``."""
        found = self._rows.find_conflict(conflict_id)
        if found is None:
            raise ConflictNotFound(conflict_id)
        session = self._specs.get(found.session_id)
        self._specs.projects.get_writable(session.project_id)
        check_version(found, expected)
        _check(found, answer)
        kind = DocumentType(found.document)
        ours = self._specs.documents.texts(session)[kind]
        text = own_ids(kind, _answered(kind, ours, found, answer), ours, ours)
        book = ConflictBook(self._rows, self._actor, session)
        book.close(next(row for row in book.rows if row.id == found.id), answer.choice)
        self._specs.write(session, {kind: text}, conflicts_changed=True)
        return ResolveResult(conflict=conflict_read(found), session=self._specs.read(session))


def _check(row: SyncConflict, answer: ResolveConflict) -> None:
    if row.status != ConflictStatus.OPEN:
        message = f"This conflict was resolved with “{row.resolution}”. Its texts are still in it."
        raise ConflictAnswered(message)
    choices = _ANSWERS[ConflictKind(row.kind)]
    if answer.choice not in choices:
        raise AnswerUnfit(f"A {row.kind} is answered with {', '.join(sorted(choices))}.")
    if (answer.text is not None) != (answer.choice is ConflictChoice.TEXT):
        raise AnswerUnfit("`text` is given with the choice `text`, and only with it.")


def _answered(kind: DocumentType, ours: str, row: SyncConflict, answer: ResolveConflict) -> str:
    """Return the document as the answer makes it."""
    if answer.choice in {ConflictChoice.OURS, ConflictChoice.RESTORE}:
        return ours
    text = row.theirs
    if answer.choice is ConflictChoice.BOTH:
        parts = [row.ours, strip_ids(row.theirs) if row.ours and row.theirs else row.theirs]
        text = "\n".join(part.rstrip() if place == 0 else part for place, part in enumerate(parts) if part)
    elif answer.choice is ConflictChoice.TEXT:
        text = answer.text if not row.block_id else (answer.text or "").rstrip()
    return overlay(kind, ours, [Patch(row.block_id, text, row.behind)]) or ""


def conflict_read(row: SyncConflict) -> ConflictRead:
    """Return the public shape of a conflict: its texts without ids."""
    read = ConflictRead.model_validate(row)
    for name in ("base", "ours", "theirs"):
        text = getattr(read, name)
        setattr(read, name, None if text is None else strip_ids(text))
    return read
