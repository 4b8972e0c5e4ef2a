"""Builds the context of a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from devstudio_server.ai.restricted import RESTRICTED_FILE, RestrictedFiles
from devstudio_server.ai.subjects import GenerationSubject
from devstudio_server.planning.context.contents import ContentCache
from devstudio_server.planning.context.conventions import conventions, shown_of
from devstudio_server.planning.context.design import MOST_CHARACTERS, Section, rank_sections
from devstudio_server.planning.context.excerpts import excerpt
from devstudio_server.planning.context.index import IndexCache, TreeView
from devstudio_server.planning.context.mapping import symbol_map
from devstudio_server.planning.context.packing import Packer
from devstudio_server.planning.context.parts import (
    MIN_BUDGET_TOKENS,
    Context,
    PartKind,
    part_tokens,
    tokens_of,
)
from devstudio_server.planning.context.ranking import Query, Ranked, rank
from devstudio_server.planning.context.words import named_paths, weigh
from devstudio_server.scm import GitRepository

_TITLE, _CRITERIA, _TEXT = 3.0, 2.0, 2.0  # how much the words of each weigh
_MOST_FILES = 24
_MOST_TESTS = 12
_RELATED = 0.12  # of the score of the best file
_ALONE = 0.4  # of the room for files, what one file may have
_SHORT = 0.15  # of it, what the excerpt of one may have that is not the best
_MOST_REJECTIONS = 5
_TITLES = 5  # of sections that were left out, told by name
_SMALLEST_EXCERPT = 200  # tokens; less of a file helps nobody

# Shares of the room that task, criteria, instructions and rejections leave.
_DESIGN, _CONVENTIONS, _MAP, _FILES = 0.2, 0.08, 0.15, 0.62


class ContextCaches:
    """What contexts are built from, kept for the next one. Shared by threads and bounded."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self.indexes = IndexCache()
        self.contents = ContentCache()

    def clear(self) -> None:
        """Forget everything; the next context is built cold."""
        self.indexes.clear()
        self.contents.clear()


_SHARED = ContextCaches()


def build_context(  # noqa: PLR0913 - what a context is made of, by name
    repository: GitRepository,
    tree: str,
    subject: GenerationSubject,
    *,
    budget_tokens: int,
    instructions: str = "",
    documents: Mapping[str, str] | None = None,
    rejections: Sequence[str] = (),
    outside: bool = True,
    caches: ContextCaches | None = None,
) -> Context:
    """Choose what a model is shown for a task: never more than ``budget_tokens``, the task and its criteria always.

    ``documents`` are the session's texts by type, already without what is restricted; ``outside`` leaves out the files
    that the tree itself restricts. The same arguments give the same context, whatever the caches hold. Raises
    ``ValueError`` for a budget below `MIN_BUDGET_TOKENS`.
    """
    if budget_tokens < MIN_BUDGET_TOKENS:
        message = f"a budget has at least {MIN_BUDGET_TOKENS} tokens, not {budget_tokens}"
        raise ValueError(message)
    builder = _Builder(repository, subject, Packer(budget_tokens), caches or _SHARED)
    builder.add_task(instructions, rejections)
    builder.add_design((documents or {}).get("design", ""))
    builder.add_repository(tree, outside=outside)
    return builder.packer.context()


