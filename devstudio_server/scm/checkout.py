"""Brings committed files into a project's tree, where people open them."""

from __future__ import annotations

from collections.abc import Sequence

from devstudio_server.scm.git import GitRepository
from devstudio_server.scm.workspace import WorkspaceTree


def checkout(repository: GitRepository, tree: WorkspaceTree, commit: str, paths: Sequence[str]) -> list[str]:
    """Write ``paths`` as ``commit`` has them; return those left alone because someone edited them in the tree."""
    after = repository.tree(commit)
    before = repository.parent_tree(commit)
    edited: list[str] = []
    for path in paths:
        present, committed = tree.read(path), repository.read(after, path)
        if present not in (None, committed, repository.read(before, path)):
            edited.append(path)
        elif committed is None:
            tree.remove(path)
        elif present != committed:
            tree.write(path, committed)
    return edited
