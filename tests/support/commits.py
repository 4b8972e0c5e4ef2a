"""Commits to a project of a running server, as someone else's push would make them."""

from __future__ import annotations

from collections.abc import Mapping

from devstudio_server.scm.git import Author, GitRepository
from support.studio import Studio


def commit_files(studio: Studio, project_id: str, files: Mapping[str, str | None], branch: str = "main") -> str:
    """Put ``files`` on top of a branch, those that are None away; return the commit."""
    repository = GitRepository(next(studio.data_dir.glob(f"repositories/*/{project_id}.git")))
    head = repository.head(branch)
    base = head or repository.require_head("main")
    changed = {path: None if text is None else text.encode() for path, text in files.items()}
    tree = repository.change(repository.tree(base), changed)
    commit = repository.commit(tree, (base,), "Change files", Author("Someone", "someone@example.org"))
    repository.move_branch(branch, commit, head)
    return commit
