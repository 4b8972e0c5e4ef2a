"""Files in and out of the workspace: bounded, and through no link."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from .wire import CHUNK, DATA, END, MAX_FRAME, PIECE, Link, Refused


def split_path(path: str) -> list[str]:
    """Split a relative path into names; refuse what could lead out."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or "\0" in path:
        raise Refused("path", f"{path!r} leads out of the workspace")
    return parts


def open_dir(root: int, parts: list[str], *, create: bool = False) -> int:
    """Open a directory name by name, through no link; the caller closes it."""
    fd = os.dup(root)
    for part in parts:
        try:
            if create:
                make_dir(fd, part)
            deeper = enter(fd, part)
        finally:
            os.close(fd)
        fd = deeper
    return fd


def enter(parent: int, name: str) -> int:
    """Open one directory, and never a link to one.

    It is not left to O_DIRECTORY: with it, gVisor follows a link in spite of O_NOFOLLOW (seen with Debian's of 2022).
    """
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)  # a named pipe must not make it wait
    if not stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
    return fd


def make_dir(parent: int, name: str) -> None:
    """Make a directory unless something of that name is there."""
    try:
        os.mkdir(name, 0o755, dir_fd=parent)
    except FileExistsError:
        return


class Feed:
    """A tar stream as tarfile wants it: read, tell, and seek forwards only."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._buffer = bytearray()
        self._position = 0
        self.ended = False
        self.last = b""

    def read(self, size: int) -> bytes:
        """Read exactly ``size`` bytes, fewer only at the end."""
        if size > MAX_FRAME:  # only a header that claims to be huge asks for that
            raise Refused("archive", "the archive has a header that is too large")
        while len(self._buffer) < size and not self.ended:
            self._pull()
        self.last = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._position += len(self.last)
        return self.last

    def tell(self) -> int:
        """Bytes read so far."""
        return self._position

    def seek(self, position: int) -> None:
        """Skip forwards."""
        while self._position < position and self.read(min(PIECE, position - self._position)):
            pass

    def drop(self) -> None:
        """Skip to the end, so that the next frame is a new question."""
        while not self.ended:
            self._buffer.clear()
            self._pull()

    def _pull(self) -> None:
        kind, payload = self._link.receive()
        if kind == CHUNK:
            self._buffer += payload
        elif kind == END:
            self.ended = True


class Unpacker:
    """Unpack regular files and directories, within bounds, into a directory."""

    def __init__(self, root: int, feed: Feed, max_bytes: int, max_files: int) -> None:
        self._root, self._feed = root, feed
        self._bytes_left, self._files_left = max_bytes, max_files
        self._parent: tuple[list[str], int] = ([], os.dup(root))

    def run(self) -> None:
        """Unpack everything or raise Refused."""
        import tarfile  # noqa: PLC0415 - costs 10 ms that a sandbox without files need not pay

        try:
            with tarfile.TarFile(fileobj=self._feed, mode="r") as tar:  # type: ignore[arg-type]
                while (member := tar.next()) is not None:
                    tar.members.clear()  # type: ignore[attr-defined] # or the list grows with the archive
                    self._unpack(member)
        except (tarfile.TarError, RecursionError, ValueError, EOFError) as problem:
            raise Refused("archive", f"not a readable tar archive: {problem}") from problem
        finally:
            os.close(self._parent[1])
        if self._feed.last.strip(b"\0"):  # tarfile takes a damaged header in the middle for the end
            raise Refused("archive", "the archive is damaged")

    def _unpack(self, member: object) -> None:
        name: str = member.name  # type: ignore[attr-defined]
        parts = split_path(name)
        try:
            if member.isdir():  # type: ignore[attr-defined]
                self._count(1, 0)
                self._enter(parts)
            elif member.type in (b"0", b"\0") and member.sparse is None:  # type: ignore[attr-defined]
                self._count(1, member.size)  # type: ignore[attr-defined]
                self._write(parts, member.size, 0o755 if member.mode & 0o100 else 0o644)  # type: ignore[attr-defined]
            else:
                raise Refused("archive", f"{name!r} is neither a regular file nor a directory")
        except OSError as problem:
            full = problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            what = "the workspace is full" if full else f"{name!r}: {os.strerror(problem.errno or 0)}"
            raise Refused("archive", what) from problem

    def _count(self, files: int, size: int) -> None:
        self._files_left -= files
        self._bytes_left -= size
        if self._files_left < 0:
            raise Refused("archive", "the archive has more files than the workspace may hold")
        if self._bytes_left < 0:
            raise Refused("archive", "the archive has more bytes than the workspace may hold")

    def _enter(self, parts: list[str]) -> int:
        if parts != self._parent[0]:
            fd = open_dir(self._root, parts, create=True)
            os.close(self._parent[1])
            self._parent = (parts, fd)
        return self._parent[1]

    def _write(self, parts: list[str], size: int, mode: int) -> None:
        if not parts:
            raise Refused("archive", "a file has no name")
        parent = self._enter(parts[:-1])
        with contextlib.suppress(FileNotFoundError):
            os.unlink(parts[-1], dir_fd=parent)
        fd = os.open(parts[-1], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode, dir_fd=parent)
        with open(fd, "wb", buffering=0) as file:
            while size:
                piece = self._feed.read(min(PIECE, size))
                if not piece:
                    raise Refused("archive", "the archive is cut short")
                write_all(file.fileno(), piece)
                size -= len(piece)
            self._feed.last = b""


def write_all(fd: int, piece: bytes) -> None:
    """Write every byte to a file."""
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(fd, rest) :]


def read_file(root: int, path: str, max_bytes: int, link: Link) -> int:
    """Send one regular file as DATA frames; return its size."""
    parts = split_path(path)
    try:
        parent = open_dir(root, parts[:-1])
        try:
            # O_NONBLOCK: opening a named pipe must not wait for a writer
            name = parts[-1] if parts else "."
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
        finally:
            os.close(parent)
    except FileNotFoundError:
        raise Refused("missing", f"{path!r} does not exist") from None
    except OSError as problem:
        raise Refused("path", f"{path!r}: {os.strerror(problem.errno or 0)} (links are not followed)") from problem
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Refused("path", f"{path!r} is no regular file")
    with open(fd, "rb", buffering=0) as file:
        sent = 0
        while piece := file.read(PIECE):
            sent += len(piece)
            if sent > max_bytes:
                raise Refused("too_large", f"{path!r} has more than {max_bytes} bytes")
            link.send(DATA, piece)
            link.drain()
    return sent
