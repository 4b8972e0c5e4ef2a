"""Saving a session's notebook in Jupyter updates the session's documents.

What merges is stored. A block that was also changed here, in the same lines, is a conflict: the document keeps its own
text, and the notebook that goes back keeps the editor's, so nothing that was typed goes away. `sync_files` says what
holds for all texts.
"""

from __future__ import annotations

from typing import Any

from devstudio_server.db import Actor, Units
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.specs.conflict_schemas import ConflictSource
from devstudio_server.specs.conflicts import Origin
from devstudio_server.specs.merge import Clash
from devstudio_server.specs.models import SpecSession
from devstudio_server.specs.notebook import as_notebook, build_notebook, read_documents, session_id_of, version_of
from devstudio_server.specs.schemas import DocumentType
from devstudio_server.specs.service import SpecService
from devstudio_server.specs.sync_files import SyncedFiles, bring_in


class NotebookSync:
    """Takes a notebook that is about to be saved, and answers what is to be written to the file."""

    def __init__(self, units: Units, git: GitStorage, workspaces: WorkspaceStorage) -> None:
        """Work with these adapters."""
        self._units = units
        self._git = git
        self._workspaces = workspaces

    def save(self, actor: Actor, path: str, content: Any) -> Any:
        """Store the documents of ``content`` and return the notebook to write; None when it is no session's.

        ``path`` is relative to the tenant's workspace. Raises an `AppError` when nothing may be saved.
        """
        session_id = session_id_of(content)
        if session_id is None:
            return None
        with self._units.begin(actor) as unit:
            service = SpecService(unit, actor, self._git, self._workspaces)
            session = service.get(session_id)
            if path.strip("/") != session.notebook_path:
                return None  # a copy elsewhere is the person's own
            service.projects.get_writable(session.project_id)
            notebook = as_notebook(content)
            files, clashes = self._store(service, session, actor, notebook)
            stored = service.documents.texts(session)
            shown = {kind: files.in_editor(kind, stored[kind], clashes.get(kind, ())) for kind in DocumentType}
            files.remember_saved(stored, shown)
            return build_notebook(session.id, session.version, shown, notebook)

    def _store(
        self, service: SpecService, session: SpecSession, actor: Actor, notebook: Any
    ) -> tuple[SyncedFiles, dict[DocumentType, tuple[Clash, ...]]]:
        """Merge what the editor sent into what is stored; return the session's files, and what did not merge."""
        sent, version = read_documents(notebook), version_of(notebook)
        book = service.files(session).book
        bases, present = service.documents.editor_bases(session, version), service.documents.texts(session)
        origin = Origin(ConflictSource.EDITOR, actor.name, version)
        clashes: dict[DocumentType, tuple[Clash, ...]] = {}
        merged: dict[DocumentType, str] = {}
        held: dict[DocumentType, str] = {}
        for kind, text in sent.items():
            base = book.as_base(kind, bases.get(kind, ""), book.seen_by(kind, origin))
            outcome, held[kind] = bring_in(kind, base, present[kind], text)
            book.record(kind, origin, outcome.clashes)
            merged[kind], clashes[kind] = outcome.text, outcome.clashes
        service.documents.remember_sent(session, held, version)
        return service.write(session, merged, notebook=False, conflicts_changed=book.changed), clashes
