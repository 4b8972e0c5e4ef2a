"""A session's documents: versions in the database, files that follow, and changes that come back from files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from devstudio_server.db import Actor
from devstudio_server.specs.facts import Written
from devstudio_server.specs.markdown import assign_ids
from devstudio_server.specs.models import Projection, Spec, SpecSession
from devstudio_server.specs.projection import digest
from devstudio_server.specs.repository import SpecRepository
from devstudio_server.specs.schemas import DocumentType

FileTarget = Literal["markdown", "notebook"]
"""Where a text is: the Markdown files and the notebook's file."""


@dataclass(frozen=True)
class InFile:
    """A document as a file is about to hold it, None for no file, and the ``base`` of the file's next merge.

    ``read`` is the digest of what the file holds as yet, and the base of that: the write may fail, and a program may
    still have it.
    """

    text: str | None
    base: str
    read: tuple[str, str] | None = None


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
        return texts_of(self._specs.documents(session.id, version))

    def store(
        self, session: SpecSession, texts: dict[DocumentType, str], rows: dict[DocumentType, Spec]
    ) -> list[DocumentType]:
        """Store texts that differ from the present ``rows`` as new versions, with ids, among ``rows``; return which."""
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
            rows[kind] = spec
            session.document_versions = session.document_versions | {kind.value: version}
            changed.append(kind)
        if changed:
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

    def written(self, session: SpecSession) -> dict[tuple[str, DocumentType], Written]:
        """Return by which digests the files are known, without their texts."""
        return self._specs.written(session.id)

    def remember_written(
        self,
        session: SpecSession,
        target: FileTarget,
        rows: dict[DocumentType, Projection],
        files: Mapping[DocumentType, InFile],
        file_digest: str | None = None,
    ) -> None:
        """Note, in ``rows`` of `held`, what ``target`` is about to hold."""
        for kind, file in files.items():
            row = rows.get(kind)
            if row is None:
                row = rows[kind] = self._projection(session, target, kind)
            written = "" if file.text is None else digest(file.text)
            if file.read is not None and file.read[0] != written:
                row.previous_digest, row.previous = file.read
            row.content, row.version = file.base, session.version
            row.digest, row.file_digest = written, file_digest
        self._specs.flush()


def texts_of(rows: Mapping[DocumentType, Spec]) -> dict[DocumentType, str]:
    """Return the text of every document, empty where none was written."""
    return {kind: rows[kind].content if kind in rows else "" for kind in DocumentType}
