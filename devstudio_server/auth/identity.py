"""The local mode: Jupyter's token opens the server, and whoever holds it is the one user of the one tenant."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_DNS, UUID, uuid5

from devstudio_server.auth.permissions import Role, permissions_of
from devstudio_server.db import Actor

# Fixed, so that the same data folder opens again after a new token.
LOCAL_TENANT_ID: UUID = uuid5(NAMESPACE_DNS, "local.tenant.devstudio.renum")
LOCAL_USER_ID: UUID = uuid5(NAMESPACE_DNS, "local.user.devstudio.renum")


def local_actor(user: Any = None) -> Actor:
    """Return the local user. ``user`` is what Jupyter's identity provider found, and only gives the name.

    Jupyter names anonymous token users at random, anew in each browser, so a generated name is not kept.
    """
    generated = getattr(user, "username", "") == getattr(user, "name", "x")
    name = "" if user is None or generated else str(getattr(user, "display_name", "") or "")
    return Actor(
        tenant_id=LOCAL_TENANT_ID,
        user_id=LOCAL_USER_ID,
        name=name or "Local user",
        permissions=permissions_of([Role.ADMIN_DEVSTUDIO]),
        sole_user=True,
    )
