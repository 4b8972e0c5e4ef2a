"""A session's documents: versions in the database, files that follow, and changes that come back from files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from devstudio_server.db import Actor
from devstudio_server.scm.workspace import WorkspaceTree
from devstudio_server.specs.errors import DocumentConflict
from devstudio_server.specs.markdown import assign_ids, strip_ids
from devstudio_server.specs.merge import merge
from devstudio_server.specs.models import Projection, Spec, SpecSession
from devstudio_server.specs.projection import SessionFiles
from devstudio_server.specs.repository import SpecRepository
from devstudio_server.specs.schemas import DocumentType

Target = Literal["markdown", "notebook", "editor"]
"""Where a text is: the Markdown files, the notebook's file, and the notebook as an open editor last sent it."""


class DocumentStore:
    """Reads and writes the documents of sessions."""

    def __init__(self, specs: SpecRepository, actor: Actor) -> None:
        """Work through ``specs`` for ``actor``."""
        self._specs = specs
        self._actor = actor

    def rows(self, session: SpecSession) -> dict[DocumentType, Spec]:
        """Return the present version of each document that was ever written."""
        return self._specs.documents(session.id)

    def texts(self, session: SpecSession, version: int | None = None) -> dict[DocumentType, str]:
        """Return the text of every document, empty where none was written; at ``version`` of the session, or now."""
        rows = self._specs.documents(session.id, version)
        return {kind: rows[kind].content if kind in rows else "" for kind in DocumentType}

    def store(self, session: SpecSession, texts: dict[DocumentType, str]) -> list[DocumentType]:
        """Store texts that differ from the present ones as new versions, with ids; return which."""
        rows = self.rows(session)
        changed: list[DocumentType] = []
        for kind, text in texts.items():
            before = rows[kind].content if kind in rows else ""
            content = assign_ids(kind, text, before)
            if content == before:
                continue
            version = rows[kind].version + 1 if kind in rows else 1
            spec = Spec(session_id=session.id, type=kind, content=content, version=version)
            spec.created_by, spec.session_version = self._actor.user_id, session.version + 1
            self._specs.add_document(spec)
            session.document_versions = session.document_versions | {kind.value: version}
            changed.append(kind)
        self._specs.flush()
        return changed

    def merge_in(
        self, session: SpecSession, bases: dict[DocumentType, str], texts: dict[DocumentType, str]
    ) -> dict[DocumentType, str]:
        """Bring ``texts``, which were changed from ``bases``, together with what was stored meanwhile.

        Returns the texts to store. Raises `DocumentConflict` when both sides changed the same lines.
        """
        present = self.texts(session)
        merged: dict[DocumentType, str] = {}
        for kind, text in texts.items():
            base = bases.get(kind, "")
            result = merge(strip_ids(base), strip_ids(text), strip_ids(present[kind]))
            if result is None:
                raise _conflict(kind)
            # An unchanged text keeps its comments: they carry the ids of blocks that were moved.
            merged[kind] = (
                text if result == strip_ids(text) else present[kind] if result == strip_ids(present[kind]) else result
            )
        return merged

    def remember(
        self, session: SpecSession, target: Target, texts: dict[DocumentType, str], version: int | None = None
    ) -> dict[DocumentType, str]:
        """Note what ``target`` holds from now on, at ``version`` of the session; return what it held before."""
        rows = self._specs.projections(session.id, target)
        before = {kind: row.content for kind, row in rows.items()}
        for kind, text in texts.items():
            row = rows.get(kind)
            if row is None:
                row = Projection(session_id=session.id, target=target, type=kind)
                self._specs.add_projection(row)
            row.content, row.version = text, session.version if version is None else version
        self._specs.flush()
        return before

    def editor_bases(self, session: SpecSession, version: int) -> dict[DocumentType, str]:
        """Return what an editor started from that says it has ``version`` of the session.

        That is what it sent last. An editor that has sent nothing yet started from the texts of that version.
        """
        rows = self._specs.projections(session.id, "editor")
        sent = {kind: row.content for kind, row in rows.items() if row.version == version}
        return self.texts(session, version) | sent

    def project(self, session: SpecSession, tree: WorkspaceTree, *, notebook: bool) -> Callable[[], None]:
        """Prepare the files' new texts; the answer writes them, and is to be called after the commit."""
        texts = self.texts(session)
        files = SessionFiles(tree, session)
        markdown_bases = self.remember(session, "markdown", texts)
        notebook_bases = self.remember(session, "notebook", texts)

        def write() -> None:
            for kind, text in texts.items():
                files.write_markdown(kind, text, markdown_bases.get(kind))
            if notebook:
                files.write_notebook(texts, notebook_bases)

        return write

    def restore(self, session: SpecSession, tree: WorkspaceTree) -> Callable[[], None]:
        """Prepare to write those files of the session that are gone; the answer writes them."""
        texts = self.texts(session)
        files = SessionFiles(tree, session)
        return lambda: files.restore(texts)


def _conflict(kind: DocumentType) -> DocumentConflict:
    message = (
        f"The {kind.value} were changed on the server and here, in the same lines, so nothing was saved. "
        "Your text is still in the editor: copy it, reload the notebook, and bring your change over."
    )
    return DocumentConflict(message, document=kind.value)
