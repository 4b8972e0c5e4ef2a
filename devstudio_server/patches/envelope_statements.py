"""What the envelopes of patches and approvals say. The statement of a patch is all that an approval stands on."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from devstudio_server.signing.errors import SignatureInvalid

PATCH_TYPE = "application/vnd.devstudio.patch+json"
APPROVAL_TYPE = "application/vnd.devstudio.approval+json"


class Statement(BaseModel):
    """A signed statement. It has these members and no others, each written in one way."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def members(self) -> dict[str, Any]:
        """Return what is signed."""
        return self.model_dump(mode="json")

    @classmethod
    def read(cls, members: dict[str, Any]) -> Self:
        """Read what was signed; raises `SignatureInvalid`."""
        try:
            statement = cls.model_validate(members)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise SignatureInvalid(f"The signed statement is none of this version's: {where} is wrong.") from error
        if statement.members() != members:
            raise SignatureInvalid("The signed statement is not written as this version writes it.")
        return statement


class SignedFile(Statement):
    """What happens to a file; modes and blobs as git names them, None where the file does not exist."""

    path: str
    change: str
    old_mode: str | None
    new_mode: str | None
    old_blob: str | None
    new_blob: str | None


class SignedCriterion(Statement):
    """A criterion that the patch is for, with the digest of its text."""

    key: str
    sha256: str


class SignedContributor(Statement):
    """Someone who had a hand in the patch."""

    user_id: UUID
    role: str


class PatchStatement(Statement):
    """What a patch is, exactly, and for where. ``diff_sha256`` names its bytes."""

    tenant_id: UUID
    project_id: UUID
    repository: str
    patch_id: UUID
    revision: int
    branch: str
    base_commit: str
    base_tree: str
    result_tree: str
    diff_sha256: str
    files: tuple[SignedFile, ...]
    task_id: UUID
    criteria: tuple[SignedCriterion, ...]
    author: UUID
    contributors: tuple[SignedContributor, ...]
    required_approvals: int
    model: str
    issued_at: datetime
    expires_at: datetime


class ApprovalStatement(Statement):
    """Who approved which bytes, as which envelope said what they are."""

    tenant_id: UUID
    approval_id: UUID
    patch_id: UUID
    revision: int
    diff_sha256: str
    patch_envelope_sha256: str
    user_id: UUID
    user_name: str
    self_reviewed: bool
    required_approvals: int
    at: datetime