class _Builder:
    """One build."""

    def __init__(
        self, repository: GitRepository, subject: GenerationSubject, packer: Packer, caches: ContextCaches
    ) -> None:
        self.packer = packer
        self._repository = repository
        self._subject = subject
        self._caches = caches
        self._asked = ""
        self._shown: dict[str, str] = {}  # texts that were looked at, with the first path that has each
        self._query = Query(())

    def add_task(self, instructions: str, rejections: Sequence[str]) -> None:
        """Take what the person wants, and learn from it what to look for."""
        subject, packer = self._subject, self.packer
        criteria = "\n".join(f"{criterion.key} {criterion.text}" for criterion in subject.criteria)
        packer.add_required(PartKind.CRITERIA, "criteria of the task", criteria, "the task names them")
        task = f"{subject.task_key} {subject.task_title}\n{subject.task_description}"
        packer.add_required(PartKind.TASK, "task", task, "it is what is to be done")
        packer.add(
            PartKind.INSTRUCTIONS, "instructions of the person", instructions, "the person gave them", packer.left // 2
        )
        for reason in rejections[-_MOST_REJECTIONS:]:
            why = "what was rejected must not come again"
            packer.add(
                PartKind.REJECTION, "why an earlier proposal was rejected", reason, why, packer.left // _MOST_REJECTIONS
            )
        if len(rejections) > _MOST_REJECTIONS:
            more = len(rejections) - _MOST_REJECTIONS
            packer.omit(PartKind.REJECTION, "earlier rejections", "older than those that are shown", more)
        self._asked = f"{task}\n{instructions}"
        terms = weigh(((subject.task_title, _TITLE), (criteria, _CRITERIA), (self._asked, _TEXT)))
        self._query = Query(terms, named_paths(self._asked)[:_MOST_FILES])

    def add_design(self, design: str) -> None:
        """Take the sections of the design that the task needs; the files that they name count as named."""
        chosen, others = rank_sections(design, self._asked, self._query.words)
        room = int(_DESIGN * self.packer.left)
        for section in chosen:
            room -= self._add_section(section, room)
        if others:
            titles = ", ".join(section.title[:60] for section in others[:_TITLES])
            why = f"the task names nothing of them: {titles}{' …' if len(others) > _TITLES else ''}"
            size = sum(tokens_of(section.text) for section in others)
            self.packer.omit(PartKind.DESIGN, "sections of the design", why, len(others), size)
        if len(design) > MOST_CHARACTERS:
            why = f"longer than {MOST_CHARACTERS} characters: what follows is not looked at"
            self.packer.omit(PartKind.DESIGN, "the rest of the design", why)
        paths = dict.fromkeys(path for section in chosen for path in named_paths(section.text))
        self._query = replace(self._query, design_paths=tuple(paths)[:_MOST_FILES])

    def _add_section(self, section: Section, room: int) -> int:
        before = self.packer.left
        self.packer.add(PartKind.DESIGN, section.title[:120], section.text, section.why, room)
        return before - self.packer.left

    def add_repository(self, tree: str, *, outside: bool) -> None:
        """Take files, tests, conventions and the map."""
        index = self._caches.indexes.of(self._repository)
        view = index.view(self._repository, tree, self._restricted if outside else None)
        ranked = rank(
            view,
            lambda word: index.saying(view, word),
            self._query,
            lambda places: self._caches.contents.outlines(self._repository, view, places),
        )
        room = self.packer.left
        shown = self._add_conventions(view, int(_CONVENTIONS * room))
        kept = int(_MAP * room)
        ranked = [file for file in ranked if file.path not in shown]
        files = [file for file in ranked if not file.test][:_MOST_FILES]
        tests = [file for file in ranked if file.test][:_MOST_TESTS]
        spare = self.packer.left - kept
        shown |= self._add_files(view, PartKind.FILE, files, int(_FILES * room) if tests else spare)
        shown |= self._add_files(view, PartKind.TEST, tests, self.packer.left - kept)
        self._add_map(view, ranked, shown)
        self._tell_excluded(view, len(ranked))

    def _restricted(self, tree: str) -> Callable[[str], bool] | None:
        patterns = self._repository.read(tree, RESTRICTED_FILE)
        return None if patterns is None else RestrictedFiles(patterns.decode("utf-8", "replace")).hides

    def _add_conventions(self, view: TreeView, room: int) -> set[str]:
        found = list(conventions(view))
        texts = self._texts(view, [path for path, _why in found])
        shown = set()
        for path, why in found:
            text = texts.get(path)
            before = self.packer.left
            if text and self.packer.add(PartKind.CONVENTIONS, path, shown_of(path, text), why, room // 2):
                room -= before - self.packer.left
                shown.add(path)
        return shown

    def _add_files(self, view: TreeView, kind: PartKind, files: Sequence[Ranked], room: int) -> set[str]:
        """Take the files that are related, each whole where it fits, else in excerpts; return those that are whole."""
        best = max((file.score for file in files), default=0.0)
        related = [file for file in files if file.score >= _RELATED * min(best, 100.0)]
        texts = self._texts(view, [file.path for file in related])
        alone, short = int(_ALONE * room), int(_SHORT * room)
        whole: set[str] = set()
        for file in related:
            text = texts.get(file.path)
            if not text:
                continue
            twin = self._shown.setdefault(text, file.path)
            if twin != file.path:
                self.packer.omit(kind, file.path, f"the same text as {twin}", tokens=tokens_of(text))
                continue
            if part_tokens(file.path, text) > room < _SMALLEST_EXCERPT:
                self.packer.omit(kind, file.path, f"no room: {file.why}", tokens=tokens_of(text))
                continue
            before = self.packer.left
            if self._add_file(kind, file, text, min(room, alone), min(room, alone if file is related[0] else short)):
                whole.add(file.path)
            room -= before - self.packer.left
        return whole

    def _add_file(self, kind: PartKind, file: Ranked, text: str, room: int, short: int) -> bool:
        """Take a file that fits into ``room``, else an excerpt that fits into ``short``; tell whether it is whole."""
        if part_tokens(file.path, text) <= room:
            return self.packer.add(kind, file.path, text, file.why, room)
        cut = excerpt(text, file.outline.symbols, self._query.words, short - part_tokens(file.path, ""))
        cause = f"an excerpt: {tokens_of(cut)} of {tokens_of(text)} tokens"
        self.packer.add(kind, file.path, cut, file.why, short, (cause, part_tokens(file.path, text)))
        return False

    def _add_map(self, view: TreeView, ranked: Sequence[Ranked], shown: set[str]) -> None:
        name = "map of the repository"
        text = symbol_map(view, ranked, shown, self.packer.left - part_tokens(name, ""))
        why = "definitions near the task, and what else there is"
        self.packer.add(PartKind.SYMBOLS, name, text, why)

    def _tell_excluded(self, view: TreeView, ranked: int) -> None:
        for reason, count in view.excluded.items():
            self.packer.omit(PartKind.FILE, "files", reason, count)
        others = len(view.entries) - ranked
        if others > 0:
            self.packer.omit(PartKind.FILE, "files", "they say less of the task than those shown", others)
        if view.unread:
            why = "the repository is too large to read whole: only their paths were looked at"
            self.packer.omit(PartKind.FILE, "files", why, view.unread)

    def _texts(self, view: TreeView, paths: Sequence[str]) -> dict[str, str]:
        """Return the texts of ``paths``, without those that turned out to be none."""
        blobs = {path: view.entries[view.paths[path]].blob for path in paths}
        found = self._caches.contents.texts(self._repository, blobs.values())
        texts = {path: found[blob] for path, blob in blobs.items()}
        return {path: content.decode() for path, content in texts.items() if content is not None}
