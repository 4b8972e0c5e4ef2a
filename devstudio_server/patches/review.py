"""The review of patches: exact bytes are approved, by people whose approval counts, or the patch is rejected."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.auth.people import People
from devstudio_server.db import Actor, check_version
from devstudio_server.kit.clock import now
from devstudio_server.patches.content import digest_of
from devstudio_server.patches.errors import (
    BranchMismatch,
    DigestMismatch,
    NothingToWithdraw,
    PatchNotApproved,
    PatchNotPending,
)
from devstudio_server.patches.models import Approval, Patch
from devstudio_server.patches.policy import ReviewPolicyService
from devstudio_server.patches.policy_schemas import PolicyRead, PolicyWrite
from devstudio_server.patches.repository import PatchRepository
from devstudio_server.patches.review_rules import OPEN, ReviewRules, Standing
from devstudio_server.patches.schemas import ApproveRequest, PatchRead, PatchStatus
from devstudio_server.patches.service import PatchService
from devstudio_server.projects.models import Project
from devstudio_server.specs.schemas import TaskStatus
from devstudio_server.web import Ports


class ReviewService:
    """Approves, withdraws and rejects, and says whether a patch may be applied.

    Writers of a tenant take turns, so what `require` finds in a unit that writes stays so until that unit ends.
    """

    def __init__(self, session: Session, actor: Actor, ports: Ports) -> None:
        """Work in ``session`` for ``actor``."""
        self._actor = actor
        self._rows = PatchRepository(session)
        self._people = People(session)
        self.patches = PatchService(session, actor, ports)
        self.rules = ReviewRules(session, actor, self.patches.specs.projects)
        self.policies = ReviewPolicyService(session, actor)

    def standing(self, patch: Patch) -> Standing:
        """Return which approvals of a patch count, and what is missing."""
        return self.rules.standing(patch)

    def require(self, patch: Patch, branch: str | None = None) -> Sequence[Approval]:
        """Return the approvals that count; raises when they are too few for the branch, or the patch is for another.

        Called when a patch is asked to be applied, when its run is prepared, and in the unit that moves the branch.
        """
        if branch is not None and branch != patch.branch:
            raise BranchMismatch(f"The patch is approved for the branch {patch.branch}, not for {branch}.")
        if patch.status not in OPEN:
            raise PatchNotApproved(f"The patch is {patch.status}. Only an approved patch is applied.")
        standing = self.standing(patch)
        if standing.approved:
            return standing.approvals
        digest = digest_of(patch.patch_content)
        if patch.status == PatchStatus.APPROVED and not any(row.digest == digest for row in self._all(patch)):
            raise DigestMismatch("No approval names the bytes that this patch has now, so it was not applied.")
        reasons = "".join(f" {row.approval.user_name or 'Someone'}'s approval is void: {row.why}" for row in standing.void)
        needed = f"{len(standing.approvals)} of {standing.rule.needed} approvals count"
        raise PatchNotApproved(f"The patch is pending: {needed}. Only an approved patch is applied.{reasons}")

    def approve(self, patch_id: UUID, asked: ApproveRequest, expected: int | None = None) -> PatchRead:
        """Approve the bytes that the digest names.

        Raises `DigestMismatch` when the patch has other bytes or, if one is named, another revision; `OwnPatch` when the
        actor had a hand in it, unless the policy does without a second person; `ApprovalWouldNotCount`.
        """
        patch = self._open(patch_id)
        digest = digest_of(patch.patch_content)
        if asked.digest.removeprefix("sha256:").lower() != digest:
            raise DigestMismatch("The digest is not this patch's, so nothing was approved. Look at the preview again.")
        if asked.revision not in {None, patch.revision}:
            message = f"The patch is at revision {patch.revision} now, so nothing was approved. Look at the preview again."
            raise DigestMismatch(message)
        check_version(patch, expected)
        standing = self.standing(patch)
        if standing.obstacle is not None:
            raise standing.obstacle
        self._rows.add(self._approval(patch, digest, standing))
        self.settle(patch)
        return self.patches.read(patch_id)

    def _approval(self, patch: Patch, digest: str, standing: Standing) -> Approval:
        known = self._people.known([self._actor.user_id]).get(self._actor.user_id)
        at = now()
        return Approval(
            patch_id=patch.id,
            user_id=self._actor.user_id,
            user_name=self._actor.name,
            email=known.email if known else "",
            digest=digest,
            revision=patch.revision,
            self_reviewed=standing.own,
            policy_version=standing.rule.version,
            created_at=at,
            expires_at=at + timedelta(hours=standing.rule.expiry_hours),
        )

    def withdraw(self, patch_id: UUID) -> PatchRead:
        """Take the actor's approvals of a patch back; raises `NothingToWithdraw`."""
        patch = self._open(patch_id)
        mine = [row for row in self._all(patch) if row.user_id == self._actor.user_id and row.withdrawn_at is None]
        if not mine:
            raise NothingToWithdraw("There is no approval of yours to withdraw.")
        for row in mine:
            row.withdrawn_at = now()
        self.settle(patch)
        return self.patches.read(patch_id)

    def reject(self, patch_id: UUID, reason: str) -> PatchRead:
        """Reject a patch that is not applied; the reason goes into the next generation for the task."""
        patch = self._open(patch_id)
        patch.rejected_reason, patch.rejected_by = reason, self._actor.user_id
        patch.approved_by = None
        self.patches.set_status(patch, PatchStatus.REJECTED)
        reason = f"The patch was rejected: {reason}"
        self.patches.specs.record_progress(patch.task_id, TaskStatus.IN_PROGRESS, reason)
        return self.patches.read(patch_id)

    def set_policy(self, project: Project, payload: PolicyWrite, expected: int | None) -> PolicyRead:
        """Set a project's policy, and with it where each of its patches stands."""
        read = self.policies.put(project, payload, expected)
        for patch in self._rows.open_of(project.id):
            self.settle(patch)
        return read

    def settle(self, patch: Patch) -> None:
        """Bring the status of an open patch to what its approvals say."""
        standing = self.standing(patch)
        status = PatchStatus.APPROVED if standing.approved else PatchStatus.PENDING
        patch.approved_by = standing.approvals[-1].user_id if standing.approved else None
        if status == patch.status and standing.approved:
            return
        was = patch.status
        self.patches.set_status(patch, status)
        said = "The patch is approved and waits to be applied."
        if not standing.approved:
            plural = "" if standing.missing == 1 else "s"
            said = f"The patch waits for review: {standing.missing} approval{plural} missing."
            if was == PatchStatus.PENDING and not standing.approvals:
                return
        self.patches.specs.record_progress(patch.task_id, TaskStatus.REVIEW, said)

    def _all(self, patch: Patch) -> Sequence[Approval]:
        return self._rows.approvals([patch.id])[patch.id]

    def _open(self, patch_id: UUID) -> Patch:
        patch = self.patches.get(patch_id)
        if patch.status not in OPEN:
            raise PatchNotPending(f"The patch is {patch.status} already. Generate a new one to change it.")
        return patch
