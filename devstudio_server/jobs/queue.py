"""The port to the queue, and what a job's function gets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import Actor, Units, after_commit
from devstudio_server.jobs.models import Job
from devstudio_server.jobs.repository import JobRepository
from devstudio_server.web.ports import Ports


class Place(StrEnum):
    """Which processes can do a kind of job."""

    WORKER = "worker"
    """Any worker: it needs an engine for sandboxes and the database, and no repository."""
    SERVER = "server"
    """A server: it needs the repositories and trees on its disk."""


class LeaseLost(RuntimeError):
    """Another worker has this job, or may have it: nothing of this attempt may be written any more."""


class Hold(Protocol):
    """The lease of a job, as the process that does the job sees it."""

    lost: threading.Event
    """Set once this attempt must not go on."""

    def check(self, session: Session) -> None:
        """Raise `LeaseLost` unless the lease is still this attempt's, as the transaction of ``session`` sees it."""

    def whenever_lost(self, callback: Callable[[], None]) -> AbstractContextManager[None]:
        """Call ``callback`` when the lease is lost within the block; at once when it is lost already."""


class Free:
    """Stands for a lease where nobody else could take the job."""

    def __init__(self) -> None:
        """Hold for good."""
        self.lost = threading.Event()

    def check(self, session: Session) -> None:
        """Let everything pass."""

    @contextmanager
    def whenever_lost(self, callback: Callable[[], None]) -> Iterator[None]:
        """Never call ``callback``."""
        del callback
        yield


@dataclass(frozen=True)
class JobContext:
    """What a job works with: on whose behalf, in which database, with which adapters. ``attempt`` counts from 1.

    What a job writes goes through `begin`: then an attempt that lost its lease writes nothing more.
    """

    actor: Actor
    units: Units
    ports: Ports
    attempt: int
    hold: Hold = field(default_factory=Free)
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set once this process wants to end: a job that can stop early and be done again does so."""

    @property
    def lost(self) -> threading.Event:
        """Set once this attempt must not go on: its sandboxes are killed, and it can write nothing."""
        return self.hold.lost

    @contextmanager
    def begin(self, *, read_only: bool = False) -> Iterator[Session]:
        """Open a unit of work for the job's actor. Raises `LeaseLost` when the job is no longer this attempt's."""
        if self.lost.is_set():
            raise LeaseLost("this attempt lost its lease")
        with self.units.begin(self.actor, read_only=read_only) as session:
            self.hold.check(session)
            yield session


JobHandler = Callable[[JobContext, dict[str, Any]], None]


@dataclass(frozen=True)
class JobKind:
    """What does the jobs of one kind, and where. ``give_up`` ends what a job was about when every attempt died."""

    name: str
    handler: JobHandler
    place: Place = Place.SERVER
    give_up: Callable[[JobContext, dict[str, Any], str], None] | None = None


_CURRENT: ContextVar[JobContext | None] = ContextVar("devstudio_job", default=None)


def current_job() -> JobContext | None:
    """Return the job that this thread does, or None."""
    return _CURRENT.get()


@contextmanager
def doing(context: JobContext) -> Iterator[None]:
    """Be the job of this thread within the block."""
    token = _CURRENT.set(context)
    try:
        yield
    finally:
        _CURRENT.reset(token)


class JobQueue:
    """Enqueues jobs in the caller's transaction, and wakes the worker once that has committed."""

    def __init__(self, wake: Callable[[UUID], None], deliver: Callable[[Session, Job], None] | None = None) -> None:
        """Call ``wake`` with the tenant after each commit that enqueued something, and ``deliver`` before it."""
        self._wake = wake
        self._deliver = deliver

    def enqueue(self, session: Session, actor: Actor, kind: str, payload: dict[str, Any]) -> None:
        """Enqueue a job of ``kind``; ``payload`` is JSON."""
        job = Job(kind=kind, payload=payload, user_id=actor.user_id, user_name=actor.name)
        JobRepository(session).add(job)
        if self._deliver is not None:
            self._deliver(session, job)
        after_commit(session, partial(self._wake, actor.tenant_id))
