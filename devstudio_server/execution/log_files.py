"""Logs in files, for one server: of each writer the bytes as they came, and beside them their pieces.

A run's first writer has ``<run>.log`` and ``<run>.idx``, each later one ``<run>.<n>.log`` and ``<run>.<n>.idx``; the
log is all of them in a row. The header of an index says at which offset its file begins, so what an older writer
adds after that is never part of the log. Where bytes and index disagree, as after a crash, the bytes hold.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from devstudio_server.execution.log_pieces import RECORD_BYTES, LogPiece, LogStream, PieceLog, pieces_of, unpack
from devstudio_server.execution.log_repository import LogRepository
from devstudio_server.execution.log_watch import LogState
from devstudio_server.execution.logs import LogSlice, LogTaken

# What the file is, the offset at which its bytes begin, bytes that were left out, and whether its writer has ended.
_HEADER = struct.Struct("<8sQQQ")
_MAGIC = b"DSLOG\x001\n"
_LOST_AT, _ENDED_AT = 16, 24
_RECORDS_READ = 4096


@dataclass(frozen=True)
class _Part:
    """What one writer wrote: the bytes of the log from ``start`` up to ``end``."""

    number: int
    start: int
    end: int
    lost: int
    ended: bool


class LogFiles:
    """Logs below one folder: ``<tenant id>/<run id>.log``."""

    shared = False

    def __init__(self, root: Path) -> None:
        """Keep logs below ``root``."""
        self.root = root

    def path(self, tenant_id: UUID, run_id: UUID, number: int = 1, suffix: str = "log") -> Path:
        """Return where a writer's file is."""
        middle = "" if number == 1 else f".{number}"
        return self.root / str(tenant_id) / f"{run_id}{middle}.{suffix}"

    def read(self, tenant_id: UUID, run_id: UUID, offset: int, limit: int, most_pieces: int) -> LogSlice:
        """Return up to ``limit`` bytes from ``offset``, with up to ``most_pieces`` pieces."""
        parts = list(self._parts(tenant_id, run_id))
        data, pieces = bytearray(), list[LogPiece]()
        size = parts[-1].end if parts else 0
        for part in parts:
            at = offset + len(data)
            end = min(part.end, offset + limit)
            if not part.start <= at < end or len(pieces) >= most_pieces:
                continue
            found = self._pieces(tenant_id, run_id, part, at, end, most_pieces - len(pieces))
            data += self._bytes(tenant_id, run_id, part, at, found[-1].end)
            pieces += found
        lost = sum(part.lost for part in parts)
        return LogSlice(offset, bytes(data), tuple(pieces), size, lost, bool(parts) and not parts[-1].ended)

    def appender(self, tenant_id: UUID, run_id: UUID, grown: Callable[[], None]) -> _FileAppender:
        """Begin a new file behind those that are there; no older writer can add to the log from then on."""
        self.root.joinpath(str(tenant_id)).mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            parts = list(self._parts(tenant_id, run_id))
            with ExitStack() as stack:
                start, number = 0, 1
                if parts:
                    last = self.path(tenant_id, run_id, parts[-1].number)
                    file = stack.enter_context(last.open("ab"))
                    fcntl.flock(file, fcntl.LOCK_EX)  # an older writer either has written, or will see the new file
                    start = parts[-1].start + os.fstat(file.fileno()).st_size
                    number = parts[-1].number + 1
                if self._create_index(self.path(tenant_id, run_id, number, "idx"), start):
                    return _FileAppender(self, tenant_id, run_id, number, start, grown)

    def states(self, tenant_id: UUID, run_ids: Sequence[UUID]) -> Mapping[UUID, LogState]:
        """Return how large each log is."""
        return {run_id: self.read(tenant_id, run_id, 0, 0, 0).size for run_id in run_ids}

    def removable(self, session: Session, tenant_id: UUID, before: datetime, limit: int) -> Sequence[UUID]:
        """Return up to ``limit`` runs whose log was last written before a time, or whose project was deleted."""
        deleted = LogRepository(session).runs_of_deleted_projects()
        newest: dict[UUID, float] = {}
        with suppress(FileNotFoundError), os.scandir(self.root / str(tenant_id)) as entries:
            for entry in entries:
                with suppress(ValueError, FileNotFoundError):
                    run_id = UUID(entry.name.split(".", 1)[0])
                    newest[run_id] = max(newest.get(run_id, 0.0), entry.stat().st_mtime)
        return sorted(run for run, at in newest.items() if run in deleted or at < before.timestamp())[:limit]

    def remove(self, session: Session, tenant_id: UUID, run_id: UUID) -> None:
        """Remove a log."""
        del session
        for path in self.root.joinpath(str(tenant_id)).glob(f"{run_id}.*"):
            path.unlink(missing_ok=True)

    @staticmethod
    def _create_index(path: Path, start: int) -> bool:
        """Make an index that is whole from the first moment; False when somebody else made it."""
        new = path.with_name(f"{path.name}.{uuid4().hex}")
        new.write_bytes(_HEADER.pack(_MAGIC, start, 0, 0))
        try:
            os.link(new, path)
        except FileExistsError:
            return False
        finally:
            new.unlink()
        return True

    def _parts(self, tenant_id: UUID, run_id: UUID) -> Iterator[_Part]:
        """Yield the parts of a log. Each ends where the next begins; the last, where its file ends."""
        number, header = 1, self._header(tenant_id, run_id, 1)
        if header is None:
            header = (0, 0, True)  # a log of an earlier version has no index, or there is none at all
            if not self.path(tenant_id, run_id).exists():
                return
        while header is not None:
            following = self._header(tenant_id, run_id, number + 1)
            start, lost, ended = header
            end = start + self._file_size(tenant_id, run_id, number) if following is None else following[0]
            yield _Part(number, start, end, lost, ended)
            number, header = number + 1, following

    def _header(self, tenant_id: UUID, run_id: UUID, number: int) -> tuple[int, int, bool] | None:
        try:
            with self.path(tenant_id, run_id, number, "idx").open("rb") as file:
                _magic, start, lost, ended = _HEADER.unpack(file.read(_HEADER.size))
        except (FileNotFoundError, struct.error):
            return None
        return start, lost, bool(ended)

    def _file_size(self, tenant_id: UUID, run_id: UUID, number: int) -> int:
        try:
            return self.path(tenant_id, run_id, number).stat().st_size
        except FileNotFoundError:
            return 0

    def _bytes(self, tenant_id: UUID, run_id: UUID, part: _Part, at: int, end: int) -> bytes:
        """Return bytes of a part. What a failing disk lost of them is NUL: offsets stay what they were."""
        data = b""
        with suppress(FileNotFoundError), self.path(tenant_id, run_id, part.number).open("rb") as file:
            data = os.pread(file.fileno(), end - at, at - part.start)
        return data.ljust(end - at, b"\0")

    def _pieces(self, tenant_id: UUID, run_id: UUID, part: _Part, at: int, end: int, most: int) -> list[LogPiece]:
        """Return the first pieces between two offsets of a part; at least one."""
        found: list[LogPiece] = []
        path = self.path(tenant_id, run_id, part.number)
        with ExitStack() as stack:
            records: Iterator[tuple[int, LogStream, int]] = iter(())
            written_ms = int(path.stat().st_mtime * 1000) if path.exists() else 0
            with suppress(FileNotFoundError):
                index = stack.enter_context(self.path(tenant_id, run_id, part.number, "idx").open("rb"))
                records = _records(index.fileno(), at)
            for piece in pieces_of(records, at, end, written_ms):
                found.append(piece)
                if len(found) >= most:
                    break
        return found


