"""The tables of runs, and of the settings that projects have for them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db import VersionedRow
from devstudio_server.execution.log_models import FileBlock, LogChunk, RunFile, RunLog
from devstudio_server.execution.schemas import RunStage, RunStatus

__all__ = ["FileBlock", "LogChunk", "Run", "RunFile", "RunLog", "RunSettings"]


class Run(VersionedRow):
    """One run. ``commit`` is set before the branch moves, so that a run that is repeated after a crash commits once.

    ``plan`` is what was settled when it was enqueued, all that a worker needs beside the input; ``result`` is what the
    sandbox found, for the job that follows. ``stage`` goes forward in the transaction that enqueues the next job.
    ``base_run_id`` is the run that a strict proof waits for, and ``statement`` the signed envelope of what it proved.
    """

    __tablename__ = "ds_runs"
    __subject__ = "run"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("ds_projects.id"), index=True)
    patch_id: Mapped[UUID | None] = mapped_column(index=True)
    task_id: Mapped[UUID | None] = mapped_column(ForeignKey("ds_tasks.id"))
    type: Mapped[str] = mapped_column(String(20))
    command: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(20), default=RunStatus.PENDING)
    reason: Mapped[str | None] = mapped_column(Text)
    container_id: Mapped[str | None] = mapped_column(String(100))
    isolation: Mapped[str | None] = mapped_column(String(20))
    branch: Mapped[str | None] = mapped_column(String(100))
    commit: Mapped[str | None] = mapped_column(String(64))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    exit_code: Mapped[int | None] = mapped_column(Integer)
    logs_url: Mapped[str | None] = mapped_column(String(500))
    metrics_json: Mapped[dict[str, Any] | None]
    tests: Mapped[list[Any]] = mapped_column(default=list)
    recipe: Mapped[str | None] = mapped_column(String(50))
    argv: Mapped[list[Any] | None]
    ref: Mapped[str | None] = mapped_column(String(200))
    tree: Mapped[str | None] = mapped_column(String(64))
    rerun_of: Mapped[UUID | None]
    attempt: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    failures: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    coverage: Mapped[dict[str, Any] | None]
    artifacts: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    deadline_at: Mapped[datetime | None]
    stage: Mapped[str] = mapped_column(String(20), default=RunStage.QUEUED, server_default="queued")
    plan: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None]
    base_run_id: Mapped[UUID | None] = mapped_column(index=True)
    statement: Mapped[str | None] = mapped_column(Text)
    cancel_requested: Mapped[bool] = mapped_column(Boolean, default=False)
    created_by: Mapped[UUID]


class RunSettings(VersionedRow):
    """How a project is tested and built, where that is not found from its files."""

    __tablename__ = "ds_run_settings"
    __table_args__ = (UniqueConstraint("tenant_id", "project_id"),)
    __subject__ = "run_settings"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("ds_projects.id"))
    values: Mapped[dict[str, Any]] = mapped_column(default=dict)
