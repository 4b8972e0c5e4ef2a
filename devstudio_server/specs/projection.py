"""The files of a session in the project's tree: three Markdown files and the notebook. The database is the truth."""

from __future__ import annotations

import nbformat

from devstudio_server.kit.clock import now
from devstudio_server.kit.logging import get_logger
from devstudio_server.scm.workspace import WorkspaceTree
from devstudio_server.specs.errors import NotebookUnreadable
from devstudio_server.specs.models import SpecSession
from devstudio_server.specs.notebook import build_notebook, from_json, read_documents, to_json
from devstudio_server.specs.schemas import DocumentType

_log = get_logger("specs")


class SessionFiles:
    """Writes and reads the files of one session. Text that another program wrote is kept aside, never overwritten."""

    def __init__(self, tree: WorkspaceTree, session: SpecSession) -> None:
        """Work on ``session``'s folder in ``tree``."""
        self._tree = tree
        self._session = session

    def restore(self, texts: dict[DocumentType, str]) -> None:
        """Write those files that are not there."""
        for kind, text in texts.items():
            if not self._tree.exists(self.markdown_file(kind)):
                self._tree.write(self.markdown_file(kind), text.encode())
        if not self._tree.exists(self._session.notebook_file):
            self.write_notebook(texts, {})

    def markdown_file(self, kind: DocumentType) -> str:
        """Return the path of a document's file in the tree."""
        return f"{self._session.folder}/{kind.value}.md"

    def write_markdown(self, kind: DocumentType, text: str, base: str | None) -> None:
        """Write a document's file. A text that is neither ``base`` nor ``text`` was edited elsewhere: it is kept."""
        present = self._tree.read(self.markdown_file(kind))
        if present == text.encode():
            return
        if present is not None and (base is None or present != base.encode()):
            self._keep_aside(self.markdown_file(kind), present)
        self._tree.write(self.markdown_file(kind), text.encode())

    def write_notebook(self, documents: dict[DocumentType, str], bases: dict[DocumentType, str]) -> None:
        """Write the notebook, keeping its cells that are no document's."""
        content = self._tree.read(self._session.notebook_file)
        existing = self._parse(content)
        if content is not None and (existing is None or self._edited_elsewhere(existing, bases)):
            self._keep_aside(self._session.notebook_file, content)
        notebook = build_notebook(self._session.id, self._session.version, documents, existing)
        self._tree.write(self._session.notebook_file, to_json(notebook))

    def _parse(self, content: bytes | None) -> nbformat.NotebookNode | None:
        if content is None:
            return None
        try:
            return from_json(content)
        except NotebookUnreadable:
            return None

    def _edited_elsewhere(self, notebook: nbformat.NotebookNode, bases: dict[DocumentType, str]) -> bool:
        try:
            present = read_documents(notebook)
        except NotebookUnreadable:
            return False  # it has no text that could be lost
        return any(present.get(kind, "") != bases.get(kind) for kind in DocumentType)

    def _keep_aside(self, path: str, content: bytes) -> None:
        stem, _, suffix = path.rpartition(".")
        kept = f"{stem}.edited-{now():%Y%m%dT%H%M%S%f}.{suffix}"
        self._tree.write(kept, content)
        _log.warning("kept_edited_file", path=path, kept=kept, session_id=str(self._session.id))
