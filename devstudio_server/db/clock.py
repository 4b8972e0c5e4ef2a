"""The time by which what several hosts share expires."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from devstudio_server.db.unit_of_work import UNSCOPED
from devstudio_server.kit.clock import now


def clock(session: Session) -> datetime:
    """Return the database's time where several hosts share one, since their own may differ."""
    if session.get_bind().dialect.name != "postgresql":
        return now()
    asked = session.scalar(select(func.clock_timestamp()), execution_options={UNSCOPED: True})
    return asked if isinstance(asked, datetime) else now()
