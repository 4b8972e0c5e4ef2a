"""The files of a session in the project's tree: three Markdown files and the notebook. The database is the truth."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import nbformat

from devstudio_server.kit.clock import now
from devstudio_server.kit.logging import get_logger
from devstudio_server.scm.workspace import WorkspaceTree
from devstudio_server.specs.errors import NotebookUnreadable
from devstudio_server.specs.models import SpecSession
from devstudio_server.specs.notebook import from_json, notebook_file, read_documents, stored
from devstudio_server.specs.schemas import MAX_DOCUMENT, DocumentType

_BOM = "\ufeff"
_log = get_logger("specs")


def digest(text: str) -> str:
    """Return the SHA-256 of a text as it stands in a file."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def digest_of_file(content: bytes | None) -> str:
    """Return the SHA-256 of a file's bytes, empty where none is."""
    return "" if content is None else hashlib.sha256(content).hexdigest()


@dataclass
class Seen:
    """A file as it was read. ``texts`` are its documents; a file that cannot be read has none and gets a ``problem``.

    ``aside`` is the path to which what cannot be read is moved before the file is written. A notebook that is ``known``
    by its digest is not read any further.
    """

    path: str
    content: bytes | None = None
    texts: dict[DocumentType, str] = field(default_factory=dict)
    problem: str = ""
    aside: str = ""
    notebook: nbformat.NotebookNode | None = None
    known: bool = False

    @property
    def cells(self) -> Mapping[str, Any] | None:
        """The notebook in the file, of which all cells stay that are no document's."""
        if self.known and self.content is not None:
            return stored(self.content)
        return self.notebook

    def put_aside(self, problem: str) -> None:
        """Have the file moved when it is written the next time."""
        stem, _, suffix = self.path.rpartition(".")
        self.problem, self.aside, self.texts = problem, f"{stem}.edited-{now():%Y%m%dT%H%M%S%f}.{suffix}", {}


class SessionFiles:
    """Writes and reads the files of one session. What another program wrote is never overwritten unread."""

    def __init__(self, tree: WorkspaceTree, session: SpecSession) -> None:
        """Work on ``session``'s folder in ``tree``."""
        self._tree = tree
        self._session = session

    def markdown_file(self, kind: DocumentType) -> str:
        """Return the path of a document's file in the tree."""
        return f"{self._session.folder}/{kind.value}.md"

    def markdown_bytes(self, kind: DocumentType) -> bytes | None:
        """Read a document's file, and not what it says."""
        return self._tree.read(self.markdown_file(kind))

    def read_markdown(self, kind: DocumentType) -> Seen:
        """Read a document's file."""
        seen = Seen(self.markdown_file(kind), self._tree.read(self.markdown_file(kind)))
        if seen.content is None:
            return seen
        try:
            seen.texts = {kind: seen.content.decode()}
        except UnicodeDecodeError:
            seen.put_aside("is not UTF-8")
        _check(seen)
        return seen

    def read_notebook_bytes(self) -> Seen:
        """Read the notebook's file, and not what it says."""
        return Seen(self._session.notebook_file, self._tree.read(self._session.notebook_file))

    def read_notebook(self, known: Collection[str | None] = ()) -> Seen:
        """Read the notebook's file; what it says only when its digest is not the one that is ``known``."""
        seen = self.read_notebook_bytes()
        if seen.content is None:
            return seen
        if {digest_of_file(seen.content)} == {*known}:
            seen.known = True
            return seen
        try:
            seen.notebook = from_json(seen.content)
        except NotebookUnreadable:
            seen.put_aside("is no notebook")
            return seen
        with suppress(NotebookUnreadable):  # then it has no text that could be lost
            seen.texts = read_documents(seen.notebook)
        _check(seen)
        return seen

    def writer(self, seen: Seen, content: bytes | None) -> Callable[[], None]:
        """Return what writes the file anew, unless somebody wrote it since it was read: that is for the next sync."""

        def write() -> None:
            present = self._tree.read(seen.path)
            if content is None or content == present:
                return
            if present == seen.content:
                self._keep_aside(seen)
                if self._tree.replace(seen.path, content, seen.content):
                    return
            _log.info("file_changed_meanwhile", path=seen.path, session_id=str(self._session.id))

        return write

    def notebook_of(self, seen: Seen, documents: Mapping[DocumentType, str]) -> bytes:
        """Return the notebook's bytes, with those of its cells that are no document's."""
        return notebook_file(self._session.id, self._session.version, documents, seen.cells)

    def _keep_aside(self, seen: Seen) -> None:
        if seen.aside and seen.content is not None:
            self._tree.write(seen.aside, seen.content)
            _log.warning("kept_unread_file", path=seen.path, kept=seen.aside, reason=seen.problem)


def _check(seen: Seen) -> None:
    """Refuse what no document can hold; a byte order mark is no text."""
    for kind, text in seen.texts.items():
        if len(text) > MAX_DOCUMENT:
            seen.put_aside(f"has more than {MAX_DOCUMENT} characters")
            return
        if "\0" in text or not _is_text(text):
            seen.put_aside("holds characters that are no text")
            return
        seen.texts[kind] = text.removeprefix(_BOM)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def like(text: str, other: str) -> str:
    """Return ``text`` with the line ends of ``other``, where one has only CRLF and the other only LF."""
    text_ends, other_ends = _line_ends(text), _line_ends(other)
    if text_ends == "\r\n" and other_ends == "\n":
        return text.replace("\r\n", "\n")
    if text_ends == "\n" and other_ends == "\r\n":
        return text.replace("\n", "\r\n")
    return text


def _line_ends(text: str) -> str:
    """Return the one kind of line end that a text has; empty for none, or both."""
    total, windows = text.count("\n"), text.count("\r\n")
    return "\n" if total and not windows else "\r\n" if total and windows == total else ""
