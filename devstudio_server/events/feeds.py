"""Follows the events of tenants for any number of clients: one read for each wake-up, one encoding for each event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_DNS, UUID, uuid5

from devstudio_server.db import Actor, Units
from devstudio_server.events.repository import EventRepository
from devstudio_server.events.schemas import EventFilter, EventRead
from devstudio_server.events.wakeups import WakeUps
from devstudio_server.kit.errors import AppError
from devstudio_server.kit.logging import get_logger
from devstudio_server.web.sse import ServerEvent

READER_ID: UUID = uuid5(NAMESPACE_DNS, "events.devstudio.renum")
CHANGE, READY, RESET = "change", "ready", "reset"
"""What a stream sends: a change, where the stream begins, and that events were lost to the client."""
PAGE = 500
KEPT = 1000
"""Events of a tenant that stay in memory, at least, while someone follows it. Who is further behind reads the table."""
POLL_S = 1.0
"""How often a feed looks for itself while wake-ups of other servers cannot reach it."""
IDLE_S = 15.0
"""How often it looks although they can: one may be lost."""
_THREADS = 2

_log = get_logger("events")


@dataclass(frozen=True)
class Entry:
    """One event as it is sent to everyone."""

    seq: int
    type: str
    payload: dict[str, Any]
    event: ServerEvent


class EventFeeds:
    """The feeds of all tenants that someone follows. Belongs to one event loop; wake-ups may come from any thread."""

    def __init__(self, units: Units, wakeups: WakeUps) -> None:
        """Read from ``units`` whenever ``wakeups`` says so."""
        self._units = units
        self._wakeups = wakeups
        self._feeds: dict[UUID, _Feed] = {}
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="devstudio-events")
        wakeups.listen(self._woken)

    def close(self, *, wait: bool = False) -> None:
        """Stop reading; with ``wait``, return only when no read is under way, so that the database can be closed."""
        for feed in self._feeds.values():
            feed.stop()
        self._executor.shutdown(wait=wait, cancel_futures=True)

    async def follow(self, tenant_id: UUID, after: int | None, wanted: EventFilter) -> AsyncIterator[ServerEvent]:
        """Yield the events after number ``after``, or from now on, without an end.

        Each comes once, in order. Where what the client needs was removed, one ``reset`` tells it, and the stream goes
        on from the newest. A client keeps no queue here, only its number: one that is slow holds up nobody.
        """
        feed = self._join(tenant_id)
        try:
            await asyncio.shield(feed.ready)
            if after is not None and after > feed.seq:
                await feed.refresh()  # another server may have told the client of events before it told this one
            seen = feed.seq if after is None else after
            if seen <= feed.seq:
                yield ServerEvent(READY, {"seq": seen}, id=str(seen))
            while True:
                entries = feed.since(seen)
                if entries is None:
                    # The table may be ahead of the feed, whose number says how far everything was told.
                    entries = [entry for entry in await feed.read(seen) if entry.seq <= feed.seq]
                if seen > feed.seq or (entries and entries[0].seq != seen + 1) or (not entries and seen < feed.seq):
                    seen = feed.seq
                    yield ServerEvent(RESET, {"seq": seen}, id=str(seen))
                    continue
                for entry in entries:
                    seen = entry.seq
                    if wanted.matches(entry.type, entry.payload):
                        yield entry.event
                if not entries:
                    await feed.changed.wait()
        finally:
            self._leave(tenant_id, feed)

    def _join(self, tenant_id: UUID) -> _Feed:
        feed = self._feeds.get(tenant_id)
        if feed is None:
            feed = self._feeds[tenant_id] = _Feed(tenant_id, self._units, self._wakeups, self._executor)
        feed.followers += 1
        return feed

    def _leave(self, tenant_id: UUID, feed: _Feed) -> None:
        feed.followers -= 1
        if not feed.followers:
            feed.stop()
            if self._feeds.get(tenant_id) is feed:
                del self._feeds[tenant_id]

    def _woken(self, tenant_id: UUID | None, seq: int) -> None:
        if tenant_id is None:
            for feed in list(self._feeds.values()):
                feed.wake(None)
        elif (followed := self._feeds.get(tenant_id)) is not None:
            followed.wake(seq)


class _Feed:
    """The newest events of one tenant, read once for all who follow it."""

    def __init__(self, tenant_id: UUID, units: Units, wakeups: WakeUps, executor: ThreadPoolExecutor) -> None:
        self.followers = 0
        self.seq = 0
        self.changed = asyncio.Event()
        self._actor = Actor(tenant_id, READER_ID, "events")
        self._units = units
        self._wakeups = wakeups
        self._executor = executor
        self._kept: list[Entry] = []
        self._due = asyncio.Event()
        self._reading = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self.ready = self._loop.create_task(self._begin())
        self._task = self._loop.create_task(self._run())

    def wake(self, seq: int | None) -> None:
        """Look for events up to ``seq``, or for any; called in any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, seq)

    def stop(self) -> None:
        self.ready.cancel()
        self._task.cancel()

    def since(self, seen: int) -> Sequence[Entry] | None:
        """Return what follows number ``seen`` from memory, or None when that does not reach back so far."""
        if seen >= self.seq:
            return ()
        if not self._kept or seen < self._kept[0].seq - 1:
            return None
        return self._kept[seen + 1 - self._kept[0].seq :]

    async def read(self, seen: int) -> Sequence[Entry]:
        """Return a page of what follows number ``seen`` from the table."""
        return await self._loop.run_in_executor(self._executor, self._page, seen)

    async def refresh(self) -> None:
        """Read what is new, and tell the followers."""
        async with self._reading:
            full = True
            while full:
                page = await self.read(self.seq)
                full = len(page) == PAGE
                self._add(page)

    async def _begin(self) -> None:
        self.seq = await self._loop.run_in_executor(self._executor, self._newest)

    async def _run(self) -> None:
        await asyncio.wait({self.ready})
        if self.ready.exception() is not None:
            return  # whoever joined hears of it
        while True:
            try:
                async with asyncio.timeout(IDLE_S if self._wakeups.complete else POLL_S):
                    await self._due.wait()
            except TimeoutError:
                pass
            self._due.clear()
            try:
                await self.refresh()
            except AppError as error:
                _log.warning("events_not_read", reason=error.title)
                await asyncio.sleep(POLL_S)
                self._due.set()

    def _wake(self, seq: int | None) -> None:
        if seq is None or seq > self.seq:
            self._due.set()

    def _add(self, page: Sequence[Entry]) -> None:
        if not page:
            return
        if page[0].seq != self.seq + 1:
            self._kept.clear()  # only what follows without a gap can be looked up by number
        self._kept.extend(page)
        if len(self._kept) > 2 * KEPT:
            del self._kept[:-KEPT]
        self.seq = page[-1].seq
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    def _newest(self) -> int:
        with self._units.begin(self._actor, read_only=True) as session:
            return EventRepository(session).newest()

    def _page(self, seen: int) -> list[Entry]:
        with self._units.begin(self._actor, read_only=True) as session:
            rows = EventRepository(session).after(seen, PAGE)
            shapes = [EventRead.model_validate(row) for row in rows]
        return [
            Entry(shape.seq, shape.type, shape.payload, _event(shape.seq, shape.model_dump(mode="json")))
            for shape in shapes
        ]


def _event(seq: int, data: dict[str, Any]) -> ServerEvent:
    return ServerEvent(CHANGE, data, id=str(seq))
