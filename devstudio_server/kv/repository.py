"""All SQL of key-value entries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from devstudio_server.db import newest_first
from devstudio_server.kit.pagination import PageRequest
from devstudio_server.kv.models import KvEntry


class KvRepository:
    """Reads, adds and removes entries within one unit of work. What has expired is there until it is removed."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def find(self, scope: str, key: str) -> KvEntry | None:
        """Return an entry, expired or not."""
        query = select(KvEntry).where(KvEntry.scope == scope, KvEntry.key == key)
        return self._session.scalars(query).one_or_none()

    def list(self, page: PageRequest, *, scope: str, prefix: str | None, at: datetime) -> Sequence[KvEntry]:
        """Return up to ``page.limit + 1`` entries of a scope that have not expired, newest first."""
        query = select(KvEntry).where(
            KvEntry.scope == scope, or_(KvEntry.expires_at.is_(None), KvEntry.expires_at > at)
        )
        if prefix:
            query = query.where(func.substr(KvEntry.key, 1, len(prefix)) == prefix)  # unlike LIKE, minds the case
        return self._session.scalars(newest_first(query, KvEntry, page)).all()

    def count(self) -> int:
        """Return how many entries the tenant has, in all scopes."""
        return self._session.scalar(select(func.count(KvEntry.id))) or 0

    def add(self, entry: KvEntry) -> KvEntry:
        """Store a new entry."""
        self._session.add(entry)
        self._session.flush()
        return entry

    def remove(self, entry: KvEntry) -> None:
        """Remove an entry."""
        self._session.delete(entry)
        self._session.flush()

    def remove_expired(self, at: datetime, limit: int) -> int:
        """Remove up to ``limit`` entries that have expired, one by one, so that events and audit tell of each."""
        expired = self._session.scalars(select(KvEntry).where(KvEntry.expires_at <= at).limit(limit)).all()
        for entry in expired:
            self._session.delete(entry)
        self._session.flush()
        return len(expired)
