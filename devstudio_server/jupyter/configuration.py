"""Jupyter's configuration for team mode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from devstudio_server.auth.authorizer import StudioAuthorizer
from devstudio_server.auth.identity import LOCAL_TENANT_ID
from devstudio_server.jupyter.channels import LosslessConnection
from devstudio_server.jupyter.contents_manager import TenantContentsManager
from devstudio_server.jupyter.kernels import TenantKernelManager
from devstudio_server.jupyter.kernelspecs import IsolatingKernelSpecManager
from devstudio_server.jupyter.page_settings import PersonConfigManager
from devstudio_server.jupyter.sessions import SESSIONS, TenantSessionManager
from devstudio_server.jupyter.studio_kernels import LocalKernels
from devstudio_server.jupyter.tenancy import TenantFolders

CULL_IDLE_S = 4 * 3600
# A picture in a text that a model, or anyone, wrote is fetched as soon as it is shown, and its address can carry what
# the text knows: pages fetch them from here alone, or from the text itself.
POLICY = "frame-ancestors 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:"
REFUSED_EXTENSIONS = ("jupyter_lsp", "jupyter_server_proxy", "jupyter_server_terminals")


def configure_team(c: Any, workspaces: Path) -> None:
    """Set Jupyter's services on the configuration ``c`` so that each tenant has its own.

    ``workspaces`` holds one folder for each tenant, which its people see as root. Beside it, in `jupyter/`, the server
    keeps their layouts and settings. `devstudio_server.jupyter.router.scope_by_tenant` does the rest at start.
    """
    server = c.ServerApp
    server.root_dir = str(TenantFolders(workspaces).nothing())
    server.authorizer_class = StudioAuthorizer
    server.contents_manager_class = TenantContentsManager
    server.kernel_manager_class = TenantKernelManager
    server.kernel_spec_manager_class = IsolatingKernelSpecManager
    server.session_manager_class = TenantSessionManager
    server.config_manager_class = PersonConfigManager
    for scoped in (c.TenantContentsManager, c.TenantKernelManager, c.PersonConfigManager):
        scoped.workspaces = str(workspaces)

    # A tab that is open keeps its kernel; the others end after four hours in which nothing ran.
    c.MappingKernelManager.cull_idle_timeout = CULL_IDLE_S
    c.MappingKernelManager.default_kernel_name = "devstudio-python"
    _lose_nothing(c)

    server.allow_external_kernels = False
    server.allow_unauthenticated_access = False
    server.authenticate_prometheus = True
    server.quit_button = False
    server.terminals_enabled = False
    server.jpserver_extensions.update(dict.fromkeys(REFUSED_EXTENSIONS, False))
    c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
    c.LabApp.extension_manager = "readonly"
    c.LabApp.lock_all_plugins = True
    c.LabApp.news_url = None
    _keep_texts_inert(c)


def configure_local(c: Any, workspaces: Path) -> None:
    """Set Jupyter's services for the single local user: sandboxed kernels, which outlive the server, and plain ones.

    What Jupyter shows as its root is where the projects' trees are; a session's files live in `.devstudio/` of each.
    """
    folders, server = TenantFolders(workspaces), c.ServerApp
    kept = folders.of_tenant(LOCAL_TENANT_ID)
    server.root_dir = str(folders.files(LOCAL_TENANT_ID))
    server.kernel_manager_class = LocalKernels
    c.LocalKernels.tenant_id = str(LOCAL_TENANT_ID)
    c.LocalKernels.records_dir = str(kept / "kernels")
    c.SessionManager.database_filepath = str(kept / SESSIONS)
    _lose_nothing(c)
    _keep_texts_inert(c)


def _keep_texts_inert(c: Any) -> None:
    """Have no page fetch anything from elsewhere for what a text shows."""
    c.ServerApp.tornado_settings = {"headers": {"Content-Security-Policy": POLICY}}


def _lose_nothing(c: Any) -> None:
    """Carry whatever a kernel says to the browser, at once."""
    c.ServerApp.kernel_websocket_connection_class = LosslessConnection
