"""The queries of idempotency keys."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from devstudio_server.web.models import IdempotencyKey


class IdempotencyRepository:
    """Idempotency keys of the unit's tenant."""

    def __init__(self, session: Session) -> None:
        """Read and write in ``session``."""
        self._session = session

    def find(self, user_id: UUID, key: str) -> IdempotencyKey | None:
        """Return the row of a user's key."""
        query = select(IdempotencyKey).where(IdempotencyKey.user_id == user_id, IdempotencyKey.key == key)
        return self._session.scalars(query).one_or_none()

    def get(self, row_id: UUID) -> IdempotencyKey | None:
        """Return a row by its id; None when it is gone."""
        return self._session.scalars(select(IdempotencyKey).where(IdempotencyKey.id == row_id)).one_or_none()

    def add(self, row: IdempotencyKey) -> IdempotencyKey:
        """Add a row."""
        self._session.add(row)
        return row

    def remove(self, row_id: UUID) -> None:
        """Remove a row, if it is there."""
        self._session.execute(delete(IdempotencyKey).where(IdempotencyKey.id == row_id))

    def remove_expired(self, at: datetime, limit: int) -> int:
        """Remove up to ``limit`` rows that have expired; return how many."""
        query = select(IdempotencyKey.id).where(IdempotencyKey.expires_at <= at).limit(limit)
        expired = self._session.scalars(query).all()
        if expired:
            self._session.execute(delete(IdempotencyKey).where(IdempotencyKey.id.in_(expired)))
        return len(expired)
