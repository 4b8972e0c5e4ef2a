"""Logs of runs: capped with a mark, read by offset, followed without polling."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest

from devstudio_server.execution.logs import LogStorage
from devstudio_server.kit.ids import new_id

TENANT, RUN = new_id(), new_id()


@pytest.fixture
def logs(tmp_path: Path) -> LogStorage:
    return LogStorage(tmp_path, cap_bytes=10)


def test_a_log_is_read_by_offset(tmp_path: Path) -> None:
    logs = LogStorage(tmp_path)
    assert (logs.size(TENANT, RUN), logs.read(TENANT, RUN, 0, 10)) == (0, b"")
    with logs.writer(TENANT, RUN) as log:
        log.write(b"abc")
        assert logs.read(TENANT, RUN, 0, 10) == b"abc", "at once, nothing is held back"
        log.note("é")
    expected = b"abc[devstudio] \xc3\xa9\n"
    assert logs.size(TENANT, RUN) == len(expected)
    assert logs.read(TENANT, RUN, 0, 2) + logs.read(TENANT, RUN, 2, 100) == expected
    assert logs.path(TENANT, RUN) == tmp_path / str(TENANT) / f"{RUN}.log"


@pytest.mark.parametrize("offset", [3, 4, 2**31, 2**63 - 1, 2**63, 10**30])
def test_an_offset_at_or_behind_the_end_reads_nothing(tmp_path: Path, offset: int) -> None:
    logs = LogStorage(tmp_path)
    with logs.writer(TENANT, RUN) as log:
        log.write(b"abc")
    assert logs.read(TENANT, RUN, offset, 10) == b""


def test_beyond_the_cap_there_is_one_mark_and_a_count(logs: LogStorage) -> None:
    with logs.writer(TENANT, RUN) as log:
        log.write(b"12345678")
        log.write(b"90ab")
        log.write(b"cd")
        log.write(b"")
        assert log.dropped == 4
    content = logs.read(TENANT, RUN, 0, 1000)
    assert content == b"1234567890\n[devstudio] The log is cut here: more than 10 bytes.\n"


def test_exactly_the_cap_is_not_cut(logs: LogStorage) -> None:
    with logs.writer(TENANT, RUN) as log:
        log.write(b"1234567890")
        assert log.dropped == 0
    assert logs.read(TENANT, RUN, 0, 1000) == b"1234567890"


def test_a_run_that_is_done_again_starts_its_log_anew(logs: LogStorage) -> None:
    for text in (b"first", b"2nd"):
        with logs.writer(TENANT, RUN) as log:
            log.write(text)
    assert logs.read(TENANT, RUN, 0, 100) == b"2nd"


def test_watchers_wake_at_the_next_growth_from_another_thread(logs: LogStorage) -> None:
    async def follow() -> list[bool]:
        first, second, other = logs.watch(RUN), logs.watch(RUN), logs.watch(new_id())

        def write() -> None:
            with logs.writer(TENANT, RUN) as log:
                log.write(b"x")

        await asyncio.to_thread(write)
        await asyncio.wait_for(asyncio.gather(first.wait(), second.wait()), 5)
        later = logs.watch(RUN)
        return [first.is_set(), second.is_set(), other.is_set(), later.is_set()]

    assert asyncio.run(follow()) == [True, True, False, False]


def test_events_that_nobody_holds_are_forgotten(logs: LogStorage) -> None:
    async def watch() -> int:
        for _ in range(100):
            logs.watch(RUN)
        gc.collect()
        kept = logs.watch(new_id())
        assert not kept.is_set()
        return sum(len(events) for events in logs._waiting.values())

    assert asyncio.run(watch()) == 1


def test_a_loop_that_is_closed_is_passed_over(logs: LogStorage) -> None:
    async def watch() -> asyncio.Event:
        return logs.watch(RUN)

    event = asyncio.run(watch())
    logs.notify(RUN)
    assert not event.is_set()
