"""The local mode: Jupyter's token opens the server, and whoever holds it is the one user of the one tenant."""

from __future__ import annotations

import re
from typing import Any
from uuid import NAMESPACE_DNS, UUID, uuid5

from devstudio_server.auth.permissions import Role, permissions_of
from devstudio_server.db import Actor

# Fixed, so that the same data folder opens again after a new token.
LOCAL_TENANT_ID: UUID = uuid5(NAMESPACE_DNS, "local.tenant.devstudio.renum")
_MADE_UP = "Anonymous "
LOCAL_USER_ID: UUID = uuid5(NAMESPACE_DNS, "local.user.devstudio.renum")
# `IdentityProvider.generate_anonymous_user` names them by `uuid4().hex`.
_GENERATED = re.compile(r"^[0-9a-f]{32}$")


def local_actor(user: Any = None) -> Actor:
    """Return the local user. ``user`` is what Jupyter's identity provider found, and only gives the name.

    A token names nobody, so Jupyter makes up an "Anonymous …" for each browser; that is not kept.
    """
    name = str(getattr(user, "display_name", None) or "")
    if name.startswith(_MADE_UP):
        name = ""
    return Actor(
        tenant_id=LOCAL_TENANT_ID,
        user_id=LOCAL_USER_ID,
        name=name or "Local user",
        permissions=permissions_of([Role.ADMIN_DEVSTUDIO]),
        sole_user=True,
    )
