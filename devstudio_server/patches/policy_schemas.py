"""What a project asks of the review of its patches."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints, field_validator

from devstudio_server.auth import ROLE_PERMISSIONS, Permission, Role
from devstudio_server.web.schemas import Payload, Shape

MAX_APPROVALS = 10
MAX_PATTERNS = 50
MAX_APPROVERS = 200
APPROVAL_HOURS = 168
MAX_APPROVAL_HOURS = 24 * 365
_REFUSED = re.compile(r"[\x00-\x20\x7f~^:\\]|\.\.|@\{|//|^/|/$|^-|\.lock$|\.$")
"""What no name of a branch has, whatever a pattern stands for."""

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class PolicyValues(Payload):
    """The rules of a project's reviews, all of them, as they shall be from now on."""

    protected_branches: list[Pattern] | None = Field(
        None,
        max_length=MAX_PATTERNS,
        description="Names of branches; `*` is any text, `?` one character, `[abc]` one of these. "
        "Null: the project's default branch.",
    )
    required_approvals: int | None = Field(
        None,
        ge=0,
        le=MAX_APPROVALS,
        description="For protected branches. In a team at least 1, which null is; the only user of a server may do "
        "with 0, which null is there.",
    )
    approver_roles: list[Role] = Field(
        default_factory=list,
        max_length=len(Role),
        description="Only approvals of people with one of these roles count, or of `approver_users`. Empty, as those "
        "are: of everybody who may approve.",
    )
    approver_users: list[UUID] = Field(default_factory=list, max_length=MAX_APPROVERS)
    strict_proof: bool = Field(
        False,
        description="A criterion counts as proven only when the patch's tests fail without the patch and pass with it.",
    )
    approval_hours: int = Field(
        APPROVAL_HOURS, ge=1, le=MAX_APPROVAL_HOURS, description="An approval that is older does not count any more."
    )

    @field_validator("protected_branches")
    @classmethod
    def _are_patterns(cls, value: list[str] | None) -> list[str] | None:
        for pattern in value or []:
            if _REFUSED.search(pattern) or pattern.count("[") != pattern.count("]"):
                message = f"{pattern!r} matches no branch: it is no name of one, and no pattern for names"
                raise ValueError(message)
        return None if value is None else list(dict.fromkeys(value))

    @field_validator("approver_roles")
    @classmethod
    def _may_approve(cls, value: list[Role]) -> list[Role]:
        for role in value:
            if Permission.CODE_APPROVE not in ROLE_PERMISSIONS[role]:
                message = f"the role {role} does not give the permission {Permission.CODE_APPROVE}"
                raise ValueError(message)
        return sorted(set(value))


class PolicyWrite(PolicyValues):
    """What `PUT` takes."""


class PolicyRead(Shape):
    """The rules that hold. ``version`` is 0, and the values are the defaults, until someone sets them."""

    project_id: UUID
    protected_branches: list[str]
    required_approvals: int
    approver_roles: list[Role]
    approver_users: list[UUID]
    strict_proof: bool
    approval_hours: int
    version: int
    updated_at: datetime | None
