"""The tables of who worked on a patch, and of what projects ask of a review."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db import TenantRow, VersionedRow


class PatchContributor(TenantRow):
    """Someone had a hand in a patch: wrote it, edited it, or prompted the model that did.

    ``user_name`` and ``email`` are what they were called then; whoever comes under another address is noted again.
    """

    __tablename__ = "ds_patch_contributors"
    __subject__ = "contributor"
    __table_args__ = (UniqueConstraint("patch_id", "user_id", "role", "email"),)

    patch_id: Mapped[UUID] = mapped_column(ForeignKey("ds_patches.id"))
    user_id: Mapped[UUID]
    user_name: Mapped[str] = mapped_column(String(200), default="")
    email: Mapped[str] = mapped_column(String(320), default="")
    role: Mapped[str] = mapped_column(String(20))


class ReviewPolicy(VersionedRow):
    """What a project asks of the review of its patches."""

    __tablename__ = "ds_review_policies"
    __subject__ = "review_policy"
    __table_args__ = (UniqueConstraint("tenant_id", "project_id"),)

    project_id: Mapped[UUID] = mapped_column(ForeignKey("ds_projects.id"))
    values: Mapped[dict[str, Any]] = mapped_column(default=dict)
