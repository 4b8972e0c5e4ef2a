"""HTTP of runs and logs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.auth import Permission
from devstudio_server.execution.control import RunControl
from devstudio_server.execution.logs import LogStorage
from devstudio_server.execution.schemas import LogPage, LogQuery, RunQuery, RunRead
from devstudio_server.execution.service import RunService
from devstudio_server.jobs import JobQueue
from devstudio_server.kit.errors import Conflict, Invalid
from devstudio_server.web import Call, ListPage, Operations
from devstudio_server.web.schemas import list_page
from devstudio_server.web.sse import ServerEvent

operations = Operations("exec")

MAX_OFFSET_DIGITS = 18


def _service(call: Call) -> RunService:
    return _service_in(call, call.session)


def _service_in(call: Call, session: Session) -> RunService:
    return RunService(session, call.actor, call.port(JobQueue), call.port(LogStorage), call.port(RunControl))


@operations.operation("GET", "exec", permission=Permission.EXEC_VIEW_LOGS, summary="List runs")
def list_runs(call: Call, query: RunQuery) -> ListPage[RunRead]:
    """List the tenant's runs, newest first."""
    return list_page(RunRead, _service(call).list(query))


@operations.operation("GET", "exec/{run_id}", permission=Permission.EXEC_VIEW_LOGS, summary="Get a run")
def get_run(call: Call, run_id: UUID) -> RunRead:
    """Return one run with its status, report and figures."""
    return RunRead.model_validate(_service(call).get(run_id))


@operations.operation(
    "POST", "exec/{run_id}/cancel", permission=Permission.EXEC_RUN, summary="Cancel a run", errors=(Conflict,)
)
def cancel_run(call: Call, run_id: UUID) -> RunRead:
    """Stop a run that is not final. Everything it started is killed; nothing is committed."""
    return RunRead.model_validate(_service(call).cancel(run_id))


async def stream_logs(
    call: Call, run_id: UUID, query: LogQuery, last_event_id: str | None
) -> AsyncIterator[ServerEvent]:
    """Send the log as it grows; each event's id is the offset after it, so a client resumes without a gap."""
    offset = query.offset
    if last_event_id is not None:
        if not last_event_id.isdecimal() or len(last_event_id) > MAX_OFFSET_DIGITS:
            message = "Last-Event-ID holds a byte offset of this log."
            raise Invalid(message, errors=[{"loc": ["header", "Last-Event-ID"], "msg": message}])
        offset = int(last_event_id)
    logs = call.port(LogStorage)

    def read(at: int) -> LogPage:
        with call.units.begin(call.actor, read_only=True) as session:
            return _service_in(call, session).log(run_id, at, query.limit)

    while True:
        changed = logs.watch(call.actor.tenant_id, run_id)  # before reading, so that no growth between the two is missed
        page = await asyncio.to_thread(read, offset)
        if page.content or page.eof:
            yield ServerEvent("log", page.model_dump(mode="json"), id=str(page.next_offset))
            offset = page.next_offset
        if page.eof:
            return
        if not page.content:
            await changed.wait()


@operations.operation(
    "GET",
    "exec/{run_id}/logs",
    permission=Permission.EXEC_VIEW_LOGS,
    summary="Read a run's log",
    stream=stream_logs,
)
def get_logs(call: Call, run_id: UUID, query: LogQuery) -> LogPage:
    """Return a piece of the log from a byte offset; with `Accept: text/event-stream`, follow it to its end."""
    return _service(call).log(run_id, query.offset, query.limit)
