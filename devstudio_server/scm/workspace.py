"""A project's tree: real files that people open in Jupyter. Paths are walked without following any link."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from uuid import UUID

from devstudio_server.scm.errors import UnsafePath

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class WorkspaceTree:
    """The tree of one project. ``path`` arguments are relative, with `/`, and must stay inside."""

    def __init__(self, root: Path) -> None:
        """Work below ``root``."""
        self.root = root

    def create(self) -> None:
        """Make the folder."""
        self.root.mkdir(parents=True, exist_ok=True)

    def exists(self, path: str) -> bool:
        """Tell whether a regular file is there."""
        return self.read(path) is not None

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, or None when no regular file is there."""
        try:
            with self._folder_of(path, create=False) as (folder, name):
                # Without O_NONBLOCK a named pipe would hold the server until someone writes into it.
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
                with os.fdopen(os.open(name, flags, dir_fd=folder), "rb") as file:
                    return file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO):
                return None
            raise

    def write(self, path: str, content: bytes) -> None:
        """Write a file at once: readers see the old bytes or the new, never a part, and a full disk leaves the old."""
        with self._folder_of(path, create=True) as (folder, name):
            temporary = f".{secrets.token_hex(8)}.tmp"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                with os.fdopen(os.open(temporary, flags, 0o644, dir_fd=folder), "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=folder)
                raise

    def remove(self, path: str) -> None:
        """Remove a file if it is there."""
        with suppress(FileNotFoundError, NotADirectoryError), self._folder_of(path, create=False) as (folder, name):
            os.unlink(name, dir_fd=folder)

    @contextmanager
    def _folder_of(self, path: str, *, create: bool) -> Iterator[tuple[int, str]]:
        """Open the folder of ``path`` one component at a time, so that no link leads outside."""
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or "\0" in path or any(part in ("..", ".") for part in parts):
            raise UnsafePath(f"The path {path[:200]!r} leaves the project.")
        if create:
            self.create()
        descriptor = os.open(self.root, _FOLDER)
        try:
            for part in parts[:-1]:
                if create:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o755, dir_fd=descriptor)
                below = os.open(part, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor, parts[-1]
        finally:
            os.close(descriptor)


class WorkspaceStorage:
    """The trees of all tenants: `<root>/<tenant id>/<project id>`, made of ids only."""

    def __init__(self, root: Path) -> None:
        """Keep them below ``root``."""
        self.root = root

    def tenant_root(self, tenant_id: UUID) -> Path:
        """Return the folder that a tenant's Jupyter shows as its root."""
        return self.root / str(tenant_id)

    def tree(self, tenant_id: UUID, project_id: UUID) -> WorkspaceTree:
        """Return the tree of a project."""
        return WorkspaceTree(self.tenant_root(tenant_id) / str(project_id))
