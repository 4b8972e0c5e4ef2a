"""Jupyter's configuration for team mode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from devstudio_server.auth.authorizer import StudioAuthorizer
from devstudio_server.jupyter.contents_manager import TenantContentsManager
from devstudio_server.jupyter.kernels import TenantKernelManager
from devstudio_server.jupyter.kernelspecs import IsolatingKernelSpecManager
from devstudio_server.jupyter.page_settings import PersonConfigManager
from devstudio_server.jupyter.sessions import TenantSessionManager
from devstudio_server.jupyter.tenancy import TenantFolders

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
