"""All SQL of projects."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from devstudio_server.db import newest_first
from devstudio_server.kit.pagination import PageRequest
from devstudio_server.projects.models import Project
from devstudio_server.projects.schemas import ProjectStatus


class ProjectRepository:
    """Reads and adds projects within one unit of work."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def find(self, project_id: UUID) -> Project | None:
        """Return the project unless it is missing or deleted."""
        query = select(Project).where(Project.id == project_id, Project.status != ProjectStatus.DELETED)
        return self._session.scalars(query).one_or_none()

    def list(self, page: PageRequest, *, status: str | None, kind: str | None) -> Sequence[Project]:
        """Return up to ``page.limit + 1`` projects, newest first."""
        query = select(Project).where(Project.status != ProjectStatus.DELETED)
        if status is not None:
            query = query.where(Project.status == status)
        if kind is not None:
            query = query.where(Project.type == kind)
        return self._session.scalars(newest_first(query, Project, page)).all()

    def add(self, project: Project) -> Project:
        """Store a new project."""
        self._session.add(project)
        self._session.flush()
        return project
