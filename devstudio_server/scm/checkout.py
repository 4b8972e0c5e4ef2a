"""Brings committed files into a project's tree, where people open them."""

from __future__ import annotations

from collections.abc import Sequence

from devstudio_server.scm.git import GitRepository
from devstudio_server.scm.workspace import WorkspaceTree


def checkout(repository: GitRepository, tree: WorkspaceTree, commit: str, paths: Sequence[str]) -> list[str]:
    """Write ``paths`` as ``commit`` has them; return those left alone because someone edited them in the tree."""
    contents = repository.blobs(f"{side}:{path}" for path in paths for side in (commit, f"{commit}^"))
    edited: list[str] = []
    for path, committed, before in zip(paths, contents, contents, strict=True):
        present = tree.read(path)
        ours = present in (None, committed, before)
        if not ours or (present != committed and not _put(tree, path, committed)):
            edited.append(path)
    return edited


def _put(tree: WorkspaceTree, path: str, content: bytes | None) -> bool:
    """Write a file, or remove it; False when a person put something there that is no file, or a link."""
    try:
        if content is None:
            tree.remove(path)
        else:
            tree.write(path, content)
    except (NotADirectoryError, IsADirectoryError):
        return False
    return True
