"""Sessions of each tenant: which of its notebooks runs on which of its kernels."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from jupyter_server.services.sessions.sessionmanager import SessionManager

from devstudio_server.jupyter.contents_manager import TenantContentsManager
from devstudio_server.jupyter.kernels import TenantKernelManager
from devstudio_server.jupyter.tenancy import PerTenant

SESSIONS = "sessions.db"
"""File in which a tenant's sessions outlive the server, as its kernels do."""


class TenantSessionManager(SessionManager):
    """Hands every call to the sessions of the tenant that the request acts for, and refuses without one."""

    kernel_manager: TenantKernelManager
    contents_manager: TenantContentsManager

    def __init__(self, **kwargs: Any) -> None:
        """Make a manager for each tenant when it is first asked for."""
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self.tenants: PerTenant[SessionManager] = PerTenant(self._sessions_of)

    def _sessions_of(self, tenant_id: UUID) -> SessionManager:
        """Return sessions in a database of their own, over the tenant's own kernels and files."""
        return SessionManager(
            parent=self.parent,
            log=self.log,
            database_filepath=str(self.kernel_manager.folders.of_tenant(tenant_id) / SESSIONS),
            kernel_manager=self.kernel_manager.tenants.of(tenant_id),
            contents_manager=self.contents_manager.tenants.of(tenant_id),
        )

    def close(self) -> None:
        """Close the databases of all tenants."""
        for sessions in getattr(self, "tenants", ()):
            sessions.close()

    async def session_exists(self, path: str) -> bool:
        """Tell whether the tenant has a session for ``path``."""
        return bool(await self.tenants.mine().session_exists(path))

    async def create_session(self, **fields: Any) -> dict[str, Any]:  # type: ignore[override]
        """Create a session of the tenant, and start its kernel."""
        fields["kernel_name"] = fields.get("kernel_name") or self.kernel_manager.usable_kernel_name()
        return await self.tenants.mine().create_session(**fields)

    async def start_kernel_for_session(self, session_id: str, **fields: Any) -> str:  # type: ignore[override]
        """Start another kernel for a session of the tenant."""
        return await self.tenants.mine().start_kernel_for_session(session_id, **fields)

    async def get_session(self, **conditions: Any) -> dict[str, Any]:
        """Return a session of the tenant. Raises `HTTPError` 404 for any other."""
        return dict(await self.tenants.mine().get_session(**conditions))

    async def update_session(self, session_id: str, **changes: Any) -> None:
        """Change a session of the tenant."""
        await self.tenants.mine().update_session(session_id, **changes)

    async def list_sessions(self) -> list[dict[str, Any]]:
        """List the tenant's sessions."""
        return list(await self.tenants.mine().list_sessions())

    async def delete_session(self, session_id: str) -> None:
        """End a session of the tenant, and its kernel."""
        await self.tenants.mine().delete_session(session_id)
