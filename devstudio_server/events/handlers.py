"""HTTP of the event stream: pages, SSE, and WebSocket."""

from __future__ import annotations

from collections.abc import AsyncIterator

from devstudio_server.auth.permissions import Permission
from devstudio_server.events.errors import EventsGone
from devstudio_server.events.feeds import EventFeeds
from devstudio_server.events.schemas import EventPage, EventQuery
from devstudio_server.events.service import EventService, resume_from
from devstudio_server.web import Call, Operations
from devstudio_server.web.sse import ServerEvent

operations = Operations("events")


async def stream_events(call: Call, query: EventQuery, last_event_id: str | None) -> AsyncIterator[ServerEvent]:
    """Send `ready`, then each `change` once and in order; its id is its number, from which a client resumes."""
    after = resume_from(last_event_id, query.after)
    async for event in call.port(EventFeeds).follow(call.actor.tenant_id, after, query.filter()):
        yield event


@operations.operation(
    "GET",
    "events",
    permission=Permission.SPEC_READ,
    summary="Read or follow events",
    errors=(EventsGone,),
    stream=stream_events,
    socket=True,
)
def get_events(call: Call, query: EventQuery) -> EventPage:
    """Return a page of changes from any number on; with `Accept: text/event-stream` or as a WebSocket, follow them."""
    return EventService(call.session).page(query)
