"""The rules of key-value entries: one value for a scope and a key, bounded in size and number, with an optional end."""

from __future__ import annotations

import re
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import check_version
from devstudio_server.kit.clock import now
from devstudio_server.kit.pagination import Page, page_of
from devstudio_server.kv.errors import KeyInvalid, KvFull, KvNotFound, KvStale, ScopeInvalid
from devstudio_server.kv.models import KvEntry
from devstudio_server.kv.repository import KvRepository
from devstudio_server.kv.schemas import MAX_KEY, KvQuery, KvWrite

MAX_ENTRIES = 10_000
"""Entries of one tenant, in all scopes."""
GLOBAL = "global"
_SCOPED = re.compile(r"(project|session):([0-9a-fA-F-]{36})")


class KvService:
    """Reads and changes a tenant's entries. An expired one is missing, whether or not it was removed yet."""

    def __init__(self, session: Session, max_entries: int = MAX_ENTRIES) -> None:
        """Work in ``session``."""
        self._entries = KvRepository(session)
        self._session = session
        self._max_entries = max_entries

    def get(self, scope: str, key: str) -> KvEntry:
        """Return an entry; raises `KvNotFound`."""
        scope = read_scope(scope)
        entry = self._entries.find(scope, read_key(key))
        if entry is None or _expired(entry):
            raise KvNotFound(scope)
        return entry

    def list(self, scope: str, query: KvQuery) -> Page[KvEntry]:
        """Return one page of a scope's entries, newest first."""
        rows = self._entries.list(query.page(), scope=read_scope(scope), prefix=query.prefix, at=now())
        return page_of(rows, query.limit, lambda entry: entry.id)

    def put(self, scope: str, key: str, payload: KvWrite, expected: int | None) -> KvEntry:
        """Store a value, over an older one if there is one.

        ``expected`` is the version that the client read, 0 when it read that there is none. Raises `PreconditionFailed`
        when it is stale, and `KvFull`.
        """
        scope, key = read_scope(scope), read_key(key)
        entry = self._entries.find(scope, key)
        if entry is None or _expired(entry):
            if expected not in {None, 0}:
                raise KvStale
        else:
            check_version(entry, expected)
        if entry is None:
            self._make_room()
            entry = KvEntry(scope=scope, key=key, value_json=payload.value_json, expires_at=payload.end())
            return self._entries.add(entry)
        entry.value_json, entry.expires_at = payload.value_json, payload.end()
        if self._session.is_modified(entry):
            entry.version += 1
        self._session.flush()
        return entry

    def delete(self, scope: str, key: str, expected: int | None) -> None:
        """Remove an entry; raises `KvNotFound`, and `PreconditionFailed` when ``expected`` is stale."""
        entry = self.get(scope, key)
        check_version(entry, expected)
        self._entries.remove(entry)

    def remove_expired(self, limit: int) -> int:
        """Remove up to ``limit`` entries that have expired; return how many."""
        return self._entries.remove_expired(now(), limit)

    def _make_room(self) -> None:
        if self._entries.count() < self._max_entries:
            return
        if not self.remove_expired(self._max_entries):
            raise KvFull(self._max_entries)


def _expired(entry: KvEntry) -> bool:
    return entry.expires_at is not None and entry.expires_at <= now()


def read_scope(text: str) -> str:
    """Return a scope in its one spelling: `global`, `project:<id>` or `session:<id>`; raises `ScopeInvalid`."""
    if text == GLOBAL:
        return text
    found = _SCOPED.fullmatch(text)
    if found is None:
        raise ScopeInvalid
    try:
        return f"{found[1]}:{UUID(found[2])}"
    except ValueError:
        raise ScopeInvalid from None


def read_key(text: str) -> str:
    """Return a key: any text of 1 to 200 characters that an address can hold; raises `KeyInvalid`."""
    if not 1 <= len(text) <= MAX_KEY or text in {".", ".."}:
        raise KeyInvalid(MAX_KEY)
    return text
