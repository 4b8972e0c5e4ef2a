"""What a patch holds: a checked set of file changes, as a tree, a diff and a digest."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from devstudio_server.patches.errors import EmptyPatch
from devstudio_server.patches.schemas import Change, FileComparison, PatchedFile
from devstudio_server.scm import GitRepository
from devstudio_server.scm.errors import UnsafePath
from devstudio_server.scm.git import TreeChange
from devstudio_server.scm.paths import safe_path

MAX_FILES = 500
MAX_FILE_BYTES = 1024 * 1024
MAX_PATCH_BYTES = 8 * 1024 * 1024
NO_MODE = "000000"
"""How git writes the mode of a file that is not there."""


@dataclass(frozen=True)
class PatchContent:
    """A change from ``base_tree`` to ``result_tree``. ``digest`` is the SHA-256 of ``diff``, in hexadecimal."""

    base_tree: str
    result_tree: str
    diff: str
    digest: str
    files: list[PatchedFile]


def digest_of(diff: str) -> str:
    """Return the digest that names a diff's exact bytes."""
    return hashlib.sha256(diff.encode()).hexdigest()


def check_files(files: Mapping[str, str | None], existing: Iterable[str]) -> None:
    """Raise `UnsafePath` or `EmptyPatch` for a set of changes that must not be made; None deletes a file."""
    if not files:
        raise EmptyPatch("The change names no file.")
    present = set(existing)
    if len(files) > MAX_FILES:
        raise UnsafePath(f"The change has {len(files)} files; at most {MAX_FILES} are taken.")
    for path, content in files.items():
        safe_path(path)
        if content is not None and len(_encoded(path, content)) > MAX_FILE_BYTES:
            raise UnsafePath(f"The file {path} has more than {MAX_FILE_BYTES} bytes.")
        if content is None and path not in present:
            raise UnsafePath(f"The file {path} is to be deleted, but the repository has no such file.")
    check_collisions({path for path, content in files.items() if content is not None}, present - set(files))


def check_collisions(written: set[str], kept: set[str]) -> None:
    """Refuse two names that a file system may take for one, and a name that is a file here and a folder there."""
    everything = written | kept
    folded: dict[str, str] = {}
    for path in sorted(everything):
        other = folded.setdefault(_folded(path), path)
        if other != path and (path in written or other in written):
            raise UnsafePath(
                f"The paths {other} and {path} differ only in case or in how accents are written, and some file "
                "systems take them for one."
            )
    folders = {parent for path in folded for parent in _parents(path)}
    for path in sorted(written):
        clash = {folded[parent] for parent in _parents(_folded(path)) if parent in folded}
        if clash:
            raise UnsafePath(f"The path {path} needs a folder where {min(clash)} is a file.")
        if _folded(path) in folders:
            raise UnsafePath(f"The path {path} is a folder already.")


def _parents(path: str) -> list[str]:
    return [path.rsplit("/", depth)[0] for depth in range(1, path.count("/") + 1)]


def _folded(path: str) -> str:
    """Return what APFS, HFS+ and NTFS may compare: neither case nor the composition of accents counts."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def _encoded(path: str, content: str) -> bytes:
    try:
        return content.encode()
    except UnicodeEncodeError as error:
        raise UnsafePath(f"The file {path} holds half a surrogate pair, which is no character.") from error


def build_content(repository: GitRepository, base_tree: str, files: Mapping[str, str | None]) -> PatchContent:
    """Make the tree and the diff of a checked change; raises as `check_files`, and when nothing changes."""
    check_files(files, repository.files(base_tree))
    written = {path: None if content is None else content.encode() for path, content in files.items()}
    return content_between(repository, base_tree, repository.change(base_tree, written))


def content_between(repository: GitRepository, base_tree: str, result: str) -> PatchContent:
    """Return the change between two trees, as the one diff that git makes of it; raises as `build_content`."""
    if result == base_tree:
        raise EmptyPatch("The change leaves every file as it is.")
    try:
        diff = repository.diff(base_tree, result).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnsafePath("The change touches a text file that is not UTF-8. Convert that file first.") from error
    if len(diff.encode()) > MAX_PATCH_BYTES:
        raise UnsafePath(f"The patch has more than {MAX_PATCH_BYTES} bytes. Split the task.")
    return PatchContent(base_tree, result, diff, digest_of(diff), summarize(repository, base_tree, result))


def summarize(repository: GitRepository, base: str, result: str) -> list[PatchedFile]:
    """Return what happens to each file between two trees."""
    return _summaries(repository, repository.changes(base, result))


def _summaries(repository: GitRepository, changes: Sequence[TreeChange]) -> list[PatchedFile]:
    sizes = repository.sizes({blob for change in changes for blob in (change.old_blob, change.new_blob)})
    return [
        PatchedFile(
            path=change.path,
            change=_change(change),
            additions=change.additions,
            deletions=change.deletions,
            old_mode=_mode(change.old_mode),
            new_mode=_mode(change.new_mode),
            binary=change.binary,
            old_size=sizes.get(change.old_blob),
            new_size=sizes.get(change.new_blob),
        )
        for change in changes
    ]


def _mode(mode: str) -> str | None:
    return None if mode == NO_MODE else mode


def _change(change: TreeChange) -> Change:
    if change.old_mode == NO_MODE:
        return "create"
    return "delete" if change.new_mode == NO_MODE else "update"


def compare(repository: GitRepository, base: str, result: str) -> list[FileComparison]:
    """Return both sides of each file that differs between two trees."""
    changes = repository.changes(base, result)
    sides = [blob for change in changes for blob in (change.old_blob, change.new_blob)]
    contents = repository.blobs(sides)
    return [_comparison(next(contents), next(contents), file) for file in _summaries(repository, changes)]


def _comparison(old: bytes | None, new: bytes | None, file: PatchedFile) -> FileComparison:
    texts = [_text(side) for side in (old, new)]
    binary = any(side is not None and text is None for side, text in zip((old, new), texts, strict=True))
    shown = (None, None) if binary else texts
    return FileComparison(**{**file.model_dump(), "binary": binary or file.binary}, old=shown[0], new=shown[1])


def _text(content: bytes | None) -> str | None:
    if content is None or b"\0" in content:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None
