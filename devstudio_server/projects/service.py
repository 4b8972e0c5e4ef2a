"""The rules of projects."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import Actor, after_commit, check_version
from devstudio_server.kit.errors import AppError
from devstudio_server.kit.logging import get_logger
from devstudio_server.kit.pagination import Page, page_of
from devstudio_server.projects.errors import ProjectArchived, ProjectNotFound
from devstudio_server.projects.models import Project
from devstudio_server.projects.repository import ProjectRepository
from devstudio_server.projects.schemas import (
    ProjectCreate,
    ProjectQuery,
    ProjectStatus,
    ProjectTemplate,
    ProjectUpdate,
)
from devstudio_server.scm import GitRepository, GitStorage
from devstudio_server.scm.checkout import checkout
from devstudio_server.scm.workspace import WorkspaceStorage, WorkspaceTree

_log = get_logger("projects")


class ProjectService:
    """Creates, changes and removes projects, their repositories and their trees."""

    def __init__(self, session: Session, actor: Actor, git: GitStorage, workspaces: WorkspaceStorage) -> None:
        """Work in ``session`` for ``actor``."""
        self._projects = ProjectRepository(session)
        self._session = session
        self._actor = actor
        self._git = git
        self._workspaces = workspaces

    def create(self, payload: ProjectCreate) -> Project:
        """Create a project with an empty repository and an empty tree."""
        project = self._projects.add(
            Project(
                name=payload.name,
                description=payload.description,
                type=payload.type,
                template=payload.template or ProjectTemplate.PYTHON,
                created_by=self._actor.user_id,
            )
        )
        # Before the commit: a project without a repository must not exist. A repository without a project is harmless.
        self.repository(project).create(project.default_branch)
        after_commit(self._session, self.tree(project).create)
        return project

    def get(self, project_id: UUID) -> Project:
        """Return a project; raises `ProjectNotFound`."""
        project = self._projects.find(project_id)
        if project is None:
            raise ProjectNotFound(project_id)
        return project

    def get_writable(self, project_id: UUID) -> Project:
        """Return a project that may be changed; raises `ProjectArchived` as well."""
        project = self.get(project_id)
        if project.status == ProjectStatus.ARCHIVED:
            raise ProjectArchived(project.name)
        return project

    def list(self, query: ProjectQuery) -> Page[Project]:
        """Return one page of projects, newest first."""
        rows = self._projects.list(query.page(), status=query.status, kind=query.type)
        return page_of(rows, query.limit, lambda project: project.id)

    def update(self, project_id: UUID, payload: ProjectUpdate, expected: int | None) -> Project:
        """Change a project; raises `PreconditionFailed` when ``expected`` is stale."""
        project = self.get(project_id)
        check_version(project, expected)
        changes = payload.model_dump(exclude_unset=True, exclude_none=True)
        if "metadata" in changes:
            project.metadata_ = changes.pop("metadata")
        for name, value in changes.items():
            setattr(project, name, value)
        project.version += 1
        self._session.flush()
        return project

    def delete(self, project_id: UUID, expected: int | None) -> None:
        """Take a project out of sight. Its repository and tree stay on disk until an operator removes them."""
        project = self.get(project_id)
        check_version(project, expected)
        project.status = ProjectStatus.DELETED
        project.version += 1

    def check_out(self, project_id: UUID, commit: str, paths: Sequence[str]) -> None:
        """Show a commit's version of ``paths`` in the project's tree. A failure is logged: git is the truth.

        A file that a person changed in the tree is left alone: only what equals the commit before is replaced.
        """
        project = self.get(project_id)
        try:
            kept = checkout(self.repository(project), self.tree(project), commit, paths)
        except (OSError, AppError) as error:
            _log.error("check_out_failed", commit=commit, exc_info=error)
        else:
            if kept:
                _log.warning("edited_files_left_alone", commit=commit, paths=kept)

    def repository_of(self, project_id: UUID) -> GitRepository:
        """Return the repository of a project that may have been deleted meanwhile."""
        return self._git.repository(self._actor.tenant_id, project_id)

    def repository(self, project: Project) -> GitRepository:
        """Return the bare repository of ``project``."""
        return self._git.repository(project.tenant_id or self._actor.tenant_id, project.id)

    def tree(self, project: Project) -> WorkspaceTree:
        """Return the tree of ``project`` in the workspace."""
        return self._workspaces.tree(project.tenant_id or self._actor.tenant_id, project.id)
