"""Public shapes of logs."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import ConfigDict, Field

from devstudio_server.execution.log_pieces import LogStream
from devstudio_server.execution.schemas import RunStatus
from devstudio_server.web.schemas import Shape


class LogQuery(Shape):
    """From which byte to read, and what of it."""

    model_config = ConfigDict(extra="forbid")

    offset: int = Field(0, ge=0, description="Byte offset; take `next_offset` of the answer before.")
    limit: int = Field(262_144, ge=1, le=1_048_576, description="Bytes at most.")
    stream: LogStream | None = Field(None, description="Only the text of this stream; offsets count all of them.")


class LogPieceRead(Shape):
    """Bytes of one stream. ``at`` is when they came; ``chars`` is how much of ``content`` they are, in UTF-16."""

    offset: int
    length: int
    stream: LogStream
    at: datetime
    chars: int


class LogPage(Shape):
    """A piece of a log. ``next_offset`` is where to go on; ``eof`` is true when the run is final and all is read.

    ``pieces`` tell the streams apart, in the order of ``content``. ``truncated_bytes`` is how much of the output went
    beyond what one run may log and is in no page.
    """

    run_id: UUID
    offset: int
    next_offset: int
    content: str
    pieces: list[LogPieceRead]
    truncated_bytes: int
    eof: bool
    status: RunStatus
