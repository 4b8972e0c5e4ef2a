"""What git says of a patch. What ids name never changes, so it is asked while no unit of work waits for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from devstudio_server.kit.errors import AppError
from devstudio_server.patches.content import digest_of
from devstudio_server.patches.envelope_statements import SignedFile
from devstudio_server.patches.models import Patch
from devstudio_server.scm import GitRepository
from devstudio_server.scm.git import TreeSides


@dataclass(frozen=True)
class Witness:
    """What a repository says that a patch is. ``made`` is the tree that its bytes make, where that was tried."""

    repository: Path
    base: str
    result_tree: str
    digest: str
    base_tree: str
    files: tuple[SignedFile, ...]
    made: str | None = None

    def saw(self, repository: GitRepository, patch: Patch) -> bool:
        """Tell whether this is about the patch as its row is now: the same ids, and the same bytes."""
        seen = (self.repository, self.base, self.result_tree, self.digest)
        return seen == (repository.path, patch.base, patch.result_tree, digest_of(patch.patch_content))


def witness(repository: GitRepository, patch: Patch, *, made: bool = False) -> Witness:
    """Ask git what a patch is, and with ``made`` what its bytes make; raises `GitFailed`, and `PatchDoesNotApply`."""
    base_tree, content = repository.tree(patch.base), patch.patch_content
    return Witness(
        repository=repository.path,
        base=patch.base,
        result_tree=patch.result_tree,
        digest=digest_of(content),
        base_tree=base_tree,
        files=tuple(_files(repository.sides(patch.base, patch.result_tree))),
        made=repository.apply(base_tree, content.encode()) if made else None,
    )


def witness_if_any(repository: GitRepository, patch: Patch, *, made: bool = False) -> Witness | None:
    """Ask git as `witness` does; None when it has no answer, which is for the unit to tell that looks at all else."""
    try:
        return witness(repository, patch, made=made)
    except AppError:
        return None


def _files(changes: Sequence[TreeSides]) -> Iterator[SignedFile]:
    for path, *sides in sorted(changes):
        old_mode, new_mode, old_blob, new_blob = (None if set(side) == {"0"} else side for side in sides)
        kind = "create" if old_blob is None else "delete" if new_blob is None else "update"
        yield SignedFile(
            path=path, change=kind, old_mode=old_mode, new_mode=new_mode, old_blob=old_blob, new_blob=new_blob
        )
