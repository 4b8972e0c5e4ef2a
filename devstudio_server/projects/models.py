"""The table of projects."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db import VersionedRow
from devstudio_server.projects.schemas import ProjectStatus

DEFAULT_BRANCH = "main"


class Project(VersionedRow):
    """One project of a tenant."""

    __tablename__ = "ds_projects"
    __subject__ = "project"

    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str | None] = mapped_column(Text)
    type: Mapped[str] = mapped_column(String(50))
    template: Mapped[str] = mapped_column(String(50))
    repo: Mapped[str | None] = mapped_column(String(500))
    provider: Mapped[str | None] = mapped_column(String(20))
    created_by: Mapped[UUID]
    status: Mapped[str] = mapped_column(String(20), default=ProjectStatus.ACTIVE)
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    default_branch: Mapped[str] = mapped_column(String(100), default=DEFAULT_BRANCH)

    @property
    def path(self) -> str:
        """The folder of the project's tree below the tenant's workspace; made from the id, never from text."""
        return str(self.id)
