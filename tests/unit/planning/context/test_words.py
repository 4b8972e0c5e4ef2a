"""Words of files and of tasks, paths in texts, and what imports mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstudio_server.planning.context.imports import resolve
from devstudio_server.planning.context.index import RepositoryIndex
from devstudio_server.planning.context.words import named_paths, pieces_of, weigh, words_of
from support.big_repository import repository_of


def test_words_of_a_text_and_the_parts_of_those_in_camel_case() -> None:
    assert words_of("def parse_version(HTTPServer, x1): 'É'") == {
        "def", "parse", "version", "httpserver", "http", "server"
    }  # fmt: skip
    assert pieces_of("Ação".encode()) == ("ação",)
    assert pieces_of(b"VERSION") == ("version",)
    assert pieces_of(b"ab") == ()


def test_words_of_a_task_weigh_by_where_they_stand() -> None:
    terms = {term.word: term for term in weigh([("Parse versions", 3.0), ("`read_file` parses; ação", 1.0)])}
    assert terms["parse"].weight == 3.0
    assert terms["version"].forms == ("version", "versions")
    assert terms["parseversion"].weight == 3.0, "as in parseVersion"
    assert terms["read"].weight == 2.0, "it stands as code"
    assert terms["ação"].forms == ("ação", "açãos", "acao", "acaos")
    assert not {"the", "shall", "sistema"} & {term.word for term in weigh([("the system shall; o sistema deve", 1.0)])}


def test_words_of_a_task_are_bounded_and_in_order() -> None:
    terms = weigh([(" ".join(f"word{number}x" for number in range(500)), 1.0)])
    assert [term.word for term in terms[:2]] == ["word0x", "word1x"]
    assert len(terms) == 80


def test_paths_in_a_text() -> None:
    text = "See ./app/main.py, `web/a-b.test.ts` and README.md; not v1.2, 3.14 or https://example.org/x.html."
    assert named_paths(text)[:3] == ["app/main.py", "web/a-b.test.ts", "README.md"]
    assert "3.14" not in named_paths(text)


TREE = (
    "app/__init__.py", "app/core.py", "app/sub/__init__.py", "app/sub/deep.py", "src/lib/tools.py",
    "other/lib/tools.py", "web/a.ts", "web/b.tsx", "web/c/index.ts", "web/d.js", "setup.py",
)  # fmt: skip


@pytest.mark.parametrize(
    ("importer", "module", "expected"),
    [
        ("setup.py", "app.core", "app/core.py"),
        ("setup.py", "app", "app/__init__.py"),
        ("setup.py", "app.core.Name", None),
        ("app/sub/deep.py", ".", "app/sub/__init__.py"),
        ("app/sub/deep.py", "..core", "app/core.py"),
        ("app/sub/deep.py", ".....core", None),
        ("src/x.py", "lib.tools", "src/lib/tools.py"),
        ("other/x.py", "lib.tools", "other/lib/tools.py"),
        ("setup.py", "os", None),
        ("web/a.ts", "./b", "web/b.tsx"),
        ("web/a.ts", "./c", "web/c/index.ts"),
        ("web/c/index.ts", "../a.js", "web/a.ts"),
        ("web/a.ts", "react", None),
        ("web/a.ts", "../../../etc/passwd", None),
    ],
)
def test_what_an_import_means(tmp_path: Path, importer: str, module: str, expected: str | None) -> None:
    repository = repository_of(tmp_path / "r.git", [(path, path.encode()) for path in TREE])
    view = RepositoryIndex().view(repository, repository.tree("main"), None)
    assert resolve(view, importer, module) == expected
