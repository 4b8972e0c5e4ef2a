"""Unified diffs as git writes them: which files they change, from which blob to which, and what they make of a text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

NOTHING = "0" * 40
_INDEX = re.compile(r"index ([0-9a-f]{4,64})\.\.([0-9a-f]{4,64})(?: ([0-7]{6}))?")
_MODE = re.compile(r"(old mode|new mode|new file mode|deleted file mode) ([0-7]{6})")
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_ESCAPED = re.compile(rb'\\([abfnrtv"\\]|[0-3][0-7]{2})')
_LETTERS = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


class DiffInvalid(ValueError):
    """The text is no diff of the form that DevStudio signs."""


@dataclass
class FileDiff:
    """One file's part of a diff. Modes and blobs are "" where the headers do not say them."""

    path: str
    old_mode: str = ""
    new_mode: str = ""
    old_blob: str = ""
    new_blob: str = ""
    created: bool = False
    deleted: bool = False
    binary: bool = False
    body: list[bytes] = field(default_factory=list)


def read(diff: bytes) -> list[FileDiff]:
    """Read a diff. Lines of a text begin with a blank, + or -, so no content looks like a header."""
    files: list[FileDiff] = []
    for line in diff.split(b"\n"):
        if line.startswith(b"diff --git "):
            files.append(FileDiff(_path(line[11:])))
        elif not files:
            if line:
                raise DiffInvalid("there is text before the first file")
        elif files[-1].body or line.startswith((b"@@ ", b"GIT binary patch")):
            files[-1].body.append(line)
            files[-1].binary = files[-1].binary or line.startswith(b"GIT binary patch")
        else:
            _read_header(files[-1], line.decode("utf-8", "replace"))
    if files and files[-1].body and not files[-1].body[-1]:
        files[-1].body.pop()  # what stands behind the last line break
    return files


def applied(file: FileDiff, old: bytes) -> bytes:
    """Give what a text file becomes; raises `DiffInvalid` where a line is not the one that the diff has."""
    before = _lines(old)
    after: list[bytes] = []
    at = 0
    for start, removed, added in _hunks(file.body):
        first = start - 1 if removed else start
        if first < at or before[first : first + len(removed)] != removed:
            raise DiffInvalid(f"the lines from {start} on are not those of the file")
        after += [*before[at:first], *added]
        at = first + len(removed)
    return b"".join([*after, *before[at:]])


def _hunks(body: list[bytes]) -> list[tuple[int, list[bytes], list[bytes]]]:
    """Give each hunk as its first old line, the lines it wants and those it leaves."""
    found: list[tuple[int, list[bytes], list[bytes]]] = []
    sides: list[list[bytes]] = []
    for line in body:
        head = _HUNK.match(line)
        if head:
            found.append((int(head[1]), [], []))
        elif not found:
            raise DiffInvalid("there are lines before the first hunk")
        elif line.startswith(b"\\"):
            for side in sides:
                side[-1] = side[-1][:-1]
        else:
            _start, removed, added = found[-1]
            sides = {b" ": [removed, added], b"-": [removed], b"+": [added]}.get(line[:1], [])
            if not sides:
                raise DiffInvalid("a line is neither kept, nor removed, nor added")
            for side in sides:
                side.append(line[1:] + b"\n")
    return found


def _lines(text: bytes) -> list[bytes]:
    pieces = text.split(b"\n")
    return [piece + b"\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


def _read_header(file: FileDiff, line: str) -> None:
    index, mode = _INDEX.fullmatch(line), _MODE.fullmatch(line)
    if index:
        file.old_blob, file.new_blob = index[1], index[2]
        if index[3]:
            file.old_mode = file.new_mode = index[3]
    elif mode:
        file.created, file.deleted = file.created or "new file" in mode[1], file.deleted or "deleted" in mode[1]
        if mode[1] in {"old mode", "deleted file mode"}:
            file.old_mode = mode[2]
        else:
            file.new_mode = mode[2]
    elif line and not line.startswith(("--- ", "+++ ", "Binary files ")):
        raise DiffInvalid(f"the header line {line[:60]!r} of {file.path!r} is not one that is signed")


def _path(names: bytes) -> str:
    """Read `a/<path> b/<path>`; both are one path, because no rename is signed."""
    if names.startswith(b'"'):
        first = re.match(rb'"((?:[^"\\]|\\.)*)" ', names)
        half = _unquoted(first[1]) if first else b""
        if first is None or names[first.end() :] != b'"' + first[1].replace(b"a/", b"b/", 1) + b'"':
            raise DiffInvalid("the two names of a file differ")
    else:
        half = names[: len(names) // 2]
        if names != half + b" b/" + half[2:]:
            raise DiffInvalid("the two names of a file differ")
    if not half.startswith(b"a/"):
        raise DiffInvalid("the name of a file does not begin with a/")
    return half[2:].decode("utf-8", "surrogateescape")


def _unquoted(name: bytes) -> bytes:
    def meant(found: re.Match[bytes]) -> bytes:
        return bytes([int(found[1], 8)]) if found[1].isdigit() else _LETTERS.get(found[1], found[1])

    return _ESCAPED.sub(meant, name)
