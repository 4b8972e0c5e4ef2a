"""The review policy of a project: which branches are protected, how many approvals they need, and whose count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import Actor, check_version
from devstudio_server.kit.errors import PreconditionFailed
from devstudio_server.patches.errors import PolicyTooWeak
from devstudio_server.patches.policy_schemas import APPROVAL_HOURS, PolicyRead, PolicyValues, PolicyWrite
from devstudio_server.patches.repository import ReviewRepository
from devstudio_server.patches.review_models import ReviewPolicy
from devstudio_server.projects.models import Project


@dataclass(frozen=True)
class BranchRule:
    """What a project asks of a patch for one branch. ``version`` is the policy's."""

    protected: bool = True
    required_approvals: int = 1
    approver_roles: tuple[str, ...] = ()
    approver_users: tuple[UUID, ...] = ()
    strict_proof: bool = False
    expiry_hours: int = APPROVAL_HOURS
    version: int = 0

    @property
    def needed(self) -> int:
        """How many approvals there must be: nothing is applied that nobody approved."""
        return max(1, self.required_approvals)


class ReviewPolicyService:
    """Reads and sets the policy of projects. The caller has looked whether the project is there."""

    def __init__(self, session: Session, actor: Actor) -> None:
        """Work in ``session`` for ``actor``."""
        self._rows = ReviewRepository(session)
        self._session = session
        self._actor = actor

    def rule(self, project: Project, branch: str) -> BranchRule:
        """Return what holds for patches of ``project`` to ``branch``."""
        return self.rules([(project, branch)])[0]

    def rules(self, asked: Sequence[tuple[Project, str]]) -> Sequence[BranchRule]:
        """Return what holds for each of ``asked``."""
        rows = self._rows.policies({project.id for project, _ in asked})
        return [self._rule(project, branch, rows.get(project.id)) for project, branch in asked]

    def get(self, project: Project) -> PolicyRead:
        """Return the policy of a project, or the defaults."""
        return self._read(project, self._rows.policies({project.id}).get(project.id))

    def put(self, project: Project, payload: PolicyWrite, expected: int | None) -> PolicyRead:
        """Set the policy; raises `PolicyTooWeak`, and `PreconditionFailed` for a stale version."""
        if payload.required_approvals == 0 and not self._actor.sole_user:
            raise PolicyTooWeak
        values = payload.model_dump(mode="json")
        row = self._rows.policies({project.id}).get(project.id)
        if row is None:
            if expected not in {None, 0}:
                message = "Nobody has set this policy yet. Send it without If-Match."
                raise PreconditionFailed(message, headers={"ETag": '"0"'}, current_version=0)
            row = ReviewPolicy(project_id=project.id, values=values)
            self._rows.add(row)
            return self._read(project, row)
        check_version(row, expected)
        if row.values != values:
            row.values = values
            row.version += 1
        self._session.flush()
        return self._read(project, row)

    def _read(self, project: Project, row: ReviewPolicy | None) -> PolicyRead:
        values = _values(row)
        return PolicyRead(
            project_id=project.id,
            protected_branches=_protected(project, values),
            required_approvals=self._required(values),
            version=0 if row is None else row.version,
            updated_at=None if row is None else row.updated_at,
            **values.model_dump(exclude={"protected_branches", "required_approvals"}),
        )

    def _rule(self, project: Project, branch: str, row: ReviewPolicy | None) -> BranchRule:
        values = _values(row)
        protected = any(fnmatchcase(branch, pattern) for pattern in _protected(project, values))
        return BranchRule(
            protected=protected,
            required_approvals=self._required(values) if protected else 0,
            approver_roles=tuple(map(str, values.approver_roles)) if protected else (),
            approver_users=tuple(values.approver_users) if protected else (),
            strict_proof=values.strict_proof,
            expiry_hours=values.approval_hours,
            version=0 if row is None else row.version,
        )

    def _required(self, values: PolicyValues) -> int:
        """Return how many approvals protected branches need: in a team never none, whatever was set before."""
        floor = 0 if self._actor.sole_user else 1
        return max(floor, values.required_approvals or 0)


def _values(row: ReviewPolicy | None) -> PolicyValues:
    return PolicyValues() if row is None else PolicyValues.model_validate(row.values)


def _protected(project: Project, values: PolicyValues) -> list[str]:
    return [project.default_branch] if values.protected_branches is None else values.protected_branches
