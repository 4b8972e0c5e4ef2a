"""Tables of logs and files of runs, for where servers and workers share no disk."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Index, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db import TenantRow
from devstudio_server.kit.clock import now


class RunLog(TenantRow):
    """How far a run's log has come. ``writers`` counts who had it: only the newest appends; ``open`` while it lives."""

    __tablename__ = "ds_run_logs"
    __table_args__ = (UniqueConstraint("tenant_id", "run_id"),)

    run_id: Mapped[UUID]
    writers: Mapped[int] = mapped_column(Integer, default=0)
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    truncated_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    open: Mapped[bool] = mapped_column(Boolean, default=True)
    written_at: Mapped[datetime] = mapped_column(default=now)


class LogChunk(TenantRow):
    """Some bytes of a log, from offset ``start``; ``pieces`` are the records of `log_pieces`."""

    __tablename__ = "ds_log_chunks"
    __table_args__ = (UniqueConstraint("tenant_id", "run_id", "start"),)

    run_id: Mapped[UUID]
    start: Mapped[int] = mapped_column(BigInteger)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    pieces: Mapped[bytes] = mapped_column(LargeBinary)


class RunFile(TenantRow):
    """A file of a run. It is there once it is ``complete``."""

    __tablename__ = "ds_run_files"

    run_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(String(255))
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    sha256: Mapped[str] = mapped_column(String(64), default="")
    media_type: Mapped[str] = mapped_column(String(200), default="")
    complete: Mapped[bool] = mapped_column(Boolean, default=False)


Index("ix_ds_run_files_tenant_id_run_id", RunFile.tenant_id, RunFile.run_id)


class FileBlock(TenantRow):
    """Some bytes of a file, the ``number``-th of its blocks."""

    __tablename__ = "ds_file_blocks"
    __table_args__ = (UniqueConstraint("tenant_id", "file_id", "number"),)

    file_id: Mapped[UUID]
    number: Mapped[int] = mapped_column(Integer)
    data: Mapped[bytes] = mapped_column(LargeBinary)
