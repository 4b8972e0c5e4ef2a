"""Bad diffs change nothing, anywhere, and it is said what is wrong with them; legal oddities apply byte for byte."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devstudio_server.kit.errors import AppError, Conflict, Invalid, PayloadTooLarge
from devstudio_server.patches.content import MAX_FILE_BYTES
from devstudio_server.patches.errors import PatchRefused
from devstudio_server.patches.trial import content_of_diff
from devstudio_server.scm import GitRepository
from devstudio_server.scm.git import GitFailed
from devstudio_server.scm.paths import safe_path
from support.patch_corpus import FILES, REFUSED, TAKEN

SAID = {
    name: (line, words)
    for name, line, words in (
        row.split("\t") for row in Path(__file__).with_name("said.tsv").read_text("utf-8").splitlines()
    )
}
"""What has to be said of each: the line of the diff where there is one, and words of the message."""
EVIL = ("filter.evil.clean", "filter.evil.smudge", "merge.evil.driver", "core.hooksPath", "diff.evil.command")


class Place:
    """A repository with a tree, a workspace beside it, and a folder outside that nobody may touch."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repository = GitRepository(root / "data" / "r.git")
        self.repository.create("main")
        for folder in ("workspace/folder", "outside"):
            (root / folder).mkdir(parents=True)
        (root / "outside" / "sentinel").write_text("as it was")
        (root / "workspace" / "a.txt").write_text("someone works here")
        (root / "workspace" / "link").symlink_to(root / "outside")
        for name in EVIL:
            self._git("config", name, f"touch {root}/outside/pwned; cat")
        self.tree = self._tree()
        self.before = self.digests()

    def _git(self, *arguments: str, stdin: bytes = b"", index: Path | None = None) -> str:
        environment = {**os.environ, **({"GIT_INDEX_FILE": str(index)} if index else {})}
        command = ["git", f"--git-dir={self.repository.path}", *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, check=True, env=environment)
        return done.stdout.decode().strip()

    def _tree(self) -> str:
        index = self.root / "index"
        for path, (mode, content) in FILES.items():
            written = content.replace(b"SENTINEL", str(self.root / "outside").encode())
            blob = self._git("hash-object", "-w", "--no-filters", "--stdin", stdin=written)
            self._git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", index=index)
        self._git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module", index=index)
        tree = self._git("write-tree", "--missing-ok", index=index)
        index.unlink()
        self.repository.keep("base", tree)
        return tree

    def digests(self) -> dict[str, str]:
        """Name every file below the root with its mode and its bytes, or where it leads."""
        found = {}
        for folder, folders, names in os.walk(self.root):
            for name in [*folders, *names]:
                path = Path(folder) / name
                mode = path.lstat().st_mode
                said = str(path.readlink()) if path.is_symlink() else ""
                if path.is_file() and not path.is_symlink():
                    said = hashlib.sha256(path.read_bytes()).hexdigest()
                found[str(path.relative_to(self.root))] = f"{mode:o} {said}"
        return found

    def check_untouched(self, *, objects: bool = False) -> None:
        """Check that nothing is as it was not; with ``objects``, new ones may be in the repository."""
        after = self.digests()
        if objects:
            after = {path: said for path, said in after.items() if path in self.before or "/objects/" not in path}
        assert after == self.before


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Hold the places of tries to a folder, which has to be empty again after each test."""
    folder = tmp_path / "tries"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def test_the_corpus_is_as_large_as_was_asked() -> None:
    assert len(REFUSED) >= 60
    assert len({*REFUSED.values()}) == len(REFUSED)
    assert set(SAID) == set(REFUSED)


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_diff_is_refused_and_nothing_is_touched(place: Place, name: str) -> None:
    place.before = place.digests()
    with pytest.raises(AppError) as caught:
        content_of_diff(place.repository, place.tree, REFUSED[name])
    error = caught.value
    assert error.status in (409, 413, 422), error.detail
    assert not isinstance(error, GitFailed)
    assert len(error.detail) > 20
    assert "Traceback" not in error.detail
    assert str(place.root) not in error.detail
    line, words = SAID[name]
    assert words in error.detail
    if line:
        assert isinstance(error, PatchRefused)
        assert (error.extra["line"], error.errors[0]["loc"]) == (int(line), ["body", "diff"])
        assert re.match(rf"Line {line} of the diff", error.detail)
    place.check_untouched()


@pytest.mark.parametrize("name", TAKEN)
def test_a_legal_oddity_applies_byte_for_byte(place: Place, name: str) -> None:
    diff, expected = TAKEN[name]
    content = content_of_diff(place.repository, place.tree, diff)
    before = {file.path: (file.executable, file.content) for file in place.repository.contents(place.tree)}
    after = {file.path: (file.executable, file.content) for file in place.repository.contents(content.result_tree)}
    for path, written in expected.items():
        if written is None:
            assert path not in after
        else:
            assert after[path][1] == written
    assert {path: said for path, said in after.items() if path not in expected} == {
        path: said for path, said in before.items() if path not in expected
    }
    assert place.repository.apply(place.tree, content.diff.encode()) == content.result_tree
    place.check_untouched(objects=True)


def test_modes_and_binary_files_are_shown_as_such(place: Place) -> None:
    mode = b"diff --git a/a.txt b/a.txt\nold mode 100644\nnew mode 100755\n"
    (file,) = content_of_diff(place.repository, place.tree, mode).files
    assert (file.old_mode, file.new_mode, file.additions, file.deletions) == ("100644", "100755", 0, 0)
    (file,) = content_of_diff(place.repository, place.tree, TAKEN["binary"][0]).files
    assert (file.binary, file.old_size, file.new_size, file.change) == (True, None, 256, "create")


EXAMPLES = {"small": 60, "full": 5000}
SEEDS = [diff for diff, _expected in TAKEN.values()] + [
    diff for diff in REFUSED.values() if len(diff) < 2000
]  # fmt: skip
PARTS = st.sampled_from(
    [b"\n", b"\r\n", b"\0", b"../", b".git/", b"/", b"120000", b"160000", b"@@", b"-1,0", b"+1,9999", b"a/", b"b/",
     b"rename to ", b"--- ", b"+++ ", b'"', b"\\", b"diff --git a/x b/x\n", b"\xff", b"\xe2\x80\xae", b"literal 5\n",
     b"deleted file mode 100644\n", b"new file mode 100644\n", b"index 1..2 120000\n", b"\t", b" ", b"-- \n"]
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Draw a diff of the corpus, or two, with a few bytes or lines changed, doubled, moved or lost."""
    diff = draw(st.sampled_from(SEEDS)) + draw(st.sampled_from([b"", *SEEDS]))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(diff)))
        to = min(len(diff), at + draw(st.integers(0, 12)))
        lines = diff.split(b"\n")
        line = draw(st.integers(0, len(lines) - 1))
        diff = draw(
            st.sampled_from(
                [
                    diff[:at] + draw(PARTS) + diff[at:],
                    diff[:at] + diff[to:],
                    diff[:at] + draw(PARTS) + diff[to:],
                    b"\n".join([*lines[:line], lines[line], *lines[line:]]),
                    b"\n".join([*lines[:line], *lines[line + 1 :]]),
                ]
            )
        )
    return diff


def test_mutated_diffs_apply_only_what_may_be_applied(place: Place, request: pytest.FixtureRequest) -> None:
    """Whatever is taken changes regular files with safe names only, and the rest is refused in words."""

    @settings(
        max_examples=EXAMPLES[str(request.config.getoption("--bench-scale"))],
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(mutated())
    def attack(diff: bytes) -> None:
        try:
            content = content_of_diff(place.repository, place.tree, diff)
        except GitFailed:
            raise
        except (Conflict, Invalid, PayloadTooLarge):
            return
        changes = place.repository.changes(place.tree, content.result_tree)
        for change in changes:
            assert safe_path(change.path) == change.path
            assert {change.old_mode, change.new_mode} <= {"100644", "100755", "000000"}
        sizes = place.repository.sizes({change.new_blob for change in changes})
        assert max(sizes.values(), default=0) <= MAX_FILE_BYTES

    attack()
    place.check_untouched(objects=True)
