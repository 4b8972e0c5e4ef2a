"""The review of patches: exact bytes are approved, by a person whose approval counts, or the patch is rejected."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import Actor
from devstudio_server.patches.content import digest_of
from devstudio_server.patches.errors import DigestMismatch, OwnPatch, PatchNotPending
from devstudio_server.patches.models import Approval, Patch
from devstudio_server.patches.repository import PatchRepository
from devstudio_server.patches.schemas import PatchRead, PatchStatus
from devstudio_server.patches.service import PatchService
from devstudio_server.specs.schemas import TaskStatus
from devstudio_server.web import Ports


class ReviewService:
    """Approves and rejects patches, and says whether one may be applied."""

    def __init__(self, session: Session, actor: Actor, ports: Ports) -> None:
        """Work in ``session`` for ``actor``."""
        self._actor = actor
        self._rows = PatchRepository(session)
        self.patches = PatchService(session, actor, ports)

    def approve(self, patch_id: UUID, digest: str) -> PatchRead:
        """Approve the bytes that ``digest`` names.

        Raises `DigestMismatch` when the patch has other bytes, `OwnPatch` when the actor made it, unless alone here.
        """
        patch = self._pending(patch_id)
        if digest.removeprefix("sha256:").lower() != digest_of(patch.patch_content):
            raise DigestMismatch("The digest is not this patch's, so nothing was approved. Look at the preview again.")
        own = patch.created_by == self._actor.user_id
        if own and not self._actor.sole_user:
            raise OwnPatch("You made this patch, so someone else has to approve it.")
        approval = Approval(patch_id=patch.id, user_id=self._actor.user_id, user_name=self._actor.name)
        approval.digest, approval.self_reviewed = patch.digest, own
        self._rows.add(approval)
        patch.approved_by = self._actor.user_id
        self.patches.set_status(patch, PatchStatus.APPROVED)
        specs = self.patches.specs
        specs.record_progress(patch.task_id, TaskStatus.REVIEW, "The patch is approved and waits to be applied.")
        return self.patches.read(patch_id)

    def reject(self, patch_id: UUID, reason: str) -> PatchRead:
        """Reject a pending patch; the reason goes into the next generation for the task."""
        patch = self._pending(patch_id)
        patch.rejected_reason = reason
        self.patches.set_status(patch, PatchStatus.REJECTED)
        reason = f"The patch was rejected: {reason}"
        self.patches.specs.record_progress(patch.task_id, TaskStatus.IN_PROGRESS, reason)
        return self.patches.read(patch_id)

    def require(self, patch: Patch) -> Sequence[Approval]:
        """Return the approvals of the bytes that the patch has now; raises `DigestMismatch` when there are none."""
        digest = digest_of(patch.patch_content)
        approvals = [row for row in self._rows.approvals([patch.id])[patch.id] if row.digest == digest]
        if not approvals:
            raise DigestMismatch("No approval names the bytes that this patch has now, so it was not applied.")
        return approvals

    def _pending(self, patch_id: UUID) -> Patch:
        patch = self.patches.get(patch_id)
        if patch.status != PatchStatus.PENDING:
            raise PatchNotPending(f"The patch is {patch.status} already. Generate a new one to change it.")
        return patch
