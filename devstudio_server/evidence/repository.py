"""All SQL of bundles: what there is about a task or a session, in the tables of several domains. Nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from devstudio_server.audit.models import AuditEntry
from devstudio_server.execution.models import Run
from devstudio_server.patches.models import Approval, Patch, PatchRevision
from devstudio_server.patches.schemas import PatchStatus
from devstudio_server.specs.models import DocumentApproval, EvidenceRow, Spec


class BundleRepository:
    """Reads within one unit of work."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def patches(self, task_ids: Sequence[UUID]) -> Sequence[Patch]:
        """Return the applied patches of tasks, oldest first."""
        query = select(Patch).where(Patch.task_id.in_(task_ids), Patch.status == PatchStatus.APPLIED)
        return self._session.scalars(query.order_by(Patch.id)).all()

    def approvals(self, patch_ids: Sequence[UUID]) -> Sequence[Approval]:
        """Return the approvals of patches, oldest first."""
        query = select(Approval).where(Approval.patch_id.in_(patch_ids)).order_by(Approval.id)
        return self._session.scalars(query).all()

    def revisions(self, patch_ids: Sequence[UUID]) -> Sequence[PatchRevision]:
        """Return what patches were, oldest first."""
        query = select(PatchRevision).where(PatchRevision.patch_id.in_(patch_ids)).order_by(PatchRevision.number)
        return self._session.scalars(query).all()

    def runs(self, run_ids: Sequence[UUID]) -> Sequence[Run]:
        """Return runs by their ids."""
        return self._session.scalars(select(Run).where(Run.id.in_(run_ids)).order_by(Run.id)).all()

    def row_ids(self, session_id: UUID) -> set[UUID]:
        """Return the ids of all rows that say something about a session, as the audit names them."""
        found: set[UUID] = set()
        for ids, owner in (
            (Spec.id, Spec.session_id),
            (DocumentApproval.id, DocumentApproval.session_id),
            (EvidenceRow.id, EvidenceRow.session_id),
        ):
            found |= set(self._session.scalars(select(ids).where(owner == session_id)))
        return found

    def first_entry(self, since: UUID) -> int:
        """Return the number of the first audit entry that came with or after the row ``since``; 0 without any."""
        query = select(AuditEntry.seq).where(AuditEntry.id >= since).order_by(AuditEntry.id).limit(1)
        return self._session.scalars(query).one_or_none() or 0

    def entries(self, from_seq: int, limit: int) -> Sequence[AuditEntry]:
        """Return up to ``limit`` entries of the audit from a number on, in order."""
        query = select(AuditEntry).where(AuditEntry.seq >= from_seq).order_by(AuditEntry.seq).limit(limit)
        return self._session.scalars(query).all()
