"""Logs in rows of the database, for servers and workers that share no disk.

A writer collects what comes for `FLUSH_S` seconds or `CHUNK_BYTES` and stores it in one transaction, which checks that
no newer writer has the log. While the database is away, what comes waits in memory, up to `BUFFER_BYTES`; then the
program that prints waits, and after `PATIENCE_S` the run fails. Nothing is lost before that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from time import monotonic
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import Actor, Units
from devstudio_server.execution.log_models import LogChunk, RunLog
from devstudio_server.execution.log_pieces import RECORD_BYTES, LogPiece, LogStream, PieceLog, pieces_of, unpack
from devstudio_server.execution.log_repository import LogRepository
from devstudio_server.execution.log_watch import LogState
from devstudio_server.execution.logs import LogSlice, LogTaken
from devstudio_server.jobs import WORKER_ID
from devstudio_server.kit.clock import now
from devstudio_server.kit.errors import Unavailable
from devstudio_server.kit.logging import get_logger

FLUSH_S = 0.1
CHUNK_BYTES = 256 * 1024
CHUNK_PIECES = 1 << 14
"""Pieces that one chunk tells apart: their records are as large as the chunk at most."""
BUFFER_BYTES = 2 * 1024 * 1024
PATIENCE_S = 60.0
_LOST_S = 1.0  # how old the count of what was left out may be
_RETRY_S = 0.2

_log = get_logger("execution")


class LogUnavailable(Unavailable):
    """The database took no line of a log for so long that its run was ended."""

    def __init__(self, seconds: float) -> None:
        """Say how long."""
        super().__init__(f"The database took nothing of the run's log for {seconds:.0f} s, so the run was ended.")


class LogRows:
    """Logs in the tables ``ds_run_logs`` and ``ds_log_chunks``."""

    shared = True

    def __init__(self, units: Units, patience_s: float = PATIENCE_S) -> None:
        """Keep logs in the database of ``units``; writers wait ``patience_s`` seconds for one that is away."""
        self._units = units
        self._patience_s = patience_s

    def read(self, tenant_id: UUID, run_id: UUID, offset: int, limit: int, most_pieces: int) -> LogSlice:
        """Return up to ``limit`` bytes from ``offset``, with up to ``most_pieces`` pieces."""
        with self._units.begin(worker_of(tenant_id), read_only=True) as session:
            rows = LogRepository(session)
            log = rows.find(run_id)
            size = log.size if log is not None else 0
            end = min(offset + limit, size)
            chunks = rows.chunks(run_id, offset, end) if offset < end else ()
        data, pieces = bytearray(), list[LogPiece]()
        for chunk in chunks:
            if len(pieces) >= most_pieces:
                break
            at = offset + len(data)
            stop = min(chunk.start + len(chunk.data), end)
            for piece in pieces_of(_records(chunk.pieces, at), at, stop):
                pieces.append(piece)
                if len(pieces) >= most_pieces:
                    stop = piece.end
                    break
            data += chunk.data[at - chunk.start : stop - chunk.start]
        if log is None:
            return LogSlice(offset, b"", (), 0)
        return LogSlice(offset, bytes(data), tuple(pieces), size, log.truncated_bytes, log.open)

    def appender(self, tenant_id: UUID, run_id: UUID, grown: Callable[[], None]) -> _RowAppender:
        """Take the log: what an older writer stores from now on is refused."""
        actor = worker_of(tenant_id)
        with self._units.begin(actor) as session:
            rows = LogRepository(session)
            log = rows.find(run_id)
            if log is None:
                log = RunLog(run_id=run_id, writers=0, size=0, truncated_bytes=0)
                rows.add(log)
            log.writers += 1
            log.open, log.written_at = True, now()
        return _RowAppender(self._units, actor, log, grown, self._patience_s)

    def states(self, tenant_id: UUID, run_ids: Sequence[UUID]) -> Mapping[UUID, LogState]:
        """Return how each log and its run stand."""
        with self._units.begin(worker_of(tenant_id), read_only=True) as session:
            return LogRepository(session).states(run_ids)

    def remove(self, session: Session, tenant_id: UUID, run_id: UUID) -> None:
        """Remove a log within a unit of its tenant."""
        del tenant_id
        LogRepository(session).remove(run_id)

    def removable(self, session: Session, tenant_id: UUID, before: datetime, limit: int) -> Sequence[UUID]:
        """Return up to ``limit`` runs whose log was last written before a time, or whose project was deleted."""
        del tenant_id
        return LogRepository(session).removable(before, limit)


class _Chunk:
    """Bytes that wait to be stored, in one row."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.data = bytearray()
        self._pieces = PieceLog(start, CHUNK_PIECES)
        self._records = bytearray()

    def add(self, data: memoryview, stream: LogStream, at_ms: int) -> None:
        number, record = self._pieces.add(len(data), stream, at_ms)
        self._records[number * RECORD_BYTES :] = record
        self.data += data

    def row(self, run_id: UUID) -> LogChunk:
        return LogChunk(run_id=run_id, start=self.start, data=bytes(self.data), pieces=bytes(self._records))


