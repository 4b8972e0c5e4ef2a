"""Pieces of a log: which bytes came from which stream, and when. Kept beside the bytes, in 16 bytes for each piece."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

SAME_PIECE_MS = 100
"""Output of one stream within so many milliseconds is one piece, with the time of its beginning."""
MOST_PIECES = 1 << 18
"""Pieces that one writer tells apart. What changes its stream more often is told as one piece from there on."""


class LogStream(StrEnum):
    """Where bytes of a log come from; ``system`` are our own notes."""

    STDOUT = "stdout"
    STDERR = "stderr"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class LogPiece:
    """Bytes of one stream: ``length`` of them from ``offset``, the first of which came ``at_ms`` (Unix time)."""

    offset: int
    length: int
    stream: LogStream
    at_ms: int

    @property
    def end(self) -> int:
        """The offset behind it."""
        return self.offset + self.length

    @property
    def at(self) -> datetime:
        """The time as a datetime."""
        return datetime.fromtimestamp(self.at_ms / 1000, UTC)


# A record is where the piece ends, then its time and its stream in one number.
_RECORD = struct.Struct("<QQ")
RECORD_BYTES = _RECORD.size
_STREAMS = (LogStream.STDOUT, LogStream.STDERR, LogStream.SYSTEM)
_CODES = {stream: code for code, stream in enumerate(_STREAMS)}
_MOST_MS = 253_402_300_799_999  # the last millisecond of the year 9999, the last that a datetime holds


def pack(end: int, stream: LogStream, at_ms: int) -> bytes:
    """Return the record of a piece that ends at ``end``."""
    return _RECORD.pack(end, at_ms << 8 | _CODES[stream])


def unpack(record: bytes) -> tuple[int, LogStream, int]:
    """Return end, stream and time of a record. A stream that nobody knows is the program's output."""
    end, mixed = _RECORD.unpack(record)
    code = mixed & 0xFF
    return end, _STREAMS[code] if code < len(_STREAMS) else LogStream.STDOUT, min(mixed >> 8, _MOST_MS)


class PieceLog:
    """The pieces of what one writer appends, as records; ends count from ``start``."""

    def __init__(self, start: int = 0, most: int = MOST_PIECES) -> None:
        """Begin at offset ``start``; tell ``most`` pieces apart."""
        self._most = most
        self.end = start
        self.count = 0
        self._stream: LogStream | None = None
        self._at_ms = 0

    def add(self, length: int, stream: LogStream, at_ms: int) -> tuple[int, bytes]:
        """Note that ``length`` bytes follow; return the number of the record to write, which may be the last again."""
        self.end += length
        same = stream is self._stream and at_ms - self._at_ms < SAME_PIECE_MS
        if not self.count or not (same or self.count >= self._most):
            self.count += 1
            self._stream, self._at_ms = stream, at_ms
        return self.count - 1, pack(self.end, self._stream or stream, self._at_ms)


def pieces_of(
    records: Iterable[tuple[int, LogStream, int]], begin: int, end: int, otherwise_ms: int = 0
) -> Iterator[LogPiece]:
    """Yield the pieces between ``begin`` and ``end``, from the records of what ends behind ``begin``.

    Each byte is in exactly one piece, whatever the records say: what they do not reach is the program's output, of the
    time ``otherwise_ms``.
    """
    at = begin
    for stop, stream, at_ms in records:
        if at >= end:
            return
        if stop > at:
            yield LogPiece(at, min(stop, end) - at, stream, at_ms)
            at = min(stop, end)
    if at < end:
        yield LogPiece(at, end - at, LogStream.STDOUT, otherwise_ms)
