"""Git's objects from their raw bytes: what a commit and a tree say, and that each is what its id names.

SHA-1 is git's choice, not ours: the ids tie commit, trees and files together. What they are worth rests on the signed
SHA-256 digests of the bundle, which cover the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_FOLDER = "40000"
_ID_BYTES = 20
_DEEPEST = 200


class ObjectInvalid(ValueError):
    """The bytes are no such object of git."""


class ObjectMissing(LookupError):
    """A tree that is needed is not in the bundle. The text is its id."""


class Entry(NamedTuple):
    """What a tree has under a name."""

    mode: str
    id: str


class Change(NamedTuple):
    """A file in which two trees differ: six-digit modes and blobs, None where it does not exist."""

    path: str
    old: Entry | None
    new: Entry | None


@dataclass(frozen=True)
class Commit:
    """What a commit says. ``committed_at`` is in seconds since 1970."""

    tree: str
    parents: tuple[str, ...]
    committed_at: int
    message: str
    trailers: dict[str, list[str]] = field(default_factory=dict)


def object_id(kind: str, content: bytes) -> str:
    """Give the id that git names an object by."""
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(content)) + content).hexdigest()  # noqa: S324 - git's choice


def read_commit(content: bytes) -> Commit:
    """Read a commit's raw bytes."""
    head, found, message = content.partition(b"\n\n")
    if not found:
        raise ObjectInvalid("it has no message")
    lines = [line.partition(b" ") for line in head.split(b"\n")]
    trees = [value.decode("ascii", "replace") for name, _, value in lines if name == b"tree"]
    parents = [value.decode("ascii", "replace") for name, _, value in lines if name == b"parent"]
    times = [value.rsplit(b" ", 2) for name, _, value in lines if name == b"committer"]
    if len(trees) != 1 or len(times) != 1 or len(times[0]) != 3 or not times[0][1].isdigit():  # noqa: PLR2004
        raise ObjectInvalid("it does not name one tree and one committer with a time")
    text = message.decode("utf-8", "replace")
    return Commit(trees[0], tuple(parents), int(times[0][1]), text, _trailers(text))


def read_tree(content: bytes) -> dict[str, Entry]:
    """Read a tree's raw bytes, in its order."""
    entries: dict[str, Entry] = {}
    at = 0
    while at < len(content):
        end = content.find(b"\0", at)
        mode, _, name = content[at:end].partition(b" ") if end > 0 else (b"", b"", b"")
        digest = content[end + 1 : end + 1 + _ID_BYTES]
        text = name.decode("utf-8", "surrogateescape")
        if not mode or not text or text in entries or len(digest) != _ID_BYTES:
            raise ObjectInvalid("its entries cannot be read")
        entries[text] = Entry(mode.decode("ascii", "replace"), digest.hex())
        at = end + 1 + _ID_BYTES
    return entries


def changes(trees: Mapping[str, bytes], old: str, new: str) -> list[Change]:
    """List the files in which two trees differ; raises `ObjectMissing` when a tree that decides is not there."""
    found: list[Change] = []
    waiting = [("", old, new)]
    while waiting:
        folder, before_id, after_id = waiting.pop()
        if folder.count("/") > _DEEPEST:
            raise ObjectInvalid("the folders are nested too deeply")
        before, after = _entries(trees, before_id), _entries(trees, after_id)
        for name in {*before, *after}:
            was, now = before.get(name), after.get(name)
            if was == now:
                continue
            path = f"{folder}{name}"
            old_folder, new_folder = _tree_of(was), _tree_of(now)
            if old_folder != new_folder:
                waiting.append((f"{path}/", old_folder, new_folder))
            old_file, new_file = _file_of(was), _file_of(now)
            if old_file != new_file:
                found.append(Change(path, old_file, new_file))
    return sorted(found)


def _entries(trees: Mapping[str, bytes], tree: str) -> dict[str, Entry]:
    if tree == EMPTY_TREE:
        return {}
    if tree not in trees:
        raise ObjectMissing(tree)
    return read_tree(trees[tree])


def _tree_of(entry: Entry | None) -> str:
    return entry.id if entry is not None and entry.mode == _FOLDER else EMPTY_TREE


def _file_of(entry: Entry | None) -> Entry | None:
    return None if entry is None or entry.mode == _FOLDER else Entry(entry.mode.zfill(6), entry.id)


def _trailers(message: str) -> dict[str, list[str]]:
    """Read the trailers: the lines `Name: value` of the last paragraph."""
    found: dict[str, list[str]] = {}
    for line in message.rstrip("\n").rpartition("\n\n")[2].split("\n"):
        name, colon, value = line.partition(": ")
        if colon:
            found.setdefault(name, []).append(value)
    return found
