"""All SQL of events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from devstudio_server.db.models import Tenant
from devstudio_server.events.models import Event


class EventRepository:
    """Reads and removes the events of one tenant within one unit of work."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def after(self, seq: int, limit: int) -> Sequence[Event]:
        """Return up to ``limit`` events after ``seq``, in order."""
        return self._session.scalars(select(Event).where(Event.seq > seq).order_by(Event.seq).limit(limit)).all()

    def oldest(self) -> int | None:
        """Return the number of the oldest event that is kept."""
        return self._session.scalar(select(func.min(Event.seq)))

    def newest(self) -> int:
        """Return the number of the newest event, 0 before the first."""
        return self._session.scalar(select(Tenant.event_seq)) or 0

    def remove_before(self, when: datetime, limit: int) -> int:
        """Remove up to ``limit`` events, the oldest ones, that are from before ``when``; return how many."""
        oldest = self._session.execute(select(Event.seq, Event.created_at).order_by(Event.seq).limit(limit)).all()
        last = 0
        for seq, created_at in oldest:
            if created_at >= when:
                break
            last = seq
        removed = self._session.scalars(delete(Event).where(Event.seq <= last).returning(Event.seq)).all()
        return len(removed)
