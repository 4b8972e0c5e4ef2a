"""On whose behalf work is done, and so whose rows it may see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from uuid import NAMESPACE_DNS, UUID, uuid5

SYSTEM_TENANT_ID: UUID = uuid5(NAMESPACE_DNS, "system.tenant.devstudio.renum")
"""Owns what belongs to the installation and to no tenant: which processes there are, and who of them leads."""


@dataclass(frozen=True)
class Credential:
    """What showed who someone is: the id of their token, and of the sign-in when a browser's cookie stands for it."""

    token_id: str = ""
    expires_at: datetime | None = None
    sign_in_id: UUID | None = None
    issued_at: datetime | None = None


@dataclass(frozen=True)
class Actor:
    """A person, or the worker acting for one: the tenant whose rows are visible, and what is permitted.

    ``permissions`` holds values of `devstudio_server.auth.Permission`, ``roles`` those of `devstudio_server.auth.Role`;
    ``sole_user`` is true in the local mode, where one person is all there is and may review their own work.
    ``credential`` is known while a request of a team is answered.
    """

    tenant_id: UUID
    user_id: UUID
    name: str = ""
    permissions: frozenset[str] = field(default_factory=frozenset)
    sole_user: bool = False
    roles: frozenset[str] = field(default_factory=frozenset)
    credential: Credential | None = None

    def may(self, permission: str) -> bool:
        """Tell whether this actor holds ``permission``."""
        return permission in self.permissions


_ACTING: ContextVar[Actor | None] = ContextVar("devstudio_acting", default=None)
REQUEST_ID: ContextVar[str] = ContextVar("devstudio_request_id", default="")
"""The id of the request that is being answered; empty in the background."""


def current_actor() -> Actor | None:
    """Return who the running request or job acts for, or None outside of both. Tasks and threads inherit it."""
    return _ACTING.get()


def set_current_actor(actor: Actor | None) -> None:
    """Note who the running request acts for; the identity provider calls it once it knows."""
    _ACTING.set(actor)


@contextmanager
def acting(actor: Actor | None) -> Iterator[None]:
    """Act for ``actor`` within the block."""
    token = _ACTING.set(actor)
    try:
        yield
    finally:
        _ACTING.reset(token)
