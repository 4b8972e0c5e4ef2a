"""Logs in files: what a crash, a torn write and an older writer leave is read as the bytes say."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from devstudio_server.execution.log_files import LogFiles
from devstudio_server.execution.logs import LogStorage, LogStream, LogTaken
from devstudio_server.kit.ids import new_id

OUT, ERR = LogStream.STDOUT, LogStream.STDERR
TENANT, RUN = new_id(), new_id()


@pytest.fixture
def files(tmp_path: Path) -> LogFiles:
    return LogFiles(tmp_path)


@pytest.fixture
def logs(files: LogFiles) -> LogStorage:
    return LogStorage(files)


def pieces(logs: LogStorage) -> list[tuple[int, int, LogStream]]:
    return [(p.offset, p.length, p.stream) for p in logs.slice(TENANT, RUN, 0, 1000).pieces]


def test_a_log_of_an_earlier_version_is_read_and_goes_on(files: LogFiles, logs: LogStorage) -> None:
    path = files.path(TENANT, RUN)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"old\n")
    assert pieces(logs) == [(0, 4, OUT)]
    assert not logs.slice(TENANT, RUN, 0, 0).open
    with logs.writer(TENANT, RUN) as log:
        log.write(b"new", ERR)
    assert logs.read(TENANT, RUN, 0, 100) == b"old\nnew"
    assert pieces(logs) == [(0, 4, OUT), (4, 3, ERR)]
    assert path.read_bytes() == b"old\n"


@pytest.mark.parametrize("kept", [0, 5, 32, 40, 48, 60])
def test_an_index_that_is_behind_the_bytes_costs_no_byte(files: LogFiles, logs: LogStorage, kept: int) -> None:
    with logs.writer(TENANT, RUN) as log:
        log.write(b"out\n")
        log.write(b"err\n", ERR)
    os.truncate(files.path(TENANT, RUN, 1, "idx"), kept)
    found = logs.slice(TENANT, RUN, 0, 100)
    assert found.data == b"out\nerr\n"
    assert sum(piece.length for piece in found.pieces) == 8
    assert logs.read(TENANT, RUN, 6, 100) == b"r\n"
    with logs.writer(TENANT, RUN, 2) as log:
        log.write(b"more")
    assert logs.read(TENANT, RUN, 0, 1000).startswith(b"out\nerr\n[devstudio] Attempt 2")


def test_an_index_that_is_ahead_of_the_bytes_promises_nothing(files: LogFiles, logs: LogStorage) -> None:
    with logs.writer(TENANT, RUN) as log:
        log.write(b"out\n")
        log.write(b"err\n", ERR)
    os.truncate(files.path(TENANT, RUN), 5)
    assert logs.read(TENANT, RUN, 0, 100) == b"out\ne"
    assert pieces(logs) == [(0, 4, OUT), (4, 1, ERR)]


def test_offsets_stay_when_a_disk_loses_bytes_of_an_earlier_part(files: LogFiles, logs: LogStorage) -> None:
    for text in (b"abcdef", b"ghi"):
        with logs.writer(TENANT, RUN) as log:
            log.write(text)
    os.truncate(files.path(TENANT, RUN), 2)
    assert logs.read(TENANT, RUN, 0, 100) == b"ab\0\0\0\0ghi"


def test_an_older_writer_adds_nothing_once_there_is_a_newer_one(files: LogFiles, logs: LogStorage) -> None:
    with logs.writer(TENANT, RUN) as old:
        old.write(b"before\n")
        with logs.writer(TENANT, RUN, 2) as new:
            with pytest.raises(LogTaken):
                old.write(b"zombie\n")
            new.write(b"after\n")
            with pytest.raises(LogTaken):
                old.note("zombie")
        seen = logs.read(TENANT, RUN, 0, 1000)
    assert seen.startswith(b"before\n[devstudio] Attempt 2")
    assert seen.endswith(b"\nafter\n")
    assert b"zombie" not in seen
    with files.path(TENANT, RUN).open("ab") as past:  # and not even past the writer
        past.write(b"zombie")
    assert logs.read(TENANT, RUN, 0, 1000) == seen


def test_what_a_reader_saw_stays_where_it_was_while_writers_replace_each_other(logs: LogStorage) -> None:
    stop = threading.Event()

    def write(attempt: int) -> None:
        try:
            with logs.writer(TENANT, RUN, attempt) as log:
                while not stop.is_set():
                    log.write(f"{attempt} goes on and on\n".encode())
        except LogTaken:
            return

    threads = []
    seen = b""
    for attempt in range(1, 13):
        threads.append(threading.Thread(target=write, args=(attempt,)))
        threads[-1].start()
        while seen.count(f"{attempt} goes on and on\n".encode()) < 100:
            seen += logs.read(TENANT, RUN, len(seen), 1_000_000)
    stop.set()
    for thread in threads:
        thread.join(10)
    final = b""
    while more := logs.read(TENANT, RUN, len(final), 10_000_000):
        final += more
    assert final.startswith(seen)
    numbers = [int(line.split()[0]) for line in final.splitlines() if line[:1].isdigit()]
    assert numbers == sorted(numbers), "no attempt writes into a later one"
    assert final.count(b"[devstudio] Attempt") == 11


def test_a_killed_writer_leaves_a_log_that_is_whole(files: LogFiles, logs: LogStorage, tmp_path: Path) -> None:
    script = f"""
