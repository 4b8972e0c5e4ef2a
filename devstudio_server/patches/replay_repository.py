"""All SQL of recordings and replays."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from devstudio_server.patches.replay_models import PatchRecording, PatchReplay


class ReplayRepository:
    """Reads and adds within one unit of work."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def add(self, *rows: PatchRecording | PatchReplay) -> None:
        """Store new rows."""
        self._session.add_all(rows)
        self._session.flush()

    def recordings(self, patch_id: UUID) -> Sequence[PatchRecording]:
        """Return what models answered for a patch, in its order."""
        query = select(PatchRecording).where(PatchRecording.patch_id == patch_id)
        return self._session.scalars(query.order_by(PatchRecording.number)).all()

    def replays(self, patch_id: UUID, limit: int) -> Sequence[PatchReplay]:
        """Return the replays of a patch, newest first."""
        query = select(PatchReplay).where(PatchReplay.patch_id == patch_id)
        return self._session.scalars(query.order_by(PatchReplay.id.desc()).limit(limit)).all()

    def of_run(self, run_id: UUID) -> PatchReplay | None:
        """Return the replay that a run does."""
        return self._session.scalars(select(PatchReplay).where(PatchReplay.run_id == run_id)).one_or_none()
