"""Public shapes of replays."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from devstudio_server.execution.schemas import RunStatus
from devstudio_server.web.schemas import Shape


class ReplayStarted(Shape):
    """The run that tests the patch again."""

    run_id: UUID


class ModelReplay(Shape):
    """Whether what the model answered then still makes the patch. Without a record, ``matches`` is null."""

    recorded: bool
    matches: bool | None
    detail: str


class Compared(Shape):
    """What was expected and what came; null where there is nothing, and then nothing is compared."""

    expected: str | None
    got: str | None
    matches: bool | None


class ArtifactCompared(Compared):
    """The SHA-256 of an artifact in the run before, and in this one."""

    path: str


class TestsCompared(Shape):
    """The tests of both runs. ``expected_passed`` is null when no run had tested the patch before."""

    __test__ = False  # not a test of ours, whatever pytest thinks of the name

    expected_passed: int | None
    passed: int
    failed: int
    differing: list[str] = Field(description="Tests that ended otherwise than before, at most 50.")


class ReplayRead(Shape):
    """A patch made and tested again. ``mismatches`` says everything that did not come out the same; empty is good."""

    id: UUID
    run_id: UUID
    compared_run_id: UUID | None
    revision: int
    current: bool = Field(description="Whether it is of the bytes that the patch has now.")
    status: RunStatus
    reason: str | None
    model: ModelReplay
    tree: Compared
    digest: Compared
    artifacts: list[ArtifactCompared]
    tests: TestsCompared
    mismatches: list[str]
    by: str
    by_id: UUID
    at: datetime


class ReplayList(Shape):
    """The replays of a patch, newest first; at most 50."""

    items: list[ReplayRead]
