"""What tells a sync that there is nothing to do, what a program had read, and what is written at the last moment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output, new_raw_cell

from devstudio_server.kit.ids import new_id
from devstudio_server.scm import workspace
from devstudio_server.scm.workspace import WorkspaceTree
from devstudio_server.specs import notebook as notebooks
from devstudio_server.specs.bases import nearer
from devstudio_server.specs.notebook import build_notebook, notebook_file, stored, to_json
from devstudio_server.specs.repository import SpecRepository
from devstudio_server.specs.schemas import DocumentType, SpecSessionRead
from devstudio_server.specs.sync import SessionSync, SyncResult
from devstudio_server.specs.sync_files import SyncedFiles
from support.documents_at_random import written
from support.domain_world import REQUIREMENTS, TASKS, DomainWorld


@pytest.fixture
def session(domain: DomainWorld) -> SpecSessionRead:
    return domain.session(requirements=REQUIREMENTS, tasks=TASKS)


def path(session: SpecSessionRead, name: str) -> str:
    return f".devstudio/specs/{session.slug}/{name}"


def asked(domain: DomainWorld, session: SpecSessionRead) -> tuple[bool, bool]:
    """Return whether the files are as written, and whether they have news."""
    with domain.unit(read_only=True) as unit:
        specs = SpecRepository(unit)
        found = specs.find(session.id)
        assert found is not None
        files = SyncedFiles(specs, domain.actor, found, domain.tree(session.project_id))
        return files.is_as_written(), files.has_news()


def sync(domain: DomainWorld, session: SpecSessionRead) -> SyncResult:
    with domain.unit() as unit:
        syncing = SessionSync(unit, domain.actor, domain.git, domain.workspaces)
        return syncing.run(syncing.specs.get(session.id))


def edited_cell(content: bytes) -> bytes:
    return content.replace(b"Say thanks", b"Say nothing")


def with_output(content: bytes) -> bytes:
    notebook = json.loads(content)
    notebook["cells"].insert(1, {**new_code_cell("1 + 1", outputs=[new_output("stream", text="2\n")]), "id": "mine"})
    return json.dumps(notebook).encode()


@pytest.mark.parametrize(
    ("name", "change", "news"),
    [
        ("tasks.md", lambda content: content + b"- [ ] 3. More\n", True),
        ("tasks.md", lambda _content: b"\xff\xfe no text", True),
        ("tasks.md", lambda content: b"\xef\xbb\xbf" + content, False),
        ("tasks.md", None, True),
        ("design.md", None, True),
        ("ipynb", edited_cell, True),
        ("ipynb", lambda _content: b"no notebook", True),
        ("ipynb", with_output, False),
        ("ipynb", None, True),
    ],
)
def test_what_another_program_does_to_a_file_is_news(
    domain: DomainWorld, session: SpecSessionRead, name: str, change: Callable[[bytes], bytes] | None, *, news: bool
) -> None:
    assert asked(domain, session) == (True, False)
    tree = domain.tree(session.project_id)
    file = path(session, f"{session.slug}.ipynb" if name == "ipynb" else name)
    if change is None:
        tree.remove(file)
    else:
        tree.write(file, change(tree.read(file) or b""))
    assert asked(domain, session) == (False, news)
    sync(domain, session)
    assert asked(domain, session) == (True, False), "what was taken in is no news any more"


def test_a_sync_without_news_reads_no_notebook_and_changes_nothing(
    domain: DomainWorld, session: SpecSessionRead, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = domain.tree(session.project_id)
    notebook = path(session, f"{session.slug}.ipynb")
    tree.write(notebook, with_output(tree.read(notebook) or b""))
    sync(domain, session)
    before = tree.read(notebook)
    monkeypatch.setattr(notebooks, "as_notebook", lambda _content: pytest.fail("the notebook was read"))
    result = sync(domain, session)
    assert ([*result.changed], [*result.open], [*result.kept]) == ([], [], [])
    domain.write(session.id, tasks=domain.read(session.id).documents.tasks.content + "- [ ] 3. More\n")
    after = nbformat.reads((tree.read(notebook) or b"").decode(), 4)
    assert before != tree.read(notebook)
    assert next(cell.outputs for cell in after.cells if cell.cell_type == "code")[0].text == "2\n"
    assert any("3. More" in cell.source for cell in after.cells)


@pytest.mark.parametrize("seed", range(12))
def test_the_file_has_the_bytes_that_nbformat_writes(seed: int) -> None:
    random = Random(seed)
    documents = {kind: written(kind, random) if random.random() < 0.8 else "" for kind in DocumentType}
    documents[DocumentType.DESIGN] += '## "Quoted" \\ é 😀\u2028 <!-- restricted -->\r\nText\x0b\n'
    identity, existing = new_id(), None
    if seed % 2:
        existing = build_notebook(identity, 1, documents)
        picture = new_output(
            "display_data", {"text/plain": "a\nb", "image/svg+xml": "<svg>\n</svg>"}, metadata={"a": 1}
        )
        drawn = new_code_cell("1\n2", execution_count=3, outputs=[picture, new_output("stream", text="é\n")])
        existing.cells[1:1] = [drawn, new_raw_cell("raw\n"), new_markdown_cell("goes with what is above")]
        existing.metadata["mine"] = {"list": [1, 2.5, None, {"b": True}], "empty": {}}
    notebook = build_notebook(identity, 2, documents, existing)
    nbformat.validate(notebook)
    assert to_json(notebook) == nbformat.writes(notebook).encode()
    assert notebook_file(identity, 2, documents, existing) == to_json(notebook)
    assert notebook_file(identity, 2, documents, stored(to_json(notebook))) == to_json(notebook)


OLDER = "# Tasks\n- [ ] 1. Build\n  - plain\n- [ ] 2. Thank"
NEWER = "# Tasks\n- [ ] 1. Build\n  - plain\n  - with great care and tests\n- [ ] 2. Thank"
WITH_ID = OLDER + "\n- [ ] 3. Sing loudly <!-- id:k3 -->"


@pytest.mark.parametrize(
    ("text", "newer", "read"),
    [
        (NEWER + "!", NEWER, "newer"),
        (NEWER.replace("great care", "little care"), NEWER, "newer"),
        (NEWER.replace("  - with great care and tests", "\n  - with great haste and tests"), NEWER, "newer"),
        (WITH_ID.replace("Sing loudly", "Be silent"), WITH_ID, "newer"),
        (OLDER.replace("Thank", "Thank them"), NEWER, "older"),
        (OLDER.replace("plain", "ornate"), OLDER.replace("plain", "simple"), "older"),
        (OLDER + "\n  - with great care and doubts", NEWER, "older"),
        (OLDER + "\n- [ ] 3. Sleep", WITH_ID, "older"),
        (OLDER + "\n\n", NEWER + "\n\n", "older"),
    ],
)
def test_what_a_program_had_read_shows_in_what_it_wrote(text: str, newer: str, read: str) -> None:
    assert nearer(text, newer, OLDER) == {"newer": newer, "older": OLDER}[read]


def test_a_line_that_was_just_added_can_be_written_anew(domain: DomainWorld, session: SpecSessionRead) -> None:
    tree, file = domain.tree(session.project_id), path(session, "tasks.md")
    tasks = session.documents.tasks.content
    domain.write(
        session.id, tasks=tasks.replace("  - plain functions\n", "  - plain functions\n  - two or more sums\n")
    )
    tree.write(file, (tree.read(file) or b"").replace(b"two or more sums", b"three or more sums"))
    assert not sync(domain, session).open
    now = domain.read(session.id).documents.tasks.content
    assert ("three or more sums" in now, "two or more" in now) == (True, False)


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_file_is_replaced_only_while_it_has_what_is_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, can_exchange: bool
) -> None:
    if not can_exchange:
        monkeypatch.setattr(workspace, "exchange", lambda *_names: False)
    tree = WorkspaceTree(tmp_path)
    assert tree.replace("a/x", b"1", None)
    assert not tree.replace("a/x", b"2", None)
    assert not tree.replace("a/x", b"2", b"0")
    assert tree.replace("a/x", b"2", b"1")
    assert not tree.replace("a/y", b"2", b"1")
    (tmp_path / "a/link").symlink_to("x")
    assert tree.replace("a/link", b"3", None), "a link is nobody's file"
    assert {file.name: file.read_bytes() for file in (tmp_path / "a").iterdir()} == {"x": b"2", "link": b"3"}


@pytest.mark.parametrize("times", [1, 2])
def test_what_is_written_between_the_look_and_the_exchange_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    tree, other, real = WorkspaceTree(tmp_path), WorkspaceTree(tmp_path), workspace.exchange
    tree.write("x", b"read")
    late = [b"late", b"later"][:times]
    waiting = [*late]

    def exchange(folder: int, one: str, name: str) -> bool:
        if waiting:
            other.write("x", waiting.pop(0))
        return real(folder, one, name)

    monkeypatch.setattr(workspace, "exchange", exchange)
    assert not tree.replace("x", b"ours", b"read")
    assert not waiting
    assert sorted(file.read_bytes() for file in tmp_path.iterdir()) == late
