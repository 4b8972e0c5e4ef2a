"""One bare repository, through git's plumbing commands: no work tree, no shell, no hooks, no user configuration."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from threading import Timer
from typing import BinaryIO, NamedTuple, cast

from devstudio_server.kit.errors import AppError
from devstudio_server.scm.errors import (
    BranchMoved,
    GitFailed,
    PatchDoesNotApply,
    RepositoryMissing,
    disk_full,
    git_error,
)

TIMEOUT_S = 60
_FULL_ID = re.compile("[0-9a-f]{40}")
_FULL_BYTES = 64 * 1024  # less free disk than this explains a command that failed without a reason of its own
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""Git's id of the tree without entries."""

_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_LITERAL_PATHSPECS": "1",  # `:a` is a file's name, not a pattern
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
}
# A commit that was acknowledged survives a power cut; names are never quoted; a line end is never changed.
_OPTIONS = (
    "-c", "core.fsync=committed", "-c", "core.quotePath=false", "-c", "core.autocrlf=false",
    "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never", "-c", "gc.auto=0",
    "-c", "core.protectHFS=true", "-c", "core.protectNTFS=true", "-c", "core.symlinks=false",
)  # fmt: skip


@dataclass(frozen=True)
class Author:
    """Who a commit names."""

    name: str
    email: str
    at: datetime | None = None
    """When; the moment of the commit where it is not given."""


class TreeSides(NamedTuple):
    """One path that differs between two trees. A side that is not there has the mode 000000 and an id of zeros."""

    path: str
    old_mode: str
    new_mode: str
    old_blob: str
    new_blob: str


class TreeChange(NamedTuple):
    """What `TreeSides` says, and how much changes; both counts are 0 for a binary file."""

    path: str
    old_mode: str
    new_mode: str
    old_blob: str
    new_blob: str
    additions: int
    deletions: int
    binary: bool


class TreeEntry(NamedTuple):
    """A file, link or submodule of a tree, without its content. ``size`` is in bytes, 0 for a submodule."""

    path: str
    mode: str
    blob: str
    size: int


@dataclass(frozen=True)
class TreeFile:
    """A regular file of a tree."""

    path: str
    executable: bool
    content: bytes


