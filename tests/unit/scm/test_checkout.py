"""Committed files come into the tree; what a person changed there stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstudio_server.scm import GitRepository
from devstudio_server.scm.checkout import checkout
from devstudio_server.scm.git import EMPTY_TREE, Author
from devstudio_server.scm.workspace import WorkspaceTree

AUTHOR = Author("Ana", "ana@example.org")
OLD: dict[str, bytes | None] = {"a": b"1\n", "b": b"1\n", "c": b"1\n", "d/e": b"1\n"}
NEW: dict[str, bytes | None] = {"a": b"2\n", "b": b"2\n", "c": None, "d/e": b"2\n", "new/f": b"1\n"}


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    made = GitRepository(tmp_path / "r.git")
    made.create("main")
    return made


@pytest.fixture
def tree(tmp_path: Path) -> WorkspaceTree:
    return WorkspaceTree(tmp_path / "tree")


@pytest.fixture
def commits(repository: GitRepository) -> tuple[str, str]:
    old = repository.change(EMPTY_TREE, OLD)
    first = repository.commit(old, (repository.create("main"),), "old", AUTHOR)
    return first, repository.commit(repository.change(old, NEW), (first,), "new", AUTHOR)


def test_files_follow_the_commit(repository: GitRepository, tree: WorkspaceTree, commits: tuple[str, str]) -> None:
    assert checkout(repository, tree, commits[0], list(OLD)) == []
    assert {path: tree.read(path) for path in OLD} == OLD
    assert checkout(repository, tree, commits[1], list(NEW)) == []
    assert {path: tree.read(path) for path in NEW} == NEW
    assert checkout(repository, tree, commits[1], list(NEW)) == [], "again, as after a crash"


def test_edited_files_are_left_alone_and_named(
    repository: GitRepository, tree: WorkspaceTree, commits: tuple[str, str]
) -> None:
    checkout(repository, tree, commits[0], list(OLD))
    tree.write("a", b"mine\n")
    tree.write("c", b"mine too\n")
    tree.write("b", b"2\n")  # as the commit has it
    assert checkout(repository, tree, commits[1], list(NEW)) == ["a", "c"]
    assert [tree.read(path) for path in ("a", "b", "c", "d/e")] == [b"mine\n", b"2\n", b"mine too\n", b"2\n"]


def test_what_stands_in_the_way_stops_only_its_own_file(
    repository: GitRepository, tree: WorkspaceTree, commits: tuple[str, str], tmp_path: Path
) -> None:
    tree.create()
    (tree.root / "a").mkdir()
    (tree.root / "d").symlink_to(tmp_path)
    tree.write("new", b"a file where a folder should be")
    assert checkout(repository, tree, commits[1], list(NEW)) == ["a", "d/e", "new/f"]
    assert tree.read("b") == b"2\n"
    assert tree.read("new") == b"a file where a folder should be"
    assert not (tmp_path / "e").exists()
