"""Public shapes of how patches are handed in, changed, rebased and reverted."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from devstudio_server.patches.schemas import PatchedFile, PatchRead, RevisionReason
from devstudio_server.web.schemas import Payload, Shape

MAX_DIFF_CHARS = 8 * 1024 * 1024
Diff = Annotated[str, StringConstraints(max_length=MAX_DIFF_CHARS)]
Summary = Annotated[str, StringConstraints(strip_whitespace=True, max_length=10_000)]
Branch = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Files = Annotated[dict[str, str | None], Field(max_length=500)]


class PatchUpload(Payload):
    """A change that was made elsewhere, as `git diff --binary` writes it."""

    task_id: UUID
    diff: Diff = Field(description="At most 8 MiB. Names begin with `a/` and `b/`.")
    summary: Summary = ""
    branch: Branch | None = Field(None, description="Where it is meant to go; the project's default branch otherwise.")
    base: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{40}$",
        description="The commit that it was made on; the newest of the branch otherwise.",
    )


class PatchEdit(Payload):
    """A change of a patch in review. Who makes it is an editor then, and every approval is void."""

    diff: Diff | None = Field(None, description="Takes the place of the whole diff.")
    files: Files | None = Field(None, description="Whole files as the patch is to leave them; null deletes one.")
    summary: Summary | None = None
    branch: Branch | None = Field(None, description="Another branch that the patch is meant for.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.diff is not None and self.files is not None:
            message = "give `diff` or `files`, not both"
            raise ValueError(message)
        if all(value is None for value in (self.diff, self.files, self.summary, self.branch)):
            message = "give what is to change: `diff`, `files`, `summary` or `branch`"
            raise ValueError(message)
        return self


class RebaseRequest(Payload):
    """Bring a patch onto the newest commit of its branch."""

    resolutions: Files = Field(
        default_factory=dict, description="For each file in conflict, its whole text; null deletes it."
    )


class RebaseConflict(Shape):
    """A file that the patch and the branch both changed. A side is null where it has no such file or no text."""

    path: str
    base: str | None
    ours: str | None = Field(description="As the branch has it.")
    theirs: str | None = Field(description="As the patch has it.")
    binary: bool = False


class RebaseResult(Shape):
    """The patch, on its new base unless there are ``conflicts``: then nothing was changed."""

    patch: PatchRead
    conflicts: list[RebaseConflict]


class RevertRequest(Payload):
    """Why a patch is taken back, and how conflicts with what came after it are resolved."""

    reason: Summary = ""
    resolutions: Files = Field(default_factory=dict, description="As for a rebase.")


class RevisionRead(Shape):
    """What a patch was at one time, and who made it so."""

    number: int
    reason: RevisionReason
    digest: str
    branch: str
    base: str
    files: list[PatchedFile]
    author_id: UUID
    author_name: str
    created_at: datetime


class RevisionList(Shape):
    """All revisions of a patch, oldest first. Patches of older versions of the server have none before a change."""

    items: list[RevisionRead]
