"""How a review is shown."""

from __future__ import annotations

from typing import Any

from devstudio_server.patches.models import Approval, Patch
from devstudio_server.patches.review_rules import OPEN, Standing, end_of
from devstudio_server.patches.review_schemas import ApprovalRead, ContributorRead, ReviewRead
from devstudio_server.patches.schemas import PatchStatus


def review_fields(patch: Patch, standing: Standing) -> dict[str, Any]:
    """Return what the public shape of a patch says of its review. What expired shows at once, whoever wrote last."""
    status = PatchStatus(patch.status)
    if status in OPEN:
        status = PatchStatus.APPROVED if standing.approved else PatchStatus.PENDING
    void = {row.approval.id: row.why for row in standing.void}
    rows = sorted([*standing.approvals, *(row.approval for row in standing.void)], key=lambda row: row.id)
    return {
        "status": status,
        "approvals": [_approval(row, standing, void.get(row.id)) for row in rows],
        "contributors": _contributors(standing),
        "review": ReviewRead(
            required_approvals=standing.required,
            counted=len(standing.approvals),
            missing=standing.missing,
            protected=standing.rule.protected,
            may_approve=standing.may_approve,
            why_not=standing.why_not,
        ),
    }


def _approval(row: Approval, standing: Standing, why: str | None) -> ApprovalRead:
    same = ("id", "user_id", "user_name", "digest", "revision", "self_reviewed", "withdrawn_at", "created_at")
    values = {name: getattr(row, name) for name in same}
    return ApprovalRead(**values, counts=why is None, void_reason=why, expires_at=end_of(row, standing.rule))


def _contributors(standing: Standing) -> list[ContributorRead]:
    names = {row.user_id: row.user_name for row in standing.contributors}
    found: dict[Any, dict[str, None]] = {}
    for row in standing.contributors:
        found.setdefault(row.user_id, {})[row.role] = None
    return [ContributorRead(user_id=user, user_name=names[user], roles=[*roles]) for user, roles in found.items()]
