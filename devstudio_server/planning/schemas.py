"""Public shapes of planning and generation."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from devstudio_server.ai.schemas import UsageRead
from devstudio_server.patches.schemas import PatchedFile, PatchStatus
from devstudio_server.specs.schemas import Documents, DocumentType, LintWarning, TaskStatus
from devstudio_server.web.schemas import Payload, Shape

MAX_PROMPT = 100_000
MODEL_ID = Field(None, max_length=200, description="An id of `GET ai/models`; absent means the server's default.")


class Stage(StrEnum):
    """Which documents are planned."""

    REQUIREMENTS = "requirements"
    DESIGN = "design"
    TASKS = "tasks"
    ALL = "all"

    @property
    def documents(self) -> tuple[DocumentType, ...]:
        """The documents of this stage."""
        return tuple(DocumentType) if self is Stage.ALL else (DocumentType(self.value),)


class PlanRequest(Payload):
    """What to plan."""

    session_id: UUID
    stage: Stage
    prompt: str | None = Field(None, max_length=MAX_PROMPT)
    model: str | None = MODEL_ID


class PlannedTask(Shape):
    """A task as planned."""

    id: UUID
    key: str
    title: str
    status: TaskStatus
    criteria: list[str]


class PlanResult(Shape):
    """The documents after planning, the tasks derived from them, and what it cost."""

    session_id: UUID
    version: int
    documents: Documents
    tasks: list[PlannedTask]
    usage: UsageRead
    warnings: list[LintWarning]


class GenerateRequest(Payload):
    """What to write code for."""

    task_id: UUID
    instructions: str | None = Field(None, max_length=MAX_PROMPT)
    model: str | None = MODEL_ID


class GenerateResult(Shape):
    """The patch that was made. ``digest`` names its exact bytes and is what an approval approves."""

    patch_id: UUID
    task_id: UUID
    status: PatchStatus
    summary: str
    digest: str
    files: list[PatchedFile]
    warnings: list[str]
    usage: UsageRead
