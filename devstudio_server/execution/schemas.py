"""Public shapes of runs and logs."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints, field_validator

from devstudio_server.web.schemas import ListQuery, Payload, Shape

MAX_ARGUMENTS = 256
MAX_ARGUMENT = 8192
MAX_TIMEOUT_S = 24 * 3600


class RunType(StrEnum):
    """What a run does (the seed's types)."""

    GEN = "gen"
    TEST = "test"
    BUILD = "build"
    DEPLOY = "deploy"


class RequestedType(StrEnum):
    """What a run can be asked to do. ``deploy`` is refused until there is CI/CD to do it."""

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


class RunStage(StrEnum):
    """Which job a run has come to; each is enqueued in the transaction that sets it."""

    QUEUED = "queued"
    READY = "ready"
    """The plan and its input are there; a worker can begin."""
    TESTED = "tested"
    """The sandbox's work is done and its result stored; what follows is the server's."""


class TestOutcome(Shape):
    """One test of a run's report. ``id`` tells it from the other tests of its project."""

    __test__ = False  # not a test of ours, whatever pytest thinks of the name

    id: str = ""
    name: str
    outcome: str
    criteria: list[str]
    message: str = ""
    file: str | None = None
    line: int | None = None


class Failure(Shape):
    """One reason why a run failed, and where it lies in the project: a failing assertion, an error of a compiler."""

    name: str
    file: str | None = None
    line: int | None = None
    message: str = ""


class CoveredFile(Shape):
    """Lines of one file that the tests ran, of those that could be run."""

    path: str
    covered: int
    total: int


class Coverage(Shape):
    """What the tests ran. The totals are over all files; ``files`` lists at most 1,000, by path."""

    lines_covered: int
    lines_total: int
    percent: float
    files: list[CoveredFile]


class ArtifactRead(Shape):
    """A file that a run left. ``GET exec/{id}/artifacts/{name}`` has its bytes."""

    name: str
    size: int
    sha256: str
    media_type: str


class ArtifactList(Shape):
    """The artifacts of a run, by name."""

    items: list[ArtifactRead]


class RunRead(Shape):
    """A run. ``reason`` says in one sentence why it ended as it did; ``isolation`` is what really contained it.

    ``recipe`` and ``argv`` are what it runs, on ``tree``, which ``ref`` named when it was asked for. ``attempt`` counts
    how often a worker began. ``base_run_id`` is the run that sees the tests of a patch fail without the rest of it.
    ``metrics_json`` has ``cpu``, ``duration`` and ``queue_wait`` in seconds and ``memory`` in
    bytes.
    """

    id: UUID
    project_id: UUID
    patch_id: UUID | None
    task_id: UUID | None
    type: RunType
    recipe: str | None
    argv: list[str] | None
    command: str | None
    status: RunStatus
    reason: str | None
    exit_code: int | None
    container_id: str | None
    isolation: str | None
    branch: str | None
    commit: str | None
    ref: str | None
    tree: str | None
    rerun_of: UUID | None
    base_run_id: UUID | None
    attempt: int
    started_at: datetime | None
    finished_at: datetime | None
    deadline_at: datetime | None
    logs_url: str | None
    metrics_json: dict[str, Any] | None
    tests: list[TestOutcome]
    failures: list[Failure]
    coverage: Coverage | None
    artifacts: list[ArtifactRead]
    created_by: UUID
    created_at: datetime
    version: int
    source_module: str


class RunQuery(ListQuery):
    """Filters of the list."""

    project_id: UUID | None = None
    status: RunStatus | None = None
    type: RunType | None = None
    task_id: UUID | None = None


Argument = Annotated[str, StringConstraints(max_length=MAX_ARGUMENT)]
Argv = Annotated[list[Argument], Field(min_length=1, max_length=MAX_ARGUMENTS)]
Ref = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class RecipeRequest(Payload):
    """Which project to test or build, at which state."""

    project_id: UUID
    ref: Ref | None = Field(None, description="A branch, or the full id of a commit. Default: the default branch.")
    task_id: UUID | None = Field(None, description="The task that the run is for.")
    timeout_s: float | None = Field(
        None, ge=1, le=MAX_TIMEOUT_S, description="Longest that the command may take, in seconds."
    )


class RunCreate(RecipeRequest):
    """What to run. Without ``command``, the project's settings or its files say how it is tested or built."""

    type: RequestedType
    command: Argv | None = Field(
        None,
        description="Program and arguments, each by itself; no shell reads them. The program is one of those allowed.",
    )

    @field_validator("command")
    @classmethod
    def _names_a_program(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and not value[0].strip():
            message = "begins with the name of a program"
            raise ValueError(message)
        return value
