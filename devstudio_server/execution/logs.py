"""Logs of runs: appended by one writer at a time, read by byte offset, followed while they grow.

Where the bytes are is the affair of a `LogMedium`: files beside an embedded database, or rows of a database that
several servers and workers share.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from time import time
from types import TracebackType
from typing import Protocol, Self
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.execution.log_pieces import LogPiece, LogStream
from devstudio_server.execution.log_watch import LogState, LogWatch
from devstudio_server.jobs import LeaseLost

__all__ = ["LogMedium", "LogPiece", "LogSlice", "LogStorage", "LogStream", "LogTaken", "LogWriter"]

LOG_CAP_BYTES = 16 * 1024 * 1024
"""What one run may log. Beyond it a visible mark is written; of the rest the end is kept, and what is lost counted."""
LOG_TAIL_BYTES = 64 * 1024
"""How much of the end of an output is kept when it goes beyond the cap: errors are there."""
NOTES_BYTES = 1024 * 1024
"""What our own notes may add beyond cap and tail."""
MOST_PIECES_READ = 1000
"""Pieces that one read returns; it returns fewer bytes than asked for where there are more."""


class LogTaken(LeaseLost):
    """Another attempt of the run writes its log now; this one has no business there any more."""

    def __init__(self, run_id: UUID) -> None:
        """Name the run."""
        super().__init__(f"A newer attempt of run {run_id} has its log.")


@dataclass(frozen=True)
class LogSlice:
    """Some bytes of a log, and what is known about all of it.

    ``size`` is how many there are, ``truncated_bytes`` how many went beyond the cap and are lost; ``open`` is true
    while a writer has the log, and stays true when that died.
    """

    offset: int
    data: bytes
    pieces: tuple[LogPiece, ...]
    size: int
    truncated_bytes: int = 0
    open: bool = False

    @property
    def end(self) -> int:
        """The offset behind the bytes."""
        return self.offset + len(self.data)


class LogAppender(Protocol):
    """What a medium gives to the one writer of a log. ``size`` counts all bytes, those of earlier writers included."""

    size: int

    def append(self, data: bytes, stream: LogStream, at_ms: int) -> None:
        """Add bytes; raises `LogTaken` when a newer writer has the log. May hold them back for a moment."""

    def lose(self, total: int) -> None:
        """Note how many bytes this writer has left out so far."""

    def flush(self) -> None:
        """Return once everything that was appended would survive the end of this process."""

    def close(self) -> None:
        """Flush, and note that nobody writes any more."""


class LogMedium(Protocol):
    """Where logs are. Offsets count the bytes of all writers of a run, in the order in which they were opened."""

    shared: bool
    """Whether other processes append, too, so that growth has to be looked for."""

    def read(self, tenant_id: UUID, run_id: UUID, offset: int, limit: int, most_pieces: int) -> LogSlice:
        """Return up to ``limit`` bytes from ``offset``; none when nothing is there."""

    def appender(self, tenant_id: UUID, run_id: UUID, grown: Callable[[], None]) -> LogAppender:
        """Take the log away from any older writer; ``grown`` is called after each growth that can be read."""

    def states(self, tenant_id: UUID, run_ids: Sequence[UUID]) -> Mapping[UUID, LogState]:
        """Return something for each log that is another whenever it, or its run, has changed."""

    def removable(self, session: Session, tenant_id: UUID, before: datetime, limit: int) -> Sequence[UUID]:
        """Return up to ``limit`` runs whose log was last written before a time, or whose project was deleted."""

    def remove(self, session: Session, tenant_id: UUID, run_id: UUID) -> None:
        """Remove a log; what of it is in the database, within the unit of ``session``."""


class LogStorage:
    """The logs of all runs."""

    def __init__(self, medium: LogMedium, cap_bytes: int = LOG_CAP_BYTES, tail_bytes: int = LOG_TAIL_BYTES) -> None:
        """Keep logs in ``medium``, of each run ``cap_bytes`` from its beginning and ``tail_bytes`` from its end."""
        self.medium = medium
        self.cap_bytes = cap_bytes
        self.tail_bytes = tail_bytes
        self._watch = LogWatch(medium.states if medium.shared else None)

    def size(self, tenant_id: UUID, run_id: UUID) -> int:
        """Return how many bytes there are."""
        return self.slice(tenant_id, run_id, 0, 0).size

    def read(self, tenant_id: UUID, run_id: UUID, offset: int, limit: int) -> bytes:
        """Return up to ``limit`` bytes from ``offset``; none when nothing is there yet."""
        return self.slice(tenant_id, run_id, offset, limit).data

    def slice(self, tenant_id: UUID, run_id: UUID, offset: int, limit: int) -> LogSlice:
        """Return up to ``limit`` bytes from ``offset`` with their pieces. Offsets behind the end are no error."""
        return self.medium.read(tenant_id, run_id, offset, limit, MOST_PIECES_READ)

    def writer(self, tenant_id: UUID, run_id: UUID, attempt: int = 1) -> LogWriter:
        """Return a writer, which appends to what is there and ends the right of any older one to write.

        ``attempt`` above 1 says that the run is done again, which a mark in the log tells its readers.
        """
        return LogWriter(self, tenant_id, run_id, attempt)

    def watch(self, tenant_id: UUID, run_id: UUID) -> asyncio.Event:
        """Return an event that is set at the log's next growth. To be called on the event loop, before reading."""
        return self._watch.watch(tenant_id, run_id)

    def notify(self, run_id: UUID) -> None:
        """Set the events of those who watch a run; from any thread."""
        self._watch.notify(run_id)

    def close(self) -> None:
        """Stop looking for growth."""
        self._watch.close()


