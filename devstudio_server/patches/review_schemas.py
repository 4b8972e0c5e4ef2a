"""Public shapes of reviews."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from devstudio_server.web.schemas import Shape


class ContributorRead(Shape):
    """Someone had a hand in a patch: as ``author``, ``editor`` or ``prompter``."""

    user_id: UUID
    user_name: str
    roles: list[str]


class ApprovalRead(Shape):
    """Someone approved the bytes named by ``digest``. ``self_reviewed`` marks a contributor's own approval."""

    id: UUID
    user_id: UUID
    user_name: str
    digest: str
    revision: int = Field(description="The patch's `revision` that was approved. Only its newest counts.")
    self_reviewed: bool
    counts: bool = Field(description="Whether it counts now.")
    void_reason: str | None = Field(description="Why it does not.")
    expires_at: datetime
    withdrawn_at: datetime | None
    created_at: datetime


class ReviewRead(Shape):
    """How far a review is, and whether the approval of who asks would count."""

    required_approvals: int = Field(description="0: any one approval does, the author's own, too.")
    counted: int
    missing: int
    protected: bool = Field(description="Whether the project's policy protects the patch's branch.")
    may_approve: bool
    why_not: str | None
