"""Kernels of each tenant, kept by a kernel manager of their own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import UUID

from jupyter_client.kernelspec import NoSuchKernel
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.web import HTTPError
from traitlets import List, Unicode

from devstudio_server.db import Actor, acting, current_actor
from devstudio_server.jupyter.studio_kernels import StudioKernels, tenant_of
from devstudio_server.jupyter.tenancy import LeavesRoot, PerTenant, TenantFolders, inside

_BACKGROUND_USER = UUID(int=0)


class TenantKernels(StudioKernels):
    """The kernels of one tenant, with its files as their folder and nothing of the server's environment."""

    passed_variables = List(Unicode(), help="Names of the variables that a kernel gets.")

    def cwd_for_path(self, path: str, **kwargs: Any) -> str:
        """Return the folder in which a kernel starts; a path that leaves the tenant's files is its root."""
        folder = str(super().cwd_for_path(path, **kwargs))  # type: ignore[no-untyped-call]
        try:
            return inside(self.root_dir, folder, path)
        except LeavesRoot:
            return str(self.root_dir)

    async def start_kernel(self, *, kernel_id: str | None = None, **kwargs: Any) -> str:  # type: ignore[override]
        """Start a kernel, or return ``kernel_id`` when the tenant has that one. Only the server makes up new ids.

        Raises `NoSuchKernel` when there is no such kernel, or none that may be started.
        """
        known = kernel_id if kernel_id is not None and kernel_id in self else None
        if known is None:
            self._check_name(kwargs.get("kernel_name") or "")
        kwargs["env"] = self._environment(kwargs.get("env") or {})
        return await super().start_kernel(kernel_id=known, **kwargs)

    def _check_name(self, kernel_name: str) -> None:
        """Look first: Jupyter's own notices in the middle of the start, and logs it three times."""
        if not kernel_name or self.kernel_spec_manager is None:
            raise NoSuchKernel(kernel_name)
        self.kernel_spec_manager.get_kernel_spec(kernel_name)

    def update_env(self, *, kernel_id: str, env: dict[str, str]) -> None:
        """Change what a running kernel's restart gets."""
        super().update_env(kernel_id=kernel_id, env=self._environment(env))

    def _environment(self, asked: dict[str, str]) -> dict[str, str]:
        """Jupyter hands a kernel all that the server knows, keys of providers and the database's password included."""
        passed = {name: os.environ[name] for name in self.passed_variables if name in os.environ}
        named = {name: asked[name] for name in ("JPY_SESSION_NAME",) if name in asked}
        return passed | named

    async def cull_kernels(self) -> None:
        """Cull as the tenant itself, so that what happens is told to its own people."""
        with acting(Actor(tenant_id=UUID(self.tenant_id), user_id=_BACKGROUND_USER)):
            await super().cull_kernels()  # type: ignore[no-untyped-call]