class LogWriter:
    """Appends to one log. Use as a context manager; safe to call from several threads.

    Of a character whose bytes come in two writes, the first wait for the others, so that no other stream's output
    gets between them.
    """

    def __init__(self, storage: LogStorage, tenant_id: UUID, run_id: UUID, attempt: int = 1) -> None:
        """Write the log of ``run_id``."""
        self._storage = storage
        self._tenant_id = tenant_id
        self._run_id = run_id
        self._attempt = attempt
        self._lock = threading.RLock()
        self._begun: dict[LogStream, bytes] = {}
        self._over = 0
        self._tail: deque[tuple[bytes, LogStream, int]] = deque()
        self._tail_bytes = 0
        self._marked = False
        self._line_begins = True
        self._most = storage.cap_bytes + storage.tail_bytes + NOTES_BYTES

    @property
    def dropped(self) -> int:
        """Bytes that this writer left out, being neither below the cap nor at the end."""
        return self._over - self._tail_bytes

    def __enter__(self) -> Self:
        """Take the log."""
        storage = self._storage
        self._appender = storage.medium.appender(self._tenant_id, self._run_id, lambda: storage.notify(self._run_id))
        last = storage.read(self._tenant_id, self._run_id, max(self._appender.size - 1, 0), 1)
        self._line_begins = last in {b"", b"\n"}
        if self._attempt > 1:
            try:
                self.note(f"Attempt {self._attempt}: the one before was interrupted, and the run begins anew.")
            except BaseException as error:
                self.__exit__(type(error), error, error.__traceback__)
                raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write what is still held back, and give up the log; an error under way stays what it is."""
        try:
            with self._lock, closing(self._appender):
                self._write_all()
        except Exception:
            if exc is None:
                raise

    def write(self, data: bytes, stream: LogStream = LogStream.STDOUT) -> None:
        """Append output of ``stream``; beyond the cap, write the mark once, keep the end and count the rest."""
        with self._lock:
            whole = self._whole(data, stream)
            if whole:
                self._put(whole, stream)

    def note(self, message: str) -> None:
        """Append a line of our own, also beyond the cap."""
        with self._lock:
            self._write_all()
            self._say(message)

    def flush(self) -> None:
        """Return once everything written so far can be read by everyone, and would survive this process."""
        with self._lock:
            self._appender.flush()

    def _whole(self, data: bytes, stream: LogStream) -> bytes:
        """Return ``data`` with what waited before it, without the beginning of a character at its end."""
        data = self._begun.pop(stream, b"") + data
        waiting = _begun_character(data)
        if waiting:
            self._begun[stream] = data[-waiting:]
            data = data[:-waiting]
        return data

    def _put(self, data: bytes, stream: LogStream) -> None:
        at_ms = int(time() * 1000)
        room = 0 if self._marked else max(self._storage.cap_bytes - self._appender.size, 0)
        if room:
            self._append(data[:room], stream, at_ms)
        if room < len(data):
            if not self._marked:
                self._marked = True
                cap = self._storage.cap_bytes
                self._say(f"The log is cut here: more than {cap} bytes. The end of the output follows.")
            self._keep_end(data[room:], stream, at_ms)

    def _keep_end(self, data: bytes, stream: LogStream, at_ms: int) -> None:
        self._over += len(data)
        most = self._storage.tail_bytes
        kept = data[-most:] if most else b""
        self._tail.append((kept, stream, at_ms))
        self._tail_bytes += len(kept)
        self._shorten_tail(most)
        self._appender.lose(self._over)  # of a writer that dies now, the end is lost, too

    def _shorten_tail(self, most: int) -> None:
        while self._tail_bytes > most:
            first, stream, at_ms = self._tail.popleft()
            rest = first[self._tail_bytes - most :]
            self._tail_bytes -= len(first) - len(rest)
            if rest:
                self._tail.appendleft((rest, stream, at_ms))

    def _write_all(self) -> None:
        """Write what is held back: begun characters, then the end of what went beyond the cap."""
        for stream, data in list(self._begun.items()):
            del self._begun[stream]
            self._put(data, stream)
        if not self._tail:
            return
        self._shorten_tail(max(self._most - self._appender.size, 0))
        lost, tail = self.dropped, list(self._tail)
        self._over = lost
        self._tail.clear()
        self._tail_bytes = 0
        self._say(f"{lost} bytes are left out here.")
        for data, stream, at_ms in tail:
            self._append(data, stream, at_ms)
        self._appender.lose(lost)

    def _say(self, message: str) -> None:
        begin = "" if self._line_begins else "\n"
        line = f"{begin}[devstudio] {message}\n".encode()
        if self._appender.size + len(line) <= self._most:
            self._append(line, LogStream.SYSTEM, int(time() * 1000))

    def _append(self, data: bytes, stream: LogStream, at_ms: int) -> None:
        self._appender.append(data, stream, at_ms)
        self._line_begins = data.endswith(b"\n")


_CONTINUES = range(0x80, 0xC0)
_LENGTHS = ((range(0xC2, 0xE0), 2), (range(0xE0, 0xF0), 3), (range(0xF0, 0xF5), 4))


def _begun_character(data: bytes) -> int:
    """Return how many bytes at the end of ``data`` begin a character of UTF-8 that may go on, 3 at most."""
    for back in range(1, min(len(data), 3) + 1):
        byte = data[-back]
        if byte in _CONTINUES:
            continue
        return next((back for first, length in _LENGTHS if byte in first and back < length), 0)
    return 0
