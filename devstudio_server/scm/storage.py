"""Where the repositories are: `<root>/<tenant id>/<project id>.git`, made of ids only."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from devstudio_server.scm.git import GitRepository


class GitStorage:
    """The bare repositories of all tenants."""

    def __init__(self, root: Path) -> None:
        """Keep them below ``root``."""
        self.root = root

    def repository(self, tenant_id: UUID, project_id: UUID) -> GitRepository:
        """Return the repository of a project, which need not exist yet."""
        return GitRepository(self.root / str(tenant_id) / f"{project_id}.git")
