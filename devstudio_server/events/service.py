"""The rules of the event stream: pages from any number on, and how long events are kept."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from devstudio_server.events.errors import EventsGone, LastEventIdInvalid
from devstudio_server.events.repository import EventRepository
from devstudio_server.events.schemas import EventPage, EventQuery, EventRead
from devstudio_server.kit.clock import now

SCANNED = 1000
"""Events that one page looks at. With a filter a page may hold fewer than asked for, and still have a next one."""
MAX_DIGITS = 18


class EventService:
    """Reads a tenant's events, and removes old ones."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._events = EventRepository(session)

    def page(self, query: EventQuery) -> EventPage:
        """Return one page; raises `EventsGone` when what follows ``query.after`` was removed."""
        oldest, newest = self._events.oldest(), self._events.newest()
        after = query.after if query.after is not None else (oldest or newest + 1) - 1
        if query.after is not None and (after > newest or after + 1 < (oldest or newest + 1)):
            raise EventsGone(after, oldest, newest)
        found = self._events.after(after, SCANNED)
        wanted = query.filter()
        items = [EventRead.model_validate(row) for row in found if wanted.matches(row.type, row.payload)]
        cut = items[: query.limit]
        seen = cut[-1].seq if len(items) > query.limit else found[-1].seq if found else after
        return EventPage(items=cut, next_cursor=str(seen) if seen < newest else None, oldest=oldest, newest=newest)

    def remove_old(self, days: int, limit: int) -> int:
        """Remove up to ``limit`` events that are older than ``days``; return how many."""
        return self._events.remove_before(now() - timedelta(days=days), limit)


def resume_from(last_event_id: str | None, after: int | None) -> int | None:
    """Return where a stream goes on: after ``Last-Event-ID``, else after ``after``. Raises `LastEventIdInvalid`."""
    if last_event_id is None:
        return after
    if not (last_event_id.isascii() and last_event_id.isdecimal()) or len(last_event_id) > MAX_DIGITS:
        raise LastEventIdInvalid
    return int(last_event_id)
