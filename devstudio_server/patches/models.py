"""The tables of patches and approvals."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, ForeignKey, Integer, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db import TenantRow, VersionedRow
from devstudio_server.patches import replay_models  # noqa: F401 - its tables belong to those of patches
from devstudio_server.patches.review_models import PatchContributor, ReviewPolicy
from devstudio_server.patches.schemas import PatchOrigin, PatchStatus, RevisionReason

__all__ = ["Approval", "Patch", "PatchContributor", "PatchRevision", "ReviewPolicy"]


class Patch(VersionedRow):
    """A commit-to-be: ``base`` commit, the diff, and the digest that names its bytes.

    ``branch`` is where it is meant to go. `PatchService.revise` alone changes bytes, base and branch, and counts them
    in ``revision``.
    """

    __tablename__ = "ds_patches"
    __subject__ = "patch"

    task_id: Mapped[UUID] = mapped_column(ForeignKey("ds_tasks.id"), index=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("ds_projects.id"), index=True)
    patch_content: Mapped[str] = mapped_column(Text)
    signature: Mapped[str | None] = mapped_column(String(500))
    envelope: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(20), default=PatchStatus.PENDING)
    summary: Mapped[str] = mapped_column(Text, default="")
    branch: Mapped[str] = mapped_column(String(100), default="main", server_default="main")
    origin: Mapped[str] = mapped_column(
        String(20), default=PatchOrigin.GENERATED, server_default=PatchOrigin.GENERATED.value
    )
    reverts: Mapped[UUID | None]
    revision: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
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
    rejected_by: Mapped[UUID | None]
    applied_at: Mapped[datetime | None]
    commit: Mapped[str | None] = mapped_column(String(64))
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("ds_runs.id"))


class PatchRevision(TenantRow):
    """What a patch was at one time, and who made it so. The newest is what the patch is now.

    It is written in the unit that changes the patch, whose change is told and audited.
    """

    __tablename__ = "ds_patch_revisions"
    __table_args__ = (UniqueConstraint("patch_id", "number"),)

    patch_id: Mapped[UUID] = mapped_column(ForeignKey("ds_patches.id"))
    number: Mapped[int] = mapped_column(Integer)
    reason: Mapped[str] = mapped_column(String(20), default=RevisionReason.CREATED)
    patch_content: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64))
    branch: Mapped[str] = mapped_column(String(100))
    base: Mapped[str] = mapped_column(String(64))
    result_tree: Mapped[str] = mapped_column(String(64))
    files: Mapped[list[Any]] = mapped_column(default=list)
    author_id: Mapped[UUID]
    author_name: Mapped[str] = mapped_column(String(200), default="")


class Approval(TenantRow):
    """Someone approved the bytes that ``digest`` names, as ``revision`` of the patch: an older one counts no more.

    The rule of two people reads these rows. ``email`` is what the person had then, ``policy_version`` the policy that
    the approval was given under.
    """

    __tablename__ = "ds_approvals"
    __subject__ = "approval"

    patch_id: Mapped[UUID] = mapped_column(ForeignKey("ds_patches.id"), index=True)
    user_id: Mapped[UUID]
    user_name: Mapped[str] = mapped_column(String(200), default="")
    digest: Mapped[str] = mapped_column(String(64))
    revision: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    self_reviewed: Mapped[bool] = mapped_column(Boolean, default=False)
    envelope: Mapped[str | None] = mapped_column(Text)
    email: Mapped[str] = mapped_column(String(320), default="", server_default=text("''"))
    policy_version: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    expires_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
