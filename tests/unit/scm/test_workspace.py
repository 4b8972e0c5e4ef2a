"""A project's tree: no path leads out of it, and a file is old or new, never between."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devstudio_server.kit.ids import new_id
from devstudio_server.scm.errors import UnsafePath
from devstudio_server.scm.workspace import WorkspaceStorage, WorkspaceTree


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def tree(tmp_path: Path) -> WorkspaceTree:
    made = WorkspaceTree(tmp_path / "tree")
    made.create()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    return made


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    return tmp_path / "outside"


def test_files_are_written_read_and_removed(tree: WorkspaceTree) -> None:
    tree.write("a/b/é 1.txt", b"one\r\n")
    assert tree.read("a/b/é 1.txt") == b"one\r\n"
    assert tree.exists("a/b/é 1.txt")
    tree.write("a/b/é 1.txt", b"")
    assert tree.read("a/b/é 1.txt") == b""
    tree.remove("a/b/é 1.txt")
    tree.remove("a/b/é 1.txt")
    tree.remove("no/such/folder")
    assert tree.read("a/b/é 1.txt") is None
    assert tree.read("a/b") is None
    assert tree.read("a/b/c/d") is None
    assert names(tree.root / "a/b") == []


def test_a_tree_that_is_not_there_has_no_files_and_is_made_by_a_write(tmp_path: Path) -> None:
    tree = WorkspaceTree(tmp_path / "x/y")
    assert tree.read("a") is None
    tree.write("a", b"1")
    assert (tmp_path / "x/y/a").read_bytes() == b"1"


@pytest.mark.parametrize("path", ["", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/..", ".", "a\0b", "//x"])
def test_paths_that_leave_the_tree_are_refused(tree: WorkspaceTree, path: str) -> None:
    for work in (tree.read, tree.remove, tree.exists, lambda path: tree.write(path, b"x")):
        with pytest.raises(UnsafePath):
            work(path)


def test_links_are_never_followed(tree: WorkspaceTree, outside: Path) -> None:
    (tree.root / "folder").symlink_to(outside)
    (tree.root / "file").symlink_to(outside / "secret")
    (tree.root / "dangling").symlink_to(outside / "new")
    assert tree.read("folder/secret") is None
    assert tree.read("file") is None
    with pytest.raises(OSError, match="Not a directory"):
        tree.write("folder/secret", b"stolen")
    tree.remove("folder/secret")
    tree.write("file", b"mine")
    tree.write("dangling", b"mine")
    assert (outside / "secret").read_text() == "secret"
    assert names(outside) == ["secret"]
    assert not (tree.root / "file").is_symlink()


def test_a_root_that_became_a_link_is_refused(tree: WorkspaceTree, outside: Path) -> None:
    tree.root.rmdir()
    tree.root.symlink_to(outside)
    assert tree.read("secret") is None
    with pytest.raises(OSError, match="Not a directory"):
        tree.write("secret", b"stolen")
    assert (outside / "secret").read_text() == "secret"


def test_what_is_no_regular_file_is_none_and_never_waits(tree: WorkspaceTree) -> None:
    os.mkfifo(tree.root / "pipe")
    (tree.root / "folder").mkdir()
    assert tree.read("pipe") is None
    assert tree.read("folder") is None
    assert tree.read("pipe/x") is None


def test_a_write_that_fails_leaves_the_old_bytes_and_no_rest(tree: WorkspaceTree) -> None:
    tree.write("a", b"old")
    with pytest.raises(TypeError):
        tree.write("a", "text is no bytes")  # type: ignore[arg-type]
    assert tree.read("a") == b"old"
    (tree.root / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        tree.write("folder", b"x")
    assert names(tree.root) == ["a", "folder"]


def test_a_write_replaces_the_file_at_once(tree: WorkspaceTree) -> None:
    tree.write("a", b"old")
    with (tree.root / "a").open("rb") as reader:
        tree.write("a", b"new and longer")
        assert reader.read() == b"old"
    assert tree.read("a") == b"new and longer"


def test_the_longest_names_of_the_file_system_work(tree: WorkspaceTree) -> None:
    for name in ("x" * 255, "🙂" * 63, "é" * 127):
        tree.write(name, b"1")
        assert tree.read(name) == b"1"


def test_no_descriptor_is_left_open(tree: WorkspaceTree) -> None:
    (tree.root / "file").write_bytes(b"x")
    before = len(names(Path("/proc/self/fd")))
    for _ in range(20):
        tree.write("a/b/c", b"x")
        assert tree.read("file/x") is None
        assert tree.read("a/b/none") is None
        with pytest.raises(NotADirectoryError):
            tree.write("file/x/y", b"x")
    assert len(names(Path("/proc/self/fd"))) == before


def test_tenants_and_projects_have_folders_made_of_ids(tmp_path: Path) -> None:
    storage = WorkspaceStorage(tmp_path)
    tenant, project = new_id(), new_id()
    assert storage.tree(tenant, project).root == tmp_path / str(tenant) / str(project)
    assert storage.tenant_root(tenant) == tmp_path / str(tenant)
