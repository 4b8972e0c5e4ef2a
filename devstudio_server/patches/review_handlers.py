"""HTTP of reviews: the policy of a project, and taking an approval back."""

from __future__ import annotations

from uuid import UUID

from devstudio_server.auth import Permission
from devstudio_server.kit.errors import Conflict
from devstudio_server.patches.policy_schemas import PolicyRead, PolicyWrite
from devstudio_server.patches.review import ReviewService
from devstudio_server.patches.schemas import PatchRead
from devstudio_server.web import Call, Operations

operations = Operations("code")


def _review(call: Call) -> ReviewService:
    return ReviewService(call.session, call.actor, call.ports)


@operations.operation(
    "POST",
    "code/patches/{patch_id}/withdraw",
    permission=Permission.CODE_APPROVE,
    summary="Withdraw one's approval of a patch",
    errors=(Conflict,),
)
def withdraw_approval(call: Call, patch_id: UUID) -> PatchRead:
    """Take back one's own approval; the patch is pending again when those of others are too few."""
    return _review(call).withdraw(patch_id)


@operations.operation(
    "GET",
    "projects/{project_id}/review-policy",
    permission=Permission.SPEC_READ,
    summary="Get the review policy of a project",
)
def get_review_policy(call: Call, project_id: UUID) -> PolicyRead:
    """Return which branches are protected, and whose approvals they need; the defaults until someone sets them."""
    review = _review(call)
    return review.policies.get(review.patches.specs.projects.get(project_id))


@operations.operation(
    "PUT",
    "projects/{project_id}/review-policy",
    permission=Permission.POLICY_UPDATE,
    summary="Set the review policy of a project",
    errors=(Conflict,),
)
def put_review_policy(call: Call, project_id: UUID, body: PolicyWrite) -> PolicyRead:
    """Set it all. It holds at once, for patches that are approved or being applied, too."""
    review = _review(call)
    return review.set_policy(review.patches.specs.projects.get_writable(project_id), body, call.if_match)
