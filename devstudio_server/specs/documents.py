"""A session's documents: versions in the database, files that follow, and changes that come back from files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from devstudio_server.db import Actor
from devstudio_server.specs.markdown import assign_ids
from devstudio_server.specs.models import Projection, Spec, SpecSession
from devstudio_server.specs.projection import digest
from devstudio_server.specs.repository import SpecRepository
from devstudio_server.specs.schemas import DocumentType

FileTarget = Literal["markdown", "notebook"]
"""Where a text is: the Markdown files and the notebook's file."""


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
            if text == before:
                continue
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

    def remember_sent(self, session: SpecSession, texts: dict[DocumentType, str], version: int) -> None:
        """Note what the actor's editor, which says it has ``version`` of the session, holds from now on."""
        rows = self._specs.projections(session.id, self._editor)
        for kind, text in texts.items():
            row = rows.get(kind) or self._projection(session, self._editor, kind)
            row.content, row.version = text, version
        self._specs.flush()

    @property
    def _editor(self) -> str:
        """The name under which is kept what the actor's editor sent: two people have two editors."""
        return f"editor:{self._actor.user_id.hex[-13:]}"

    def _projection(self, session: SpecSession, target: str, kind: DocumentType) -> Projection:
        row = Projection(session_id=session.id, target=target, type=kind, content="", version=0)
        self._specs.add_projection(row)
        return row

    def editor_bases(self, session: SpecSession, version: int) -> dict[DocumentType, str]:
        """Return what an editor of the actor started from that says it has ``version`` of the session.

        That is what it sent last. An editor that has sent nothing yet started from the texts of that version.
        """
        rows = self._specs.projections(session.id, self._editor)
        sent = {kind: row.content for kind, row in rows.items() if row.version == version}
        return self.texts(session, version) | sent

    def held(self, session: SpecSession, target: FileTarget) -> dict[DocumentType, Projection]:
        """Return what was last written to, or read from, the files of ``target``."""
        return self._specs.projections(session.id, target)

    def remember_written(
        self,
        session: SpecSession,
        target: FileTarget,
        bases: Mapping[DocumentType, str],
        files: Mapping[DocumentType, str | None],
        read: Mapping[DocumentType, tuple[str, str]],
    ) -> None:
        """Note that ``target`` is about to hold ``files``, of which the next merge starts from ``bases``.

        ``read`` has what it holds as yet, and the base of that: the write may fail, and a program may still have it.
        """
        rows = self._specs.projections(session.id, target)
        for kind, base in bases.items():
            row = rows.get(kind) or self._projection(session, target, kind)
            present, text = files[kind], read.get(kind)
            if text is not None and text[0] != present:
                row.previous, row.previous_digest = text[1], digest(text[0])
            row.content, row.version = base, session.version
            row.digest = "" if present is None else digest(present)
        self._specs.flush()
