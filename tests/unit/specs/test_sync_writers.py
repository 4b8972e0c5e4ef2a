"""Several writers at once: the API, a Markdown file, the notebook's file, an open editor. Nobody's text goes away."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devstudio_server.specs.conflict_schemas import ConflictChoice, ConflictQuery, ResolveConflict
from devstudio_server.specs.markdown import strip_ids
from devstudio_server.specs.models import SyncConflict
from devstudio_server.specs.schemas import DocumentType
from devstudio_server.specs.service import SpecService
from devstudio_server.specs.sync import ConflictService, SessionSync, SyncResult
from support.documents_at_random import edited, ids_of, mangled, words, written
from support.domain_world import DomainWorld

EXAMPLES = {"small": 4, "full": 250}
ACTIONS = ("put", "markdown", "notebook", "edit", "save", "reload", "sync", "resolve")
_WORD = re.compile(r"[a-z]{8,10}")


def tokens(*texts: str | None) -> set[str]:
    return {word for text in texts if text for word in _WORD.findall(strip_ids(text))}


class Writers:
    """One session and everybody who writes into it; ``live`` is what somebody wrote and nobody took out since."""

    def __init__(self, domain: DomainWorld, seed: int) -> None:
        self.domain, self.random = domain, Random(seed)
        self.session = domain.session(**{kind.value: written(kind, self.random, 3) for kind in DocumentType})
        self.tree = domain.tree(self.session.project_id)
        self.folder = f".devstudio/specs/{self.session.slug}"
        self.live: set[str] = set()
        self.pending: dict[str, set[str]] = {}
        self.editor = self.on_disk()
        self.notice(set(), self.documents())

    def documents(self) -> set[str]:
        now = self.domain.read(self.session.id).documents
        return tokens(now.requirements.content, now.design.content, now.tasks.content)

    def notice(self, before: set[str], after: set[str]) -> None:
        self.live = (self.live - (before - after)) | (after - before)

    def path(self, kind: DocumentType) -> str:
        return f"{self.folder}/{kind.value}.md"

    def on_disk(self) -> dict[str, Any]:
        notebook: dict[str, Any] = json.loads(self.tree.read(f"{self.folder}/{self.session.slug}.ipynb") or b"")
        for cell in notebook["cells"]:
            cell["source"] = "".join(cell["source"])
        return notebook

    def put(self) -> None:
        kind = self.random.choice([*DocumentType])
        before = getattr(self.domain.read(self.session.id).documents, kind.value).content
        after = edited(kind, before, self.random, "o")
        self.notice(tokens(before), tokens(after))
        self.domain.write(self.session.id, **{kind.value: after})

    def markdown(self) -> None:
        kind = self.random.choice([*DocumentType])
        before = (self.tree.read(self.path(kind)) or b"").decode()
        after = mangled(edited(kind, before, self.random, "m"), self.random)
        self.notice(tokens(before), tokens(after))
        self.tree.write(self.path(kind), after.encode())

    def notebook(self) -> None:
        notebook = self.on_disk()
        self.change(notebook)
        self.tree.write(f"{self.folder}/{self.session.slug}.ipynb", json.dumps(notebook).encode())

    def edit(self) -> None:
        self.change(self.editor)

    def change(self, notebook: dict[str, Any]) -> None:
        cell = self.random.choice([cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"])
        before = tokens(cell["source"])
        match self.random.choice(["line", "word", "cut"]):
            case "line":
                cell["source"] += f"\n    e{words(self.random)}"
            case "word":
                lines = cell["source"].split("\n")
                place = self.random.randrange(len(lines))
                lines[place] += f" e{words(self.random, 1)}" if lines[place] and "<!--" not in lines[place] else ""
                cell["source"] = "\n".join(lines)
            case _:
                cell["source"] = "\n".join(cell["source"].split("\n")[:-1])
        self.notice(before, tokens(cell["source"]))

    def save(self) -> None:
        sent = copy.deepcopy(self.editor)
        written = self.domain.sync.save(self.domain.actor, self.session.notebook_path, sent)
        texts = tokens(*("".join(cell["source"]) for cell in written["cells"]))
        typed = tokens(*(cell["source"] for cell in self.editor["cells"])) & self.live
        self.tree.write(f"{self.folder}/{self.session.slug}.ipynb", json.dumps(written).encode())
        assert typed <= texts | self.stored(), "what was typed goes back to the editor"

    def reload(self) -> None:
        unsaved = tokens(*(cell["source"] for cell in self.editor["cells"]))
        self.editor = self.on_disk()
        self.live -= unsaved - self.stored() - self.in_files()

    def sync(self) -> SyncResult:
        with self.domain.unit() as unit:
            sync = SessionSync(unit, self.domain.actor, self.domain.git, self.domain.workspaces)
            return sync.run(sync.specs.get(self.session.id))

    def conflicts(self) -> list[SyncConflict]:
        with self.domain.unit() as unit:
            return [*self.book(unit).list(self.session.id, ConflictQuery(limit=200, status="open")).items]

    def book(self, unit: Any) -> ConflictService:
        specs = SpecService(unit, self.domain.actor, self.domain.git, self.domain.workspaces)
        return ConflictService(unit, self.domain.actor, specs)

    def resolve(self) -> None:
        rows = self.conflicts()
        if not rows:
            return
        row = self.random.choice(rows)
        answers = [ConflictChoice.OURS, ConflictChoice.THEIRS, ConflictChoice.BOTH]
        if row.kind == "deletion":
            answers = [ConflictChoice.DELETE, ConflictChoice.RESTORE]
        choice = self.random.choice(answers)
        if choice in {ConflictChoice.OURS, ConflictChoice.RESTORE}:
            self.live -= tokens(row.theirs, *row.earlier) - tokens(row.ours)
        elif choice in {ConflictChoice.THEIRS, ConflictChoice.DELETE}:
            self.live -= tokens(row.ours, *row.earlier) - tokens(row.theirs)
        else:
            self.live -= tokens(*row.earlier) - tokens(row.ours, row.theirs)
        with self.domain.unit() as unit:
            self.book(unit).resolve(row.id, ResolveConflict(choice=choice), None)

    def stored(self) -> set[str]:
        """Return every word in the documents and in open conflicts."""
        rows = self.conflicts()
        return self.documents() | tokens(*(text for row in rows for text in (row.ours, row.theirs, *row.earlier)))

    def in_files(self) -> set[str]:
        files = [self.tree.read(self.path(kind)) or b"" for kind in DocumentType]
        return tokens(*(file.decode() for file in files), *(cell["source"] for cell in self.on_disk()["cells"]))

    def check(self) -> None:
        there = self.stored() | self.in_files() | tokens(*(cell["source"] for cell in self.editor["cells"]))
        assert not self.live - there
        now = self.domain.read(self.session.id).documents
        for kind in DocumentType:
            ids = ids_of(kind, getattr(now, kind.value).content)
            assert len(ids) == len(set(ids))

    def end(self) -> None:
        """Everybody saves; then nothing is anywhere but in the documents and in open conflicts."""
        self.save()
        self.sync()
        assert not self.live - self.stored()
        version = self.domain.read(self.session.id).version
        before = self.in_files()
        assert not self.sync().changed
        assert (self.domain.read(self.session.id).version, self.in_files()) == (version, before)
        waiting = {row.document for row in self.conflicts() if row.source == "markdown"}
        for kind in {*DocumentType} - waiting:
            content = getattr(self.domain.read(self.session.id).documents, kind.value).content
            assert self.tree.read(self.path(kind)) == content.encode()


@pytest.fixture
def many(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    examples = EXAMPLES[str(request.config.getoption("--bench-scale"))]
    return settings(max_examples=examples, deadline=None, suppress_health_check=[*HealthCheck])


@pytest.mark.timeout(3600)
def test_nothing_that_anybody_wrote_is_lost(domain: DomainWorld, many: Callable[[Any], Any]) -> None:
    seen: set[str] = set()

    @many
    @given(seed=st.integers(0, 2**32), actions=st.lists(st.sampled_from(ACTIONS), min_size=6, max_size=14))
    def holds(seed: int, actions: list[str]) -> None:
        writers = Writers(domain, seed)
        for action in actions:
            getattr(writers, action)()
            writers.check()
        seen.update(row.source for row in writers.conflicts())
        writers.end()

    holds()
