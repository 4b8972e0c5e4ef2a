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
from devstudio_server.scm.exchange import exchange

_NO_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO})
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
                return _read(folder, name)
        except OSError as error:
            if error.errno in _NO_FILE:
                return None
            raise

    def write(self, path: str, content: bytes) -> None:
        """Write a file at once: readers see the old bytes or the new, never a part, and a full disk leaves the old."""
        with self._folder_of(path, create=True) as (folder, name), _new_file(folder, content) as temporary:
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)

    def replace(self, path: str, content: bytes, expected: bytes | None) -> bool:
        """Write a file as `write` does if it holds ``expected``, None for no file; tell whether it did.

        Whatever another program writes, however late, is there afterwards.
        """
        with self._folder_of(path, create=True) as (folder, name), _new_file(folder, content) as temporary:
            if expected is None:
                return _put_new(folder, temporary, name)
            return _put_for(folder, temporary, name, expected, content)

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


def _read(folder: int, name: str) -> bytes | None:
    try:
        # Without O_NONBLOCK a named pipe would hold the server until someone writes into it.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        with os.fdopen(os.open(name, flags, dir_fd=folder), "rb") as file:
            return file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise


@contextmanager
def _new_file(folder: int, content: bytes) -> Iterator[str]:
    """Give the name of a new file that is on the disk; it goes unless it was renamed."""
    temporary = f".{secrets.token_hex(8)}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, 0o644, dir_fd=folder), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)


def _put_new(folder: int, temporary: str, name: str) -> bool:
    """Give a new file its name, which no other file may have; a link or a pipe is nobody's file."""
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError:
        if _read(folder, name) is not None:
            return False
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    return True


def _put_for(folder: int, temporary: str, name: str, expected: bytes, content: bytes) -> bool:
    """Let a new file and the one that it is to replace change their names, and look at what came out."""
    if _read(folder, name) != expected:
        return False
    if not exchange(folder, temporary, name):
        if _read(folder, name) != expected:
            return False
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        return True
    if _read(folder, temporary) == expected:
        return True
    exchange(folder, temporary, name)
    if _read(folder, temporary) != content:  # somebody wrote again in between: both are kept
        os.rename(temporary, f"{name}.{secrets.token_hex(4)}.kept", src_dir_fd=folder, dst_dir_fd=folder)
    return False


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
