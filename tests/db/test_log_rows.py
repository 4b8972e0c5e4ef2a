"""Logs and files of runs in rows: one writer at a time, no byte twice, and none lost while the database is away."""

from __future__ import annotations

import asyncio
import gc
import itertools
import signal
import threading
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, event, func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from devstudio_server.db import Actor, Units, create_engine
from devstudio_server.execution import log_rows
from devstudio_server.execution.log_files import LogFiles
from devstudio_server.execution.log_models import FileBlock, LogChunk, RunFile, RunLog
from devstudio_server.execution.log_repository import LogRepository
from devstudio_server.execution.log_rows import BUFFER_BYTES, CHUNK_BYTES, LogRows, LogUnavailable
from devstudio_server.execution.logs import LogStorage, LogStream, LogTaken
from devstudio_server.execution.models import Run
from devstudio_server.execution.retention import RunRetention
from devstudio_server.execution.run_file_rows import FileRows
from devstudio_server.execution.run_files import FilesOnDisk, RunFiles
from devstudio_server.kit.clock import now
from devstudio_server.kit.ids import new_id
from devstudio_server.projects.models import Project
from devstudio_server.projects.schemas import ProjectStatus
from support.services import Postgres

OUT, ERR = LogStream.STDOUT, LogStream.STDERR
RUN = new_id()


@pytest.fixture
def logs(units: Units) -> Iterator[LogStorage]:
    storage = LogStorage(LogRows(units), 1 << 30)
    yield storage
    storage.close()


def whole(logs: LogStorage, actor: Actor) -> bytes:
    data = b""
    while more := logs.read(actor.tenant_id, RUN, len(data), 10_000_000):
        data += more
    return data


def test_a_writer_that_was_replaced_stores_nothing_more(logs: LogStorage, ana: Actor) -> None:
    old = logs.writer(ana.tenant_id, RUN).__enter__()
    old.write(b"before\n")
    old.flush()
    with logs.writer(ana.tenant_id, RUN, 2) as new:
        old.write(b"zombie\n")
        with pytest.raises(LogTaken):
            old.flush()
        new.write(b"after\n")
    with pytest.raises(LogTaken):
        old.write(b"zombie\n")
    with pytest.raises(LogTaken):
        old.__exit__(None, None, None)
    data = whole(logs, ana)
    assert data.startswith(b"before\n[devstudio] Attempt 2")
    assert data.endswith(b"\nafter\n")
    assert b"zombie" not in data
    assert not logs.slice(ana.tenant_id, RUN, 0, 0).open, "the zombie's end does not open it again"


def test_writers_that_replace_each_other_never_interleave(logs: LogStorage, ana: Actor) -> None:
    stop = threading.Event()

    def write(number: int) -> None:
        try:
            with logs.writer(ana.tenant_id, RUN, number) as log:
                while not stop.is_set():
                    log.write(f"{number} goes on\n".encode() * 50)
        except LogTaken:
            return

    threads: list[threading.Thread] = []
    seen = b""
    for number in range(1, 7):
        threads.append(threading.Thread(target=write, args=(number,)))
        threads[-1].start()
        while seen.count(f"{number} goes on\n".encode()) < 500:
            seen += logs.read(ana.tenant_id, RUN, len(seen), 1_000_000)
    stop.set()
    for thread in threads:
        thread.join(30)
    data = whole(logs, ana)
    assert data.startswith(seen)
    numbers = [int(line.split()[0]) for line in data.splitlines() if line[:1].isdigit()]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, 7))


class Line:
    """A connection to the database that a test can cut: before a commit, or after it and before its word comes back."""

    def __init__(self, engine: Engine) -> None:
        self.cut_before = 0
        self.cut_after = 0
        self.failures = 0
        event.listen(engine, "commit", self._on_commit)

    def _on_commit(self, connection: Any) -> None:
        if not connection.get_execution_options().get("devstudio_read_only"):
            if self.cut_before:
                self.cut_before -= 1
                self._fail()
            if self.cut_after:
                self.cut_after -= 1
                connection.connection.dbapi_connection.execute("COMMIT")
                self._fail()

    def _fail(self) -> None:
        self.failures += 1
        raise OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))


def test_no_byte_is_lost_or_doubled_when_the_line_is_cut_around_a_commit(
    logs: LogStorage, units: Units, ana: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_rows, "_RETRY_S", 0.01)
    line = Line(units.engine)
    sent = b""
    with logs.writer(ana.tenant_id, RUN) as log:
        for number in range(12):
            data = f"{number:04}\n".encode() * 100
            line.cut_before, line.cut_after = number % 3, number % 2
            log.write(data, (OUT, ERR)[number % 2])
            log.flush()
            sent += data
    assert whole(logs, ana) == sent
    assert line.failures == 18


