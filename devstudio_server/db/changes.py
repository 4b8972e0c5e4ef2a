"""What a unit of work changed, row by row: from it the audit and the event stream are written, so none is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import event, inspect
from sqlalchemy.orm import Session

from devstudio_server.db.base import TenantRow
from devstudio_server.db.scope import REQUEST_ID, Actor

_CHANGES = "devstudio_changes"
_ASKED_BY = "devstudio_asked_by"
_UNTOLD = frozenset({"updated_at", "version"})

Kind = Literal["created", "updated", "deleted"]


@dataclass
class Change:
    """One row that a unit changed, however often. ``fields`` are the columns that an update set.

    ``request_id`` is the request that asked for it, empty in the background.
    """

    kind: Kind
    row: TenantRow
    fields: frozenset[str] = frozenset()
    request_id: str = ""

    @property
    def subject(self) -> str:
        """What the row is, as events and audit name it, such as ``project`` or ``patch``."""
        return str(self.row.__subject__)


Recorder = Callable[[Session, Actor, Sequence[Change]], None]
"""Called in the transaction, before its commit, with everything that it changed."""


def changes_of(session: Session) -> list[Change]:
    """Return what ``session`` flushed so far, in the order of the first change of each row."""
    found: dict[int, Change] = session.info.get(_CHANGES, {})
    return list(found.values())


def asked_by(session: Session, row: TenantRow, request_id: str) -> None:
    """Say which request asked for a change of ``row``, in a unit that works for several."""
    session.info.setdefault(_ASKED_BY, {})[id(row)] = request_id


@event.listens_for(Session, "after_flush")
def _collect(session: Session, _context: Any) -> None:
    for row in session.new:
        _note(session, row, "created", frozenset())
    for row in session.dirty:
        if isinstance(row, TenantRow) and (fields := _changed_fields(row)):
            _note(session, row, _kind_of_update(row, fields), fields)
    for row in session.deleted:
        _note(session, row, "deleted", frozenset())


def _changed_fields(row: TenantRow) -> frozenset[str]:
    state = inspect(row)
    return frozenset(attr.key for attr in state.attrs if attr.history.has_changes()) - _UNTOLD - row.__untold__


def _kind_of_update(row: TenantRow, fields: frozenset[str]) -> Kind:
    """Tell a row that was only marked as deleted from one that was changed."""
    marked = ("deleted" in fields and getattr(row, "deleted", False)) or (
        "status" in fields and getattr(row, "status", "") == "deleted"
    )
    return "deleted" if marked else "updated"


def _note(session: Session, row: Any, kind: Kind, fields: frozenset[str]) -> None:
    if not isinstance(row, TenantRow) or row.__subject__ is None:
        return
    found: dict[int, Change] = session.info.setdefault(_CHANGES, {})
    earlier = found.get(id(row))
    if earlier is None:
        asked: dict[int, str] = session.info.get(_ASKED_BY, {})
        found[id(row)] = Change(kind, row, fields, asked.get(id(row), REQUEST_ID.get()))
    else:
        earlier.fields |= fields
        earlier.kind = kind if kind == "deleted" else earlier.kind
