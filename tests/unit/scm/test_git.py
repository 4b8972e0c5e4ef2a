"""The repository through git's plumbing: exact bytes, no influence from outside, and nothing half done."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devstudio_server.kit.errors import StorageFull
from devstudio_server.kit.ids import new_id
from devstudio_server.scm import GitRepository, GitStorage
from devstudio_server.scm.errors import BranchMoved, GitFailed, PatchDoesNotApply, git_error
from devstudio_server.scm.git import EMPTY_TREE, Author, TreeFile

AUTHOR = Author("Ana", "ana@example.org")
ZERO = "0" * 40


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    made = GitRepository(tmp_path / "r.git")
    made.create("main")
    return made


def snapshot(repository: GitRepository) -> dict[str, bytes]:
    """Return all references and objects, to show that nothing changed."""
    root = repository.path
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def tree_of(repository: GitRepository, files: Mapping[str, bytes | None]) -> str:
    return repository.change(EMPTY_TREE, files)


def test_create_makes_one_empty_commit_and_is_idempotent(tmp_path: Path) -> None:
    repository = GitRepository(tmp_path / "deep/er/r.git")
    head = repository.create("main")
    assert repository.create("main") == head
    assert repository.head("main") == head
    assert repository.tree(head) == EMPTY_TREE == repository.parent_tree(head)
    assert repository.files(head) == []
    assert not (repository.path / "hooks").exists()


def test_create_finishes_what_a_crash_left(tmp_path: Path) -> None:
    repository = GitRepository(tmp_path / "r.git")
    subprocess.run(["git", "init", "-q", "--bare", "--template=", "--initial-branch=main", repository.path], check=True)
    assert repository.head("main") is None
    assert repository.create("main") == repository.head("main")


NAMES = st.one_of(
    st.sampled_from(["a", "b.py", "dir/c", "dir/d e.txt", "ünï/日本.md", ":x", "-r", "*", "q\"u'o", "tab\tname",
                     "a b/a b",
                     "nl\nname", "x:y", "back\\slash"]),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=5).filter(
        lambda name: name not in (".", "..") and "git" not in name.casefold()
    ),
)  # fmt: skip
TEXTS = st.one_of(
    st.lists(st.sampled_from(["x", "y", "", "z\r", "-- a", "+++ b", "@@ -1 +1 @@", "é", "\ufeff"]), max_size=6).map(
        lambda lines: "\n".join(lines).encode()
    ),
    st.binary(max_size=12),
)


def consistent(files: dict[str, bytes]) -> dict[str, bytes]:
    """Drop files whose path is a folder of another, which no tree can hold."""
    return {path: data for path, data in files.items() if not any(o.startswith(f"{path}/") for o in files)}


FILES = st.dictionaries(NAMES, TEXTS, max_size=5).map(consistent)


@settings(max_examples=25, deadline=None)
@given(before=FILES, after=FILES)
def test_change_diff_apply_is_exact(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        repository = GitRepository(Path(folder) / "r.git")
        repository.create("main")
        old = tree_of(repository, before)
        assert {file.path: file.content for file in repository.contents(old)} == before
        assert repository.files(old) == sorted(before, key=str.encode)
        gone: dict[str, bytes | None] = dict.fromkeys(set(before) - set(after))
        new = repository.change(old, gone | after)
        assert {file.path: file.content for file in repository.contents(new)} == after
        assert all(repository.read(new, path) == after.get(path) for path in {*before, *after})
        changed = {path for path in {*before, *after} if before.get(path) != after.get(path)}
        assert {change.path for change in repository.changes(old, new)} == changed
        assert repository.sides(old, new) == [change[:5] for change in repository.changes(old, new)]
        if changed:
            diff = repository.diff(old, new)
            assert repository.apply(old, diff) == new
            assert repository.apply(new, repository.diff(new, old)) == old
        else:
            assert repository.diff(old, new) == b""


@pytest.mark.parametrize("content", [b"", b"no newline", b"a\r\nb\r\n", b"\x00\x01", b"a\nb", "ünïcödé\n".encode()])
def test_texts_come_back_as_they_are(repository: GitRepository, content: bytes) -> None:
    tree = tree_of(repository, {"dir with space/ü.txt": content})
    assert repository.read(tree, "dir with space/ü.txt") == content
    assert repository.apply(EMPTY_TREE, repository.diff(EMPTY_TREE, tree)) == tree


def test_what_is_no_file_reads_as_none(repository: GitRepository) -> None:
    tree = tree_of(repository, {"a/b": b"1", "a.txt": b"2"})
    for path in ("a", "a/", "none", "a/none", ":a.txt", ":/a.txt", "*.txt", "a/b/c"):
        assert repository.read(tree, path) is None


def test_the_executable_bit_is_kept(repository: GitRepository) -> None:
    tree = tree_of(repository, {"run.sh": b"#!/bin/sh\n", "other": b""})
    listing = subprocess.run(
        ["git", "-C", repository.path, "ls-tree", tree], check=True, capture_output=True, text=True
    ).stdout
    made = subprocess.run(
        ["git", "-C", repository.path, "mktree"],
        check=True,
        capture_output=True,
        text=True,
        input=listing.replace("100644 blob", "100755 blob", 2).replace("100755", "100644", 1),
    ).stdout.strip()
    assert [file.executable for file in repository.contents(made)] == [False, True]
    changed = repository.change(made, {"run.sh": b"#!/bin/sh\necho\n"})
    applied = repository.apply(made, repository.diff(made, changed))
    assert repository.contents(applied)[1] == TreeFile("run.sh", executable=True, content=b"#!/bin/sh\necho\n")


def test_changes_count_lines_and_mark_binary(repository: GitRepository) -> None:
    old = tree_of(repository, {"a": b"1\n2\n", "gone": b"x\n", "bin": b"\0"})
    new = tree_of(repository, {"a": b"1\n3\n4\n", "bin": b"\0\1"})
    assert [(change.path, *change[5:]) for change in repository.changes(old, new)] == [
        ("a", 2, 1, False),
        ("bin", 0, 0, True),
        ("gone", 0, 1, False),
    ]


def test_blobs_are_named_by_id_or_by_place(repository: GitRepository) -> None:
    tree = tree_of(repository, {"a b/ü.txt": b"1\n", "missing": b"2"})
    one = repository.changes(EMPTY_TREE, tree)[0].new_blob
    named = [one, f"{tree}:a b/ü.txt", f"{tree}:none missing", f"{tree}:a b", f"{tree}:missing", "0" * 40]
    assert [*repository.blobs(named)] == [b"1\n", b"1\n", None, None, b"2", None]


def test_a_rename_is_a_deletion_and_a_creation(repository: GitRepository) -> None:
    old, new = tree_of(repository, {"a": b"same\n" * 9}), tree_of(repository, {"b": b"same\n" * 9})
    assert [change.path for change in repository.changes(old, new)] == ["a", "b"]
    assert b"rename" not in repository.diff(old, new)


@pytest.mark.parametrize(
    "diff", [b"", b"no diff", b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-other\n+new\n", b"diff --git a/x b/x\ndeleted file"]
)
def test_a_diff_that_does_not_fit_changes_nothing(repository: GitRepository, diff: bytes) -> None:
    tree = tree_of(repository, {"x": b"here\n"})
    before = snapshot(repository)
    with pytest.raises(PatchDoesNotApply) as refused:
        repository.apply(tree, diff)
    assert "generate it again" in refused.value.detail
    assert snapshot(repository) == before


@pytest.mark.parametrize("path", ["../x", "/etc/x", ".git/config", "a/../../x"])
def test_a_diff_that_leaves_the_tree_is_refused(repository: GitRepository, path: str) -> None:
    diff = f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n".encode()
    with pytest.raises(PatchDoesNotApply):
        repository.apply(EMPTY_TREE, diff)


def test_apply_does_not_take_the_half_that_fits(repository: GitRepository) -> None:
    old = tree_of(repository, {"a": b"1\n", "b": b"1\n"})
    diff = repository.diff(old, tree_of(repository, {"a": b"2\n", "b": b"2\n"}))
    moved = tree_of(repository, {"a": b"1\n", "b": b"other\n"})
    with pytest.raises(PatchDoesNotApply, match="patch failed: b:1"):
        repository.apply(moved, diff)


def test_commits_have_author_parent_and_message(repository: GitRepository) -> None:
    head = repository.create("main")
    tree = tree_of(repository, {"a": b"1"})
    commit = repository.commit(tree, (head,), "Subject é\n\nBody\n", AUTHOR)
    shown = subprocess.run(
        ["git", "-C", repository.path, "show", "-s", "--format=%an|%ae|%cn|%P|%T|%B", commit],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert shown.strip() == f"Ana|ana@example.org|Ana|{head}|{tree}|Subject é\n\nBody"
    assert repository.head("main") == head, "a commit moves no branch"
    assert not repository.contains("main", commit)


def test_move_branch_is_compare_and_swap(repository: GitRepository) -> None:
    head = repository.create("main")
    one = repository.commit(tree_of(repository, {"a": b"1"}), (head,), "one", AUTHOR)
    two = repository.commit(tree_of(repository, {"a": b"2"}), (head,), "two", AUTHOR)
    repository.move_branch("main", one, head)
    with pytest.raises(BranchMoved, match="nothing was committed"):
        repository.move_branch("main", two, head)
    with pytest.raises(BranchMoved):
        repository.move_branch("main", two, None)
    assert repository.head("main") == one
    assert repository.contains("main", head)
    assert repository.contains("main", one)
    assert not repository.contains("main", two)
    repository.move_branch("feature/x", two, None)
    assert repository.head("feature/x") == two


def test_a_branch_cannot_move_to_what_is_no_commit(repository: GitRepository) -> None:
    head = repository.create("main")
    with pytest.raises(GitFailed):
        repository.move_branch("main", EMPTY_TREE, head)
    with pytest.raises(GitFailed):
        repository.move_branch("main", "f" * 40, head)
    assert repository.head("main") == head


def test_unknown_branches_commits_and_objects(repository: GitRepository) -> None:
    assert repository.head("none") is None
    assert not repository.contains("main", "f" * 40)
    assert not repository.contains("none", repository.create("main"))
    with pytest.raises(GitFailed, match="rev-parse"):
        repository.tree("f" * 40)


@pytest.mark.parametrize(
    "name",
    ["", "-x", "--help", "a..b", "a b", "a~1", "a^", "a:b", "x.lock", "/x", "x/", "a\\b", "a//b", "@{-1}", "a\0b"],
)
def test_names_that_are_no_branches(repository: GitRepository, name: str) -> None:
    assert not repository.is_branch_name(name)


@pytest.mark.parametrize("name", ["main", "feature/x-1", "ü", "v1.0"])
def test_names_of_branches(repository: GitRepository, name: str) -> None:
    assert repository.is_branch_name(name)


def test_attributes_neither_drop_nor_change_files(repository: GitRepository) -> None:
    files: dict[str, bytes | None] = {
        ".gitattributes": b"* text=auto eol=crlf ident export-subst\n*.x -diff\n"
        b"secret export-ignore\nsub/ export-ignore\n",
        "secret": b"$Id$\n$Format:%H$\r\nx\n",
        "sub/a": b"1\r\n",
        "b.x": b"text\n",
    }
    tree = tree_of(repository, files)
    assert {file.path: file.content for file in repository.contents(tree)} == files
    changed = repository.change(tree, {"secret": b"$Id$\ny\r\n", "b.x": b"other\n"})
    assert repository.apply(tree, repository.diff(tree, changed)) == changed


def test_links_and_submodules_are_no_files(repository: GitRepository) -> None:
    tree = tree_of(repository, {"a": b"target"})
    blob = subprocess.run(
        ["git", "-C", repository.path, "rev-parse", f"{tree}:a"], check=True, capture_output=True, text=True
    ).stdout.strip()
    head = repository.create("main")
    rows = f"100644 blob {blob}\ta\n120000 blob {blob}\tlink\n160000 commit {head}\tsub\n"
    mixed = subprocess.run(
        ["git", "-C", repository.path, "mktree"], check=True, capture_output=True, text=True, input=rows
    ).stdout.strip()
    assert [file.path for file in repository.contents(mixed)] == ["a"]


def test_configuration_and_hooks_of_the_person_have_no_influence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    hooks = home / "hooks"
    hooks.mkdir(parents=True)
    ran = tmp_path / "ran"
    for hook in ("reference-transaction", "pre-commit", "post-update", "update"):
        (hooks / hook).write_text(f"#!/bin/sh\ntouch {ran}\nexit 1\n")
        (hooks / hook).chmod(0o755)
    config = home / ".gitconfig"
    config.write_text(
        f"[core]\n hooksPath = {hooks}\n autocrlf = true\n quotePath = true\n attributesFile = {home}/attributes\n"
        "[user]\n name = Evil\n email = evil@example.org\n[commit]\n gpgSign = true\n[diff]\n noprefix = true\n"
        f" external = {hooks}/update\n mnemonicPrefix = true\n renames = copies\n context = 0\n"
        "[init]\n defaultBranch = evil\n templateDir = /nonexistent\n defaultObjectFormat = sha256\n"
        "[apply]\n whitespace = error\n ignoreWhitespace = change\n[i18n]\n commitEncoding = latin1\n"
    )
    (home / "attributes").write_text("* -diff export-ignore\n")
    for name, value in {
        "HOME": home, "XDG_CONFIG_HOME": home, "GIT_CONFIG_GLOBAL": config, "GIT_CONFIG_SYSTEM": config,
        "GIT_DIR": "/nonexistent", "GIT_WORK_TREE": "/nonexistent", "GIT_INDEX_FILE": "/nonexistent",
        "GIT_OBJECT_DIRECTORY": "/nonexistent", "GIT_AUTHOR_NAME": "Evil", "GIT_EXTERNAL_DIFF": hooks / "update",
        "GIT_DEFAULT_HASH": "sha256", "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.hooksPath",
        "GIT_CONFIG_VALUE_0": hooks, "GIT_NAMESPACE": "evil",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    repository = GitRepository(tmp_path / "r.git")
    head = repository.create("main")
    old = tree_of(repository, {"ü.txt": b"a \r\nb\n"})
    new = repository.change(old, {"ü.txt": b"a \t\r\nc\n"})
    diff = repository.diff(old, new)
    assert diff.startswith("diff --git a/ü.txt b/ü.txt".encode())
    assert repository.apply(old, diff) == new
    commit = repository.commit(new, (head,), "é", AUTHOR)
    repository.move_branch("main", commit, head)
    assert repository.read(new, "ü.txt") == b"a \t\r\nc\n"
    assert len(commit) == 40
    assert not ran.exists()
    monkeypatch.undo()
    shown = subprocess.run(
        ["git", "-C", repository.path, "log", "-1", "--format=%an|%cn|%B", "main"], check=True, capture_output=True
    ).stdout  # fmt: skip
    assert shown.decode().strip() == "Ana|Ana|é"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


def test_a_full_disk_is_told_and_changes_nothing(small_disk: Path) -> None:
    repository = GitRepository(small_disk / "r.git")
    head = repository.create("main")
    tree = tree_of(repository, {"a": b"1"})
    fill(small_disk / "ballast")
    with pytest.raises(StorageFull):
        repository.commit(tree, (head,), "message", AUTHOR)
    assert repository.head("main") == head
    with pytest.raises(StorageFull):
        repository.move_branch("feature", head, None)
    assert repository.head("feature") is None
    (small_disk / "ballast").unlink()
    commit = repository.commit(tree, (head,), "message", AUTHOR)
    repository.move_branch("main", commit, head)
    assert repository.contents(repository.tree("main")) == [TreeFile("a", executable=False, content=b"1")]
    with pytest.raises(StorageFull, match="Free some space"):
        repository.change(tree, {"big": os.urandom(2 * 1024 * 1024)})
    assert repository.head("main") == commit


def test_git_errors_name_the_cause_and_the_disk() -> None:
    assert isinstance(git_error("x", "error: write error: No space left on device"), StorageFull)
    assert isinstance(git_error("x", "fatal: Disk quota exceeded"), StorageFull)
    assert git_error("fetch", "hint: no\nfatal: broken\nmore").detail == "git fetch failed: fatal: broken"
    assert git_error("fetch", "").detail == "git fetch failed: no message"


def test_what_is_kept_survives_a_collection(repository: GitRepository) -> None:
    kept, lost = tree_of(repository, {"a": b"kept"}), tree_of(repository, {"a": b"lost"})
    repository.keep("patches/1", kept)
    subprocess.run(["git", "-C", repository.path, "gc", "-q", "--prune=now"], check=True)
    assert repository.read(kept, "a") == b"kept"
    with pytest.raises(GitFailed):
        repository.files(lost)


def test_storage_is_made_of_ids(tmp_path: Path) -> None:
    tenant, project = new_id(), new_id()
    assert GitStorage(tmp_path).repository(tenant, project).path == tmp_path / str(tenant) / f"{project}.git"


def test_listing_and_blobs_tell_every_entry_and_its_bytes(repository: GitRepository) -> None:
    files = {"a b/ç.bin": b"\0\xff\n", "empty": b"", "z.py": b"x = 1\n" * 50_000}
    tree = tree_of(repository, files)
    listed = repository.listing(tree)
    assert [(entry.path, entry.mode, entry.size) for entry in listed] == [
        (path, "100644", len(content)) for path, content in sorted(files.items())
    ]
    wanted = [entry.blob for entry in listed]
    assert list(repository.blobs([*wanted, ZERO, tree, wanted[0]])) == [
        *(files[entry.path] for entry in listed),
        None,
        None,
        files["a b/ç.bin"],
    ]
    assert list(repository.blobs([])) == []


def test_who_stops_reading_blobs_leaves_no_process(repository: GitRepository) -> None:
    tree = tree_of(repository, {"big": b"x" * 10_000_000})
    blob = repository.listing(tree)[0].blob
    reading = repository.blobs([blob] * 50)
    assert next(reading) == b"x" * 10_000_000
    reading.close()  # waits for git, which was told to end
    assert list(repository.blobs([blob])) == [b"x" * 10_000_000]


def test_submodules_and_links_are_listed_as_what_they_are(repository: GitRepository) -> None:
    blob = repository.listing(tree_of(repository, {"a": b"1"}))[0].blob
    head = repository.head("main")
    rows = f"120000 blob {blob}\tlink\n160000 commit {head}\tsub\n".encode()
    mixed = repository._text("mktree", "--missing", stdin=rows)
    assert [(entry.path, entry.mode, entry.size) for entry in repository.listing(mixed)] == [
        ("link", "120000", 1),
        ("sub", "160000", 0),
    ]
