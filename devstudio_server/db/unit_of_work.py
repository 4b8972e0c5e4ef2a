"""The unit of work: one transaction, one tenant. Only this module commits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria

from devstudio_server.db.base import TenantRow
from devstudio_server.db.engine import READ_ONLY
from devstudio_server.db.scope import Actor
from devstudio_server.kit.errors import StorageFull, Unavailable
from devstudio_server.kit.logging import get_logger

_ACTOR = "devstudio_actor"
_AFTER_COMMIT = "devstudio_after_commit"
_log = get_logger("db")


class ForeignTenantError(RuntimeError):
    """Code tried to write a row of another tenant, or to work with tenant rows without a scope."""


class Units:
    """Makes units of work on one engine. Safe to share between threads; a session is not."""

    def __init__(self, engine: Engine) -> None:
        """Work on ``engine``."""
        self.engine = engine

    @contextmanager
    def begin(self, actor: Actor, *, read_only: bool = False) -> Iterator[Session]:
        """Open a transaction that sees only the rows of the actor's tenant; commit on success, else roll back.

        Raises `StorageFull` and `Unavailable` for a full disk and a lost database.
        """
        with self._connect(read_only=read_only) as connection, Session(connection, expire_on_commit=False) as session:
            session.info[_ACTOR] = actor
            try:
                yield session
                session.commit()
            except OperationalError as error:
                raise _explained(error) from error
            _run_after_commit(session)

    def _connect(self, *, read_only: bool) -> Connection:
        try:
            return self.engine.connect().execution_options(**{READ_ONLY: read_only})
        except OperationalError as error:
            raise _explained(error) from error

    @contextmanager
    def system(self) -> Iterator[Session]:
        """Open a transaction across tenants, for the worker's own queue and start-up checks. Never for a request."""
        with Session(self.engine, expire_on_commit=False, info={"devstudio_system": True}) as session:
            yield session
            session.commit()


def after_commit(session: Session, callback: Callable[[], None]) -> None:
    """Run ``callback`` once this unit has committed; never when it rolls back. Its failure is logged, not raised."""
    session.info.setdefault(_AFTER_COMMIT, []).append(callback)


def _run_after_commit(session: Session) -> None:
    callbacks: list[Callable[[], None]] = session.info.pop(_AFTER_COMMIT, [])
    for callback in callbacks:
        try:
            callback()
        except Exception as error:  # noqa: BLE001 - what was committed stays; whatever follows it must catch up later
            _log.error("after_commit_failed", exc_info=error)


def _explained(error: OperationalError) -> Exception:
    text = str(error.orig).lower()
    if "disk is full" in text or "no space" in text:
        return StorageFull("The disk of the database is full, so nothing was saved. Free some space and try again.")
    _log.error("database_error", exc_info=error)
    return Unavailable("The database did not answer, so nothing was saved. Try again.", headers={"Retry-After": "2"})


@event.listens_for(Session, "do_orm_execute")
def _filter_by_tenant(state: ORMExecuteState) -> None:
    """Add the tenant to every ORM select, update and delete, relationship and refresh loads included."""
    if state.session.info.get("devstudio_system"):
        return
    if not (state.is_select or state.is_update or state.is_delete) or state.is_column_load:
        return
    tenant_id = _actor_of(state.session).tenant_id
    state.statement = state.statement.options(
        with_loader_criteria(TenantRow, lambda row: row.tenant_id == tenant_id, include_aliases=True)
    )


@event.listens_for(Session, "before_flush")
def _check_tenant(session: Session, _context: Any, _instances: Any) -> None:
    """Give new rows the tenant of the unit, and refuse to write any other tenant's."""
    if session.info.get("devstudio_system"):
        return
    for row in (*session.new, *session.dirty, *session.deleted):
        if not isinstance(row, TenantRow):
            continue
        tenant_id = _actor_of(session).tenant_id
        if "tenant_id" not in vars(row):
            row.tenant_id = tenant_id
        if row.tenant_id != tenant_id:
            message = f"{type(row).__name__} belongs to another tenant than this unit of work"
            raise ForeignTenantError(message)


def _actor_of(session: Session) -> Actor:
    actor: Actor | None = session.info.get(_ACTOR)
    if actor is None:
        message = "tenant rows need a unit of work that an actor opened"
        raise ForeignTenantError(message)
    return actor
