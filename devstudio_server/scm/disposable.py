"""A place for one try: git works on it as on the repository, and whatever happens there is gone afterwards.

It is a git folder of its own that borrows the objects of a repository, so nothing that is tried gets into the
repository: no object, no ref. Its attributes override those of every tree, so that no file of a tree or of a patch
chooses a filter, an encoding, a line end or a merge driver.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from devstudio_server.scm.errors import PatchDoesNotApply
from devstudio_server.scm.git import Author, GitRepository, first_error

_NOBODY = Author("DevStudio", "devstudio@localhost")
_ATTRIBUTES = "* -text !eol -filter -ident !working-tree-encoding !diff merge=text -whitespace\n"
# Nothing here outlives the try, so nothing waits for the disk; and nothing is taken for a rename that may be none.
_OPTIONS = (
    "-c",
    "core.fsync=none",
    "-c",
    "core.bare=false",
    "-c",
    "merge.renames=false",
    "-c",
    "apply.whitespace=nowarn",
)


class Conflict(NamedTuple):
    """A file that both sides changed; None where a side does not have it. The merged tree has it as ``placed``."""

    path: str
    placed: str
    base: bytes | None
    ours: bytes | None
    theirs: bytes | None


class Merged(NamedTuple):
    """The tree of a merge. Where it has ``conflicts``, the tree is no result yet."""

    tree: str
    conflicts: Sequence[Conflict]


@contextmanager
def disposable(repository: GitRepository) -> Iterator[Disposable]:
    """Yield a place that sees all of ``repository`` and changes none of it."""
    with tempfile.TemporaryDirectory(prefix="devstudio-try-") as folder:
        yield Disposable(Path(folder), repository)


class Disposable(GitRepository):
    """A git folder that borrows its objects, with room for a work tree beside it."""

    options = _OPTIONS

    def __init__(self, root: Path, lender: GitRepository) -> None:
        """Make it below ``root``, an empty folder, with the objects of ``lender``."""
        super().__init__(root / "git")
        self._work_tree = root / "tree"
        for folder in ("refs", "objects/info", "info"):
            (self.path / folder).mkdir(parents=True)
        self._work_tree.mkdir()
        (self.path / "HEAD").write_text("ref: refs/heads/none\n")
        (self.path / "info/attributes").write_text(_ATTRIBUTES)
        (self.path / "objects/info/alternates").write_text(f"{lender.path.absolute() / 'objects'}\n")

    def apply_both_ways(self, tree: str, diff: bytes, paths: Sequence[str]) -> str:
        """Return the tree that ``diff`` makes of ``tree``, applied to files and to an index alone.

        ``paths`` are the files that it names. Raises `PatchDoesNotApply`, also when the two ways differ, or when the
        work tree then holds anything but ``paths`` as regular files.
        """
        with self._index(tree) as index:
            by_files = self._by_files(index, diff, paths, list(self.modes(tree, paths)))
            done = self._run("apply", "--cached", "-", stdin=diff, index=index, check=False)
            if done.returncode != 0:
                raise PatchDoesNotApply(f"{first_error(done.stderr)}.")
            rows = self._run("ls-files", "-s", "-z", "--", *paths, index=index).stdout.decode(
                "utf-8", "surrogateescape"
            )
            if by_files != dict(_staged(row) for row in rows.split("\0") if row):
                raise PatchDoesNotApply("The diff makes other files in a work tree than in an index: it is not taken.")
            return self._text("write-tree", index=index)

    def _by_files(self, index: Path, diff: bytes, paths: Sequence[str], present: Sequence[str]) -> dict[str, str]:
        """Return the mode and the blob of each of ``paths`` after ``diff`` was applied to files."""
        place = self._work_tree
        tracked = b"".join(path.encode() + b"\0" for path in present)
        self._run("checkout-index", "-z", "--stdin", stdin=tracked, index=index, work_tree=place)
        done = self._run("apply", "-", stdin=diff, check=False, index=index, work_tree=place)
        if done.returncode != 0:
            raise PatchDoesNotApply(f"{first_error(done.stderr)}.")
        left = self._files_left(set(paths))
        names = b"".join(path.encode() + b"\n" for path in left)
        hashed = self._run("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=names, work_tree=place)
        blobs = hashed.stdout.decode().split()
        return {path: f"{mode} {blob}" for (path, mode), blob in zip(left.items(), blobs, strict=True)}

    def _files_left(self, allowed: set[str]) -> dict[str, str]:
        """Return the files of the work tree with their modes; raises `PatchDoesNotApply` for anything else."""
        found = {}
        for folder, folders, names in os.walk(self._work_tree):
            for name in [*names, *(name for name in folders if (Path(folder) / name).is_symlink())]:
                place = Path(folder) / name
                path = place.relative_to(self._work_tree).as_posix()
                mode = place.lstat().st_mode
                if not stat.S_ISREG(mode) or path not in allowed:
                    raise PatchDoesNotApply(f"The diff makes {path!r}, which it does not name as a regular file.")
                found[path] = "100755" if mode & 0o100 else "100644"
        return found

    def merge(self, base: str, ours: str, theirs: str) -> Merged:
        """Bring the change from tree ``base`` to tree ``theirs`` over to tree ``ours``; nothing is guessed."""
        root = self.commit(base, (), "base", _NOBODY)
        sides = [self.commit(tree, (root,), side, _NOBODY) for side, tree in (("ours", ours), ("theirs", theirs))]
        done = self._run("merge-tree", "--write-tree", "-z", "--no-messages", *sides, check=False)
        if done.returncode not in (0, 1):
            raise self._failure("merge-tree", done.stderr.decode("utf-8", "replace"))
        tree, *rows = done.stdout.decode("utf-8", "surrogateescape").split("\0")
        stages: dict[str, dict[str, str]] = {}
        for row in filter(None, rows):
            entry, path = row.split("\t", 1)
            _mode, blob, stage = entry.split()
            stages.setdefault(path, {})[stage] = blob
        # A file that is in the way of a folder is put beside it, as `name~commit`.
        names = {
            path: path.rpartition("~")[0] if path.endswith(tuple(f"~{side}" for side in sides)) else path
            for path in stages
        }
        return Merged(tree, self._conflicts(stages, names))

    def _conflicts(self, stages: dict[str, dict[str, str]], names: dict[str, str]) -> list[Conflict]:
        wanted = [blob for sides in stages.values() for blob in sides.values()]
        contents = dict(zip(wanted, self.blobs(wanted), strict=True))
        return [
            Conflict(names[path], path, *(contents[sides[stage]] if stage in sides else None for stage in "123"))
            for path, sides in sorted(stages.items())
        ]


def _staged(row: str) -> tuple[str, str]:
    """Read a row of ``ls-files -s``: a path, and its mode and blob."""
    entry, path = row.split("\t", 1)
    mode, blob, _stage = entry.split()
    return path, f"{mode} {blob}"