def test_a_database_that_stays_away_ends_the_run_with_a_reason(units: Units, ana: Actor) -> None:
    logs = LogStorage(LogRows(units, patience_s=0.5))
    line = Line(units.engine)

    def work() -> None:
        with logs.writer(ana.tenant_id, RUN) as log:
            line.cut_before = 1_000_000
            for _ in range(100):
                log.write(b"x" * 100_000)

    with pytest.raises(LogUnavailable, match="took nothing of the run's log"):
        work()
    line.cut_before = 0
    with logs.writer(ana.tenant_id, RUN, 2) as log:
        log.write(b"again")
    assert whole(logs, ana).endswith(b"again")


def test_memory_is_bounded_while_the_database_is_slow(
    logs: LogStorage, ana: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one who prints waits: what waits to be stored is never more than the buffer, one write and one batch."""
    most = 0
    original = log_rows._RowAppender._store

    def slow(self: Any, chunks: Any, lost: int, *, closing: bool) -> None:
        nonlocal most
        most = max(most, self.size - self._stored)
        time.sleep(0.02)
        original(self, chunks, lost, closing=closing)

    monkeypatch.setattr(log_rows._RowAppender, "_store", slow)
    sent = bytes(range(256)) * 256
    with logs.writer(ana.tenant_id, RUN) as log:
        for _ in range(160):
            log.write(sent)
    assert most <= BUFFER_BYTES + CHUNK_BYTES
    assert logs.size(ana.tenant_id, RUN) == 160 * len(sent)
    assert whole(logs, ana) == sent * 160


def test_a_burst_is_few_rows_and_a_trickle_is_soon_there(logs: LogStorage, units: Units, ana: Actor) -> None:
    with logs.writer(ana.tenant_id, RUN) as log:
        for _ in range(1000):
            log.write(b"y" * 1000)
        log.flush()
        with units.begin(ana, read_only=True) as session:
            rows = session.scalar(select(func.count(LogChunk.id))) or 0
        assert rows < 60
        begun = time.monotonic()
        log.write(b"!")
        while logs.size(ana.tenant_id, RUN) < 1_000_001:
            assert time.monotonic() < begun + 10
            time.sleep(0.005)


def test_a_tenant_has_its_own_logs_and_files(logs: LogStorage, units: Units, ana: Actor, eve: Actor) -> None:
    files = RunFiles(FileRows(units))
    for actor, text in ((ana, b"ana"), (eve, b"eve!")):
        with logs.writer(actor.tenant_id, RUN) as log:
            log.write(text)
        files.save(actor.tenant_id, RUN, "x", [text], 10)
    assert (whole(logs, ana), whole(logs, eve)) == (b"ana", b"eve!")
    assert b"".join(files.open(eve.tenant_id, RUN, "x")) == b"eve!"


def test_an_offset_is_found_without_reading_what_is_before_it(logs: LogStorage, units: Units, ana: Actor) -> None:
    with logs.writer(ana.tenant_id, RUN) as log:
        for number in range(40):
            log.write(bytes([number]) * CHUNK_BYTES)
    read: list[str] = []

    def note(_conn: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "ds_log_chunks" in statement:
            read.append(statement)
            rows.append(cursor)

    rows: list[Any] = []
    event.listen(units.engine, "before_cursor_execute", note)
    at = 30 * CHUNK_BYTES + 5
    found = logs.slice(ana.tenant_id, RUN, at, 10)
    event.remove(units.engine, "before_cursor_execute", note)
    assert found.data == bytes([30]) * 10
    assert len(read) == 1
    with units.begin(ana, read_only=True) as session:
        chunks = LogRepository(session).chunks(RUN, at, at + 10)
        assert [chunk.start for chunk in chunks] == [30 * CHUNK_BYTES]


@contextmanager
def followed(logs: LogStorage, actor: Actor) -> Iterator[None]:
    """Watch a log in a loop of its own, as a server with a follower does."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def watch() -> None:
        while True:
            await logs.watch(actor.tenant_id, RUN).wait()

    task = asyncio.run_coroutine_threadsafe(watch(), loop)
    try:
        yield
    finally:
        task.cancel()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def test_looking_for_growth_ends_with_the_last_follower(
    logs: LogStorage, ana: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def states(tenant_id: UUID, run_ids: Sequence[UUID]) -> Mapping[UUID, Hashable]:
        looks.append(1)
        return logs.medium.states(tenant_id, run_ids)

    monkeypatch.setattr(logs._watch, "_states", states)
    with followed(logs, ana):
        deadline = time.monotonic() + 20
        while len(looks) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    gc.collect()
    thread = logs._watch._thread
    assert thread is not None
    assert thread.is_alive()
    logs.close()
    assert not thread.is_alive()


def run_of(units: Units, actor: Actor, status: str = "active") -> Any:
    with units.begin(actor) as session:
        project = Project(name="P", type="api", template="python", created_by=actor.user_id, status=status)
        session.add(project)
        session.flush()
        run = Run(project_id=project.id, type="test", created_by=actor.user_id)
        session.add(run)
    return run.id


def storages(kind: str, units: Units, folder: Path) -> tuple[LogStorage, RunFiles]:
    if kind == "rows":
        return LogStorage(LogRows(units)), RunFiles(FileRows(units))
    return LogStorage(LogFiles(folder / "logs")), RunFiles(FilesOnDisk(folder / "files"))


@pytest.mark.parametrize("kind", ["files", "rows"])
def test_what_is_old_or_of_a_deleted_project_is_removed_and_nothing_else(
    units: Units, ana: Actor, eve: Actor, tmp_path: Path, kind: str
) -> None:
    logs, files = storages(kind, units, tmp_path)
    kept, gone = run_of(units, ana), run_of(units, ana, ProjectStatus.DELETED)
    foreign = run_of(units, eve, ProjectStatus.DELETED)
    for actor, run in ((ana, kept), (ana, gone), (eve, foreign)):
        with logs.writer(actor.tenant_id, run) as log:
            log.write(b"x")
        files.save(actor.tenant_id, run, "x", [b"x"], 1)
    retention = RunRetention(logs, files, 30)
    with units.begin(ana) as session:
        assert retention(session, 500) == 2
        assert retention(session, 500) == 0
    assert [logs.size(ana.tenant_id, run) for run in (kept, gone)] == [1, 0]
    assert [len(files.list(ana.tenant_id, run)) for run in (kept, gone)] == [1, 0]
    assert logs.size(eve.tenant_id, foreign) == len(files.list(eve.tenant_id, foreign)) == 1
    with units.begin(ana) as session:
        assert RunRetention(logs, files, -1)(session, 500) == 2, "all of it is older than tomorrow"
    assert (logs.size(ana.tenant_id, kept), files.list(ana.tenant_id, kept)) == (0, [])
    with units.begin(ana, read_only=True) as session:
        assert [rows_of(session, table) for table in (RunLog, LogChunk, RunFile, FileBlock)] == [0, 0, 0, 0]


def test_a_log_that_is_still_written_is_not_old(units: Units, ana: Actor) -> None:
    logs, files = storages("rows", units, Path())
    run = run_of(units, ana)
    with logs.writer(ana.tenant_id, run) as log:
        with units.begin(ana) as session:
            session.scalars(select(RunLog)).one().written_at = now() - timedelta(days=31)
        log.write(b"x")
        log.flush()
        with units.begin(ana) as session:
            assert RunRetention(logs, files, 30)(session, 500) == 0


def rows_of(session: Session, table: Any) -> int:
    return session.scalar(select(func.count(table.id))) or 0


def test_a_database_that_is_killed_under_a_writer_costs_no_byte(ana: Actor) -> None:
    """PostgreSQL itself, ended as by a crash and started again, twice, while a run prints and another server reads."""
    with Postgres() as postgres:
        engine = create_engine(postgres.app_url(postgres.database()))
        logs = LogStorage(LogRows(Units(engine)), 1 << 30)
        stop = threading.Event()
        sent: list[bytes] = []

        def work() -> None:
            with logs.writer(ana.tenant_id, RUN) as log:
                for number in itertools.count():
                    sent.append(f"{number} {'z' * 200}\n".encode())
                    log.write(sent[-1], (OUT, ERR)[number % 2])
                    if stop.wait(0.0005):
                        return

        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(work)
            for _ in range(2):
                await_growth(logs, ana)
                postgres.stop(signal.SIGQUIT)
                postgres.start_again()
            await_growth(logs, ana)
            stop.set()
            working.result(60)
        assert whole(logs, ana) == b"".join(sent)
        engine.dispose()


def await_growth(logs: LogStorage, actor: Actor) -> None:
    goal = logs.size(actor.tenant_id, RUN) + 50_000
    deadline = time.monotonic() + 60
    while logs.size(actor.tenant_id, RUN) < goal:
        assert time.monotonic() < deadline
        time.sleep(0.02)