class GitRepository:
    """A bare repository at ``path``. Methods raise `GitFailed` or `StorageFull`; objects are ids in hexadecimal."""

    options: tuple[str, ...] = ()
    """Further options of every command."""

    def __init__(self, path: Path) -> None:
        """Work on the repository at ``path``, which need not exist yet."""
        self.path = path

    def create(self, branch: str) -> str:
        """Create the repository with one empty commit on ``branch``, unless it exists; return the commit."""
        if not (self.path / "HEAD").exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._run(
                "init", "--bare", "--quiet", "--template=", f"--initial-branch={branch}", str(self.path), bare=False
            )
        head = self.head(branch)
        if head is None:
            self.write_empty_tree()
            head = self.commit(EMPTY_TREE, (), "Create the project", Author("RENUM DevStudio", "devstudio@localhost"))
            self.move_branch(branch, head, None)
        return head

    def write_empty_tree(self) -> None:
        """Store the empty tree as an object."""
        self._run("mktree", stdin=b"")

    def head(self, branch: str) -> str | None:
        """Return the commit of ``branch``, or None when there is no such branch."""
        result = self._run("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}", check=False)
        return result.stdout.decode().strip() or None if result.returncode == 0 else None

    def require_head(self, branch: str) -> str:
        """Return the commit of ``branch``; raises `RepositoryMissing`."""
        head = self.head(branch)
        if head is None:
            raise RepositoryMissing(f"The project's repository, or its branch {branch}, is not there. Restore it.")
        return head

    def find_commit(self, commit: str) -> str | None:
        """Return ``commit``, a full id, when it is one that a branch has; None otherwise."""
        found = self._run("for-each-ref", "--count=1", f"--contains={commit}", "refs/heads/", check=False)
        return commit if found.returncode == 0 and found.stdout.strip() else None

    def is_branch_name(self, branch: str) -> bool:
        """Tell whether git takes ``branch`` as the name of a branch."""
        return (
            not branch.startswith("-")
            and "\0" not in branch
            and self._run("check-ref-format", "--branch", branch, check=False).returncode == 0
        )

    def tree(self, commit: str) -> str:
        """Return the tree of ``commit``. What a full id names never changes, so git is asked once."""
        return _tree_of(self.path, commit) if _FULL_ID.fullmatch(commit) else self.resolve(f"{commit}^{{tree}}")

    def resolve(self, name: str) -> str:
        """Return the id of the object that ``name`` means now; raises `GitFailed`."""
        return self._text("rev-parse", "--verify", name)

    def parent_tree(self, commit: str) -> str:
        """Return the tree of the first parent of ``commit``, the empty tree when it has none."""
        result = self._run("rev-parse", "--verify", "--quiet", f"{commit}^1^{{tree}}", check=False)
        return result.stdout.decode().strip() if result.returncode == 0 else EMPTY_TREE

    def files(self, tree: str) -> list[str]:
        """List the paths of all files of ``tree``, sorted."""
        listing = self._run("ls-tree", "-r", "-z", "--name-only", "--full-tree", tree).stdout
        return [name.decode("utf-8", "surrogateescape") for name in listing.split(b"\0") if name]

    def read(self, tree: str, path: str) -> bytes | None:
        """Return the bytes of the file at ``path``, or None when there is none."""
        listing = self._run("ls-tree", "-z", "--full-tree", tree, "--", path).stdout
        entry, _, name = listing.rstrip(b"\0").partition(b"\t")
        if name != path.encode("utf-8", "surrogateescape"):
            return None  # nothing is there; `folder/` lists what is in the folder
        _mode, kind, blob = entry.decode().split()
        return self._run("cat-file", "blob", blob).stdout if kind == "blob" else None

    def contents(self, tree: str) -> list[TreeFile]:
        """Return every regular file of ``tree``, its bytes exactly as stored: no attribute changes or drops one."""
        rows = self._run("ls-tree", "-r", "-z", "--full-tree", tree).stdout.split(b"\0")
        files = [file for row in rows if row and (file := _tree_row(row)) is not None]
        wanted = "".join(f"{blob}\n" for _mode, blob, _path in files).encode()
        stream = io.BytesIO(self._run("cat-file", "--batch", stdin=wanted).stdout)
        return [TreeFile(path, mode == "100755", _next_blob(stream)) for mode, _blob, path in files]

    def listing(self, tree: str) -> list[TreeEntry]:
        """Return every entry below ``tree``, sorted by path as git sorts; no content is read."""
        rows = self._run("ls-tree", "-r", "-l", "-z", "--full-tree", tree).stdout.decode("utf-8", "surrogateescape")
        return [_listed(row) for row in rows.split("\0") if row]

    def blobs(self, blobs: Iterable[str]) -> Iterator[bytes | None]:
        """Yield the bytes of each blob in turn, from one process; None for what is no blob of this repository.

        A blob is named by its id, or as `<commit>:<path>`.
        """
        ids = list(blobs)
        with tempfile.TemporaryFile() as wanted:
            wanted.write("".join(f"{blob}\0" for blob in ids).encode("utf-8", "surrogateescape"))
            wanted.seek(0)
            command = ["git", f"--git-dir={self.path}", *_OPTIONS, "cat-file", "--batch", "--buffer", "-z"]
            with subprocess.Popen(
                command, stdin=wanted, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment(), cwd="/"
            ) as process:
                killer = Timer(TIMEOUT_S, process.kill)
                killer.start()
                try:
                    yield from _batch(cast("BinaryIO", process.stdout), ids)
                finally:
                    killer.cancel()
                    process.kill()  # who asked may have stopped asking

    def raw(self, kind: str, object_id: str) -> bytes:
        """Return a commit's, tree's or blob's bytes as git hashes them."""
        return self._run("cat-file", kind, object_id).stdout

    def sizes(self, objects: Iterable[str]) -> dict[str, int]:
        """Return the size in bytes of each of ``objects`` that is there; no content is read."""
        wanted = "".join(f"{each}\n" for each in objects).encode()
        rows = (row.split() for row in self._run("cat-file", "--batch-check", stdin=wanted).stdout.decode().split("\n"))
        return {row[0]: int(row[2]) for row in rows if len(row) == 3}  # noqa: PLR2004 - id, kind and size

    def change(self, tree: str, files: Mapping[str, bytes | None]) -> str:
        """Return the tree that ``tree`` becomes when ``files`` are written, and those that are None removed."""
        modes = self.modes(tree, list(files))
        with self._index(tree) as index:
            blobs = self._store([content for content in files.values() if content is not None])
            lines = [_index_line(path, modes.get(path, "100644"), blobs, content) for path, content in files.items()]
            self._run("update-index", "-z", "--index-info", stdin=b"".join(lines), index=index)
            return self._text("write-tree", index=index)

    def modes(self, tree: str, paths: Sequence[str]) -> dict[str, str]:
        """Return the mode of what is at each of ``paths``; what is not there is left out."""
        if not paths:
            return {}
        rows = self._run("ls-tree", "-z", "--full-tree", tree, "--", *paths).stdout.split(b"\0")
        named = (row.decode("utf-8", "surrogateescape").split("\t", 1) for row in rows if row)
        return {path: entry.split()[0] for entry, path in named}

    def _store(self, contents: Sequence[bytes]) -> Iterator[str]:
        """Store blobs with one process, and return their ids in turn."""
        with tempfile.TemporaryDirectory(prefix="devstudio-blobs-") as folder:
            for number, content in enumerate(contents):
                (Path(folder) / str(number)).write_bytes(content)
            names = "".join(f"{folder}/{number}\n" for number in range(len(contents))).encode()
            stored = self._run("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=names).stdout.decode()
        return iter(stored.split())

    def diff(self, old: str, new: str) -> bytes:
        """Return the unified diff between two trees, in the form that `apply` takes."""
        options = ("--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv")
        return self._run("diff-tree", "-p", "-r", *options, old, new).stdout  # fmt: skip

    def sides(self, old: str, new: str) -> list[TreeSides]:
        """Return both sides of what differs between two trees, or commits, by path; no content is read."""
        options = ("--no-renames", "--no-ext-diff", "--no-textconv", "--no-abbrev")
        out = self._run("diff-tree", "-r", "-z", "--raw", *options, old, new).stdout.decode("utf-8", "surrogateescape")
        fields = iter(out.split("\0")[:-1])
        return [TreeSides(next(fields), *row[1:].split()[:4]) for row in fields]

    def changes(self, old: str, new: str) -> list[TreeChange]:
        """Return what differs between two trees, by path; one process, however many files there are."""
        options = ("--no-renames", "--no-ext-diff", "--no-textconv", "--no-abbrev")
        out = self._run("diff-tree", "-r", "-z", "--raw", "--numstat", *options, old, new).stdout
        return _tree_changes(out.decode("utf-8", "surrogateescape").split("\0"))

    def apply(self, tree: str, diff: bytes) -> str:
        """Return the tree that ``diff`` makes of ``tree``; raises `PatchDoesNotApply`. No work tree is touched."""
        with self._index(tree) as index:
            result = self._run("apply", "--cached", "--whitespace=nowarn", "-", stdin=diff, index=index, check=False)
            if result.returncode != 0:
                raise PatchDoesNotApply(
                    f"{first_error(result.stderr)}. The branch changed since the patch was made; rebase the patch, or "
                    "generate it again."
                )
            return self._text("write-tree", index=index)

    def commit(self, tree: str, parents: tuple[str, ...], message: str, author: Author) -> str:
        """Store a commit and return its id; with the author's ``at``, the same again for the same. No branch moves."""
        arguments = [item for parent in parents for item in ("-p", parent)]
        return self._text("commit-tree", tree, *arguments, stdin=message.encode("utf-8", "replace"), author=author)

    def move_branch(self, branch: str, new: str, old: str | None) -> None:
        """Move ``branch`` from ``old`` to ``new`` at once; raises `BranchMoved` when it is no longer at ``old``."""
        expected = old if old is not None else "0" * 40
        result = self._run("update-ref", f"refs/heads/{branch}", new, expected, check=False)
        if result.returncode == 0:
            return
        text = result.stderr.decode("utf-8", "replace")
        if self.head(branch) != old:
            raise BranchMoved(
                f"The branch {branch} moved while the patch was tested; nothing was committed. Apply it again."
            )
        raise self._failure("update-ref", text)

    def contains(self, branch: str, commit: str) -> bool:
        """Tell whether ``commit`` is in the history of ``branch``."""
        return self._run("merge-base", "--is-ancestor", commit, f"refs/heads/{branch}", check=False).returncode == 0

    def keep(self, name: str, commit_or_tree: str) -> None:
        """Keep an object from being collected, under ``refs/devstudio/<name>``."""
        self._run("update-ref", f"refs/devstudio/{name}", commit_or_tree)

    @contextmanager
    def _index(self, tree: str) -> Iterator[Path]:
        """Yield a temporary index that holds ``tree``."""
        with tempfile.TemporaryDirectory(prefix="devstudio-index-") as folder:
            index = Path(folder) / "index"
            self._run("read-tree", tree, index=index)
            yield index

    def _text(
        self, *arguments: str, stdin: bytes = b"", index: Path | None = None, author: Author | None = None
    ) -> str:
        return self._run(*arguments, stdin=stdin, index=index, author=author).stdout.decode().strip()

    def _run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        index: Path | None = None,
        author: Author | None = None,
        check: bool = True,
        bare: bool = True,
        work_tree: Path | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        environment = _environment()
        if index is not None:
            environment["GIT_INDEX_FILE"] = str(index)
        if author is not None:
            for role in ("AUTHOR", "COMMITTER"):
                environment |= {f"GIT_{role}_NAME": author.name, f"GIT_{role}_EMAIL": author.email}
                if author.at is not None:
                    environment[f"GIT_{role}_DATE"] = f"{int(author.at.timestamp())} +0000"
        where = [f"--git-dir={self.path}"] if bare else []
        if work_tree is not None:
            where.append(f"--work-tree={work_tree}")
        command = ["git", *where, *_OPTIONS, *self.options, *arguments]
        result = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            env=environment,
            timeout=TIMEOUT_S,
            check=False,
            cwd=work_tree or "/",
        )
        if check and result.returncode != 0:
            raise self._failure(arguments[0], result.stderr.decode("utf-8", "replace"))
        return result

    def _failure(self, command: str, stderr: str) -> AppError:
        """Return the error that a failed command means; git does not always say that the disk is full."""
        error = git_error(command, stderr)
        if isinstance(error, GitFailed) and self.path.exists() and shutil.disk_usage(self.path).free < _FULL_BYTES:
            return disk_full()
        return error


