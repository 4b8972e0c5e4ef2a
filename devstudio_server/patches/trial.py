"""Tries a diff that someone handed in on the tree that it is for, and looks at what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from devstudio_server.patches.content import (
    MAX_FILE_BYTES,
    NO_MODE,
    PatchContent,
    check_collisions,
    content_between,
)
from devstudio_server.patches.errors import PatchRefused
from devstudio_server.patches.inspection import DiffedFile, inspect
from devstudio_server.scm import GitRepository
from devstudio_server.scm.disposable import disposable
from devstudio_server.scm.errors import PatchDoesNotApply, UnsafePath
from devstudio_server.scm.git import TreeChange
from devstudio_server.scm.paths import safe_path

_MODES = {"100644", "100755", NO_MODE}


def content_of_diff(repository: GitRepository, base_tree: str, diff: bytes) -> PatchContent:
    """Return what ``diff`` makes of ``base_tree``, as a patch in git's own words.

    Raises `PatchRefused`, `PatchDoesNotApply`, `UnsafePath` or `EmptyPatch`; the repository is then as it was.
    """
    files = inspect(diff)
    with disposable(repository) as place:
        paths = [path for file in files for path in file.paths]
        _refuse_others(place, base_tree, files)
        try:
            result = place.apply_both_ways(base_tree, diff, paths)
        except PatchDoesNotApply as error:
            raise PatchDoesNotApply(_said(error.detail, files)) from error
        check_result(place, base_tree, result, {path: file for file in files for path in file.paths})
        content = content_between(place, base_tree, result)
    if repository.apply(base_tree, content.diff.encode()) != content.result_tree:
        raise PatchDoesNotApply("The diff cannot be written so that it gives the same files again, so it is not taken.")
    return content


def _refuse_others(place: GitRepository, tree: str, files: Sequence[DiffedFile]) -> None:
    """Refuse a change of what is no regular file before git touches it."""
    modes = place.modes(tree, [path for file in files for path in file.paths])
    for file in files:
        for path in file.paths:
            if modes.get(path, NO_MODE) not in _MODES:
                raise PatchRefused(file.line, "is a link, a submodule or a folder in the repository.", path)


def check_result(place: GitRepository, base: str, result: str, named: dict[str, DiffedFile] | None = None) -> None:
    """Refuse what a change may not make of a tree, whatever it calls itself; ``named`` are the files of its diff."""
    changes = place.changes(base, result)
    sizes = place.sizes({change.new_blob for change in changes})
    for change in changes:
        reason = _objection(change, sizes.get(change.new_blob, 0), named)
        if reason and named and change.path in named:
            raise PatchRefused(named[change.path].line, reason, change.path)
        if reason:
            raise UnsafePath(f"The file {change.path} is refused: the change {reason}")
    written = {change.path for change in changes if change.old_mode == NO_MODE}
    if written:
        check_collisions(written, set(place.files(result)) - written)


def _objection(change: TreeChange, size: int, named: dict[str, DiffedFile] | None) -> str:
    if named is not None and change.path not in named:
        return "touches a file that the diff does not name."
    if {change.old_mode, change.new_mode} - _MODES:
        return "touches a link or a submodule. Patches change regular files only."
    if size > MAX_FILE_BYTES:
        return f"makes a file of {size} bytes; at most {MAX_FILE_BYTES} are taken."
    try:
        safe_path(change.path)
    except UnsafePath as error:
        return f"is refused: {error.detail}"
    return ""


def _said(detail: str, files: Sequence[DiffedFile]) -> str:
    """Add the line of the diff where the file begins that git's message names."""
    for file in sorted(files, key=lambda file: -len(file.paths[0])):
        if any(path in detail for path in file.paths):
            return f"{detail} The file begins in line {file.line} of the diff."
    return detail
