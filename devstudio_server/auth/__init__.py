"""Who may do what: the permission table, and the actor behind a signed-in user."""

from devstudio_server.auth.identity import LOCAL_TENANT_ID, local_actor
from devstudio_server.auth.permissions import ROLE_PERMISSIONS, Permission, Role, permissions_of

__all__ = ["LOCAL_TENANT_ID", "ROLE_PERMISSIONS", "Permission", "Role", "local_actor", "permissions_of"]
