"""Public shapes of health and of the signed-in user."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from devstudio_server.web.schemas import Shape


class Check(Shape):
    """One part's state. ``hint`` says how to mend it; ``required`` parts decide the overall status."""

    ok: bool
    required: bool
    detail: str
    hint: str = ""


class SandboxHealth(Shape):
    """What contains the code that runs. ``warning`` is set when that is not a real boundary."""

    backend: str
    isolation: str
    warning: str = ""


class Health(Shape):
    """The state of the server, from what it knows itself: no call leaves the machine."""

    status: Literal["healthy", "unhealthy"]
    timestamp: datetime
    version: str
    checks: dict[str, Check]
    sandbox: SandboxHealth
    default_model: str


class Liveness(Shape):
    """That the process answers."""

    status: Literal["alive"]
    version: str


class Me(Shape):
    """The signed-in user. ``expires_at`` is when the token or the sign-in ends; null where it does not."""

    user_id: UUID
    tenant_id: UUID
    name: str
    roles: list[str]
    permissions: list[str]
    mode: Literal["local", "team"]
    expires_at: datetime | None