class TenantKernelManager(AsyncMappingKernelManager):
    """Hands every call to the kernels of the tenant that the request acts for, and refuses without one.

    What is not handed on works on this manager's own kernels, of which there are none.
    """

    workspaces = Unicode(help="Folder with the files of all tenants, one folder each.").tag(config=True)
    passed_variables = List(
        Unicode(),
        ["PATH", "LANG", "LC_ALL", "TZ"],
        help="Names of the server's environment variables that kernels get; all others are kept from them. "
        "Default: `PATH`, `LANG`, `LC_ALL`, `TZ`.",
    ).tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        """Make a manager for each tenant when it is first asked for."""
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self.folders = TenantFolders(Path(self.workspaces))
        self.tenants: PerTenant[Any] = PerTenant(self._kernels_of)

    def _kernels_of(self, tenant_id: UUID) -> TenantKernels:
        connections = Path(self.connection_dir or self.folders.of_tenant(tenant_id)) / str(tenant_id)
        connections.mkdir(mode=0o700, parents=True, exist_ok=True)
        kernels = TenantKernels(
            parent=self.parent,
            log=self.log,
            tenant_id=str(tenant_id),
            root_dir=str(self.folders.files(tenant_id)),
            records_dir=str(self._records_of(tenant_id)),
            connection_dir=str(connections),
            context=self.context,
            kernel_spec_manager=self.kernel_spec_manager,
            default_kernel_name=self.default_kernel_name,
            passed_variables=self.passed_variables,
        )
        kernels.adopt()
        return kernels

    def _records_of(self, tenant_id: UUID) -> Path:
        return self.folders.of_tenant(tenant_id) / "kernels"

    def adopt_all(self) -> None:
        """Take over what outlived the last life of the server, of every tenant."""
        for folder in sorted(self.folders.state.glob("*/kernels")):
            if tenant_id := tenant_of(folder.parent):
                self.tenants.of(tenant_id)

    def usable_kernel_name(self) -> str:
        """Return the default kernel's name when it may be started, else another's, else an empty text."""
        names = sorted(self.kernel_spec_manager.find_kernel_specs()) if self.kernel_spec_manager else []
        default = str(self.default_kernel_name)
        return str(default if default in names else next(iter(names), ""))

    async def start_kernel(self, *, kernel_name: str | None = None, **kwargs: Any) -> str:  # type: ignore[override]
        """Start a kernel of the tenant. Raises `HTTPError` 404 when there is no such kernel to start."""
        try:
            kernels, name = self.tenants.mine(), kernel_name or self.usable_kernel_name()
            return str(await kernels.start_kernel(kernel_name=name, **kwargs))
        except NoSuchKernel as error:
            raise HTTPError(404, _NO_KERNEL % (kernel_name or "")) from error

    async def shutdown_kernel(self, kernel_id: str, now: bool = False, restart: bool = False) -> None:  # type: ignore[override]  # noqa: FBT001, FBT002
        """Shut a kernel of the tenant down."""
        await self.tenants.mine().shutdown_kernel(kernel_id, now=now, restart=restart)

    async def restart_kernel(self, kernel_id: str, now: bool = False) -> Any:  # type: ignore[override]  # noqa: FBT001, FBT002
        """Restart a kernel of the tenant."""
        return await self.tenants.mine().restart_kernel(kernel_id, now=now)

    def interrupt_kernel(self, kernel_id: str) -> Any:
        """Interrupt a kernel of the tenant."""
        return self.tenants.mine().interrupt_kernel(kernel_id)

    async def shutdown_all(self, now: bool = False) -> None:  # type: ignore[override]  # noqa: FBT001, FBT002
        """Shut the kernels of all tenants down. Raises `HTTPError` 403 when a person's request asks for it."""
        if current_actor() is not None:
            raise HTTPError(403, "Nobody may shut down the kernels of all tenants.")
        for kernels in self.tenants:
            await kernels.shutdown_all(now=now)

    def list_kernels(self) -> list[dict[str, Any]]:
        """Return the models of the tenant's kernels."""
        return list(self.tenants.mine().list_kernels())

    def list_kernel_ids(self) -> list[str]:
        """Return the ids of the tenant's kernels; at the server's end, when no request runs, those of all."""
        if current_actor() is None:
            return [kernel_id for kernels in self.tenants for kernel_id in kernels.list_kernel_ids()]
        return list(self.tenants.mine().list_kernel_ids())

    def kernel_model(self, kernel_id: str) -> dict[str, Any]:
        """Return the model of a kernel of the tenant."""
        return dict(self.tenants.mine().kernel_model(kernel_id))

    def get_kernel(self, kernel_id: str) -> Any:
        """Return a kernel of the tenant. Raises `HTTPError` 404 for any other."""
        return self.tenants.mine().get_kernel(kernel_id)

    def update_env(self, *, kernel_id: str, env: dict[str, str]) -> None:
        """Change what a running kernel's restart gets."""
        self.tenants.mine().update_env(kernel_id=kernel_id, env=env)

    def cwd_for_path(self, path: str, **kwargs: Any) -> str:
        """Return the folder in which a kernel for ``path`` starts."""
        return str(self.tenants.mine().cwd_for_path(path, **kwargs))

    def __contains__(self, kernel_id: str) -> bool:
        """Tell whether the tenant has this kernel."""
        return bool(kernel_id in self.tenants.mine())

    def __len__(self) -> int:
        """Return how many kernels the tenant has; for the server itself, how many there are."""
        return len(self.list_kernel_ids())


_NO_KERNEL = (
    "There is no kernel %r that may be started here. In team mode only kernels in a sandbox are offered; "
    "GET /api/kernelspecs lists them."
)
