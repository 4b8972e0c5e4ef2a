"""Logs as people read them: text that is whole in pieces of any size, streams apart, followed to a true end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devstudio_server.execution import log_pages
from devstudio_server.execution.errors import RunNotFound
from devstudio_server.execution.log_pages import LogPages, _whole_characters
from devstudio_server.execution.log_pieces import LogStream
from devstudio_server.execution.log_rows import LogRows
from devstudio_server.execution.log_schemas import LogPage
from devstudio_server.execution.logs import LogStorage
from devstudio_server.execution.models import Run
from devstudio_server.execution.schemas import RunStatus, RunType
from devstudio_server.kit.clock import now
from devstudio_server.kit.ids import new_id
from support.domain_world import DomainWorld

OUT, ERR, OWN = LogStream.STDOUT, LogStream.STDERR, LogStream.SYSTEM


class World:
    """A run that a test begins and ends, and its log."""

    def __init__(self, domain: DomainWorld, logs: LogStorage) -> None:
        self.domain = domain
        self.logs = logs
        self.tenant = domain.actor.tenant_id
        self.pages = LogPages(domain.units, domain.actor, logs)
        project = domain.project()
        with domain.unit() as session:
            run = Run(project_id=project.id, type=RunType.TEST, status=RunStatus.RUNNING, created_by=new_id())
            session.add(run)
        self.run: UUID = run.id

    def end(self, *, ago: float = 0) -> None:
        """Make the run final, as a service does."""
        with self.domain.unit() as session:
            run = session.get_one(Run, self.run)
            run.status, run.finished_at = RunStatus.SUCCESS, now() - timedelta(seconds=ago)
            run.version += 1
        self.logs.notify(self.run)

    def collect(self, limit: int, stream: LogStream | None = None) -> tuple[str, bool, int]:
        """Return the text that is read in pieces, whether it ended, and where."""
        text, offset = "", 0
        for _ in range(1000):
            page = self.pages.page(self.run, offset, limit, stream)
            assert page.offset == offset
            check(page)
            text += page.content
            if page.eof or page.next_offset == offset:
                return text, page.eof, page.next_offset
            offset = page.next_offset
        pytest.fail("reading does not end")


def check(page: LogPage) -> None:
    """Check that the pieces are the content, counted as JavaScript counts."""
    assert sum(piece.chars for piece in page.pieces) == len(page.content.encode("utf-16-le")) // 2
    at = page.offset
    for piece in page.pieces:
        assert piece.offset >= at
        at = piece.offset + piece.length
    assert at <= page.next_offset


@pytest.fixture(params=["files", "rows"])
def world(request: pytest.FixtureRequest, domain: DomainWorld) -> Iterator[World]:
    logs = domain.logs if request.param == "files" else LogStorage(LogRows(domain.units))
    yield World(domain, logs)
    logs.close()


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 7, 100])
def test_a_log_read_in_pieces_of_any_size_is_whole(world: World, limit: int) -> None:
    text = "añb🙂日本\n" * 3
    with world.logs.writer(world.tenant, world.run) as log:
        log.write(text.encode())
    assert world.collect(limit) == (text, False, len(text.encode()))
    world.end()
    assert world.collect(limit) == (text, True, len(text.encode()))


def test_half_a_character_waits_for_its_rest_and_is_shown_at_the_end(world: World) -> None:
    with world.logs.writer(world.tenant, world.run) as log:
        log.write(b"a\xf0\x9f")
        log.flush()
        assert world.collect(100) == ("a", False, 1)
        log.write(b"\x99\x82\xff")
        log.flush()
        assert world.collect(100) == ("a🙂\ufffd", False, 6)
        log.write(b"\xe6\x97")
    assert world.collect(100) == ("a🙂\ufffd", False, 6), "the rest may come with another attempt"
    world.end()
    assert world.collect(100) == ("a🙂\ufffd\ufffd", True, 8)


def test_one_stream_can_be_read_alone(world: World) -> None:
    with world.logs.writer(world.tenant, world.run) as log:
        log.note("begin")
        for number in range(50):
            log.write(f"out é {number}\n".encode())
            log.write(f"err 🙂 {number}\n".encode(), ERR)
    world.end()
    whole, _, end = world.collect(1000)
    assert world.collect(100, OUT) == ("".join(f"out é {n}\n" for n in range(50)), True, end)
    assert world.collect(7, ERR) == ("".join(f"err 🙂 {n}\n" for n in range(50)), True, end)
    assert world.collect(100, OWN)[0] == "[devstudio] begin\n"
    assert len(whole.encode()) == end


def test_a_page_tells_streams_and_times_and_what_is_missing(world: World) -> None:
    logs = LogStorage(world.logs.medium, 10, 0)
    with logs.writer(world.tenant, world.run) as log:
        log.write("é🙂".encode())
        log.write(b"abcdefgh", ERR)
    page = world.pages.page(world.run, 0, 1000)
    assert [(p.offset, p.length, p.stream, p.chars) for p in page.pieces][:2] == [(0, 6, OUT, 3), (6, 4, ERR, 4)]
    assert page.pieces[2].stream is OWN
    assert page.truncated_bytes == 4
    assert abs(page.pieces[0].at - now()) < timedelta(minutes=1)
    assert page.content.startswith("é🙂abcd\n[devstudio] The log is cut here: more than 10 bytes.")


def test_a_run_without_a_log_ends_at_once_when_final(world: World) -> None:
    assert world.collect(10) == ("", False, 0)
    world.end()
    assert world.pages.page(world.run, 10**30, 5).eof


def test_the_end_waits_for_the_last_words_of_a_writer_but_not_for_a_dead_one(world: World) -> None:
    with world.logs.writer(world.tenant, world.run) as log:
        log.write(b"abc")
        log.flush()
        world.end()
        assert world.collect(10) == ("abc", False, 3), "the run is final, but its writer has not closed"
        world.end(ago=log_pages.LAST_WORDS_S + 1)
        assert world.collect(10) == ("abc", True, 3), "it has had its time"
        world.end()
    assert world.collect(10) == ("abc", True, 3)


def test_a_log_of_no_run_or_another_tenant_is_not_found(world: World) -> None:
    with pytest.raises(RunNotFound):
        world.pages.page(new_id(), 0, 10)
    with pytest.raises(RunNotFound):
        world.pages.whole(new_id())


def test_a_download_is_the_log_byte_by_byte(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_pages, "DOWNLOAD_BYTES", 1000)
    data = bytes(range(256)) * 40
    with world.logs.writer(world.tenant, world.run) as log:
        log.write(data)
    size, chunks = world.pages.whole(world.run)
    parts = list(chunks)
    assert (b"".join(parts), size, max(map(len, parts))) == (data, len(data), 1000)


def test_followers_come_to_the_end_whatever_page_size(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_pages, "LOOK_S", 60)  # so that a lost wake-up would be seen
    lines = "".join(f"línea {number}\n" for number in range(3000))

    def write() -> None:
        with world.logs.writer(world.tenant, world.run) as log:
            for number, line in enumerate(lines.splitlines(keepends=True)):
                log.write(line.encode(), (OUT, ERR)[number % 2])
                if number % 500 == 0:
                    log.flush()
        world.end()

    async def follow(limit: int) -> str:
        text, seen = "", 0
        async for page in world.pages.follow(world.run, 0, limit):
            check(page)
            assert page.offset == seen
            seen, text = page.next_offset, text + page.content
        return text

    async def work() -> list[str]:
        thread = threading.Thread(target=write)
        async with asyncio.timeout(40):
            followers = [asyncio.create_task(follow(limit)) for limit in (900, 5000, 262_144)]
            await asyncio.sleep(0)
            thread.start()
            return await asyncio.gather(*followers)

    assert asyncio.run(work()) == [lines] * 3


def test_a_follower_is_answered_at_once_and_sees_an_end_that_nobody_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_pages, "LOOK_S", 0.1)

    async def work() -> None:
        pages = world.pages.follow(world.run, 0, 100)
        async with asyncio.timeout(10):
            first = await anext(pages)
            assert (first.content, first.eof) == ("", False)
            with world.domain.unit() as session:
                session.get_one(Run, world.run).status = RunStatus.FAILED
            assert [page.eof async for page in pages] == [True]

    asyncio.run(work())


def test_what_another_process_writes_is_seen_by_looking(domain: DomainWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two storages on one database: the writer's cannot notify the follower's."""
    monkeypatch.setattr(log_pages, "LOOK_S", 60)
    writing, reading = LogStorage(LogRows(domain.units)), LogStorage(LogRows(domain.units))
    world = World(domain, reading)

    async def work() -> str:
        text = ""
        async with asyncio.timeout(20):
            with writing.writer(world.tenant, world.run) as log:
                pages = world.pages.follow(world.run, 0, 100)
                for number in range(5):
                    await asyncio.to_thread(log.write, f"{number}\n".encode())
                    while f"{number}\n" not in text:
                        text += (await anext(pages)).content
            with domain.unit() as session:
                run = session.get_one(Run, world.run)
                run.status, run.version = RunStatus.SUCCESS, run.version + 1
            return text + "".join([page.content async for page in pages])

    assert asyncio.run(work()) == "0\n1\n2\n3\n4\n"
    reading.close()


def test_waiting_for_a_log_on_disk_asks_no_database(domain: DomainWorld) -> None:
    world = World(domain, domain.logs)

    async def wait() -> None:
        event = world.logs.watch(world.tenant, world.run)
        world.logs.notify(world.run)
        await asyncio.wait_for(event.wait(), 5)

    asyncio.run(wait())
    assert world.logs._watch._thread is None


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=20), cut=st.integers(0, 80))
def test_whole_characters_never_split_one_and_lose_none(text: str, cut: int) -> None:
    data = text.encode()
    kept = _whole_characters(data[:cut])
    assert data.startswith(kept)
    assert text.startswith(kept.decode())
    assert len(data[:cut]) - len(kept) < 4


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=20), cut=st.integers(0, 20))
def test_pieces_of_any_bytes_decode_as_the_whole_does(data: bytes, cut: int) -> None:
    kept = _whole_characters(data[:cut])
    joined = kept.decode("utf-8", "replace") + data[len(kept) :].decode("utf-8", "replace")
    assert joined == data.decode("utf-8", "replace")
