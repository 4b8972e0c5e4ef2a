"""What a patch may hold, and that its digest names its exact bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from devstudio_server.patches.content import (
    MAX_FILE_BYTES,
    MAX_FILES,
    build_content,
    check_files,
    compare,
    digest_of,
    summarize,
)
from devstudio_server.patches.errors import EmptyPatch
from devstudio_server.scm import GitRepository
from devstudio_server.scm.errors import UnsafePath
from devstudio_server.scm.git import EMPTY_TREE


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    made = GitRepository(tmp_path / "r.git")
    made.create("main")
    return made


def test_a_patch_is_tree_diff_digest_and_files(repository: GitRepository) -> None:
    base = repository.change(EMPTY_TREE, {"a": b"1\n2\n", "gone": b"x\n"})
    content = build_content(repository, base, {"a": "1\n3\n", "gone": None, "ü/new": "n\r\nno end"})
    assert repository.apply(base, content.diff.encode()) == content.result_tree
    assert content.digest == hashlib.sha256(content.diff.encode()).hexdigest() == digest_of(content.diff)
    assert content.base_tree == base
    assert [(file.path, file.change, file.additions, file.deletions) for file in content.files] == [
        ("a", "update", 1, 1),
        ("gone", "delete", 0, 1),
        ("ü/new", "create", 2, 0),
    ]
    assert summarize(repository, base, content.result_tree) == content.files
    sides = [(file.path, file.old, file.new) for file in compare(repository, base, content.result_tree)]
    assert sides == [("a", "1\n2\n", "1\n3\n"), ("gone", "x\n", None), ("ü/new", None, "n\r\nno end")]


def test_the_same_change_has_the_same_digest_and_another_byte_another(repository: GitRepository) -> None:
    digests = [build_content(repository, EMPTY_TREE, {"a": text}).digest for text in ("x\n", "x\n", "x\r\n", "x")]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


@pytest.mark.parametrize("files", [{}, {"a": "1\n"}])
def test_a_change_of_nothing_is_no_patch(repository: GitRepository, files: dict[str, str | None]) -> None:
    base = repository.change(EMPTY_TREE, {"a": b"1\n"})
    with pytest.raises(EmptyPatch):
        build_content(repository, base, files)


@pytest.mark.parametrize(
    ("files", "existing", "reason"),
    [
        ({"A": "1", "a": "2"}, [], "case"),
        ({"src/A.py": "1"}, ["src/a.py"], "case"),
        ({"straße": "1", "STRASSE": "2"}, [], "case"),
        ({"é": "1", "e\u0301": "2"}, [], "accents"),
        ({"\u0130x": "1"}, ["i\u0307x"], "accents"),
        ({"a/b": "1", "a": "2"}, [], "file|folder"),
        ({"a/b": "1"}, ["a"], "file"),
        ({"A/b": "1"}, ["a"], "file"),
        ({"a/b/c": "1"}, ["a/b"], "file"),
        ({"a": "1"}, ["a/b"], "folder"),
        ({"A": "1"}, ["a/b"], "folder"),
        ({"none": None}, ["a"], "no such file"),
        ({"../x": "1"}, [], "leaves"),
        ({".git/config": "1"}, [], "git"),
        ({"x": "\ud800"}, [], "surrogate"),
        ({"\ud800": "1"}, [], "invisible"),
        ({"x": "é" * (MAX_FILE_BYTES // 2 + 1)}, [], "bytes"),
        ({f"f{number}": "1" for number in range(MAX_FILES + 1)}, [], "files"),
    ],
)
def test_changes_that_must_not_be_made(files: Mapping[str, str | None], existing: list[str], reason: str) -> None:
    with pytest.raises(UnsafePath, match=reason):
        check_files(files, existing)


@pytest.mark.parametrize(
    ("files", "existing"),
    [
        ({"a/b": "1", "a": None}, ["a"]),
        ({"a": "1", "a/b": None}, ["a/b"]),
        ({"A": "1", "a": None}, ["a"]),
        ({"b": "1"}, ["X", "x"]),
        ({"x": "é" * (MAX_FILE_BYTES // 2)}, []),
        ({f"f{number}": "" for number in range(MAX_FILES)}, []),
        ({"a": "1", "ab/c": "2"}, ["abc"]),
    ],
)
def test_changes_that_may_be_made(files: Mapping[str, str | None], existing: list[str]) -> None:
    check_files(files, existing)


def test_a_file_that_is_not_utf_8_is_compared_as_binary_and_not_changed(repository: GitRepository) -> None:
    base = repository.change(EMPTY_TREE, {"latin": b"caf\xe9\n", "bin": b"\0"})
    with pytest.raises(UnsafePath, match="UTF-8"):
        build_content(repository, base, {"latin": "café\n"})
    content = build_content(repository, base, {"bin": "text\n"})
    (file,) = compare(repository, base, content.result_tree)
    assert (file.binary, file.old, file.new) == (True, None, None)
