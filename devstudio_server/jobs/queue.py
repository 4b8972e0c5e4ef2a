"""The port to the queue, and what a job's function gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import Actor, Units, after_commit
from devstudio_server.jobs.models import Job
from devstudio_server.jobs.repository import JobRepository
from devstudio_server.web.ports import Ports


@dataclass(frozen=True)
class JobContext:
    """What a job works with: on whose behalf, in which database, with which adapters. ``attempt`` counts from 1."""

    actor: Actor
    units: Units
    ports: Ports
    attempt: int


JobHandler = Callable[[JobContext, dict[str, Any]], None]


class JobQueue:
    """Enqueues jobs in the caller's transaction, and wakes the worker once that has committed."""

    def __init__(self, wake: Callable[[UUID], None]) -> None:
        """Call ``wake`` with the tenant after each commit that enqueued something."""
        self._wake = wake

    def enqueue(self, session: Session, actor: Actor, kind: str, payload: dict[str, Any]) -> None:
        """Enqueue a job of ``kind``; ``payload`` is JSON."""
        JobRepository(session).add(Job(kind=kind, payload=payload, user_id=actor.user_id, user_name=actor.name))
        after_commit(session, partial(self._wake, actor.tenant_id))
