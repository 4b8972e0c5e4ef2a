"""Public shapes of patches."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from devstudio_server.ai.schemas import UsageRead
from devstudio_server.execution.schemas import Failure, RunStatus
from devstudio_server.patches.envelope_schemas import SignatureRead
from devstudio_server.patches.review_schemas import ApprovalRead, ContributorRead, ReviewRead
from devstudio_server.web.schemas import ListQuery, Payload, Shape


class PatchStatus(StrEnum):
    """Where a patch stands (the seed's statuses)."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    APPLIED = "applied"


Change = Literal["create", "update", "delete"]


class PatchOrigin(StrEnum):
    """How a patch came to be."""

    GENERATED = "generated"
    REFACTORED = "refactored"
    TEMPLATE = "template"
    UPLOADED = "uploaded"
    REVERT = "revert"


class RevisionReason(StrEnum):
    """Why a patch has other bytes, another base or another branch than before."""

    CREATED = "created"
    EDITED = "edited"
    REBASED = "rebased"
    RETARGETED = "retargeted"


class LoopEnd(StrEnum):
    """Why nothing more was done to make the tests of a proposal pass."""

    PASSED = "passed"
    ROUNDS = "rounds"
    """The rounds that were allowed are used up."""
    STUCK = "stuck"
    """The model proposed the same again, or the same tests failed in the same way twice."""
    BUDGET = "budget"
    NO_SANDBOX = "no sandbox"
    STOPPED = "stopped"
    """The person stopped it, or left."""
    NO_TESTS = "no tests"
    MODEL = "model"
    """The model, or its provider, gave no usable answer to the failures."""
    OFFLINE = "offline"
    """Templates wrote it, which cannot mend anything, so it was not tested."""


class FixRound(Shape):
    """A proposal that was tested, the run that did it, and what was used to get the proposal."""

    round: int
    run_id: UUID | None
    status: RunStatus
    passed: int
    failed: int
    failures: list[Failure]
    usage: UsageRead


class PatchedFile(Shape):
    """A file that a patch changes, with its counts of lines. Modes and sizes are null where the file is not there."""

    path: str
    change: Change
    additions: int
    deletions: int
    old_mode: str | None = None
    new_mode: str | None = Field(None, description="`100755` for a file that can be run, `100644` for any other.")
    binary: bool = False
    old_size: int | None = None
    new_size: int | None = None


class FileComparison(PatchedFile):
    """Both sides of a file; null where it does not exist, and for ``binary`` files."""

    old: str | None
    new: str | None


class PatchRead(Shape):
    """A patch. ``base`` is the commit it was made on; ``digest`` is the SHA-256 of the diff, in hexadecimal."""

    id: UUID
    task_id: UUID
    project_id: UUID
    status: PatchStatus
    summary: str
    branch: str = Field(description="The branch that the patch is made for. Only there it is applied.")
    origin: PatchOrigin
    revision: int = Field(description="Counts the bytes, bases and branches that the patch has had.")
    reverts: UUID | None = Field(description="The applied patch that this one takes back.")
    base: str
    digest: str
    files: list[PatchedFile]
    warnings: list[str]
    rounds: list[FixRound] = Field(description="How its tests went before anyone saw it.")
    tested: bool = Field(description="Whether a run tested exactly these bytes, on `base`.")
    stopped: LoopEnd | None = Field(description="Why the rounds ended; null when none were asked for.")
    model: str
    provider: str
    created_by: UUID
    approved_by: UUID | None
    approvals: list[ApprovalRead]
    contributors: list[ContributorRead] = Field(description="Who had a hand in it. None of them counts as approver.")
    review: ReviewRead
    signature: SignatureRead
    rejected_reason: str | None
    rejected_by: UUID | None
    applied_at: datetime | None
    commit: str | None
    run_id: UUID | None
    created_at: datetime
    updated_at: datetime
    version: int
    source_module: str


class PatchQuery(ListQuery):
    """Filters of the list."""

    task_id: UUID | None = None
    status: PatchStatus | None = None


class PreviewRequest(Payload):
    """Which patch to show."""

    patch_id: UUID


class PatchPreview(Shape):
    """A patch in full: the unified diff, and both sides of every file."""

    patch_id: UUID
    task_id: UUID
    status: PatchStatus
    branch: str
    revision: int
    base: str
    head: str | None = Field(description="The newest commit of `branch`; null when the branch is gone.")
    base_moved: bool = Field(
        description="Whether the branch is elsewhere than `base`. A rebase brings the patch there."
    )
    digest: str
    diff: str
    files: list[FileComparison]
    warnings: list[str]


class ApproveRequest(Payload):
    """An approval names the digest of the bytes that were looked at."""

    digest: str = Field(
        min_length=64, max_length=71, description="`digest` of the preview; `sha256:` before it is allowed."
    )
    revision: int | None = Field(
        None,
        ge=1,
        description="`revision` that was looked at. With it, a patch whose base moved is refused, too.",
    )


class RejectRequest(Payload):
    """A rejection says why."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000)]


class ApplyRequest(Payload):
    """Which approved patch to apply; ``branch`` only confirms the branch that the patch is made for."""

    patch_id: UUID
    branch: str | None = Field(None, max_length=100, description="When given, it has to be the patch's `branch`.")


class ApplyResult(Shape):
    """The run that applies, tests and, when the tests pass, commits."""

    run_id: UUID
    patch_id: UUID
