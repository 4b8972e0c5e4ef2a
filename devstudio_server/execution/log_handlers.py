"""HTTP of logs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

from devstudio_server.auth import Permission
from devstudio_server.execution.log_pages import LogPages
from devstudio_server.execution.log_schemas import LogPage, LogQuery
from devstudio_server.execution.logs import LogStorage
from devstudio_server.kit.errors import Invalid
from devstudio_server.web import Attachment, Call, Operations
from devstudio_server.web.sse import ServerEvent

operations = Operations("exec")

MAX_OFFSET_DIGITS = 18


def _pages(call: Call) -> LogPages:
    return LogPages(call.units, call.actor, call.port(LogStorage))


def _resumed(query: LogQuery, last_event_id: str | None) -> int:
    """Return the offset to begin from: the one that a client has come to, or the one it asks for."""
    if last_event_id is None:
        return query.offset
    if not last_event_id.isdecimal() or len(last_event_id) > MAX_OFFSET_DIGITS:
        message = "Last-Event-ID holds a byte offset of this log."
        raise Invalid(message, errors=[{"loc": ["header", "Last-Event-ID"], "msg": message}])
    return int(last_event_id)


async def stream_logs(
    call: Call, run_id: UUID, query: LogQuery, last_event_id: str | None
) -> AsyncIterator[ServerEvent]:
    """Send the log as it grows; each event's id is the offset after it, so a client resumes without a gap."""
    offset = _resumed(query, last_event_id)
    async for page in _pages(call).follow(run_id, offset, query.limit, query.stream):
        yield ServerEvent("log", page.model_dump(mode="json"), id=str(page.next_offset))


@operations.operation(
    "GET",
    "exec/{run_id}/logs",
    permission=Permission.EXEC_VIEW_LOGS,
    summary="Read or follow a run's log",
    stream=stream_logs,
    socket=True,
    outside=True,
)
def get_logs(call: Call, run_id: UUID, query: LogQuery) -> LogPage:
    """Return a piece of the log from a byte offset; as `text/event-stream` or a WebSocket, follow it to its end."""
    return _pages(call).page(run_id, query.offset, query.limit, query.stream)


@operations.operation(
    "GET",
    "exec/{run_id}/logs/download",
    permission=Permission.EXEC_VIEW_LOGS,
    summary="Download a run's log",
    outside=True,
)
def download_logs(call: Call, run_id: UUID) -> Attachment:
    """Return the log as far as it has come, as a file."""
    size, chunks = _pages(call).whole(run_id)
    return Attachment(f"{run_id}.log", size, chunks)
