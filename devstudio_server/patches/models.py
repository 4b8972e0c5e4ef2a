"""The tables of patches and approvals."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, ForeignKey, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db import TenantRow, VersionedRow
from devstudio_server.patches.schemas import PatchStatus


class Patch(VersionedRow):
    """A commit-to-be: ``base`` commit, the diff, and the digest that names its bytes."""

    __tablename__ = "ds_patches"
    __subject__ = "patch"

    task_id: Mapped[UUID] = mapped_column(ForeignKey("ds_tasks.id"), index=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("ds_projects.id"), index=True)
    patch_content: Mapped[str] = mapped_column(Text)
    signature: Mapped[str | None] = mapped_column(String(500))
    status: Mapped[str] = mapped_column(String(20), default=PatchStatus.PENDING)
    summary: Mapped[str] = mapped_column(Text, default="")
    base: Mapped[str] = mapped_column(String(64))
    result_tree: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64))
    files: Mapped[list[Any]] = mapped_column(default=list)
    warnings: Mapped[list[Any]] = mapped_column(default=list)
    rounds: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    tested: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    stopped: Mapped[str | None] = mapped_column(String(20))
    model: Mapped[str] = mapped_column(String(200), default="")
    provider: Mapped[str] = mapped_column(String(20), default="")
    created_by: Mapped[UUID]
    approved_by: Mapped[UUID | None]
    rejected_reason: Mapped[str | None] = mapped_column(Text)
    applied_at: Mapped[datetime | None]
    commit: Mapped[str | None] = mapped_column(String(64))
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("ds_runs.id"))


class Approval(TenantRow):
    """Someone approved the bytes that ``digest`` names. The rule of two people reads these rows."""

    __tablename__ = "ds_approvals"
    __subject__ = "approval"

    patch_id: Mapped[UUID] = mapped_column(ForeignKey("ds_patches.id"), index=True)
    user_id: Mapped[UUID]
    user_name: Mapped[str] = mapped_column(String(200), default="")
    digest: Mapped[str] = mapped_column(String(64))
    self_reviewed: Mapped[bool] = mapped_column(Boolean, default=False)
