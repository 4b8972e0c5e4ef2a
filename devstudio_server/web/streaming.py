"""Answers that come piece by piece: a heartbeat while nothing comes, and the progress of a slow operation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from devstudio_server.web.call import Call
from devstudio_server.web.reply import Reply
from devstudio_server.web.sse import HEARTBEAT, HEARTBEAT_S, ServerEvent


async def with_heartbeat(events: AsyncIterator[ServerEvent]) -> AsyncIterator[bytes]:
    """Encode events, with a comment whenever none came for a while."""
    iterator = aiter(events)
    pending = asyncio.ensure_future(anext(iterator))
    try:
        while True:
            done, _ = await asyncio.wait({pending}, timeout=HEARTBEAT_S)
            if not done:
                yield HEARTBEAT
                continue
            try:
                event = pending.result()
            except StopAsyncIteration:
                return
            yield event.encode()
            pending = asyncio.ensure_future(anext(iterator))
    finally:
        pending.cancel()


async def progress_events(
    call: Call, run: Callable[[], Awaitable[Reply]], before_result: Callable[[Reply], None]
) -> AsyncIterator[ServerEvent]:
    """Tell the progress of ``run``, then its result; an error ends the stream as the exception that it is."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[ServerEvent | None] = asyncio.Queue()

    def progress(data: dict[str, Any]) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, ServerEvent("progress", data))

    call.progress = progress
    task = asyncio.ensure_future(run())
    task.add_done_callback(lambda _: queue.put_nowait(None))
    while (event := await queue.get()) is not None:
        yield event
    reply = task.result()
    before_result(reply)
    yield ServerEvent("result", json.loads(reply.body) if reply.body else None)
