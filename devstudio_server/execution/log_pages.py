"""Reads logs for people: as text, by page, as a whole, or as they grow."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from devstudio_server.db import Actor, Units
from devstudio_server.execution.errors import RunNotFound
from devstudio_server.execution.log_pieces import LogPiece, LogStream
from devstudio_server.execution.log_schemas import LogPage, LogPieceRead
from devstudio_server.execution.logs import LogSlice, LogStorage
from devstudio_server.execution.models import Run
from devstudio_server.execution.repository import RunRepository
from devstudio_server.execution.schemas import RunStatus
from devstudio_server.kit.clock import now

LOOK_S = 15.0
"""How often a follower looks although nobody told it of growth: word of it may be lost."""
LAST_LOOK_S = 0.5
LAST_WORDS_S = 5.0
"""How long after a run's end its writer may still have something to say. One that died never closes its log."""
DOWNLOAD_BYTES = 1024 * 1024
_LONGEST_CHARACTER = 4  # bytes of UTF-8; a shorter piece could hold no whole character, and reading would never go on


@dataclass(frozen=True)
class LogPages:
    """The logs that one person may read. The run is read in a unit of work of its own, and so is its log after it."""

    units: Units
    actor: Actor
    logs: LogStorage

    def page(self, run_id: UUID, offset: int, limit: int, stream: LogStream | None = None) -> LogPage:
        """Return a piece of a log; bytes that are not UTF-8 show as U+FFFD, offsets count bytes. Raises `RunNotFound`.

        With ``stream``, the text is of that stream alone.
        """
        run = self._run(run_id)  # before the bytes, so that a final status means that all of them are there
        status = RunStatus(run.status)
        found = self.logs.slice(run.tenant_id, run_id, offset, max(limit, _LONGEST_CHARACTER))
        closed = not found.open or (run.finished_at is not None and now() - run.finished_at > _LAST_WORDS)
        eof = status.final and closed and found.end >= found.size
        end = found.end if eof else offset + len(_whole_characters(found.data))
        content, pieces = _text(found, end, stream)
        return LogPage(
            run_id=run_id,
            offset=offset,
            next_offset=end,
            content=content,
            pieces=pieces,
            truncated_bytes=found.truncated_bytes,
            eof=eof,
            status=status,
        )

    def whole(self, run_id: UUID) -> tuple[int, Iterator[bytes]]:
        """Return how many bytes a log has now, and these bytes, piece by piece. Raises `RunNotFound`."""
        run = self._run(run_id)
        size = self.logs.size(run.tenant_id, run_id)
        return size, self._bytes(run, size)

    async def follow(
        self, run_id: UUID, offset: int, limit: int, stream: LogStream | None = None
    ) -> AsyncIterator[LogPage]:
        """Yield the log from ``offset`` on as it grows, up to its end. The first page may be empty, and comes at once.

        No page is read before the one before it was taken: a slow client holds one page, and nobody up.
        """
        begun = False
        while True:
            changed = self.logs.watch(self.actor.tenant_id, run_id)  # before reading, so that no growth is missed
            page = await asyncio.to_thread(self.page, run_id, offset, limit, stream)
            if page.content or page.eof or not begun:
                yield page
            begun = True
            if page.eof:
                return
            if page.next_offset == offset:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LAST_LOOK_S if page.status.final else LOOK_S):
                        await changed.wait()
            offset = page.next_offset

    def _run(self, run_id: UUID) -> Run:
        with self.units.begin(self.actor, read_only=True) as session:
            run = RunRepository(session).find(run_id)
        if run is None:
            raise RunNotFound(run_id)
        return run

    def _bytes(self, run: Run, size: int) -> Iterator[bytes]:
        offset = 0
        while offset < size:
            data = self.logs.read(run.tenant_id, run.id, offset, min(DOWNLOAD_BYTES, size - offset))
            if not data:
                return  # removed meanwhile
            yield data
            offset += len(data)


_LAST_WORDS = timedelta(seconds=LAST_WORDS_S)


def _text(found: LogSlice, end: int, stream: LogStream | None) -> tuple[str, list[LogPieceRead]]:
    """Return the text of a slice up to ``end``, and of its pieces; with ``stream``, of that stream alone."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    texts: list[str] = []
    pieces: list[LogPieceRead] = []
    wanted = [piece for piece in found.pieces if piece.offset < end and stream in {None, piece.stream}]
    for piece in wanted:
        stop = min(piece.end, end)
        data = found.data[piece.offset - found.offset : stop - found.offset]
        texts.append(decoder.decode(data, final=piece is wanted[-1]))
        pieces.append(_read(piece, stop, texts[-1]))
    return "".join(texts), pieces


def _read(piece: LogPiece, stop: int, text: str) -> LogPieceRead:
    chars = len(text.encode("utf-16-le")) // 2
    return LogPieceRead(offset=piece.offset, length=stop - piece.offset, stream=piece.stream, at=piece.at, chars=chars)


def _whole_characters(data: bytes) -> bytes:
    """Cut a character that is not complete yet off the end of ``data``."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(data)
    waiting, _state = decoder.getstate()
    return data[: len(data) - len(waiting)]
