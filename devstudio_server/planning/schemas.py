"""Public shapes of planning and generation."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from devstudio_server.ai.schemas import UsageRead
from devstudio_server.patches.schemas import FixRound, LoopEnd, PatchedFile, PatchStatus
from devstudio_server.planning.proposal_schemas import ProposalRead, Stage
from devstudio_server.specs.schemas import Documents, LintWarning, TaskStatus
from devstudio_server.web.schemas import Payload, Shape

__all__ = [
    "GenerateRequest",
    "GenerateResult",
    "PlanMode",
    "PlanRequest",
    "PlanResult",
    "PlannedTask",
    "RefactorRequest",
    "RefactorResult",
    "Stage",
]

MAX_PROMPT = 100_000
MAX_FIX_ROUNDS = 10
DEFAULT_FIX_ROUNDS = 2
MODEL_ID = Field(None, max_length=200, description="An id of `GET ai/models`; absent means the server's default.")

FIX_ROUNDS = Field(
    None,
    ge=0,
    le=MAX_FIX_ROUNDS,
    description="How often the model may mend what fails in the sandbox; 0: nothing is tested. Absent: `fix_rounds` of "
    "the project's policy, else 2.",
)


class PlanMode(StrEnum):
    """What becomes of a plan: new versions of the documents at once, or a proposal that a person decides about."""

    WRITE = "write"
    PROPOSE = "propose"


class PlanRequest(Payload):
    """What to plan."""

    session_id: UUID
    stage: Stage
    mode: PlanMode = PlanMode.WRITE
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
    """What a plan made and what it cost: ``documents`` and the ``tasks`` derived from them, or a ``proposal``."""

    session_id: UUID
    version: int
    documents: Documents | None = None
    tasks: list[PlannedTask] | None = None
    proposal: ProposalRead | None = None
    usage: UsageRead
    warnings: list[LintWarning]


class GenerateRequest(Payload):
    """What to write code for."""

    task_id: UUID
    instructions: str | None = Field(None, max_length=MAX_PROMPT)
    model: str | None = MODEL_ID
    fix_rounds: int | None = FIX_ROUNDS
    template: str | None = Field(
        None, max_length=100, description="An id of `GET code/templates`, to take that instead of asking a model."
    )


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
    rounds: list[FixRound] = Field(description="How the tests of each proposal went; the best one is kept.")
    tested: bool = Field(description="Whether a run tested exactly this patch, on its base.")
    stopped: LoopEnd | None = Field(description="Why the rounds ended; null when none were asked for.")


class RefactorRequest(Payload):
    """What to make better without changing what it does. The patch belongs to a task.

    With ``task_id`` to that one; with ``session_id`` to one that is added to the session; else to one of a new session.
    """

    project_id: UUID
    paths: list[str] = Field(default_factory=list, max_length=50, description="Files and folders that are meant.")
    session_id: UUID | None = None
    task_id: UUID | None = None
    instructions: str = Field(min_length=1, max_length=MAX_PROMPT)
    model: str | None = MODEL_ID
    fix_rounds: int | None = FIX_ROUNDS


class RefactorResult(GenerateResult):
    """The patch, and what the tests say before and after. Tests that failed before do not count."""

    base_run_id: UUID | None = Field(description="The run that tested the code as it was; null without one.")
    kept_tests: int = Field(description="Tests that passed before and pass with this patch.")
    broken_tests: list[str] = Field(description="Tests that passed before and do not pass with this patch.")
    api_changes: list[str] = Field(description="Public names that are gone or take other parameters.")
