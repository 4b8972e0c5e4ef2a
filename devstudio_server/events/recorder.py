"""Writes the events of a unit of work, from what it changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import Actor, Change, after_commit
from devstudio_server.db.streams import counters
from devstudio_server.events.models import Event

_TOLD = ("project_id", "session_id", "task_id", "patch_id", "run_id", "status", "version", "scope", "key")
"""Columns whose value an event carries: ids of what it belongs to, and how it stands. No text of people."""


Wake = Callable[[UUID, int], None]


def record_events(session: Session, actor: Actor, changes: Sequence[Change], wake: Wake | None = None) -> None:
    """Add one event for each changed row: ``<subject>.created``, ``.updated`` or ``.deleted``.

    ``wake`` is called after the commit with the tenant and the number of its newest event.
    """
    if not changes:
        return
    tenant = counters(session)
    for change in changes:
        tenant.event_seq += 1
        kind = f"{change.subject}.{change.kind}"
        session.add(Event(seq=tenant.event_seq, type=kind, subject_id=change.row.id, payload=_payload(actor, change)))
    session.flush()
    newest = tenant.event_seq
    if wake is not None:
        after_commit(session, lambda: wake(actor.tenant_id, newest))


def _payload(actor: Actor, change: Change) -> dict[str, Any]:
    told: dict[str, Any] = {"id": change.row.id, "user_id": actor.user_id, "request_id": change.request_id or None}
    told |= {name: getattr(change.row, name) for name in _TOLD if hasattr(change.row, name)}
    return {name: str(value) if isinstance(value, UUID) else value for name, value in told.items() if value is not None}
