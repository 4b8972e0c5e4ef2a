"""The event stream on both databases: numbers without gaps, pages, feeds that many follow, and how long events stay."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import select, update

from devstudio_server.db import Actor, Units
from devstudio_server.events.errors import EventsGone, LastEventIdInvalid
from devstudio_server.events.feeds import KEPT, PAGE, EventFeeds
from devstudio_server.events.models import Event
from devstudio_server.events.recorder import record_events
from devstudio_server.events.schemas import EventFilter, EventPage, EventQuery
from devstudio_server.events.service import EventService, resume_from
from devstudio_server.events.wakeups import RedisWakeUps, WakeUps
from devstudio_server.jobs.housekeeping import Housekeeping
from devstudio_server.kit.clock import now
from devstudio_server.kit.errors import Unavailable
from devstudio_server.projects.models import Project
from devstudio_server.web.sse import ServerEvent
from support.databases import Database
from support.services import RedisServer

ALL = EventFilter()
LONG_S = 60.0


@pytest.fixture
def wakeups() -> WakeUps:
    return WakeUps(alone=True)


@pytest.fixture
def units(database: Database, wakeups: WakeUps) -> Iterator[Units]:
    engine = database.engine()
    yield Units(engine, recorders=(partial(record_events, wake=wakeups.wake),))
    engine.dispose()


def write(units: Units, actor: Actor, count: int = 1, name: str = "x") -> None:
    """Write ``count`` events, each with a commit of its own."""
    for _ in range(count):
        with units.begin(actor) as session:
            session.add(Project(name=name, type="api", template="python", created_by=actor.user_id))


def page(units: Units, actor: Actor, **query: Any) -> EventPage:
    with units.begin(actor, read_only=True) as session:
        return EventService(session).page(EventQuery(**query))


def run(feeds: EventFeeds, work: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        try:
            async with asyncio.timeout(LONG_S):
                await work()
        finally:
            feeds.close()

    asyncio.run(limited())
    feeds.close(wait=True)  # the engine is disposed of next, and no read may still have a connection of it


async def take(stream: AsyncIterator[ServerEvent], count: int) -> list[ServerEvent]:
    return [await anext(stream) for _ in range(count)]


def seqs(events: list[ServerEvent]) -> list[int]:
    return [event.data["seq"] for event in events]


def test_events_are_numbered_in_the_order_of_the_commits_whoever_writes(units: Units, ana: Actor, eve: Actor) -> None:
    threads = [threading.Thread(target=write, args=(units, actor, 15)) for actor in (ana, ana, ana, eve)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert [item.seq for item in page(units, ana, limit=200).items] == list(range(1, 46))
    assert [item.seq for item in page(units, eve, limit=200).items] == list(range(1, 16))


def test_pages_go_on_from_any_number(units: Units, ana: Actor, eve: Actor) -> None:
    assert page(units, ana).model_dump() == {"items": [], "next_cursor": None, "oldest": None, "newest": 0}
    write(units, ana, 7)
    write(units, eve)
    seen: list[int] = []
    after: int | None = None
    while True:
        got = page(units, ana, limit=3, **({} if after is None else {"after": after}))
        seen += [item.seq for item in got.items]
        assert (got.oldest, got.newest) == (1, 7)
        if got.next_cursor is None:
            break
        after = int(got.next_cursor)
    assert seen == [1, 2, 3, 4, 5, 6, 7]
    assert page(units, ana, after=7).items == []
    with pytest.raises(EventsGone) as gone:
        page(units, ana, after=8)
    assert gone.value.extra == {"oldest": 1, "newest": 7}


def test_pages_with_a_filter_are_bounded_and_still_reach_the_end(
    units: Units, ana: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devstudio_server.events.service.SCANNED", 4)
    write(units, ana, 9)
    with units.begin(ana) as session:
        project = session.scalars(select(Project).limit(1)).one()
        project.name = "changed"
    write(units, ana, 3)
    found: list[tuple[int, str]] = []
    after, turns = 0, 0
    while True:
        turns += 1
        got = page(units, ana, after=after, limit=2, types="project.updated, run")
        found += [(item.seq, item.type) for item in got.items]
        if got.next_cursor is None:
            break
        after = int(got.next_cursor)
    assert found == [(10, "project.updated")]
    assert turns >= 3
    assert [i.seq for i in page(units, ana, limit=50, project_id=project.id).items] == [
        i.seq for i in page(units, ana, limit=50).items if i.subject_id == project.id
    ]


def test_a_payload_holds_ids_and_status_and_no_text_of_people(units: Units, ana: Actor) -> None:
    write(units, ana, name="A name that nobody else may hear")
    (item,) = page(units, ana).items
    assert set(item.payload) == {"id", "user_id", "status", "version"}
    assert item.payload["user_id"] == str(ana.user_id)
    assert "nobody else" not in item.model_dump_json()


@pytest.mark.parametrize("sent", ["", "-1", "1.0", "٣", "1e3", "9" * 19, "abc", "1\n"])
def test_a_last_event_id_that_is_no_number_is_refused(sent: str) -> None:
    with pytest.raises(LastEventIdInvalid):
        resume_from(sent, None)
    assert resume_from("17", 3) == 17
    assert resume_from(None, 3) == 3


def test_a_stream_begins_where_it_is_asked_to_and_goes_on_live(
    units: Units, wakeups: WakeUps, ana: Actor, eve: Actor
) -> None:
    write(units, ana, 5)
    write(units, eve, 2)
    feeds = EventFeeds(units, wakeups)

    async def work() -> None:
        async with (
            aclosing(feeds.follow(ana.tenant_id, 2, ALL)) as old,  # type: ignore[type-var]
            aclosing(feeds.follow(ana.tenant_id, None, ALL)) as live,  # type: ignore[type-var]
        ):
            first = await take(old, 4)
            assert [event.event for event in first] == ["ready", "change", "change", "change"]
            assert seqs(first) == [2, 3, 4, 5]
            assert [event.id for event in first] == ["2", "3", "4", "5"]
            assert [(e.event, e.id) for e in await take(live, 1)] == [("ready", "5")]
            await asyncio.to_thread(write, units, eve, 3)
            await asyncio.to_thread(write, units, ana, 2)
            assert seqs(await take(live, 2)) == seqs(await take(old, 2)) == [6, 7]

    run(feeds, work)


def test_a_filter_leaves_out_the_rest(units: Units, wakeups: WakeUps, ana: Actor) -> None:
    feeds = EventFeeds(units, wakeups)

    def change() -> None:
        write(units, ana, 2)
        with units.begin(ana) as session:
            session.scalars(select(Project).limit(1)).one().name = "changed"

    async def work() -> None:
        wanted = EventQuery(types="project.updated").filter()
        async with aclosing(feeds.follow(ana.tenant_id, 0, wanted)) as stream:  # type: ignore[type-var]
            await take(stream, 1)
            await asyncio.to_thread(change)
            (event,) = await take(stream, 1)
            assert event.data["type"] == "project.updated"
            assert event.data["seq"] == 3

    run(feeds, work)


def test_five_hundred_followers_cost_one_read_for_each_wake_up(units: Units, wakeups: WakeUps, ana: Actor) -> None:
    write(units, ana, 3)
    feeds = EventFeeds(units, wakeups)
    reads: list[str] = []

    async def work() -> None:
        streams = [feeds.follow(ana.tenant_id, None, ALL) for _ in range(500)]
        await asyncio.gather(*(take(stream, 1) for stream in streams))

        @sqlalchemy_event.listens_for(units.engine, "before_cursor_execute")
        def count(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            if "FROM ds_events" in statement:
                reads.append(statement)

        for number in range(4, 9):
            await asyncio.to_thread(write, units, ana)
            told = await asyncio.gather(*(take(stream, 1) for stream in streams))
            assert {event.id for events in told for event in events} == {str(number)}
            assert len({id(event) for events in told for event in events}) == 1  # one object, encoded once
        for stream in streams:
            await stream.aclose()  # type: ignore[attr-defined]

    run(feeds, work)
    assert 5 <= len(reads) <= 10


def test_who_is_far_behind_reads_the_table_and_holds_up_nobody(
    units: Units, wakeups: WakeUps, ana: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devstudio_server.events.feeds.KEPT", 5)
    monkeypatch.setattr("devstudio_server.events.feeds.PAGE", 4)
    assert KEPT >= PAGE
    feeds = EventFeeds(units, wakeups)

    async def work() -> None:
        async with (
            aclosing(feeds.follow(ana.tenant_id, 0, ALL)) as slow,  # type: ignore[type-var]
            aclosing(feeds.follow(ana.tenant_id, 0, ALL)) as fast,  # type: ignore[type-var]
        ):
            await take(slow, 1)
            await take(fast, 1)
            await asyncio.to_thread(write, units, ana, 40)
            assert seqs(await take(fast, 40)) == list(range(1, 41))
            (feed,) = feeds._feeds.values()
            assert len(feed._kept) <= 10 + 4
            assert seqs(await take(slow, 40)) == list(range(1, 41))

    run(feeds, work)


def test_what_was_removed_is_told_once_and_the_stream_goes_on(units: Units, wakeups: WakeUps, ana: Actor) -> None:
    write(units, ana, 10)
    with units.begin(ana) as session:
        session.execute(update(Event).where(Event.seq <= 6).values(created_at=now() - timedelta(days=31)))
        assert EventService(session).remove_old(30, limit=4) == 4
        assert EventService(session).remove_old(30, limit=4) == 2
        assert EventService(session).remove_old(30, limit=4) == 0
    assert [item.seq for item in page(units, ana).items] == [7, 8, 9, 10]
    assert [item.seq for item in page(units, ana, after=6).items] == [7, 8, 9, 10]
    with pytest.raises(EventsGone) as gone:
        page(units, ana, after=5)
    assert gone.value.extra == {"oldest": 7, "newest": 10}
    feeds = EventFeeds(units, wakeups)

    async def work() -> None:
        for after in (0, 5, 11, 10**15):
            async with aclosing(feeds.follow(ana.tenant_id, after, ALL)) as stream:  # type: ignore[type-var]
                told = await take(stream, 1 if after > 10 else 2)
                assert (told[-1].event, told[-1].id) == ("reset", "10")
                newest = page(units, ana).newest
                assert newest == 10
        async with (
            aclosing(feeds.follow(ana.tenant_id, 5, ALL)) as lost,  # type: ignore[type-var]
            aclosing(feeds.follow(ana.tenant_id, 6, ALL)) as kept,  # type: ignore[type-var]
        ):
            await take(lost, 2)
            assert seqs(await take(kept, 5)) == [6, 7, 8, 9, 10]
            await asyncio.to_thread(write, units, ana)
            assert seqs(await take(lost, 1)) == seqs(await take(kept, 1)) == [11]

    run(feeds, work)


def test_everything_was_removed_and_the_numbers_go_on(units: Units, wakeups: WakeUps, ana: Actor) -> None:
    write(units, ana, 3)
    with units.begin(ana) as session:
        session.execute(update(Event).values(created_at=now() - timedelta(days=31)))
    kept = Housekeeping(units, {"events": lambda session, limit: EventService(session).remove_old(30, limit)})
    assert kept.run_once() == {"events": 3}
    assert page(units, ana).model_dump() == {"items": [], "next_cursor": None, "oldest": None, "newest": 3}
    assert page(units, ana, after=3).items == []
    with pytest.raises(EventsGone):
        page(units, ana, after=2)
    write(units, ana)
    assert [item.seq for item in page(units, ana).items] == [4]


def test_a_wake_up_that_is_lost_only_costs_time(
    database: Database, ana: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devstudio_server.events.feeds.POLL_S", 0.05)
    engine = database.engine()
    silent = Units(engine, recorders=(record_events,))
    wakeups = WakeUps(alone=False)  # others may write, and do not tell
    feeds = EventFeeds(silent, wakeups)

    async def work() -> None:
        async with aclosing(feeds.follow(ana.tenant_id, 0, ALL)) as stream:  # type: ignore[type-var]
            await take(stream, 1)
            await asyncio.to_thread(write, silent, ana, 3)
            assert seqs(await take(stream, 3)) == [1, 2, 3]

    run(feeds, work)
    engine.dispose()


def test_a_database_that_is_away_refuses_new_followers_and_keeps_those_that_are_there(
    units: Units, wakeups: WakeUps, ana: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devstudio_server.events.feeds.POLL_S", 0.05)
    feeds = EventFeeds(units, wakeups)
    begin = units.begin

    def away(actor: Actor, *, read_only: bool = False) -> Any:
        if read_only:
            raise Unavailable("The database did not answer.")
        return begin(actor)

    async def work() -> None:
        async with aclosing(feeds.follow(ana.tenant_id, 0, ALL)) as stream:  # type: ignore[type-var]
            await take(stream, 1)
            monkeypatch.setattr(units, "begin", away)
            await asyncio.to_thread(write, units, ana, 2)
            with pytest.raises(Unavailable):
                await anext(feeds.follow(UUID(int=5), 0, ALL))
            monkeypatch.setattr(units, "begin", begin)
            assert seqs(await take(stream, 2)) == [1, 2]
            async with aclosing(feeds.follow(UUID(int=5), 0, ALL)) as late:  # type: ignore[type-var]
                assert seqs(await take(late, 1)) == [0]

    run(feeds, work)


class Reader:
    """A client that goes away and comes back at random, and keeps what it was told."""

    def __init__(self, feeds: list[EventFeeds], tenant_id: UUID, seed: int, last: int) -> None:
        self.feeds, self.tenant_id, self.last = feeds, tenant_id, last
        self.random = random.Random(seed)
        self.seen: list[int] = []

    async def read(self) -> None:
        while len(self.seen) < self.last:
            patience = self.random.randrange(1, 25)
            after = self.seen[-1] if self.seen else 0
            feeds = self.random.choice(self.feeds)  # another server, perhaps
            async with aclosing(feeds.follow(self.tenant_id, after, ALL)) as stream:  # type: ignore[type-var]
                async for event in stream:
                    assert event.event != "reset"
                    if event.event == "change":
                        self.seen.append(event.data["seq"])
                        patience -= 1
                    if not patience or len(self.seen) >= self.last:
                        break


@pytest.mark.timeout(240)
def test_readers_that_come_and_go_see_each_event_once_across_servers_while_redis_dies(
    database: Database, ana: Actor, request: pytest.FixtureRequest
) -> None:
    writes = 60 if request.config.getoption("--bench-scale") == "small" else 400
    with RedisServer() as redis:
        wakeups = [RedisWakeUps(redis.url) for _ in range(2)]
        engines = [database.engine() for _ in wakeups]
        units = [
            Units(engine, recorders=(partial(record_events, wake=bus.wake),))
            for engine, bus in zip(engines, wakeups, strict=True)
        ]
        feeds = [EventFeeds(each, bus) for each, bus in zip(units, wakeups, strict=True)]
        for bus in wakeups:
            bus.start()
        readers = [Reader(feeds, ana.tenant_id, seed, 2 * writes) for seed in range(6)]

        def interrupt() -> None:
            write(units[0], ana, writes // 2)
            redis.stop()
            write(units[0], ana, writes // 4)
            redis.start()
            write(units[0], ana, writes - writes // 2 - writes // 4)

        async def work() -> None:
            await asyncio.gather(
                asyncio.to_thread(interrupt),
                asyncio.to_thread(write, units[1], ana, writes),
                *(reader.read() for reader in readers),
            )

        async def limited() -> None:
            async with asyncio.timeout(200):
                await work()

        asyncio.run(limited())
        for each in feeds:
            each.close(wait=True)
        for bus in wakeups:
            bus.stop()
        for engine in engines:
            engine.dispose()
    assert [reader.seen for reader in readers] == [list(range(1, 2 * writes + 1))] * len(readers)
