"""Build tar streams: the one that ``Sandbox.put`` takes, and the one that ``Sandbox.export`` gives.

Both are written here, on the host, from names and bytes: nothing but regular files can be in them.
"""

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from devstudio_sandbox.errors import WorkspaceRejected

END_OF_ARCHIVE = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True)
class ArchiveEntry:
    """One regular file."""

    path: str
    """Relative, with ``/`` between the names."""
    data: bytes
    mode: int = 0o644
    """Only the owner's execute bit matters."""


def pack(entries: Iterable[ArchiveEntry]) -> Iterator[bytes]:
    """Pack files into a tar stream: no owner, no time, so that equal files give equal bytes.

    Raises
    ------
    WorkspaceRejected
        A path is absolute, empty, or has ``..`` in it.

    """
    for entry in entries:
        yield header(entry.path, len(entry.data), executable=bool(entry.mode & 0o100))
        yield entry.data
        yield padding(len(entry.data))
    yield END_OF_ARCHIVE


def padding(size: int) -> bytes:
    """Return what comes behind a file of this size."""
    return bytes(-size % tarfile.BLOCKSIZE)


def header(path: str, size: int, *, executable: bool) -> bytes:
    """Write the header of a regular file. Raises `WorkspaceRejected` for a path that does not lie in the workspace."""
    parts = path.split("/")
    if not path or path.startswith("/") or ".." in parts or "\0" in path:
        raise WorkspaceRejected(f"{path!r} does not lie in the workspace")
    member = tarfile.TarInfo(path)
    member.size = size
    member.mode = 0o755 if executable else 0o644
    return member.tobuf(tarfile.PAX_FORMAT)
