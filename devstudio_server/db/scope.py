"""On whose behalf work is done, and so whose rows it may see."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True)
class Actor:
    """A person, or the worker acting for one: the tenant whose rows are visible, and what is permitted.

    ``permissions`` holds values of `devstudio_server.auth.Permission`; ``sole_user`` is true in the local mode,
    where one person is all there is and may review their own work.
    """

    tenant_id: UUID
    user_id: UUID
    name: str = ""
    permissions: frozenset[str] = field(default_factory=frozenset)
    sole_user: bool = False

    def may(self, permission: str) -> bool:
        """Tell whether this actor holds ``permission``."""
        return permission in self.permissions
