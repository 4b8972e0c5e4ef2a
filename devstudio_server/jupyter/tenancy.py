"""One of Jupyter's managers for each tenant, chosen by who the running request acts for."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar
from uuid import UUID

from tornado.web import HTTPError

from devstudio_server.db import Actor, current_actor

T = TypeVar("T")
_PRIVATE = 0o700


def acting_person() -> Actor:
    """Return who the running request acts for. Raises `HTTPError` 403 when that is nobody."""
    actor = current_actor()
    if actor is None:
        raise HTTPError(403, "Nobody is signed in, so there is nothing to see. Sign in first.")
    return actor


class PerTenant(Generic[T]):
    """Makes one ``T`` for each tenant when it is first asked for, and never hands out another tenant's."""

    def __init__(self, make: Callable[[UUID], T]) -> None:
        """Let ``make`` build what belongs to a tenant."""
        self._make = make
        self._made: dict[UUID, T] = {}

    def __iter__(self) -> Iterator[T]:
        """Yield those of all tenants, for work that no person asks for: culling and shutdown."""
        return iter(list(self._made.values()))

    def of(self, tenant_id: UUID) -> T:
        """Return the one of ``tenant_id``."""
        if tenant_id not in self._made:
            self._made[tenant_id] = self._make(tenant_id)
        return self._made[tenant_id]

    def mine(self) -> T:
        """Return the one of the tenant that the running request acts for. Raises `HTTPError` 403 without one."""
        return self.of(acting_person().tenant_id)


class TenantFolders:
    """Where Jupyter keeps what belongs to a tenant: its files, and beside them what it must not reach as files.

    Every name is an id that the server gave. Below ``workspaces`` is what the tenant sees; below ``state`` are layouts,
    settings and the signatures of trusted notebooks.
    """

    def __init__(self, workspaces: Path) -> None:
        """Use `<workspaces>/<tenant>` and, beside ``workspaces``, `jupyter/<tenant>`."""
        self.workspaces = workspaces
        self.state = workspaces.parent / "jupyter"

    def files(self, tenant_id: UUID) -> Path:
        """Return the folder that the tenant's people see as root; it is made when it is missing."""
        return _made(self.workspaces / str(tenant_id))

    def of_tenant(self, tenant_id: UUID) -> Path:
        """Return the folder of what the whole tenant shares."""
        return _made(self.state / str(tenant_id))

    def of_person(self, actor: Actor, name: str) -> Path:
        """Return the folder ``name`` of one person in one tenant."""
        return _made(self.of_tenant(actor.tenant_id) / str(actor.user_id) / name)

    def nothing(self) -> Path:
        """Return an empty folder, for every part of Jupyter that would show the server's one root."""
        return _made(self.state / "nothing")


class LeavesRoot(HTTPError, OSError):
    """The path is outside of the root, or a link on its way leads there. A listing leaves such a link out."""

    def __init__(self, path: str) -> None:
        """Answer as for a file that does not exist."""
        HTTPError.__init__(self, 404, f"file or directory does not exist: {path!r}")
        self.errno = errno.ELOOP


def inside(root: str | Path, os_path: str | Path, path: str) -> str:
    """Return ``os_path`` when it is below ``root`` after following every link; ``path`` is how the person named it.

    Raises `LeavesRoot`. Whole components are compared, so `t1` does not contain `t10`.
    """
    real_root = os.path.realpath(root)
    if os.path.commonpath((real_root, os.path.realpath(os_path))) != real_root:
        raise LeavesRoot(path)
    return str(os_path)


def _made(folder: Path) -> Path:
    folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
    return folder