class _RowAppender:
    """Collects what is appended; a thread of its own stores it."""

    def __init__(self, units: Units, actor: Actor, log: RunLog, grown: Callable[[], None], patience_s: float) -> None:
        self.size = log.size
        self._units = units
        self._actor = actor
        self._run_id = log.run_id
        self._number = log.writers
        self._lost_before = log.truncated_bytes
        self._grown = grown
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._chunks: list[_Chunk] = []
        self._stored = log.size
        self._lost = self._lost_stored = 0
        self._due_at: float | None = None
        self._closing = False
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="devstudio-log-writer", daemon=True)
        self._thread.start()

    def append(self, data: bytes, stream: LogStream, at_ms: int) -> None:
        """Collect ``data``; wait while too much waits already. Raises what kept earlier bytes from being stored."""
        view = memoryview(data)
        with self._changed:
            while view:
                self._wait_while(lambda: self.size - self._stored >= BUFFER_BYTES)
                if not self._chunks or len(self._chunks[-1].data) >= CHUNK_BYTES:
                    self._chunks.append(_Chunk(self.size))
                chunk = self._chunks[-1]
                part = view[: CHUNK_BYTES - len(chunk.data)]
                chunk.add(part, stream, at_ms)
                self.size += len(part)
                view = view[len(part) :]
                self._soon(0.0 if self.size - self._stored >= CHUNK_BYTES else FLUSH_S)
            if self._failed is not None:
                raise self._failed

    def lose(self, total: int) -> None:
        with self._changed:
            self._lost = total
            self._soon(_LOST_S)

    def flush(self) -> None:
        with self._changed:
            goal = self.size
            self._soon(0.0)
            self._wait_while(lambda: self._stored < goal)

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._soon(0.0)
        self._thread.join()
        if self._failed is not None:
            raise self._failed

    def _wait_while(self, condition: Callable[[], bool]) -> None:
        self._changed.wait_for(lambda: self._failed is not None or not condition())
        if self._failed is not None:
            raise self._failed

    def _soon(self, seconds: float) -> None:
        """Have the thread store what there is, ``seconds`` from now at the latest."""
        due_at = monotonic() + seconds
        if self._due_at is None or due_at < self._due_at:
            self._due_at = due_at
            self._changed.notify_all()

    def _run(self) -> None:
        closing = False
        while not closing:
            with self._changed:
                while self._due_at is None or monotonic() < self._due_at:
                    self._changed.wait(None if self._due_at is None else self._due_at - monotonic())
                chunks, self._chunks, self._due_at = self._chunks, [], None
                lost, closing = self._lost, self._closing
            try:
                self._store(chunks, lost, closing=closing)
            except Exception as error:  # noqa: BLE001 - whoever writes hears of it
                with self._changed:
                    self._failed = error
                    self._changed.notify_all()
                return
            with self._changed:
                self._stored += sum(len(chunk.data) for chunk in chunks)
                self._changed.notify_all()
            self._grown()

    def _store(self, chunks: list[_Chunk], lost: int, *, closing: bool) -> None:
        """Store in one transaction, again and again while the database is away."""
        patient_until = monotonic() + self._patience_s
        while True:
            try:
                with self._units.begin(self._actor) as session:
                    self._store_in(LogRepository(session), chunks, lost, closing=closing)
            except Unavailable as error:
                if monotonic() > patient_until:
                    raise LogUnavailable(self._patience_s) from error
                _log.warning("log_not_stored", run_id=str(self._run_id), reason=error.title)
                threading.Event().wait(_RETRY_S)
            else:
                return

    def _store_in(self, rows: LogRepository, chunks: list[_Chunk], lost: int, *, closing: bool) -> None:
        log = rows.find(self._run_id)
        if log is None or log.writers != self._number:
            raise LogTaken(self._run_id)
        if log.size == self._stored:  # otherwise it was stored before, and only the word of it was lost
            for chunk in chunks:
                rows.add(chunk.row(self._run_id))
                log.size += len(chunk.data)
        log.truncated_bytes = self._lost_before + lost
        log.open, log.written_at = not closing, now()


def _records(packed: bytes, at: int) -> Iterator[tuple[int, LogStream, int]]:
    """Yield the records of what ends behind ``at``; the first is found by halving."""
    low, high = 0, len(packed) // RECORD_BYTES
    while low < high:
        middle = (low + high) // 2
        end, _, _ = unpack(packed[middle * RECORD_BYTES : (middle + 1) * RECORD_BYTES])
        low, high = (middle + 1, high) if end <= at else (low, middle)
    for number in range(low, len(packed) // RECORD_BYTES):
        yield unpack(packed[number * RECORD_BYTES : (number + 1) * RECORD_BYTES])


def worker_of(tenant_id: UUID) -> Actor:
    """Return the worker itself, as it keeps the logs and files of a tenant."""
    return Actor(tenant_id, WORKER_ID, "worker")
