"""Git's objects for a bundle: those from which commit, trees and changed files can be worked out again, and no more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from devstudio_evidence import git_objects
from devstudio_evidence.git_objects import Change
from devstudio_server.evidence.redaction import HiddenFiles, LeftOut
from devstudio_server.scm import GitRepository

MOST_BLOB_BYTES = 4 * 1024 * 1024
"""What a file may have to come along; the diff is there all the same."""
MOST_BYTES = 96 * 1024 * 1024
"""What all objects may have together."""


class _Trees(Mapping[str, bytes]):
    """The trees of a repository, read when they are asked for, and kept: they are what a verifier will need, too."""

    def __init__(self, repository: GitRepository) -> None:
        self._repository = repository
        self.read: dict[str, bytes] = {}

    def __getitem__(self, tree: str) -> bytes:
        if tree not in self.read:
            self.read[tree] = self._repository.raw("tree", tree)
        return self.read[tree]

    def __contains__(self, tree: object) -> bool:
        return isinstance(tree, str)

    def __iter__(self) -> Iterator[str]:
        return iter(self.read)

    def __len__(self) -> int:
        return len(self.read)


@dataclass
class Objects:
    """The objects of one repository that go into a bundle, by member."""

    repository: GitRepository
    hidden: HiddenFiles
    left_out: LeftOut
    members: dict[str, bytes] = field(default_factory=dict)
    _size: int = 0

    def add_commit(self, commit: str) -> bytes:
        """Take a commit along; return its bytes."""
        content = self.repository.raw("commit", commit)
        why = self.hidden.why_secret("", content)
        if why is None:
            self._add(f"commits/{commit}", content)
        else:
            self.left_out.note(f"commits/{commit}", why)
        return content

    def add_difference(self, old: str, new: str) -> list[Change]:
        """Take along the trees that tell what differs between two trees, and the files on both sides; return what."""
        trees = _Trees(self.repository)
        changes = git_objects.changes(trees, old, new)
        for tree, content in trees.read.items():
            self._add(f"trees/{tree}", content)
        wanted: dict[str, str] = {}
        for change in changes:
            for side in (change.old, change.new):
                if side is not None and side.mode != "160000":
                    wanted.setdefault(side.id, change.path)
        self._add_blobs(wanted)
        return changes

    def _add_blobs(self, wanted: Mapping[str, str]) -> None:
        sizes = self.repository.sizes(wanted)
        fitting = []
        for blob, path in wanted.items():
            why = self.hidden.why_hidden(path)
            if why is None and sizes.get(blob, 0) > MOST_BLOB_BYTES:
                why = f"{path} has {sizes[blob]} bytes; {MOST_BLOB_BYTES} come along at most."
            if why is None:
                fitting.append(blob)
            else:
                self.left_out.note(f"blobs/{blob}", why)
        for blob, content in zip(fitting, self.repository.blobs(fitting), strict=True):
            if content is None:
                self.left_out.note(f"blobs/{blob}", "It is not in the repository.")
                continue
            why = self.hidden.why_secret(wanted[blob], content)
            if why is None:
                self._add(f"blobs/{blob}", content)
            else:
                self.left_out.note(f"blobs/{blob}", why)

    def _add(self, member: str, content: bytes) -> None:
        if member in self.members:
            return
        if self._size + len(content) > MOST_BYTES:
            self.left_out.note(member, f"The objects have more than {MOST_BYTES} bytes together.")
            return
        self._size += len(content)
        self.members[member] = content