def _records(index: int, at: int) -> Iterator[tuple[int, LogStream, int]]:
    """Yield the records of pieces that end behind ``at``, the first of which is found by halving."""
    low, high = 0, (os.fstat(index).st_size - _HEADER.size) // RECORD_BYTES
    while low < high:
        middle = (low + high) // 2
        end, _, _ = unpack(os.pread(index, RECORD_BYTES, _HEADER.size + middle * RECORD_BYTES))
        low, high = (middle + 1, high) if end <= at else (low, middle)
    while block := os.pread(index, _RECORDS_READ * RECORD_BYTES, _HEADER.size + low * RECORD_BYTES):
        whole = len(block) // RECORD_BYTES
        for number in range(whole):
            yield unpack(block[number * RECORD_BYTES : (number + 1) * RECORD_BYTES])
        if not whole:
            return
        low += whole


class _FileAppender:
    """Appends to the file of one writer: one write for the bytes, one for their record."""

    def __init__(
        self, files: LogFiles, tenant_id: UUID, run_id: UUID, number: int, start: int, grown: Callable[[], None]
    ) -> None:
        self.size = start
        self._run_id = run_id
        self._grown = grown
        self._records = PieceLog(start)
        self._next = files.path(tenant_id, run_id, number + 1, "idx")
        self._file = files.path(tenant_id, run_id, number).open("ab", buffering=0)
        self._index = files.path(tenant_id, run_id, number, "idx").open("r+b", buffering=0)

    def append(self, data: bytes, stream: LogStream, at_ms: int) -> None:
        written, view = 0, memoryview(data)
        with self._owned():
            try:
                while written < len(data):
                    written += self._file.write(view[written:])
            finally:  # a disk that is full may have taken some of it
                self.size += written
                number, record = self._records.add(written, stream, at_ms)
                os.pwrite(self._index.fileno(), record, _HEADER.size + number * RECORD_BYTES)
        self._grown()

    def lose(self, total: int) -> None:
        os.pwrite(self._index.fileno(), total.to_bytes(8, "little"), _LOST_AT)

    def flush(self) -> None:
        """Do nothing: what was written is with the operating system."""

    def close(self) -> None:
        os.pwrite(self._index.fileno(), (1).to_bytes(8, "little"), _ENDED_AT)
        self._index.close()
        self._file.close()
        self._grown()

    @contextmanager
    def _owned(self) -> Iterator[None]:
        """Keep newer writers from beginning meanwhile; raise `LogTaken` when one has."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            if self._next.exists():
                raise LogTaken(self._run_id)
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
