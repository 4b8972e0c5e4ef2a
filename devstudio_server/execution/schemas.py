"""Public shapes of runs and logs."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field

from devstudio_server.web.schemas import ListQuery, Shape


class RunType(StrEnum):
    """What a run does (the seed's types)."""

    GEN = "gen"
    TEST = "test"
    BUILD = "build"
    DEPLOY = "deploy"


class RunStatus(StrEnum):
    """Where a run stands; the last four are final."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"

    @property
    def final(self) -> bool:
        """Whether nothing will change any more."""
        return self not in (RunStatus.PENDING, RunStatus.RUNNING)


class TestOutcome(Shape):
    """One test of a run's report."""

    __test__ = False  # not a test of ours, whatever pytest thinks of the name

    name: str
    outcome: str
    criteria: list[str]
    message: str = ""
    file: str | None = None
    line: int | None = None


class RunRead(Shape):
    """A run. ``reason`` says in one sentence why it ended as it did; ``isolation`` is what really contained it."""

    id: UUID
    project_id: UUID
    patch_id: UUID | None
    task_id: UUID | None
    type: RunType
    command: str | None
    status: RunStatus
    reason: str | None
    exit_code: int | None
    container_id: str | None
    isolation: str | None
    branch: str | None
    commit: str | None
    started_at: datetime | None
    finished_at: datetime | None
    logs_url: str | None
    metrics_json: dict[str, Any] | None
    tests: list[TestOutcome]
    created_by: UUID
    created_at: datetime
    version: int
    source_module: str


class RunQuery(ListQuery):
    """Filters of the list."""

    project_id: UUID | None = None
    status: RunStatus | None = None


class LogQuery(Shape):
    """From which byte to read."""

    model_config = ConfigDict(extra="forbid")

    offset: int = Field(0, ge=0, description="Byte offset; take `next_offset` of the answer before.")
    limit: int = Field(262_144, ge=1, le=1_048_576, description="Bytes at most.")


class LogPage(Shape):
    """A piece of a log. ``next_offset`` is where to go on; ``eof`` is true when the run is final and all is read."""

    run_id: UUID
    offset: int
    next_offset: int
    content: str
    eof: bool
    status: RunStatus
