"""Where sessions have their files below the workspaces: which folder is whose, told by names and ids alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from uuid import UUID

from devstudio_server.specs.models import FOLDER
from devstudio_server.specs.schemas import DocumentType

_OUTER, _INNER = PurePath(FOLDER).parts
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)
MAX_SLUG = 80
_DEPTH = 5
"""How many names lead from the workspaces to a session's folder: tenant, project, `.devstudio`, `specs`, slug."""

Look = tuple[tuple[int, int, int] | None, ...]
"""What tells that a file was written again: inode, size and time, for each file of a session; None where none is."""


@dataclass(frozen=True, order=True)
class Place:
    """The folder of one session."""

    tenant_id: UUID
    project_id: UUID
    slug: str

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the session's files: its documents, and the notebook."""
        return (*(f"{kind.value}.md" for kind in DocumentType), f"{self.slug}.ipynb")

    def folder(self, root: Path) -> Path:
        """Return the folder below the workspaces at ``root``."""
        return root / str(self.tenant_id) / str(self.project_id) / FOLDER / self.slug

    def look(self, root: Path) -> Look:
        """Return what the session's files are now, without reading them or following a link."""
        folder = self.folder(root)
        return tuple(_look(folder / name) for name in self.names)


def place_of(root: Path, path: str) -> Place | None:
    """Return the session whose file or folder ``path`` is by its names; None for anything else."""
    parts = _below(root, path)
    if len(parts) not in (_DEPTH, _DEPTH + 1) or not _leads(parts):
        return None
    place = Place(UUID(parts[0]), UUID(parts[1]), parts[4])
    return place if len(parts) == _DEPTH or parts[_DEPTH] in place.names else None


def is_folder_of_sessions(root: Path, path: str) -> bool:
    """Tell whether ``path`` is, by its names, a folder on the way to sessions, or the folder of one."""
    parts = _below(root, path)
    return 0 < len(parts) <= _DEPTH and _leads(parts)


def folders_of_sessions(root: Path) -> Iterator[Path]:
    """Yield every folder on the way to sessions, and theirs: ``root`` first. Links are no folders.

    Nor are folders that this process may not read.
    """
    yield root
    for below in _subfolders(root):
        if is_folder_of_sessions(root, str(below)):
            yield from _walk(root, below)


def _walk(root: Path, folder: Path) -> Iterator[Path]:
    if not os.access(folder, os.R_OK | os.X_OK):
        return
    yield folder
    depth = len(_below(root, str(folder)))
    if depth == _DEPTH:
        return
    # A project's own folders are many; of those only one leads on, and is asked for by its name.
    only = {2: _OUTER, 3: _INNER}.get(depth)
    for below in _subfolders(folder) if only is None else [folder / only]:
        if is_folder_of_sessions(root, str(below)) and below.is_dir() and not below.is_symlink():
            yield from _walk(root, below)


def _subfolders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry) for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []  # gone again, or not ours to read


def _below(root: Path, path: str) -> tuple[str, ...]:
    try:
        return PurePath(path).relative_to(root).parts
    except ValueError:
        return ()


def _leads(parts: tuple[str, ...]) -> bool:
    """Tell whether each name is what stands at its depth."""
    checks = (_is_id, _is_id, _OUTER.__eq__, _INNER.__eq__, _is_slug)
    return all(check(name) for check, name in zip(checks, parts, strict=False))


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _is_slug(name: str) -> bool:
    return len(name) <= MAX_SLUG and _SLUG.fullmatch(name) is not None


def _look(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns)
