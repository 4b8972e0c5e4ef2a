"""Saving a session's notebook in Jupyter updates the session's documents."""

from __future__ import annotations

from typing import Any

from devstudio_server.db import Actor, Units
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.specs.notebook import as_notebook, build_notebook, read_documents, session_id_of, version_of
from devstudio_server.specs.service import SpecService


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
            documents = service.documents
            notebook = as_notebook(content)
            sent = read_documents(notebook)
            version = version_of(notebook)
            bases = documents.editor_bases(session, version)
            documents.remember(session, "editor", sent, version)
            before = documents.texts(session)
            merged = documents.merge_in(session, bases, sent)
            if merged != {kind: before[kind] for kind in merged}:
                service.write(session, merged, notebook=False)
            stored = documents.texts(session)
            documents.remember(session, "notebook", stored)
            return build_notebook(session.id, session.version, stored, notebook)
