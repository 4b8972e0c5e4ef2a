"""All SQL of patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from devstudio_server.db import newest_first
from devstudio_server.kit.pagination import PageRequest
from devstudio_server.patches.models import Approval, Patch

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

    def add(self, row: Patch | Approval) -> None:
        """Store a new patch or approval."""
        self._session.add(row)
        self._session.flush()

    def approvals(self, patch_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[Approval]]:
        """Return the approvals of patches, oldest first, by patch."""
        found = {patch_id: Approvals() for patch_id in patch_ids}
        query = select(Approval).where(Approval.patch_id.in_(patch_ids)).order_by(Approval.id)
        for approval in self._session.scalars(query):
            found[approval.patch_id].append(approval)
        return found

    def rejections(self, task_id: UUID, limit: int) -> Sequence[Patch]:
        """Return the newest rejected patches of a task."""
        query = select(Patch).where(Patch.task_id == task_id, Patch.rejected_reason.is_not(None))
        return self._session.scalars(query.order_by(Patch.id.desc()).limit(limit)).all()
