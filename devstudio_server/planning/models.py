"""The table of proposals."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db import VersionedRow
from devstudio_server.planning.proposal_schemas import ProposalStatus


class Proposal(VersionedRow):
    """Documents as a model would have them, until a person has decided about each block.

    ``documents`` has, by type, the text that the model started from (``base`` and ``base_version``) and its own
    (``text``); ``decisions`` says of each decided block whether it was accepted.
    """

    __tablename__ = "ds_proposals"
    __subject__ = "proposal"
    __table_args__ = (Index("ix_ds_proposals_session_id_id", "session_id", "id"),)

    session_id: Mapped[UUID] = mapped_column(ForeignKey("ds_spec_sessions.id"))
    stage: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(20), default=ProposalStatus.OPEN)
    documents: Mapped[dict[str, Any]] = mapped_column(default=dict)
    decisions: Mapped[dict[str, Any]] = mapped_column(default=dict)
    model: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[UUID]
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[datetime | None]
