"""Commits the reservations and settlements of calls that come at the same time together.

Whoever writes has the tenant to themselves until the commit, and a commit waits for the disk. So of those who wait for
their turn, the first does the work of all: a thousand calls at once cost some ten commits, not two thousand.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from uuid import UUID

from devstudio_server.ai.budgets import BudgetService, Purpose
from devstudio_server.db import Actor, Units
from devstudio_server.db.scope import REQUEST_ID
from devstudio_server.kit.errors import AppError, Unavailable

BATCH = 100
"""How many requests one transaction takes: other writers of the tenant wait no longer than that takes."""

T = TypeVar("T")


@dataclass(eq=False)
class _Request:
    """What one thread wants done, and what came of it. ``woken`` when it is done, or when its thread serves next."""

    work: Callable[[BudgetService], Any]
    purpose: Purpose
    reservation_id: UUID | None
    request_id: str
    woken: threading.Event = field(default_factory=threading.Event)
    done: bool = False
    result: Any = None
    error: BaseException | None = None


class BudgetDesk:
    """Does work on the budgets of tenants, one transaction for all who wait. Shared by all threads."""

    def __init__(self, units: Units) -> None:
        """Work on the database of ``units``."""
        self._units = weakref.ref(units)
        self._lock = threading.Lock()
        # Those who wait, by tenant and person: a unit of work has one actor. A line is there while somebody serves it.
        self._lines: dict[tuple[UUID, UUID], list[_Request]] = {}

    def do(
        self, actor: Actor, work: Callable[[BudgetService], T], purpose: Purpose, reservation_id: UUID | None = None
    ) -> T:
        """Do ``work`` for ``actor``, return once it is committed, and raise what it raised.

        ``work`` either changes something or raises an `AppError`, never both: those it shares a transaction with go on.
        It concerns the budgets of ``purpose`` and that reservation.
        """
        request = _Request(work, purpose, reservation_id, REQUEST_ID.get())
        if not self._is_first(actor, request):
            request.woken.wait()
        if not request.done:
            self._serve_all(actor)
        if request.error is not None:
            raise request.error
        return cast("T", request.result)

    def _is_first(self, actor: Actor, request: _Request) -> bool:
        """Join the line; tell whether nobody else serves it."""
        with self._lock:
            line = self._lines.get((actor.tenant_id, actor.user_id))
            if line is None:
                self._lines[actor.tenant_id, actor.user_id] = [request]
                return True
            line.append(request)
            return False

    def _serve_all(self, actor: Actor) -> None:
        """Serve the line from its front, where this thread stands, and hand over to who is first then."""
        key = (actor.tenant_id, actor.user_id)
        with self._lock:
            line = self._lines[key]
            batch, self._lines[key] = line[:BATCH], line[BATCH:]
        self._serve(actor, batch)
        for request in batch:
            request.woken.set()
        with self._lock:
            if self._lines[key]:
                self._lines[key][0].woken.set()
            else:
                del self._lines[key]

    def _serve(self, actor: Actor, batch: list[_Request]) -> None:
        try:
            self._commit(actor, batch)
        except Unavailable as error:
            _fail(batch, error)
        except BaseException as error:  # noqa: BLE001 - those who wait must hear of it, whatever it is
            # What the database refuses of one does not become the others' fault.
            if len(batch) == 1 or not isinstance(error, Exception):
                _fail(batch, error)
            else:
                for request in batch:
                    self._serve(actor, [request])
        for request in batch:
            request.done = True

    def _commit(self, actor: Actor, batch: list[_Request]) -> None:
        units = self._units()
        if units is None:
            message = "the units of work are gone"
            raise RuntimeError(message)
        with units.begin(actor) as session:
            service = BudgetService(session)
            held = [request.reservation_id for request in batch if request.reservation_id is not None]
            service.expect((request.purpose for request in batch), held)
            for request in batch:
                request.result = request.error = None
                service.request_id = request.request_id
                try:
                    request.result = request.work(service)
                except AppError as error:
                    request.error = error


def _fail(batch: list[_Request], error: BaseException) -> None:
    for request in batch:
        request.error = error


_desks: weakref.WeakKeyDictionary[Units, BudgetDesk] = weakref.WeakKeyDictionary()
_desks_lock = threading.Lock()


def desk_of(units: Units) -> BudgetDesk:
    """Return the one desk of ``units``."""
    with _desks_lock:
        desk = _desks.get(units)
        if desk is None:
            desk = _desks[units] = BudgetDesk(units)
        return desk
