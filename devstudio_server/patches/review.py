"""The review of patches: exact bytes are approved, by people whose approval counts, or the patch is rejected."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.auth.people import People
from devstudio_server.db import Actor, Units, check_version
from devstudio_server.kit.clock import now
from devstudio_server.kit.ids import new_id
from devstudio_server.patches.content import digest_of
from devstudio_server.patches.errors import DigestMismatch, NothingToWithdraw, PatchNotPending
from devstudio_server.patches.models import Approval, Patch
from devstudio_server.patches.policy import ReviewPolicyService
from devstudio_server.patches.policy_schemas import PolicyRead, PolicyWrite
from devstudio_server.patches.repository import PatchRepository
from devstudio_server.patches.review_rules import OPEN, Standing
from devstudio_server.patches.schemas import PatchRead, PatchStatus
from devstudio_server.patches.service import PatchService
from devstudio_server.patches.witness import witness_if_any
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
        self.rules = self.patches.rules
        self.policies = ReviewPolicyService(session, actor)

    def standing(self, patch: Patch) -> Standing:
        """Return which approvals of a patch count, and what is missing."""
        return self.rules.standing(patch)

    def require(self, patch: Patch, branch: str | None = None) -> Sequence[Approval]:
        """Return the approvals that count; raises when they are too few for the branch, or the patch is for another.

        Called when a patch is asked to be applied, when its run is prepared, and in the unit that moves the branch.
        """
        return self.patches.require(patch, branch)

    def approve(
        self, patch_id: UUID, digest: str, *, revision: int | None = None, expected: int | None = None
    ) -> PatchRead:
        """Approve the bytes that the digest names.

        Raises `DigestMismatch` when the patch has other bytes or, if one is named, another revision; `OwnPatch` when
        the actor had a hand in it, unless the policy does without a second person; `ApprovalWouldNotCount`.
        """
        patch, standing = self.approvable(patch_id, digest, revision=revision, expected=expected)
        self.patches.envelopes.seal_for_approval(patch, standing.approvals)
        approval = self._approval(patch, standing)
        self.patches.envelopes.sign_approval(patch, approval)
        self._rows.add(approval)
        self.settle(patch, touched=True)
        return self.patches.read(patch_id)

    def approvable(
        self, patch_id: UUID, digest: str, *, revision: int | None = None, expected: int | None = None
    ) -> tuple[Patch, Standing]:
        """Return the patch and how it stands, when the actor may approve it now; raises as `approve`."""
        patch = self._open(patch_id)
        if digest.removeprefix("sha256:").lower() != digest_of(patch.patch_content):
            raise DigestMismatch("The digest is not this patch's, so nothing was approved. Look at the preview again.")
        if revision not in {None, patch.revision}:
            message = (
                f"The patch is at revision {patch.revision} now, so nothing was approved. Look at the preview again."
            )
            raise DigestMismatch(message)
        check_version(patch, expected)
        standing = self.standing(patch)
        if standing.obstacle is not None:
            raise standing.obstacle
        return patch, standing

    def _approval(self, patch: Patch, standing: Standing) -> Approval:
        known = self._people.known([self._actor.user_id]).get(self._actor.user_id)
        at = now()
        return Approval(
            id=new_id(),
            patch_id=patch.id,
            user_id=self._actor.user_id,
            user_name=self._actor.name,
            email=known.email if known else "",
            digest=patch.digest,
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
        self.settle(patch, touched=True)
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

    def settle(self, patch: Patch, *, touched: bool = False) -> None:
        """Bring the status of an open patch to what its approvals say; ``touched`` when one came or went."""
        standing = self.standing(patch)
        status = PatchStatus.APPROVED if standing.approved else PatchStatus.PENDING
        changed = status != patch.status
        patch.approved_by = standing.approvals[-1].user_id if standing.approved else None
        if changed or touched:
            self.patches.set_status(patch, status)
            self.patches.specs.record_progress(patch.task_id, TaskStatus.REVIEW, _told(standing))

    def _all(self, patch: Patch) -> Sequence[Approval]:
        return self._rows.approvals([patch.id])[patch.id]

    def _open(self, patch_id: UUID) -> Patch:
        patch = self.patches.get(patch_id)
        if patch.status not in OPEN:
            raise PatchNotPending(f"The patch is {patch.status} already. Generate a new one to change it.")
        return patch


def approve_apart(
    units: Units,
    actor: Actor,
    ports: Ports,
    patch_id: UUID,
    digest: str,
    *,
    revision: int | None = None,
    expected: int | None = None,
) -> PatchRead:
    """Approve as `ReviewService.approve` does, but ask git before the unit in which the tenant's other writers wait.

    That unit looks at everything again, and asks git only when the patch is not what was seen any more.
    """
    with units.begin(actor, read_only=True) as session:
        review = ReviewService(session, actor, ports)
        patch, standing = review.approvable(patch_id, digest, revision=revision, expected=expected)
        repository = review.patches.repository(patch)
    seen = witness_if_any(repository, patch, made=not standing.approvals)
    with units.begin(actor) as session:
        review = ReviewService(session, actor, ports)
        review.patches.envelopes.witnessed = seen
        return review.approve(patch_id, digest, revision=revision, expected=expected)


def _told(standing: Standing) -> str:
    if standing.approved:
        return "The patch is approved and waits to be applied."
    missing = "1 approval is" if standing.missing == 1 else f"{standing.missing} approvals are"
    return f"The patch waits for review: {missing} missing."
