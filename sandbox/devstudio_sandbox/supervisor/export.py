"""Artifacts out: the regular files of the workspace that match patterns, bounded, and through no link."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterator

from .files import enter, open_dir
from .wire import DATA, DONE, ENTRY, PIECE, Link, Refused

MAX_DEPTH = 100
MAX_VISITED = 1_000_000
MAX_PATTERNS = 100
Places = frozenset[tuple[int, int]]
"""Which patterns a path may still match, and at which of their names each of them has arrived."""


class Patterns:
    """Globs over relative paths: ``*``, ``?`` and ``[…]`` within a name, ``**`` for any number of folders."""

    def __init__(self, patterns: list[str]) -> None:
        if len(patterns) > MAX_PATTERNS:
            raise Refused("path", f"at most {MAX_PATTERNS} patterns")
        self._patterns = [self._split(pattern) for pattern in patterns]

    @staticmethod
    def _split(pattern: str) -> list[re.Pattern[str] | None]:
        names = [name for name in pattern.split("/") if name not in ("", ".")]
        if not names or pattern.startswith("/") or ".." in names or "\0" in pattern:
            raise Refused("path", f"{pattern!r} does not name files of the workspace")
        if names[-1] == "**":
            names.append("*")
        return [None if name == "**" else re.compile(fnmatch.translate(name)) for name in names]

    def begin(self) -> Places:
        """Return where the patterns are at the top of the workspace."""
        return self._skip({(index, 0) for index in range(len(self._patterns))})

    def follow(self, places: Places, name: str) -> Places:
        """Return where they are behind ``name``."""
        behind = set()
        for index, at in places:
            names = self._patterns[index]
            wanted = names[at] if at < len(names) else None
            if at < len(names) and wanted is None:
                behind.add((index, at))
            elif wanted is not None and wanted.match(name):
                behind.add((index, at + 1))
        return self._skip(behind)

    def matched(self, places: Places) -> bool:
        """Tell whether one of them ends here."""
        return any(at == len(self._patterns[index]) for index, at in places)

    def _skip(self, places: set[tuple[int, int]]) -> Places:
        """Add what comes behind a ``**`` that stands for no folder at all."""
        queue = list(places)
        while queue:
            index, at = queue.pop()
            names = self._patterns[index]
            if at < len(names) and names[at] is None and (index, at + 1) not in places:
                places.add((index, at + 1))
                queue.append((index, at + 1))
        return frozenset(places)


class Exporter:
    """Finds files, counts them, and only then sends them."""

    def __init__(self, root: int, patterns: list[str], max_bytes: int, max_files: int) -> None:
        self._root, self._patterns = root, Patterns(patterns)
        self._max_bytes, self._max_files = max_bytes, max_files
        self._visited = 0

    def run(self, link: Link) -> None:
        """Send every file as an ENTRY and its DATA, then DONE; or raise Refused, at best before the first."""
        found, size = [], 0
        for parts, there in self._walk([], os.dup(self._root), self._patterns.begin()):
            found.append(parts)
            size = self._count(len(found), size + there)
        sent = 0
        for parts in found:
            sent = self._send(parts, sent, link)
        link.send_json(DONE, files=len(found), size=sent)

    def _count(self, files: int, size: int) -> int:
        if files > self._max_files:
            raise Refused("too_large", f"more than {self._max_files} files match")
        if size > self._max_bytes:
            raise Refused("too_large", f"the files that match have more than {self._max_bytes} bytes")
        return size

    def _walk(self, parts: list[str], folder: int, places: Places) -> Iterator[tuple[list[str], int]]:
        """Yield the regular files below a folder that match, with their sizes; closes the folder."""
        if len(parts) > MAX_DEPTH:
            os.close(folder)
            raise Refused("path", f"folders are nested more than {MAX_DEPTH} deep")
        try:
            for name in sorted(os.listdir(folder)):
                self._visited += 1
                if self._visited > MAX_VISITED:
                    raise Refused("too_large", f"there are more than {MAX_VISITED} files and folders to look through")
                behind = self._patterns.follow(places, name)
                if behind:
                    yield from self._look([*parts, name], folder, behind)
        finally:
            os.close(folder)

    def _look(self, parts: list[str], folder: int, places: Places) -> Iterator[tuple[list[str], int]]:
        try:
            about = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(about.st_mode):
                yield from self._walk(parts, enter(folder, parts[-1]), places)
            elif stat.S_ISREG(about.st_mode) and self._patterns.matched(places):
                yield parts, about.st_size
        except OSError as problem:
            raise Refused("path", f"{'/'.join(parts)!r}: {os.strerror(problem.errno or 0)}") from problem

    def _send(self, parts: list[str], sent: int, link: Link) -> int:
        """Send one file as large as it is now; return the bytes of all until here."""
        path = "/".join(parts)
        try:
            parent = open_dir(self._root, parts[:-1])
            try:
                # O_NONBLOCK: should it be a named pipe by now, opening it must not wait for a writer
                fd = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
            finally:
                os.close(parent)
        except OSError as problem:
            raise Refused("path", f"{path!r}: {os.strerror(problem.errno or 0)} (links are not followed)") from problem
        with open(fd, "rb", buffering=0) as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise Refused("path", f"{path!r} is no regular file any more")
            sent = self._count(0, sent + about.st_size)
            link.send_json(ENTRY, path=path, size=about.st_size, executable=bool(about.st_mode & 0o100))
            left = about.st_size
            while left and (piece := file.read(min(PIECE, left))):
                link.send(DATA, piece)
                link.drain()
                left -= len(piece)
        if left:
            raise Refused("path", f"{path!r} became shorter while it was read")
        return sent
