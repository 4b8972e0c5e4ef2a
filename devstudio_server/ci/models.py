"""The table of the integrations with git hosts."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db import VersionedRow


class CiIntegration(VersionedRow):
    """How a project's pipeline is reached. ``credentials_encrypted`` never leaves the server."""

    __tablename__ = "ds_ci_integrations"
    __subject__ = "ci_integration"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("ds_projects.id"), index=True)
    provider: Mapped[str] = mapped_column(String(20))
    pipeline_ref: Mapped[str | None] = mapped_column(String(200))
    branch: Mapped[str] = mapped_column(String(100), default="main")
    webhook_url: Mapped[str | None] = mapped_column(String(500))
    credentials_encrypted: Mapped[str | None] = mapped_column(Text)
    last_build_status: Mapped[str | None] = mapped_column(String(20))
    last_build_at: Mapped[datetime | None]
