"""Build the tar stream that :meth:`devstudio_sandbox.ports.Sandbox.put` takes."""

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
        yield _header(entry)
        yield entry.data
        yield bytes(-len(entry.data) % tarfile.BLOCKSIZE)
    yield END_OF_ARCHIVE


def _header(entry: ArchiveEntry) -> bytes:
    parts = entry.path.split("/")
    if not entry.path or entry.path.startswith("/") or ".." in parts or "\0" in entry.path:
        raise WorkspaceRejected(f"{entry.path!r} does not lie in the workspace")
    member = tarfile.TarInfo(entry.path)
    member.size = len(entry.data)
    member.mode = 0o755 if entry.mode & 0o100 else 0o644
    return member.tobuf(tarfile.PAX_FORMAT)
