"""The unit of work: one transaction, one tenant. Only this module commits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, event, select, text
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria

from devstudio_server.db.base import TenantRow
from devstudio_server.db.changes import Recorder, changes_of
from devstudio_server.db.engine import READ_ONLY, TENANT
from devstudio_server.db.models import Tenant
from devstudio_server.db.scope import SYSTEM_TENANT_ID, Actor
from devstudio_server.db.values import check_values
from devstudio_server.kit.errors import Invalid, StorageFull, Unavailable
from devstudio_server.kit.logging import get_logger

_ACTOR = "devstudio_actor"
_AFTER_COMMIT = "devstudio_after_commit"
UNSCOPED = "devstudio_unscoped"
"""Execution option of a statement that reads no tenant row, or that filters by the tenant itself."""
_log = get_logger("db")


class ForeignTenantError(RuntimeError):
    """Code tried to write a row of another tenant, or to work with tenant rows without a scope."""


class DatabaseUnavailable(Unavailable):
    """The database is away or too busy. What was being done can be done again."""


class Units:
    """Makes units of work on one engine. Safe to share between threads; a session is not."""

    def __init__(self, engine: Engine, recorders: Sequence[Recorder] = ()) -> None:
        """Work on ``engine``; ``recorders`` write what each unit changed, in its transaction, before the commit."""
        self.engine = engine
        self._recorders = tuple(recorders)
        self._known: set[UUID] = set()

    @contextmanager
    def begin(self, actor: Actor, *, read_only: bool = False) -> Iterator[Session]:
        """Open a transaction that sees only the rows of the actor's tenant; commit on success, else roll back.

        Raises `StorageFull` and `DatabaseUnavailable` for a full disk and a lost database.
        """
        with (
            self._connect(actor.tenant_id, read_only=read_only) as connection,
            Session(connection, expire_on_commit=False, join_transaction_mode="control_fully") as session,
        ):
            session.info[_ACTOR] = actor
            try:
                yield session
                if not read_only:
                    self._complete(session, actor)
                session.commit()
            except DBAPIError as error:
                raise _explained(error) from error
            if not read_only:
                self._known.add(actor.tenant_id)
            _run_after_commit(session)

    def _complete(self, session: Session, actor: Actor) -> None:
        """Add to what the unit wrote the row of a new tenant, and what the recorders have to say."""
        session.flush()
        if actor.tenant_id not in self._known and session.scalars(select(Tenant.id)).first() is None:
            session.add(Tenant())
            session.flush()
        for recorder in self._recorders:
            recorder(session, actor, changes_of(session))

    def _connect(self, tenant_id: UUID, *, read_only: bool) -> Connection:
        """Open a connection in a transaction. One that died in the pool is replaced; a dead database is told."""
        try:
            try:
                return self._begun(tenant_id, read_only=read_only)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                return self._begun(tenant_id, read_only=read_only)
        except DBAPIError as error:
            raise _explained(error) from error

    def _begun(self, tenant_id: UUID, *, read_only: bool) -> Connection:
        connection = self.engine.connect().execution_options(**{READ_ONLY: read_only, TENANT: tenant_id})
        try:
            connection.begin()
        except BaseException:
            connection.close()
            raise
        return connection

    def tenants(self) -> list[UUID]:
        """Return the ids of all tenants, for work in the background, which then opens a unit for each."""
        query = (
            text("SELECT tenant_id FROM known_tenants()")
            if self.engine.dialect.name == "postgresql"
            else select(Tenant.__table__.c.tenant_id)
        )
        try:
            with self.engine.connect().execution_options(**{READ_ONLY: True}) as connection:
                found = [UUID(str(row[0])) for row in connection.execute(query)]
        except DBAPIError as error:
            raise _explained(error) from error
        return [tenant_id for tenant_id in found if tenant_id != SYSTEM_TENANT_ID]


def actor_of(session: Session) -> Actor:
    """Return who opened the unit of work of ``session``; raises `ForeignTenantError` when nobody did."""
    actor: Actor | None = session.info.get(_ACTOR)
    if actor is None:
        message = "tenant rows need a unit of work that an actor opened"
        raise ForeignTenantError(message)
    return actor


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


def _explained(error: DBAPIError) -> Exception:
    """Return what a client hears about ``error``; a mistake of ours, such as a broken constraint, stays what it is."""
    said = str(error.orig).lower()
    if "disk is full" in said or "no space" in said:
        return StorageFull("The disk of the database is full, so nothing was saved. Free some space and try again.")
    if isinstance(error, DataError):
        _log.warning("value_refused", reason=str(error.orig).strip().split("\n", maxsplit=1)[0])
        return Invalid("A value cannot be stored: it holds the character NUL, is too long, or is out of range.")
    if not (isinstance(error, (OperationalError, InterfaceError)) or error.connection_invalidated):
        return error
    _log.error("database_error", reason=str(error.orig).strip())
    return DatabaseUnavailable(
        "The database did not answer, so nothing was saved. Try again.", headers={"Retry-After": "2"}
    )


@event.listens_for(Session, "do_orm_execute")
def _filter_by_tenant(state: ORMExecuteState) -> None:
    """Add the tenant to every ORM select, update and delete, relationship and refresh loads included.

    A statement that the ORM cannot filter is refused, unless it says that it needs no filter (`UNSCOPED`).
    """
    if state.execution_options.get(UNSCOPED):
        return
    if not state.is_orm_statement or state.is_insert:
        message = "only ORM statements are filtered by tenant; write this one as a select, update or delete of entities"
        raise ForeignTenantError(message)
    if state.is_column_load:
        return
    tenant_id = actor_of(state.session).tenant_id
    state.statement = state.statement.options(
        with_loader_criteria(TenantRow, lambda row: row.tenant_id == tenant_id, include_aliases=True)
    )


@event.listens_for(Session, "before_flush")
def _check_tenant(session: Session, _context: Any, _instances: Any) -> None:
    """Give new rows the tenant of the unit, and refuse to write any other tenant's, or values that do not fit."""
    for row in (*session.new, *session.dirty, *session.deleted):
        if not isinstance(row, TenantRow):
            continue
        tenant_id = actor_of(session).tenant_id
        if "tenant_id" not in vars(row):
            row.tenant_id = tenant_id
        if row.tenant_id != tenant_id:
            message = f"{type(row).__name__} belongs to another tenant than this unit of work"
            raise ForeignTenantError(message)
        check_values(row)