@lru_cache(maxsize=1024)
def _tree_of(repository: Path, commit: str) -> str:
    return GitRepository(repository).resolve(f"{commit}^{{tree}}")


def _environment() -> dict[str, str]:
    return {**_ENVIRONMENT, "PATH": os.environ.get("PATH", os.defpath)}


def _listed(row: str) -> TreeEntry:
    entry, path = row.split("\t", 1)
    mode, _kind, blob, size = entry.split()
    return TreeEntry(path, mode, blob, 0 if size == "-" else int(size))


def _batch(stream: BinaryIO, names: Sequence[str]) -> Iterator[bytes | None]:
    """Read the objects ``names`` as ``cat-file --batch`` writes them; raises `GitFailed` when it ends before."""
    for name in names:
        line = stream.readline()
        if line == name.encode("utf-8", "surrogateescape") + b" missing\n":
            yield None
            continue
        header = line.split()
        size = int(header[2]) if header else 0
        content = stream.read(size + 1)
        if len(content) != size + 1:
            raise GitFailed("git cat-file ended before it had told every file.")
        yield content[:-1] if header[1] == b"blob" else None


def _index_line(path: str, mode: str, blobs: Iterator[str], content: bytes | None) -> bytes:
    """Return what `update-index --index-info` takes; the next of ``blobs`` is that of ``content``."""
    told = f"0 {'0' * 40}" if content is None else f"{mode} {next(blobs)}"
    return told.encode() + b"\t" + path.encode("utf-8", "surrogateescape") + b"\0"


