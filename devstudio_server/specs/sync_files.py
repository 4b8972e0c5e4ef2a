"""What stands in a session's files is taken in before they are written anew.

The invariant: no text that ever was in a document, in a file, or in a save is lost. It is in the document, in one of
its versions, in a row of a conflict (rows stay, answered or not), or, where a file could not be read, in the file that
was put aside. So that it holds

- a file is written only when it still has the bytes that were read here;
- what is noted as the base of a file's next merge has, for each block with an open conflict, the text that both sides
  started from, so the conflict comes up again and again until one side is made equal or a person answers;
- the file keeps the text from outside for such a block, and the document its own;
- a file with the text from before the last write, which failed, or which a program had open, has no news; and what was
  changed from that text is merged from it, so that the write is not taken back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from devstudio_server.db import Actor
from devstudio_server.scm.workspace import WorkspaceTree
from devstudio_server.specs.bases import nearer
from devstudio_server.specs.block_ids import own_ids
from devstudio_server.specs.conflict_schemas import ConflictSource
from devstudio_server.specs.conflicts import MARKDOWN, NOTEBOOK, ConflictBook, Origin
from devstudio_server.specs.documents import DocumentStore, FileTarget, InFile
from devstudio_server.specs.facts import Written
from devstudio_server.specs.markdown import parse
from devstudio_server.specs.merge import Clash, Merged, Patch, merge_blocks, overlay
from devstudio_server.specs.models import Projection, SpecSession
from devstudio_server.specs.notebook import is_as_read, session_id_of, version_of
from devstudio_server.specs.projection import Seen, SessionFiles, digest, digest_of_file, like
from devstudio_server.specs.repository import SpecRepository
from devstudio_server.specs.schemas import DocumentType

ALL_FILES: frozenset[FileTarget] = frozenset({"markdown", "notebook"})
MARKDOWN_FILES: frozenset[FileTarget] = frozenset({"markdown"})
_TICK = re.compile(r"^([ \t]*[-*][ \t]+\[)([xX-])(?=\])")
_SOURCES = {"markdown": ConflictSource.MARKDOWN, "notebook": ConflictSource.NOTEBOOK}
_GROUPS = {"markdown": MARKDOWN, "notebook": NOTEBOOK}

Place = tuple[FileTarget, DocumentType]


@dataclass
class _Read:
    """What was found: files, digests of texts with their bases, and the places that hold news nobody took in."""

    markdown: dict[DocumentType, Seen] = field(default_factory=dict)
    notebook: Seen = field(default_factory=lambda: Seen(""))
    held: dict[FileTarget, dict[DocumentType, Projection]] = field(default_factory=dict)
    texts: dict[Place, tuple[str, str]] = field(default_factory=dict)
    untouched: set[Place] = field(default_factory=set)


class SyncedFiles:
    """Takes in what was changed in the files of a session, and writes them, within one unit of work."""

    def __init__(self, specs: SpecRepository, actor: Actor, session: SpecSession, tree: WorkspaceTree) -> None:
        """Work on the files of ``session`` in ``tree`` for ``actor``."""
        self._documents = DocumentStore(specs, actor)
        self._session = session
        self._files = SessionFiles(tree, session)
        self._read = _Read()
        self._new_book = partial(ConflictBook, specs, actor, session)
        self.kept: list[str] = []
        self.ticked: set[str] = set()

    @cached_property
    def book(self) -> ConflictBook:
        """The session's open conflicts."""
        return self._new_book()

    def take_in(
        self, texts: Mapping[DocumentType, str], sources: Collection[FileTarget] = ALL_FILES
    ) -> dict[DocumentType, str]:
        """Return ``texts``, which are stored, with what was changed in the files of ``sources``."""
        merged = dict(texts)
        read = self._read = _Read({kind: self._files.read_markdown(kind) for kind in DocumentType})
        read.held = {target: self._documents.held(self._session, target) for target in ("markdown", "notebook")}
        rows = read.held["notebook"]
        read.notebook = self._files.read_notebook([rows[kind].file_digest for kind in DocumentType if kind in rows])
        nothing_there = all(seen.content is None for seen in (*read.markdown.values(), read.notebook))
        for kind, seen in read.markdown.items():
            row = read.held["markdown"].get(kind)
            if seen.content is None and row is not None and not nothing_there and "markdown" in sources:
                self._ask_about_deletion(kind, row, merged[kind])
            self._take("markdown", kind, seen, row, merged, sources)
        for kind in DocumentType:
            if read.notebook.known:
                read.texts["notebook", kind] = _digest_of(rows[kind]), rows[kind].content
            else:
                self._take("notebook", kind, read.notebook, rows.get(kind), merged, sources)
        self.kept = sorted({seen.aside for seen in (*read.markdown.values(), read.notebook) if seen.aside})
        return merged

    def is_as_written(self) -> bool:
        """Tell, by digests alone, whether every file is as the server wrote it last: then a sync changes nothing."""
        known, version = self._documents.written(self._session), self._session.version
        notebook = digest_of_file(self._files.read_notebook_bytes().content)
        for kind in DocumentType:
            file, cells = known.get(("markdown", kind)), known.get(("notebook", kind))
            if file is None or file.digest != digest_of_file(self._files.markdown_bytes(kind)):
                return False
            if cells is None or (cells.file_digest, cells.version) != (notebook, version):
                return False
        return True

    def has_news(self) -> bool:
        """Tell whether a file holds anything but what the server wrote last, or is gone."""
        known = self._documents.written(self._session)
        if any(_differs(self._files.read_markdown(kind), kind, known.get(("markdown", kind))) for kind in DocumentType):
            return True
        cells = {kind: known.get(("notebook", kind)) for kind in DocumentType}
        notebook = self._files.read_notebook([row.file_digest for row in cells.values() if row])
        if notebook.known:
            return False
        return notebook.content is None or any(_differs(notebook, kind, row) for kind, row in cells.items())

    def _ask_about_deletion(self, kind: DocumentType, row: Projection, ours: str) -> None:
        if ours.strip() and row.digest != "":
            base = self.book.as_base(kind, row.content, [])
            self.book.record(kind, Origin(ConflictSource.MARKDOWN), [Clash("", "", base, ours, None)])

    def _take(
        self,
        target: FileTarget,
        kind: DocumentType,
        seen: Seen,
        row: Projection | None,
        merged: dict[DocumentType, str],
        sources: Collection[FileTarget],
    ) -> None:
        text = seen.texts.get(kind)
        if row is None:
            if seen.content is not None and not seen.problem and text != merged[kind]:
                seen.put_aside("was there before the session")
            return
        if text is None:
            return
        place, found = (target, kind), digest(text)
        if found == _digest_of(row):
            self._read.texts[place] = found, row.content
        elif row.previous and found == row.previous_digest:
            self._read.texts[place] = found, row.previous
        elif target not in sources:
            self._read.untouched.add(place)
        else:
            merged[kind] = self._merge(place, text, row, merged[kind])

    def _merge(self, place: Place, text: str, row: Projection, ours: str) -> str:
        target, kind = place
        base = nearer(text, row.content, row.previous) if row.previous else row.content
        if base is row.content:
            row.previous = row.previous_digest = None  # whoever wrote it knew the newest
        outcome, theirs = bring_in(kind, base, ours, text)
        if kind is DocumentType.TASKS:
            self.ticked |= {task.id for task in parse(kind, text).tasks if task.ticked and task.id}
        self.book.record(kind, Origin(_SOURCES[target]), outcome.clashes)
        self._read.texts[place] = digest(text), self.book.base_of_file(kind, theirs, _GROUPS[target])
        return outcome.text

    def project(self, texts: Mapping[DocumentType, str], targets: Collection[FileTarget]) -> Callable[[], None]:
        """Note what the files of ``targets`` will hold; the answer writes them, and is to be called after the commit.

        A file with news that nobody took in stays as it is.
        """
        writers: list[Callable[[], None]] = []
        for target in targets:
            kinds = [kind for kind in DocumentType if (target, kind) not in self._read.untouched]
            if target == "notebook" and len(kinds) < len(DocumentType):
                continue
            held = {kind: self._in_file(target, kind, texts[kind]) for kind in kinds}
            writers += self._write_notebook(held) if target == "notebook" else self._write_markdown(held)
        return lambda: _run(writers)

    def _in_file(self, target: FileTarget, kind: DocumentType, text: str) -> InFile:
        """Return how a document comes to stand in a file: with the texts from outside that nobody answered."""
        held = self.book.in_file(kind, text, _GROUPS[target])
        base = self.book.base_of_file(kind, text, _GROUPS[target])
        return InFile(held, base, self._read.texts.get((target, kind)))

    def _write_markdown(self, held: Mapping[DocumentType, InFile]) -> list[Callable[[], None]]:
        self._documents.remember_written(self._session, "markdown", self._read.held["markdown"], held)
        return [self._files.writer(self._read.markdown[kind], _bytes_of(file.text)) for kind, file in held.items()]

    def _write_notebook(self, held: Mapping[DocumentType, InFile]) -> list[Callable[[], None]]:
        seen, rows = self._read.notebook, self._read.held["notebook"]
        documents = {kind: file.text or "" for kind, file in held.items()}
        if self._holds(documents):
            is_known = seen.known or (seen.content is not None and is_as_read(seen.content))
            file_digest = digest_of_file(seen.content) if is_known else None
            self._documents.remember_written(self._session, "notebook", rows, held, file_digest)
            return []
        content = self._files.notebook_of(seen, documents)
        self._documents.remember_written(self._session, "notebook", rows, held, digest_of_file(content))
        return [self._files.writer(seen, content)]

    def _holds(self, documents: Mapping[DocumentType, str]) -> bool:
        """Tell whether the notebook's file needs no writing: it has the texts, and the session's version."""
        seen, rows = self._read.notebook, self._read.held["notebook"]
        if seen.known:
            known = {kind: _digest_of(row) for kind, row in rows.items()}
            versions = {row.version for row in rows.values()}
            return versions == {self._session.version} and known == {
                kind: digest(documents[kind]) for kind in documents
            }
        named = (session_id_of(seen.notebook), version_of(seen.notebook)) == (self._session.id, self._session.version)
        return named and seen.texts == dict(documents) and not seen.problem

    def in_editor(self, kind: DocumentType, text: str, clashes: Sequence[Clash]) -> str:
        """Return a document as it goes back to an editor, with the editor's own text where it did not merge."""
        held = self.book.in_file(kind, text, NOTEBOOK) or ""
        return overlay(kind, held, [Patch(clash.block_id, clash.theirs, clash.behind) for clash in clashes]) or ""

    def remember_saved(self, texts: Mapping[DocumentType, str], shown: Mapping[DocumentType, str]) -> None:
        """Note that the notebook's file, which Jupyter is about to write, will hold the documents ``shown``."""
        held = {kind: replace(self._in_file("notebook", kind, texts[kind]), text=shown[kind]) for kind in texts}
        self._documents.remember_written(self._session, "notebook", self._read.held["notebook"], held)

    def restore(self, texts: Mapping[DocumentType, str]) -> Callable[[], None]:
        """Return what writes the files that are gone. A document that somebody deleted waits for a sync, which asks."""
        documents = {kind: texts.get(kind, "") for kind in DocumentType}
        files = {kind: self._files.read_markdown(kind) for kind in DocumentType}
        notebook = self._files.read_notebook_bytes()
        gone = [kind for kind, seen in files.items() if seen.content is None]
        everything = notebook.content is None and len(gone) == len(files)
        writers = [
            self._files.writer(files[kind], _bytes_of(self.book.in_file(kind, documents[kind], MARKDOWN)))
            for kind in gone
            if everything or not documents[kind]
        ]
        if notebook.content is None:
            held = {kind: self.book.in_file(kind, text, NOTEBOOK) or "" for kind, text in documents.items()}
            writers.append(self._files.writer(notebook, self._files.notebook_of(notebook, held)))
        return lambda: _run(writers)


