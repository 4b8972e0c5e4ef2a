"""Jupyter's contents service with one root for each tenant."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from jupyter_core.utils import ensure_async
from jupyter_server.services.contents.filecheckpoints import AsyncFileCheckpoints
from jupyter_server.services.contents.fileio import path_to_intermediate
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from jupyter_server.services.contents.manager import AsyncContentsManager
from nbformat.sign import NotebookNotary
from tornado.web import HTTPError
from traitlets import Bool, Instance, Unicode, default

from devstudio_server.auth import Permission
from devstudio_server.db import current_actor
from devstudio_server.jupyter.files import TenantFilesHandler
from devstudio_server.jupyter.tenancy import PerTenant, TenantFolders, inside


class Contained:
    """For managers of files: no path, and no link on its way, leads out of ``root_dir``."""

    root_dir: str

    def _get_os_path(self, path: str) -> str:
        os_path = super()._get_os_path(path)  # type: ignore[misc]
        return inside(self.root_dir, os_path, path)

    @contextmanager
    def open(self, os_path: str, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Open a file, and look again where it is: a link may have come into its way in between."""
        with super().open(os_path, *args, **kwargs) as file:  # type: ignore[misc]
            opened = Path(f"/proc/self/fd/{file.fileno()}")
            if opened.exists():  # Linux tells where an open file is
                inside(self.root_dir, opened, Path(os_path).name)
            yield file

    @contextmanager
    def atomic_writing(self, os_path: str, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Write a file. The copy that Jupyter keeps beside it until the end must be no link either."""
        kept = path_to_intermediate(os.path.realpath(os_path))
        inside(self.root_dir, kept, Path(os_path).name)
        with super().atomic_writing(os_path, *args, **kwargs) as file:  # type: ignore[misc]
            yield file


class ContainedCheckpoints(Contained, AsyncFileCheckpoints):
    """Checkpoints beside their files. Jupyter's own go to a shared folder in `/tmp` when they cannot be there."""

    def checkpoint_path(self, checkpoint_id: str, path: str) -> str:
        """Return the path of a checkpoint, in a folder beside its file."""
        parent, _, name = path.strip("/").rpartition("/")
        beside = Path(self._get_os_path(parent))
        if not beside.is_dir():
            raise HTTPError(404, f"file or directory does not exist: {path!r}")
        named = Path(name)
        folder = Path(inside(self.root_dir, beside / self.checkpoint_dir, path))
        with self.perm_to_403():
            folder.mkdir(exist_ok=True)
        kept = f"{named.stem}-{checkpoint_id}{named.suffix}"
        return inside(self.root_dir, folder / kept, path)


class TenantFiles(Contained, AsyncLargeFileManager):  # type: ignore[misc]
    """The files of one tenant. Hooks are those of the manager that it belongs to."""

    owner = Instance("devstudio_server.jupyter.contents_manager.TenantContentsManager")
    state_dir = Unicode(help="Folder for what belongs to the tenant and is no file of its own.")
    allow_hidden = Bool(True)
    # A trash is the server's, so what is in it belongs to nobody.
    delete_to_trash = Bool(False)

    @default("checkpoints_class")
    def _checkpoints_class_default(self) -> type:
        return ContainedCheckpoints

    @default("notary")
    def _notary_default(self) -> NotebookNotary:
        """Trust what this tenant trusted: a notebook that another tenant signed stays untrusted."""
        return NotebookNotary(parent=self, data_dir=self.state_dir)

    @default("preferred_dir")
    def _preferred_dir_default(self) -> str:
        return ""

    def is_writable(self, path: str) -> bool:
        """Tell whether the person may write here; if not, JupyterLab shows the file as read-only and never saves it."""
        actor = current_actor()
        return actor is not None and actor.may(Permission.SPEC_UPDATE) and bool(super().is_writable(path))  # type: ignore[no-untyped-call]

    def run_pre_save_hooks(self, model: dict[str, Any], path: str, **kwargs: Any) -> None:
        """Run the hooks that were registered for every tenant."""
        self.owner.run_pre_save_hooks(model=model, path=path, **kwargs)

    def run_post_save_hooks(self, model: dict[str, Any], os_path: str) -> None:
        """Run the hooks that were registered for every tenant."""
        self.owner.run_post_save_hooks(model=model, os_path=os_path)


class TenantContentsManager(AsyncContentsManager):
    """Hands every call to the files of the tenant that the request acts for, and refuses without one."""

    workspaces = Unicode(help="Folder with the files of all tenants, one folder each.").tag(config=True)
    allow_hidden = Bool(True, help="Whether files whose name begins with a dot are shown.").tag(config=True)
    delete_to_trash = Bool(False, help="Always false: JupyterLab then asks before it deletes for good.")

    def __init__(self, **kwargs: Any) -> None:
        """Make the folder of each tenant when it is first asked for."""
        super().__init__(**kwargs)
        self.folders = TenantFolders(Path(self.workspaces))
        self.tenants: PerTenant[Any] = PerTenant(self._files_of)

    def _files_of(self, tenant_id: UUID) -> TenantFiles:
        return TenantFiles(
            parent=self.parent,
            log=self.log,
            owner=self,
            root_dir=str(self.folders.files(tenant_id)),
            state_dir=str(self.folders.of_tenant(tenant_id)),
            allow_hidden=self.allow_hidden,
            delete_to_trash=False,
        )

    @default("root_dir")
    def _root_dir_default(self) -> str:
        return str(TenantFolders(Path(self.workspaces)).nothing())

    @default("files_handler_class")
    def _files_handler_class_default(self) -> type:
        return TenantFilesHandler

    @default("files_handler_params")
    def _files_handler_params_default(self) -> dict[str, Any]:
        return {"path": self.root_dir}

    @default("preferred_dir")
    def _preferred_dir_default(self) -> str:
        return ""

    def info_string(self) -> str:
        """Return the line that Jupyter prints at its start."""
        return f"Serving each tenant its own folder below {self.workspaces}"

    async def dir_exists(self, path: str) -> bool:
        """Tell whether the tenant has this folder."""
        return bool(await self.tenants.mine().dir_exists(path))

    async def file_exists(self, path: str) -> bool:
        """Tell whether the tenant has this file."""
        return bool(await self.tenants.mine().file_exists(path))

    async def exists(self, path: str) -> bool:
        """Tell whether the tenant has something at this path."""
        return bool(self.tenants.mine().exists(path))

    async def is_hidden(self, path: str) -> bool:
        """Tell whether the tenant's file is hidden."""
        return bool(await self.tenants.mine().is_hidden(path))

    async def get(self, path: str, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Return the model of a file or folder."""
        return dict(await self.tenants.mine().get(path, **kwargs))

    async def save(self, model: dict[str, Any], path: str = "") -> dict[str, Any]:
        """Save a file or folder. Raises `HTTPError` 404 when its folder is missing, where Jupyter's own fails."""
        parent = path.strip("/").rpartition("/")[0]
        if not await self.dir_exists(parent):
            raise HTTPError(404, f"No such directory: {parent!r}")
        return dict(await self.tenants.mine().save(model, path))

    async def new_untitled(self, path: str = "", type: str = "", ext: str = "") -> dict[str, Any]:  # noqa: A002
        """Create a file or folder under a name that is free."""
        return dict(await self.tenants.mine().new_untitled(path, type, ext))

    async def new(self, model: dict[str, Any] | None = None, path: str = "") -> dict[str, Any]:
        """Create a file or folder; Jupyter's own completes the model and calls `save`."""
        return dict(await super().new(model, path))  # type: ignore[no-untyped-call]

    async def copy(self, from_path: str, to_path: str | None = None) -> dict[str, Any]:
        """Copy a file or folder."""
        return dict(await self.tenants.mine().copy(from_path, to_path))

    async def update(self, model: dict[str, Any], path: str) -> dict[str, Any]:
        """Rename a file or folder, and return its model. Raises `HTTPError` 404 when it is missing."""
        if not await self.exists(path):
            raise HTTPError(404, f"file or directory does not exist: {path!r}")
        return dict(await self.tenants.mine().update(model, path))

    async def delete(self, path: str) -> None:
        """Delete a file or folder with its checkpoints."""
        await self.tenants.mine().delete(path)

    async def delete_file(self, path: str) -> None:
        """Delete a file or folder."""
        await self.tenants.mine().delete_file(path)

    async def rename_file(self, old_path: str, new_path: str) -> None:
        """Rename a file or folder."""
        await self.tenants.mine().rename_file(old_path, new_path)

    async def get_kernel_path(self, path: str, model: Any = None) -> str:
        """Return the folder in which a notebook's kernel starts."""
        return str(await self.tenants.mine().get_kernel_path(path, model))

    async def resolve_path(self, path: str) -> str | None:
        """Return the path below the tenant's root that ``path`` means, or None."""
        found: str | None = await ensure_async(self.tenants.mine().resolve_path(path))
        return found

    async def trust_notebook(self, path: str) -> None:
        """Trust the outputs of a notebook, within the tenant."""
        await self.tenants.mine().trust_notebook(path)

    async def create_checkpoint(self, path: str) -> dict[str, Any]:
        """Keep a copy of a file. Raises `HTTPError` 404 when it is missing, where Jupyter's own fails."""
        if not await self.file_exists(path):
            raise HTTPError(404, f"file or directory does not exist: {path!r}")
        return dict(await self.tenants.mine().create_checkpoint(path))

    async def restore_checkpoint(self, checkpoint_id: str, path: str) -> None:
        """Bring a file back to its copy. Raises `HTTPError` 404 when there is none, where Jupyter's own fails."""
        if checkpoint_id not in {kept["id"] for kept in await self.list_checkpoints(path)}:
            raise HTTPError(404, f"Checkpoint does not exist: {path}@{checkpoint_id}")
        await self.tenants.mine().restore_checkpoint(checkpoint_id, path)

    async def list_checkpoints(self, path: str) -> list[dict[str, Any]]:
        """List the copies of a file."""
        return list(await self.tenants.mine().list_checkpoints(path))

    async def delete_checkpoint(self, checkpoint_id: str, path: str) -> None:
        """Remove the copy of a file."""
        await self.tenants.mine().delete_checkpoint(checkpoint_id, path)