import itertools, pathlib, uuid
from devstudio_server.execution.log_files import LogFiles
from devstudio_server.execution.logs import LogStorage, LogStream
logs = LogStorage(LogFiles(pathlib.Path({str(tmp_path)!r})), cap_bytes=1 << 30)
with logs.writer(uuid.UUID({str(TENANT)!r}), uuid.UUID({str(RUN)!r}), 1) as log:
    for n in itertools.count():
        log.write(f"{{n}}\\n".encode(), (LogStream.STDOUT, LogStream.STDERR)[n % 2])
"""
    written = 0
    for _ in range(4):
        with subprocess.Popen([sys.executable, "-c", script]) as process:
            while logs.size(TENANT, RUN) < written + 20_000:
                assert process.poll() is None
            process.send_signal(signal.SIGKILL)
        lines, at = list[bytes](), 0
        while (found := logs.slice(TENANT, RUN, at, 100_000)).data:
            assert sum(piece.length for piece in found.pieces) == len(found.data)
            lines.append(found.data)
            at = found.end
        everything = b"".join(lines)
        written = len(everything)
        assert logs.slice(TENANT, RUN, 0, 0).open
    lives = everything.split(b"0\n1\n")[1:]
    assert len(lives) == 4
    for life in lives:  # all numbers in order; the last may be torn in the middle of its write
        numbers = [int(line) for line in life.split(b"\n")[:-1]]
        assert numbers == list(range(2, len(numbers) + 2))


def test_a_full_disk_is_said_and_what_was_taken_is_counted(logs: LogStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    with logs.writer(TENANT, RUN) as log:
        log.write(b"abc")
        file = log._appender._file  # type: ignore[attr-defined]

        class Full:
            def __init__(self) -> None:
                self.left = 2

            def fileno(self) -> int:
                return int(file.fileno())

            def write(self, data: bytes) -> int:
                if not self.left:
                    raise OSError(errno.ENOSPC, "No space left on device")
                taken, self.left = self.left, 0
                return int(file.write(data[:taken]))

        monkeypatch.setattr(log._appender, "_file", Full())
        with pytest.raises(OSError, match="No space"):
            log.write(b"defgh", ERR)
        monkeypatch.setattr(log._appender, "_file", file)
        log.write(b"!")
    assert logs.read(TENANT, RUN, 0, 100) == b"abcde!"
    assert pieces(logs) == [(0, 3, OUT), (3, 2, ERR), (5, 1, OUT)]