def first_error(stderr: bytes) -> str:
    """Return the line of what git wrote that says what is wrong."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
    return next((line for line in lines if line.startswith("error: ")), lines[0]).removeprefix("error: ")


def _tree_changes(rows: Sequence[str]) -> list[TreeChange]:
    """Read what `diff-tree --raw --numstat -z` writes: pairs of what and where, and then the counts of each path."""
    raw: dict[str, list[str]] = {}
    found = []
    fields = iter(rows)
    for row in fields:
        if row.startswith(":"):
            raw[next(fields)] = row[1:].split()
        elif row:
            additions, deletions, path = row.split("\t", 2)
            binary = additions == "-"
            counts = (0, 0) if binary else (int(additions), int(deletions))
            old_mode, new_mode, old_blob, new_blob = raw[path][:4]
            found.append(TreeChange(path, old_mode, new_mode, old_blob, new_blob, *counts, binary))
    return found


def _tree_row(row: bytes) -> tuple[str, str, str] | None:
    """Return mode, blob and path of a regular file; links and submodules are none."""
    entry, path = row.decode("utf-8", "surrogateescape").split("\t", 1)
    mode, _kind, blob = entry.split()
    return (mode, blob, path) if mode in {"100644", "100755"} else None


def _next_blob(stream: io.BytesIO) -> bytes:
    """Read one object as ``cat-file --batch`` writes it: a header line with the size, the bytes, a line break."""
    size = int(stream.readline().split()[2])
    content = stream.read(size)
    stream.read(1)
    return content
