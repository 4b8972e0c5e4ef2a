"""The signed-in user, as Jupyter carries it through a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from jupyter_server.auth.identity import User

from devstudio_server.db import Actor

NOBODY = Actor(tenant_id=UUID(int=0), user_id=UUID(int=0))
"""Who acts when a user of Jupyter is no user of DevStudio: a tenant without rows, and no permission."""


@dataclass
class StudioUser(User):
    """Jupyter's user with the actor that the studio works for. ``username`` is the user id."""

    actor: Actor = NOBODY

    @classmethod
    def of(cls, actor: Actor) -> StudioUser:
        """Return the user that stands for ``actor``."""
        name = actor.name or str(actor.user_id)
        return cls(username=str(actor.user_id), name=name, display_name=name, actor=actor)


def actor_of_user(user: Any) -> Actor:
    """Return whom a request of ``user`` acts for: nobody when an identity provider that is not ours made the user."""
    return user.actor if isinstance(user, StudioUser) else NOBODY
