"""All SQL of patches."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from devstudio_server.db import newest_first
from devstudio_server.kit.pagination import PageRequest
from devstudio_server.patches.models import Approval, Patch, PatchRevision
from devstudio_server.patches.review_models import PatchContributor, ReviewPolicy

Approvals = list[Approval]


class PatchRepository:
    """Reads and adds patches within one unit of work."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def flush(self) -> None:
        """Send pending changes to the database."""
        self._session.flush()

    def find(self, patch_id: UUID) -> Patch | None:
        """Return a patch, or None."""
        return self._session.scalars(select(Patch).where(Patch.id == patch_id)).one_or_none()

    def list(self, page: PageRequest, *, task_id: UUID | None, status: str | None) -> Sequence[Patch]:
        """Return up to ``page.limit + 1`` patches, newest first."""
        query = select(Patch)
        if task_id is not None:
            query = query.where(Patch.task_id == task_id)
        if status is not None:
            query = query.where(Patch.status == status)
        return self._session.scalars(newest_first(query, Patch, page)).all()

    def add(self, row: Patch | PatchRevision | Approval) -> None:
        """Store a new patch, revision or approval."""
        self._session.add(row)
        self._session.flush()

    def approvals(self, patch_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[Approval]]:
        """Return the approvals of patches, oldest first, by patch."""
        found = {patch_id: Approvals() for patch_id in patch_ids}
        query = select(Approval).where(Approval.patch_id.in_(patch_ids)).order_by(Approval.id)
        for approval in self._session.scalars(query):
            found[approval.patch_id].append(approval)
        return found

    def revisions(self, patch_id: UUID) -> Sequence[PatchRevision]:
        """Return what a patch was, oldest first."""
        query = select(PatchRevision).where(PatchRevision.patch_id == patch_id).order_by(PatchRevision.number)
        return self._session.scalars(query).all()

    def rejections(self, task_id: UUID, limit: int) -> Sequence[Patch]:
        """Return the newest rejected patches of a task."""
        query = select(Patch).where(Patch.task_id == task_id, Patch.rejected_reason.is_not(None))
        return self._session.scalars(query.order_by(Patch.id.desc()).limit(limit)).all()

    def open_of(self, project_id: UUID) -> Sequence[Patch]:
        """Return the patches of a project that are not applied and not rejected."""
        query = select(Patch).where(Patch.project_id == project_id, Patch.status.in_(("pending", "approved")))
        return self._session.scalars(query.order_by(Patch.id)).all()


class ReviewRepository:
    """Reads and adds contributors and review policies within one unit of work."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def add(self, row: PatchContributor | ReviewPolicy) -> None:
        """Store a new row."""
        self._session.add(row)
        self._session.flush()

    def contributors(self, patch_ids: Collection[UUID]) -> Sequence[PatchContributor]:
        """Return who had a hand in patches, in the order in which they came."""
        query = select(PatchContributor).where(PatchContributor.patch_id.in_(patch_ids))
        return self._session.scalars(query.order_by(PatchContributor.id)).all()

    def policies(self, project_ids: Collection[UUID]) -> Mapping[UUID, ReviewPolicy]:
        """Return the policies of projects that have set one."""
        query = select(ReviewPolicy).where(ReviewPolicy.project_id.in_(project_ids))
        return {row.project_id: row for row in self._session.scalars(query)}
