"""The one table of roles and permissions."""

from __future__ import annotations

import pytest

from devstudio_server.auth import ROLE_PERMISSIONS, Permission, Role, permissions_of

MATRIX = {
    Role.ADMIN_DEVSTUDIO: set(Permission) - {"metrics:read"},
    Role.OPERATOR: {"metrics:read"},
    Role.REVIEWER: {"spec:read", "exec:view_logs", "code:approve", "deploy:approve", "egress:approve"},
    Role.EXECUTOR: {
        "spec:read", "exec:view_logs", "spec:create", "spec:update", "code:generate", "code:apply", "exec:run",
    },
    Role.VIEWER: {"spec:read", "exec:view_logs"},
}  # fmt: skip


@pytest.mark.parametrize("role", list(Role))
def test_roles_have_what_the_matrix_says(role: Role) -> None:
    assert permissions_of([role]) == MATRIX[role] == ROLE_PERMISSIONS[role]


def test_only_administrators_change_what_a_review_needs() -> None:
    assert [role for role in Role if "policy:update" in ROLE_PERMISSIONS[role]] == [Role.ADMIN_DEVSTUDIO]


def test_several_roles_add_up_and_none_is_nothing() -> None:
    assert permissions_of([]) == frozenset()
    assert permissions_of([Role.REVIEWER, Role.EXECUTOR]) == MATRIX[Role.REVIEWER] | MATRIX[Role.EXECUTOR]


def test_only_the_admin_role_both_writes_and_approves() -> None:
    both = {"code:apply", "code:approve"}
    assert [role for role in Role if both <= ROLE_PERMISSIONS[role]] == [Role.ADMIN_DEVSTUDIO]
