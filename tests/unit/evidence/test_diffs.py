import ast
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devstudio_evidence import diffs, git_objects
from devstudio_evidence.diffs import DiffInvalid
from devstudio_evidence.git_objects import EMPTY_TREE, ObjectInvalid, ObjectMissing
from devstudio_server.evidence.objects import _Trees
from devstudio_server.scm import GitRepository

lines = st.lists(
    st.sampled_from([b"a", b"b", b"- c", b"+++ d", b"@@ -1 +1 @@", b"\xff\r", b"", b"e" * 80]), max_size=12
)
ends = st.sampled_from([b"", b"\n"])


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> GitRepository:
    made = GitRepository(tmp_path_factory.mktemp("git") / "r.git")
    made.create("main")
    return made


@given(st.lists(st.tuples(lines, ends, lines, ends), min_size=4, max_size=12))
@settings(max_examples=6, deadline=None)
def test_a_diff_of_git_is_applied_as_git_applies_it(
    repository: GitRepository, texts: list[tuple[list[bytes], bytes, list[bytes], bytes]]
) -> None:
    """Lines that look like headers, that end in CR, that are no UTF-8; files without a last line break, empty files."""
    old = {f"f{number}": b"\n".join(one) + end for number, (one, end, _, _) in enumerate(texts)}
    new = {f"f{number}": b"\n".join(other) + end for number, (_, _, other, end) in enumerate(texts)}
    before, after = repository.change(EMPTY_TREE, dict(old)), repository.change(EMPTY_TREE, dict(new))
    found = {file.path: file for file in diffs.read(repository.diff(before, after))}
    assert set(found) == {name for name in old if old[name] != new[name]}
    for name, file in found.items():
        assert not file.binary
        assert diffs.applied(file, old[name]) == new[name]
        assert git_objects.object_id("blob", new[name]) == file.new_blob


def test_created_deleted_chmodded_binary_and_oddly_named_files_are_read(repository: GitRepository) -> None:
    odd = 'dir with "quote"/tab\there\\n\N{LATIN SMALL LETTER E WITH ACUTE} b/x.txt'
    spaced = "a b/c d b/e"
    before = repository.change(EMPTY_TREE, {"gone": b"1\n", "binary": b"\0" * 9, odd: b"1\n", spaced: b"1\n"})
    after = repository.change(
        before, {"gone": None, "new": b"2\n", "empty": b"", "binary": b"\0\1", odd: b"2\n", spaced: b"2\n"}
    )
    files = {file.path: file for file in diffs.read(repository.diff(before, after))}
    assert set(files) == {"gone", "new", "empty", "binary", odd, spaced}
    assert (files["gone"].deleted, files["gone"].old_mode, files["new"].created) == (True, "100644", True)
    assert files["binary"].binary
    assert diffs.applied(files["new"], b"") == b"2\n"
    assert diffs.applied(files["gone"], b"1\n") == b""
    assert files["empty"].body == []


@pytest.mark.parametrize(
    "text",
    [
        b"Index: x\n",
        b"diff --git a/x b/y\n",
        b"diff --git x x\n",
        b'diff --git "a/x" b/x\n',
        b"diff --git a/x b/x\nrename from y\n",
        b"diff --git a/x b/x\nsimilarity index 90%\n",
        b"diff --git a/x b/x\nnew mode 120000000\n",
    ],
)
def test_what_is_not_signed_is_no_diff(text: bytes) -> None:
    with pytest.raises(DiffInvalid):
        diffs.read(text)


@pytest.mark.parametrize(
    "hunk",
    [
        b"@@ -1 +1 @@\n-other\n+new\n",
        b"@@ -9 +9 @@\n-old\n+new\n",
        b"@@ -1 +1 @@\n-old\n+new\n@@ -1 +1 @@\n-old\n+new\n",
        b"@@ -1 +1 @@\n?old\n",
        b"@@ -1 +1 @@\n-old\n\\ No newline at end of file\n+new\n",
    ],
)
def test_a_hunk_that_does_not_fit_is_refused(hunk: bytes) -> None:
    file = diffs.read(b"diff --git a/x b/x\nindex 1234..5678 100644\n--- a/x\n+++ b/x\n" + hunk)[0]
    with pytest.raises(DiffInvalid):
        diffs.applied(file, b"old\n")


def test_trees_differ_where_git_says(repository: GitRepository) -> None:
    before = repository.change(EMPTY_TREE, {"a/b/c": b"1", "a/d": b"1", "file": b"1", "same/x": b"1", "folder/x": b"1"})
    after = repository.change(
        before, {"a/b/c": b"2", "a/d": None, "file": None, "file/x": b"1", "folder/x": None, "n": b""}
    )
    found = git_objects.changes(_Trees(repository), before, after)
    wanted = {change.path for change in repository.changes(before, after)}
    assert {change.path for change in found} == wanted == {"a/b/c", "a/d", "file", "file/x", "folder/x", "n"}
    with pytest.raises(ObjectMissing):
        git_objects.changes({}, before, after)


@pytest.mark.parametrize(
    "content", [b"x", b"100644 a", b"100644 a\0short", b" a\0" + bytes(20), b"100644 \0" + bytes(20)]
)
def test_broken_trees_are_refused(content: bytes) -> None:
    with pytest.raises(ObjectInvalid):
        git_objects.read_tree(content)


@pytest.mark.parametrize(
    "content", [b"", b"tree 1\n", b"tree 1\n\nno committer", b"tree 1\ntree 2\ncommitter a <b> 1 +0000\n\n"]
)
def test_broken_commits_are_refused(content: bytes) -> None:
    with pytest.raises(ObjectInvalid):
        git_objects.read_commit(content)


def test_it_runs_on_an_old_python_with_nothing_installed() -> None:
    """The whole package: every import of the standard library or its own, and no syntax newer than 3.9."""
    folder = Path(diffs.__file__).parent
    assert len(list(folder.glob("*.py"))) > 15
    for module in folder.glob("*.py"):
        tree = ast.parse(module.read_text(), feature_version=(3, 9))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            roots = {name.split(".")[0] for name in names}
            optional = {"cryptography"} if module.stem == "ed25519" else set()
            assert roots <= sys.stdlib_module_names | {"devstudio_evidence"} | optional, module