def _digest_of(row: Projection) -> str:
    return digest(row.content) if row.digest is None else row.digest


def _run(writers: Iterable[Callable[[], None]]) -> None:
    for write in writers:
        write()


def _bytes_of(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _differs(seen: Seen, kind: DocumentType, known: Written | None) -> bool:
    if known is None or seen.problem:
        return True
    return known.digest != ("" if seen.content is None else digest(seen.texts.get(kind, "")))


def bring_in(kind: DocumentType, base: str, ours: str, text: str) -> tuple[Merged, str]:
    """Merge ``text``, which came from outside; return the outcome, and the text with the ids that its blocks have."""
    theirs = own_ids(kind, like(text, ours or base), base, ours)
    theirs = untick(theirs, ours) if kind is DocumentType.TASKS else theirs
    return merge_blocks(kind, base, ours, theirs), theirs


def untick(text: str, ours: str) -> str:
    """Take back the ticks that tasks got outside: a task's status is derived, and a tick says nothing about it."""
    if "[x]" not in text and "[X]" not in text and "[-]" not in text:
        return text
    known = {task.id: ours.split("\n")[task.line] for task in parse(DocumentType.TASKS, ours).tasks}
    lines = text.split("\n")
    for task in parse(DocumentType.TASKS, text).tasks:
        before = known.get(task.id)
        if before is not None and not _TICK.match(before):
            lines[task.line] = _TICK.sub(r"\1 ", lines[task.line])
    return "\n".join(lines)
