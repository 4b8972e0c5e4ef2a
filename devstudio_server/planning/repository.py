"""All SQL of proposals."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from devstudio_server.db import newest_first
from devstudio_server.kit.pagination import PageRequest
from devstudio_server.planning.models import Proposal
from devstudio_server.planning.proposal_schemas import ProposalStatus


class ProposalRepository:
    """Reads and adds proposals within one unit of work."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def flush(self) -> None:
        """Send pending changes to the database."""
        self._session.flush()

    def add(self, row: Proposal) -> Proposal:
        """Store a new proposal."""
        self._session.add(row)
        self._session.flush()
        return row

    def find(self, proposal_id: UUID) -> Proposal | None:
        """Return a proposal, or None."""
        return self._session.scalars(select(Proposal).where(Proposal.id == proposal_id)).one_or_none()

    def list(self, page: PageRequest, *, session_id: UUID, status: str | None) -> Sequence[Proposal]:
        """Return up to ``page.limit + 1`` proposals of a session, newest first."""
        query = select(Proposal).where(Proposal.session_id == session_id)
        if status is not None:
            query = query.where(Proposal.status == status)
        return self._session.scalars(newest_first(query, Proposal, page)).all()

    def open(self, session_id: UUID) -> Sequence[Proposal]:
        """Return the open proposals of a session."""
        query = select(Proposal).where(Proposal.session_id == session_id, Proposal.status == ProposalStatus.OPEN)
        return self._session.scalars(query.order_by(Proposal.id)).all()

    def rejections(self, session_id: UUID, limit: int) -> Sequence[Proposal]:
        """Return the newest rejected proposals of a session."""
        query = select(Proposal).where(Proposal.session_id == session_id, Proposal.reason.is_not(None))
        return self._session.scalars(query.order_by(Proposal.id.desc()).limit(limit)).all()
