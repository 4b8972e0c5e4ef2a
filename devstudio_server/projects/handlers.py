"""HTTP of projects."""

from __future__ import annotations

from uuid import UUID

from devstudio_server.auth import Permission
from devstudio_server.projects.schemas import ProjectCreate, ProjectQuery, ProjectRead, ProjectUpdate
from devstudio_server.projects.service import ProjectService
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.web import Call, ListPage, Operations
from devstudio_server.web.schemas import list_page

operations = Operations("projects")


def _service(call: Call) -> ProjectService:
    return ProjectService(call.session, call.actor, call.port(GitStorage), call.port(WorkspaceStorage))


@operations.operation("POST", "projects", permission=Permission.SPEC_CREATE, status=201, summary="Create a project")
def create_project(call: Call, body: ProjectCreate) -> ProjectRead:
    """Create a project with an empty git repository."""
    return ProjectRead.model_validate(_service(call).create(body))


@operations.operation("GET", "projects", permission=Permission.SPEC_READ, summary="List projects")
def list_projects(call: Call, query: ProjectQuery) -> ListPage[ProjectRead]:
    """List the tenant's projects, newest first."""
    return list_page(ProjectRead, _service(call).list(query))


@operations.operation("GET", "projects/{project_id}", permission=Permission.SPEC_READ, summary="Get a project")
def get_project(call: Call, project_id: UUID) -> ProjectRead:
    """Return one project."""
    return ProjectRead.model_validate(_service(call).get(project_id))


@operations.operation("PUT", "projects/{project_id}", permission=Permission.SPEC_UPDATE, summary="Change a project")
def update_project(call: Call, project_id: UUID, body: ProjectUpdate) -> ProjectRead:
    """Change what is given; archive with `status: archived`."""
    return ProjectRead.model_validate(_service(call).update(project_id, body, call.if_match))


@operations.operation("DELETE", "projects/{project_id}", permission=Permission.SPEC_DELETE, summary="Delete a project")
def delete_project(call: Call, project_id: UUID) -> None:
    """Take a project out of sight; nothing on disk is removed."""
    _service(call).delete(project_id, call.if_match)
