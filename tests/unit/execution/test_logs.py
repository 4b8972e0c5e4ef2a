"""Logs of runs, whatever keeps them: capped with a mark, read by offset, told apart by stream, followed."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from devstudio_server.db import Units
from devstudio_server.execution.log_files import LogFiles
from devstudio_server.execution.log_pieces import MOST_PIECES, LogPiece, LogStream, PieceLog, pack, pieces_of, unpack
from devstudio_server.execution.log_rows import LogRows
from devstudio_server.execution.logs import LogMedium, LogSlice, LogStorage, LogWriter
from devstudio_server.kit.ids import new_id
from support.databases import Database

OUT, ERR, OWN = LogStream.STDOUT, LogStream.STDERR, LogStream.SYSTEM
TENANT, RUN = new_id(), new_id()
CUT = b"\n[devstudio] The log is cut here: more than 10 bytes. The end of the output follows.\n"


class Medium:
    """Makes storages with limits of their own, all on the same medium."""

    def __init__(self, medium: LogMedium) -> None:
        self.medium = medium
        self.made: list[LogStorage] = []

    def __call__(self, *limits: int) -> LogStorage:
        self.made.append(LogStorage(self.medium, *limits))
        return self.made[-1]


@pytest.fixture(params=["files", "rows"])
def medium(request: pytest.FixtureRequest, tmp_path: Path, database: Database) -> Iterator[Medium]:
    """Every test here holds for files and for rows."""
    engine = database.engine()
    made = Medium(LogFiles(tmp_path / "logs") if request.param == "files" else LogRows(Units(engine)))
    yield made
    for storage in made.made:
        storage.close()
    engine.dispose()


@pytest.fixture
def logs(medium: Medium) -> LogStorage:
    return medium()


@pytest.fixture
def small(medium: Medium) -> LogStorage:
    return medium(10, 6)


def whole(logs: LogStorage) -> bytes:
    return logs.read(TENANT, RUN, 0, 10_000_000)


def told(found: LogSlice) -> list[tuple[bytes, LogStream]]:
    """Return the bytes of each piece, and check that the pieces are the slice, each byte once."""
    assert b"".join(found.data[p.offset - found.offset : p.end - found.offset] for p in found.pieces) == found.data
    at = found.offset
    for piece in found.pieces:
        assert (piece.offset, piece.length > 0) == (at, True)
        at = piece.end
    parts = [(found.data[p.offset - found.offset : p.end - found.offset], p.stream) for p in found.pieces]
    return [(b"".join(part for part, _ in same), stream) for stream, same in groupby(parts, key=lambda part: part[1])]


def test_a_log_is_read_by_offset(logs: LogStorage) -> None:
    assert (logs.size(TENANT, RUN), logs.read(TENANT, RUN, 0, 10)) == (0, b"")
    with logs.writer(TENANT, RUN) as log:
        log.write(b"abc")
        log.flush()
        assert logs.read(TENANT, RUN, 0, 10) == b"abc"
        log.note("é")
    expected = b"abc\n[devstudio] \xc3\xa9\n"
    assert logs.size(TENANT, RUN) == len(expected)
    assert logs.read(TENANT, RUN, 0, 2) + logs.read(TENANT, RUN, 2, 100) == expected
    assert logs.size(new_id(), RUN) == logs.size(TENANT, new_id()) == 0, "of this tenant and run alone"


@pytest.mark.parametrize("offset", [3, 4, 2**31, 2**63 - 1, 2**63, 10**30])
def test_an_offset_at_or_behind_the_end_reads_nothing(logs: LogStorage, offset: int) -> None:
    with logs.writer(TENANT, RUN) as log:
        log.write(b"abc")
    assert logs.read(TENANT, RUN, offset, 10) == b""


def test_streams_are_told_apart_with_their_times(logs: LogStorage) -> None:
    with logs.writer(TENANT, RUN) as log:
        log.note("begin")
        log.write(b"out 1\n")
        log.write(b"err\n", ERR)
        log.write(b"out 2\n")
        log.write(b"out 3\n")
    found = logs.slice(TENANT, RUN, 0, 1000)
    assert told(found) == [
        (b"[devstudio] begin\n", OWN),
        (b"out 1\n", OUT),
        (b"err\n", ERR),
        (b"out 2\nout 3\n", OUT),
    ]
    times = [piece.at_ms for piece in found.pieces]
    assert times == sorted(times)
    assert times[0] > 1_700_000_000_000
    middle = logs.slice(TENANT, RUN, 20, 7)
    assert told(middle) == [(b"t 1\n", OUT), (b"err", ERR)]
    assert (middle.offset, middle.end, middle.size) == (20, 27, found.size)


def test_any_offset_and_limit_read_the_same_log(logs: LogStorage) -> None:
    rng = random.Random(7)
    sent: dict[LogStream, bytes] = {OUT: b"", ERR: b""}
    for attempt in (1, 2, 3):
        with logs.writer(TENANT, RUN, attempt) as log:
            for _ in range(200):
                stream, data = rng.choice([OUT, ERR]), rng.randbytes(rng.randrange(1, 400))
                log.write(data, stream)
                sent[stream] += data
    everything = logs.slice(TENANT, RUN, 0, 10_000_000)
    while everything.end < everything.size:
        more = logs.slice(TENANT, RUN, everything.end, 10_000_000)
        everything = LogSlice(0, everything.data + more.data, everything.pieces + more.pieces, more.size)
    for stream, data in sent.items():
        assert b"".join(part for part, its in told(everything) if its is stream) == data
    for _ in range(300):
        at, limit = rng.randrange(everything.size + 10), rng.randrange(3000)
        found = logs.slice(TENANT, RUN, at, limit)
        told(found)
        assert found.data == everything.data[at : at + limit]


def test_a_character_is_never_torn_by_another_stream(logs: LogStorage) -> None:
    text = "añ€😀b"
    with logs.writer(TENANT, RUN) as log:
        for byte in text.encode():
            log.write(bytes([byte]))
            log.write(b"-", ERR)
    found = logs.slice(TENANT, RUN, 0, 1000)
    found.data.decode()
    assert b"".join(part for part, stream in told(found) if stream is OUT) == text.encode()


@pytest.mark.parametrize("data", [b"\xff\xfe\xfd", b"\x80\x80", b"\xc0", b"\xf8", b"\xe2\x82x", b"\xf5\x80"])
def test_what_is_no_character_waits_for_nothing(logs: LogStorage, data: bytes) -> None:
    with logs.writer(TENANT, RUN) as log:
        log.write(data)
        log.flush()
        assert whole(logs) == data


def test_a_character_that_never_ends_is_kept_as_it_came(logs: LogStorage) -> None:
    with logs.writer(TENANT, RUN) as log:
        log.write(b"x\xe2\x82")
        log.flush()
        assert whole(logs) == b"x"
    assert whole(logs) == b"x\xe2\x82"


def test_beyond_the_cap_there_is_a_mark_the_end_and_a_true_count(small: LogStorage) -> None:
    with small.writer(TENANT, RUN) as log:
        log.write(b"12345678")
        log.write(b"90ab")
        log.write(b"cd", ERR)
        log.write(b"")
        assert log.dropped == 0, "the end is kept, and there is no more than that yet"
        log.write(b"efghi")
        assert log.dropped == 3
        log.flush()
        assert small.slice(TENANT, RUN, 0, 0).truncated_bytes == 9, "were this the end, all beyond the cap"
        log.note("done")
    found = small.slice(TENANT, RUN, 0, 1000)
    assert told(found) == [
        (b"1234567890", OUT),
        (CUT + b"[devstudio] 3 bytes are left out here.\n", OWN),
        (b"d", ERR),
        (b"efghi", OUT),
        (b"\n[devstudio] done\n", OWN),
    ]
    assert found.data.endswith(b"left out here.\ndefghi\n[devstudio] done\n")
    assert (found.truncated_bytes, log.dropped, found.open) == (3, 3, False)


def test_what_is_sent_is_the_head_the_end_and_the_count(medium: Medium) -> None:
    rng = random.Random(3)
    for _ in range(40):
        run = new_id()
        logs = medium(rng.randrange(1, 2000), rng.choice([0, 1, 500]))
        sent = b""
        with logs.writer(TENANT, run) as log:
            for _ in range(rng.randrange(1, 60)):
                data = bytes(rng.choices(b"abcdefg\n", k=rng.randrange(0, 200)))
                sent += data
                log.write(data, rng.choice([OUT, ERR]))
        found = logs.slice(TENANT, run, 0, 100_000)
        output = b"".join(part for part, stream in told(found) if stream is not OWN)
        kept = min(len(sent), logs.cap_bytes)
        assert found.data.startswith(sent[:kept])
        assert output[:kept] == sent[:kept]
        assert sent.endswith(output[kept:])
        assert len(output) + found.truncated_bytes == len(sent)
        assert (b"cut here" in found.data) == (len(sent) > logs.cap_bytes)


def test_exactly_the_cap_is_not_cut(small: LogStorage) -> None:
    with small.writer(TENANT, RUN) as log:
        log.write(b"1234567890")
        assert log.dropped == 0
    assert whole(small) == b"1234567890"


def test_endless_notes_end_too(small: LogStorage) -> None:
    with small.writer(TENANT, RUN) as log:
        for _ in range(30):
            log.note("x" * 100_000)
    assert 900_000 < small.size(TENANT, RUN) < 1_100_000


def test_a_run_that_is_done_again_goes_on_behind_what_is_there(logs: LogStorage) -> None:
    with logs.writer(TENANT, RUN) as log:
        log.write(b"first", ERR)
    first = logs.slice(TENANT, RUN, 0, 100)
    with logs.writer(TENANT, RUN, attempt=2) as log:
        log.write(b"2nd")
    found = logs.slice(TENANT, RUN, 0, 1000)
    assert found.data.startswith(first.data)
    mark = b"\n[devstudio] Attempt 2: the one before was interrupted, and the run begins anew.\n"
    assert told(found) == [(b"first", ERR), (mark, OWN), (b"2nd", OUT)]


def test_a_second_job_of_the_same_attempt_leaves_no_mark(logs: LogStorage) -> None:
    for text in (b"tested\n", b"committed\n"):
        with logs.writer(TENANT, RUN) as log:
            log.write(text)
    assert whole(logs) == b"tested\ncommitted\n"


def test_a_log_says_whether_somebody_writes_it(logs: LogStorage) -> None:
    assert not logs.slice(TENANT, RUN, 0, 0).open
    with logs.writer(TENANT, RUN) as log:
        assert logs.slice(TENANT, RUN, 0, 0).open
        log.write(b"x")
    assert not logs.slice(TENANT, RUN, 0, 0).open


def test_the_cap_is_of_the_run_and_not_of_its_attempts(small: LogStorage) -> None:
    for attempt in (1, 2):
        with small.writer(TENANT, RUN, attempt) as log:
            log.write(b"abcdefghijkl")
    found = small.slice(TENANT, RUN, 0, 1000)
    output = b"".join(part for part, stream in told(found) if stream is not OWN)
    assert output == b"abcdefghij" + b"kl" + b"ghijkl"
    assert found.truncated_bytes == 6


def test_watchers_wake_at_the_next_growth_from_another_thread(logs: LogStorage) -> None:
    async def follow() -> list[bool]:
        first, second, other = logs.watch(TENANT, RUN), logs.watch(TENANT, RUN), logs.watch(TENANT, new_id())

        def write() -> None:
            with logs.writer(TENANT, RUN) as log:
                log.write(b"x")

        await asyncio.to_thread(write)
        await asyncio.wait_for(asyncio.gather(first.wait(), second.wait()), 5)
        later = logs.watch(TENANT, RUN)
        return [first.is_set(), second.is_set(), other.is_set(), later.is_set()]

    assert asyncio.run(follow()) == [True, True, False, False]


def test_events_that_nobody_holds_are_forgotten(logs: LogStorage) -> None:
    async def watch() -> int:
        for _ in range(100):
            logs.watch(TENANT, RUN)
        gc.collect()
        kept = logs.watch(TENANT, new_id())
        assert not kept.is_set()
        return sum(len(events) for events in logs._watch._waiting.values())

    assert asyncio.run(watch()) == 1


def test_a_loop_that_is_closed_is_passed_over(logs: LogStorage) -> None:
    async def watch() -> asyncio.Event:
        return logs.watch(TENANT, RUN)

    event = asyncio.run(watch())
    logs.notify(RUN)
    assert not event.is_set()


def test_an_error_under_way_is_not_hidden_by_one_of_the_log(logs: LogStorage) -> None:
    class Gone(LogWriter):
        def _write_all(self) -> None:
            raise OSError

    with pytest.raises(KeyError), Gone(logs, TENANT, RUN):
        raise KeyError


def test_two_streams_may_be_written_by_two_threads(logs: LogStorage) -> None:
    with logs.writer(TENANT, RUN) as log:

        def write(stream: LogStream, text: bytes) -> None:
            for _ in range(2000):
                log.write(text, stream)

        threads = [threading.Thread(target=write, args=args) for args in ((OUT, b"out\n"), (ERR, b"err\n"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    pages = list(pages_of(logs))
    for stream, text in ((OUT, b"out\n"), (ERR, b"err\n")):
        assert b"".join(part for page in pages for part, its in told(page) if its is stream) == text * 2000


def pages_of(logs: LogStorage, **limit: Any) -> Iterator[LogSlice]:
    at = 0
    while (found := logs.slice(TENANT, RUN, at, limit.get("limit", 1_000_000))).data:
        yield found
        at = found.end


def test_a_page_has_so_many_pieces_at_most(logs: LogStorage) -> None:
    with logs.writer(TENANT, RUN) as log:
        for _ in range(1500):
            log.write(b"o")
            log.write(b"e", ERR)
    pages = list(pages_of(logs))
    assert max(len(page.pieces) for page in pages) == 1000
    assert sum(len(page.pieces) for page in pages) == 3000
    assert b"".join(page.data for page in pages) == b"oe" * 1500


def test_records_are_read_as_they_were_written() -> None:
    assert unpack(pack(2**63, ERR, 1_800_000_000_123)) == (2**63, ERR, 1_800_000_000_123)
    assert unpack(b"\xff" * 16)[1] is OUT, "a torn record is no error"
    LogPiece(0, 1, *unpack(b"\xff" * 16)[1:]).at.isoformat()


def test_output_of_one_stream_close_together_is_one_piece() -> None:
    pieces = PieceLog(100)
    assert [pieces.add(5, OUT, 1000)[0], pieces.add(5, OUT, 1099)[0], pieces.add(5, OUT, 1100)[0]] == [0, 0, 1]
    assert unpack(pieces.add(1, ERR, 1100)[1]) == (116, ERR, 1100)


def test_streams_that_change_too_often_are_told_as_one_from_there_on() -> None:
    pieces = PieceLog()
    last = [pieces.add(1, (OUT, ERR)[n % 2], n * 1000)[0] for n in range(MOST_PIECES + 50)][-1]
    assert last == MOST_PIECES - 1


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([], [(5, 5, OUT)]),
        ([(7, ERR, 1)], [(5, 2, ERR), (7, 3, OUT)]),
        ([(7, ERR, 1), (6, OUT, 1), (99, OWN, 1), (120, ERR, 1)], [(5, 2, ERR), (7, 3, OWN)]),
    ],
)
def test_bytes_hold_where_records_disagree(
    records: list[tuple[int, LogStream, int]], expected: list[tuple[int, int, LogStream]]
) -> None:
    assert [(p.offset, p.length, p.stream) for p in pieces_of(records, 5, 10)] == expected
