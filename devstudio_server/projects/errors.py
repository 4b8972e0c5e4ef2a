"""What can go wrong with a project."""

from __future__ import annotations

from uuid import UUID

from devstudio_server.kit.errors import Conflict, NotFound


class ProjectNotFound(NotFound):
    """No such project in this tenant."""

    def __init__(self, project_id: UUID) -> None:
        """Name the id that was asked for."""
        super().__init__(f"There is no project {project_id}. `GET /api/v1/projects` lists those that you can see.")


class ProjectArchived(Conflict):
    """An archived project is read-only."""

    def __init__(self, name: str) -> None:
        """Say how to go on."""
        super().__init__(f"The project “{name}” is archived. Set its status to `active` before you change it.")
