"""The one table of roles and permissions. An unknown permission fails at import: it is no member of `Permission`.

Source: the seed's matrix, completed as `security.md` asks (the executor writes specs and applies patches).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Role(StrEnum):
    """What a person is in a tenant."""

    ADMIN_DEVSTUDIO = "admin_devstudio"
    REVIEWER = "reviewer"
    EXECUTOR = "executor"
    VIEWER = "viewer"
    OPERATOR = "operator"


class Permission(StrEnum):
    """What an operation asks for."""

    SPEC_CREATE = "spec:create"
    SPEC_READ = "spec:read"
    SPEC_UPDATE = "spec:update"
    SPEC_DELETE = "spec:delete"
    CODE_GENERATE = "code:generate"
    CODE_APPLY = "code:apply"
    CODE_APPROVE = "code:approve"
    EXEC_RUN = "exec:run"
    EXEC_VIEW_LOGS = "exec:view_logs"
    EGRESS_APPROVE = "egress:approve"
    DEPLOY_TRIGGER = "deploy:trigger"
    DEPLOY_APPROVE = "deploy:approve"
    POLICY_UPDATE = "policy:update"
    BUDGET_UPDATE = "budget:update"
    AUDIT_READ = "audit:read"
    USER_READ = "user:read"
    USER_REVOKE = "user:revoke"
    METRICS_READ = "metrics:read"


_READ = frozenset({Permission.SPEC_READ, Permission.EXEC_VIEW_LOGS})

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    # The metrics count what all tenants do, so they are for who runs the server and for no tenant's administrator.
    Role.ADMIN_DEVSTUDIO: frozenset(Permission) - {Permission.METRICS_READ},
    Role.OPERATOR: frozenset({Permission.METRICS_READ}),
    Role.REVIEWER: _READ | {Permission.CODE_APPROVE, Permission.DEPLOY_APPROVE, Permission.EGRESS_APPROVE},
    Role.EXECUTOR: _READ
    | {
        Permission.SPEC_CREATE,
        Permission.SPEC_UPDATE,
        Permission.CODE_GENERATE,
        Permission.CODE_APPLY,
        Permission.EXEC_RUN,
    },
    Role.VIEWER: _READ,
}


def permissions_of(roles: Iterable[Role]) -> frozenset[str]:
    """Return every permission that at least one of ``roles`` gives."""
    return frozenset(str(permission) for role in roles for permission in ROLE_PERMISSIONS[role])
