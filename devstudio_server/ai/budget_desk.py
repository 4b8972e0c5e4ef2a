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

from devstudio_server.ai.budgets import BudgetService
from devstudio_server.db import Actor, Units
from devstudio_server.kit.errors import AppError, Unavailable

BATCH = 100
"""How many requests one transaction takes: other writers of the tenant wait no longer than that takes."""

T = TypeVar("T")
_Key = tuple[UUID, UUID]


@dataclass(eq=False)
class _Request:
    """What one thread wants done, and what came of it."""

    work: Callable[[BudgetService], Any]
    done: bool = False
    result: Any = None
    error: BaseException | None = None


@dataclass(eq=False)
class _Line:
    """Those who wait, of one person of one tenant: a unit of work has one actor."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    waiting: list[_Request] = field(default_factory=list)
    users: int = 0


class BudgetDesk:
    """Does work on the budgets of tenants, one transaction for all who wait. Shared by all threads."""

    def __init__(self, units: Units) -> None:
        """Work on the database of ``units``."""
        self._units = weakref.ref(units)
        self._lock = threading.Lock()
        self._lines: dict[_Key, _Line] = {}

    def do(self, actor: Actor, work: Callable[[BudgetService], T]) -> T:
        """Do ``work`` for ``actor``, return once it is committed, and raise what it raised.

        ``work`` either changes something or raises an `AppError`, never both: those it shares a transaction with go on.
        """
        request = _Request(work)
        key = (actor.tenant_id, actor.user_id)
        line = self._enter(key, request)
        try:
            while not request.done:
                with line.turn:
                    if not request.done:
                        self._serve(actor, self._take(line))
        finally:
            self._leave(key, line)
        if request.error is not None:
            raise request.error
        return cast("T", request.result)

    def _enter(self, key: _Key, request: _Request) -> _Line:
        with self._lock:
            line = self._lines.setdefault(key, _Line())
            line.users += 1
            line.waiting.append(request)
            return line

    def _take(self, line: _Line) -> list[_Request]:
        with self._lock:
            batch, line.waiting = line.waiting[:BATCH], line.waiting[BATCH:]
            return batch

    def _leave(self, key: _Key, line: _Line) -> None:
        with self._lock:
            line.users -= 1
            if not line.users:
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
            for request in batch:
                request.result = request.error = None
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
