"""Logs of runs: files beside the database, appended by one writer, read by byte offset, followed without polling."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID
from weakref import WeakKeyDictionary

LOG_CAP_BYTES = 16 * 1024 * 1024
"""What one run may log. Beyond it a visible mark is written and the rest is counted, not kept."""


class LogStorage:
    """The logs of all runs, below one folder: `<tenant id>/<run id>.log`."""

    def __init__(self, root: Path, cap_bytes: int = LOG_CAP_BYTES) -> None:
        """Keep logs below ``root``, each at most ``cap_bytes`` and a mark."""
        self.root = root
        self.cap_bytes = cap_bytes
        self._lock = threading.Lock()
        # Weak, so that an event nobody waits for any more is gone: a finished run never notifies.
        self._waiting: dict[UUID, WeakKeyDictionary[asyncio.Event, asyncio.AbstractEventLoop]] = {}

    def path(self, tenant_id: UUID, run_id: UUID) -> Path:
        """Return where the log of a run is."""
        return self.root / str(tenant_id) / f"{run_id}.log"

    def size(self, tenant_id: UUID, run_id: UUID) -> int:
        """Return the bytes that are there."""
        try:
            return self.path(tenant_id, run_id).stat().st_size
        except FileNotFoundError:
            return 0

    def read(self, tenant_id: UUID, run_id: UUID, offset: int, limit: int) -> bytes:
        """Return up to ``limit`` bytes from ``offset``; none when nothing is there yet."""
        try:
            with self.path(tenant_id, run_id).open("rb") as file:
                if offset >= os.fstat(file.fileno()).st_size:
                    return b""  # offsets beyond what a file can have are no error either
                file.seek(offset)
                return file.read(limit)
        except FileNotFoundError:
            return b""

    def writer(self, tenant_id: UUID, run_id: UUID) -> LogWriter:
        """Return the writer of a run's log, which starts anew."""
        return LogWriter(self, tenant_id, run_id)

    def watch(self, run_id: UUID) -> asyncio.Event:
        """Return an event that is set at the log's next growth. To be called on the event loop."""
        event = asyncio.Event()
        with self._lock:
            self._waiting = {run: events for run, events in self._waiting.items() if events}
            self._waiting.setdefault(run_id, WeakKeyDictionary())[event] = asyncio.get_running_loop()
        return event

    def notify(self, run_id: UUID) -> None:
        """Set the events of those who watch a run; from any thread."""
        with self._lock:
            waiting = list(self._waiting.pop(run_id, {}).items())
        for event, loop in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)


class LogWriter:
    """Appends to one log. Use as a context manager, from one thread."""

    def __init__(self, storage: LogStorage, tenant_id: UUID, run_id: UUID) -> None:
        """Write the log of ``run_id``."""
        self._storage = storage
        self._run_id = run_id
        self._path = storage.path(tenant_id, run_id)
        self._written = 0
        self.dropped = 0
        """Bytes beyond the cap."""

    def __enter__(self) -> Self:
        """Open the file, empty."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("wb", buffering=0)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        self._file.close()

    def write(self, data: bytes) -> None:
        """Append ``data``; beyond the cap, write the mark once and count."""
        room = max(self._storage.cap_bytes - self._written, 0)
        kept = data[:room]
        if kept:
            self._file.write(kept)
            self._written += len(kept)
        if len(kept) < len(data):
            if not self.dropped:
                self._file.write(
                    f"\n[devstudio] The log is cut here: more than {self._storage.cap_bytes} bytes.\n".encode()
                )
            self.dropped += len(data) - len(kept)
        self._storage.notify(self._run_id)

    def note(self, message: str) -> None:
        """Append a line of our own."""
        self.write(f"[devstudio] {message}\n".encode())
