"""Reads a diff that someone hands in, before git sees it: strictly, from its bytes, naming the line of what is wrong.

Taken is what `git diff` writes, with or without `--binary`, and what `git format-patch` puts around it. What the diff
then makes of a tree is checked once more on the tree itself, in `patches.trial`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from devstudio_server.kit.errors import PayloadTooLarge
from devstudio_server.patches.binary_patch import BinaryInvalid, payload_size
from devstudio_server.patches.content import MAX_FILE_BYTES, MAX_FILES, MAX_PATCH_BYTES
from devstudio_server.patches.diff_names import NameInvalid, header_names, plain_name, side_name
from devstudio_server.patches.errors import EmptyPatch, PatchRefused
from devstudio_server.scm.errors import UnsafePath
from devstudio_server.scm.paths import safe_path

_MODES = {"120000": "a link", "160000": "a submodule", "040000": "a folder"}
_FILE_MODES = {"100644", "100755"}
_HUNK = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@(?: .*)?")
_MODE_LINE = re.compile(rb"(old mode|new mode|new file mode|deleted file mode) (.*)")
_INDEX = re.compile(rb"index [0-9a-f]{4,64}\.\.[0-9a-f]{4,64}(?: (.*))?")
_SIMILARITY = re.compile(rb"(?:dis)?similarity index \d{1,3}%")
_MOVE = re.compile(rb"(rename|copy) (from|to) (.*)")
# Between files these lines would be read as part of a change by some programs, and passed over by others.
_STRAY = (b"--- ", b"+++ ", b"@@ ", b"@@@ ", b"Index: ", b"GIT binary patch", b"Binary files ", b"diff --cc ")
_STRAY_HEADERS = (b"old mode ", b"new mode ", b"new file mode ", b"deleted file mode ", b"rename ", b"copy ")
_SIGNATURE = b"-- "
_NO_NEWLINE = b"\\ "


@dataclass
class DiffedFile:
    """What a diff says of one file. ``old`` or ``new`` is None when the file is not there before or after."""

    line: int
    old: str | None
    new: str | None
    modes: dict[str, str] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    additions: int = 0
    deletions: int = 0
    binary: bool = False
    hunks: int = 0

    @property
    def paths(self) -> list[str]:
        """The paths that the change touches: two when the file is moved."""
        return [*dict.fromkeys(path for path in (self.old, self.new) if path is not None)]


def inspect(diff: bytes) -> list[DiffedFile]:
    """Return what ``diff`` says of each file; raises `PatchRefused` with the line, and the file where it is known."""
    if len(diff) > MAX_PATCH_BYTES:
        raise PayloadTooLarge(f"The diff has {len(diff)} bytes; at most {MAX_PATCH_BYTES} are taken. Split it.")
    if not diff.strip():
        raise EmptyPatch("The diff is empty, so it changes nothing.")
    zero = diff.find(b"\0")
    if zero >= 0:
        line = diff.count(b"\n", 0, zero) + 1
        raise PatchRefused(line, "holds a zero byte. Write binary files with `git diff --binary`.")
    files = _Reader(diff).read()
    if not files:
        raise EmptyPatch("The text names no file as `diff --git a/… b/…`, so it changes nothing. Use `git diff`.")
    _check_together(files)
    _second_opinion(diff, files)
    return files


class _Reader:
    """Goes through a diff line by line."""

    def __init__(self, diff: bytes) -> None:
        self._lines = diff.split(b"\n")
        if self._lines and not self._lines[-1]:
            self._lines.pop()
        self._at = 0
        self._binary_bytes = 0

    def read(self) -> list[DiffedFile]:
        files: list[DiffedFile] = []
        while (line := self._peek()) is not None:
            if line.startswith(b"diff --git "):
                if len(files) == MAX_FILES:
                    raise self._refusal(f"begins file {MAX_FILES + 1}; at most {MAX_FILES} are taken.")
                files.append(self._file(line))
            else:
                self._between(line, after_file=bool(files))
        return files

    def _peek(self) -> bytes | None:
        return self._lines[self._at] if self._at < len(self._lines) else None

    def _refusal(self, reason: str, file: DiffedFile | None = None) -> PatchRefused:
        path = next(iter(file.paths), None) if file else None
        return PatchRefused(self._at + 1, reason, path)

    def _between(self, line: bytes, *, after_file: bool) -> None:
        if line.startswith(_STRAY) or line.startswith(_STRAY_HEADERS):
            raise self._refusal("belongs to no `diff --git` header. Make the diff with `git diff`.")
        if after_file and line[:1] in (b"+", b"-", b" ", b"\\") and line.rstrip() not in (b"--", b"---", b""):
            raise self._refusal("comes after the hunk has all the lines that its header counts.")
        self._at += 1

    def _file(self, line: bytes) -> DiffedFile:
        if line.endswith(b"\r"):
            raise self._refusal("ends in CR LF: something changed the line ends of the diff itself.")
        try:
            names = header_names(line[len(b"diff --git ") :])
        except NameInvalid as error:
            raise self._refusal(str(error)) from error
        file = DiffedFile(self._at + 1, *names)
        self._check_names(file)
        self._at += 1
        self._headers(file)
        self._settle(file)
        self._body(file)
        return file

    def _check_names(self, file: DiffedFile) -> None:
        for path in file.paths:
            try:
                safe_path(path)
            except UnsafePath as error:
                raise PatchRefused(self._at + 1, f"is refused: {error.detail}", path) from error

    def _headers(self, file: DiffedFile) -> None:
        while (line := self._peek()) is not None and self._header(file, line):
            self._at += 1

    def _header(self, file: DiffedFile, line: bytes) -> bool:
        """Take one line of an extended header; False when it is none."""
        if match := _MODE_LINE.fullmatch(line):
            self._mode(file, match[1].decode(), match[2])
        elif match := _INDEX.fullmatch(line):
            if match[1] is not None:
                self._mode(file, "index", match[1])
        elif match := _MOVE.fullmatch(line):
            self._move(file, match)
        elif not _SIMILARITY.fullmatch(line):
            if line.startswith((*_STRAY_HEADERS, b"index ", b"similarity ", b"dissimilarity ")):
                raise self._refusal("is no header that git writes.", file)
            return False
        return True

    def _mode(self, file: DiffedFile, kind: str, raw: bytes) -> None:
        mode = raw.decode("ascii", "replace")
        if mode in _MODES:
            raise self._refusal(
                f"makes the file {_MODES[mode]} (mode {mode}). Patches change regular files only.", file
            )
        if mode not in _FILE_MODES:
            shown = mode[:20]
            raise self._refusal(f"names the mode {shown!r}. A file is 100644, or 100755 when it can be run.", file)
        if kind in file.modes:
            raise self._refusal(f"says `{kind}` twice.", file)
        file.modes[kind] = mode

    def _move(self, file: DiffedFile, match: re.Match[bytes]) -> None:
        if match[1] == b"copy":
            raise self._refusal("copies a file. Make the diff with `git diff --no-renames`.", file)
        side = match[2].decode()
        try:
            path = plain_name(match[3])
        except NameInvalid as error:
            raise self._refusal(str(error), file) from error
        if side in file.moved or path != (file.old if side == "from" else file.new):
            raise self._refusal("names another file than the `diff --git` line.", file)
        file.moved[side] = path

    def _settle(self, file: DiffedFile) -> None:
        """Check that the headers fit together, and take the side away that is not there."""
        created, deleted = "new file mode" in file.modes, "deleted file mode" in file.modes
        changed = {"old mode", "new mode"} & set(file.modes)
        moved = set(file.moved)
        if (created and deleted) or ((created or deleted) and (changed or moved)) or len(changed) == 1:
            raise self._refusal("ends headers that contradict one another.", file)
        if file.old != file.new and moved != {"from", "to"}:
            raise self._refusal("ends headers that name two files, and do not say `rename from` and `rename to`.", file)
        if moved and file.old == file.new:
            raise self._refusal("ends headers that move the file to where it is.", file)
        if created:
            file.old = None
        if deleted:
            file.new = None

    def _body(self, file: DiffedFile) -> None:
        line = self._peek()
        if line is not None and line.startswith(b"Binary files "):
            raise self._refusal("leaves the content of a binary file out. Use `git diff --binary`.", file)
        if line == b"GIT binary patch":
            self._binary(file)
        elif line is not None and line.startswith(b"--- "):
            self._sides(file)
            self._hunks(file)
        elif line is not None and line.startswith((b"@@ ", b"+++ ")):
            raise self._refusal("comes before the `---` and `+++` lines of the file.", file)

    def _sides(self, file: DiffedFile) -> None:
        for mark, path in ((b"--- ", file.old), (b"+++ ", file.new)):
            line = self._peek() or b""
            if not line.startswith(mark):
                raise self._refusal(f"should be the `{mark.decode().strip()}` line of the file.", file)
            try:
                named = side_name(line[len(mark) :], "a/" if mark == b"--- " else "b/")
            except NameInvalid as error:
                raise self._refusal(str(error), file) from error
            if named != path:
                raise self._refusal("names another file than the headers above it.", file)
            self._at += 1

    def _hunks(self, file: DiffedFile) -> None:
        end = 0
        while (line := self._peek()) is not None and line.startswith(b"@@"):
            match = _HUNK.fullmatch(line)
            if match is None:
                raise self._refusal("is no hunk header, `@@ -1,2 +1,2 @@`.", file)
            start, old, new = int(match[1]), int(match[2] or b"1"), int(match[4] or b"1")
            if start < end:
                raise self._refusal("begins a hunk that overlaps the one before it, or comes before it.", file)
            end = start + old
            self._at += 1
            self._hunk(file, old, new)
            file.hunks += 1
        if not file.hunks:
            raise self._refusal("should begin a hunk of the file.", file)

    def _hunk(self, file: DiffedFile, old: int, new: int) -> None:
        head = self._at
        while old > 0 or new > 0:
            line = self._peek()
            kind = b"" if line is None else (line[:1] or b" ")
            if kind == b"\\":
                self._at += 1
                continue
            if kind not in (b" ", b"+", b"-"):
                reason = (
                    f"is where the hunk of line {head} ends, but its header counts {old} old and {new} new lines more."
                )
                raise self._refusal(reason, file)
            old, new = old - (kind != b"+"), new - (kind != b"-")
            if old < 0 or new < 0:
                raise self._refusal(f"is one line more than the header of the hunk, line {head}, counts.", file)
            file.additions += kind == b"+"
            file.deletions += kind == b"-"
            self._at += 1
        while (self._peek() or b"").startswith(_NO_NEWLINE):
            self._at += 1

    def _binary(self, file: DiffedFile) -> None:
        file.binary = True
        self._at += 1
        for number in range(2):
            line = self._peek()
            if line is None or not line.startswith((b"literal ", b"delta ")):
                if number:
                    return
                raise self._refusal("should begin the content of a binary file, `literal` or `delta`.", file)
            self._payload(file, line)

    def _payload(self, file: DiffedFile, header: bytes) -> None:
        start = self._at
        block: list[bytes] = []
        while (line := self._next()) is not None and line:
            block.append(line)
        try:
            self._binary_bytes += payload_size(header, block, MAX_FILE_BYTES)
        except BinaryInvalid as error:
            self._at = start
            raise self._refusal(str(error), file) from error
        if self._binary_bytes > 2 * MAX_PATCH_BYTES:
            raise self._refusal("takes the binary files of the diff over what is taken in all. Split it.", file)
        self._at += 1

    def _next(self) -> bytes | None:
        self._at += 1
        return self._peek()


def _check_together(files: list[DiffedFile]) -> None:
    """Refuse a diff that says two things of one path."""
    seen: dict[str, int] = {}
    for file in files:
        for path in file.paths:
            if path in seen:
                raise PatchRefused(file.line, f"changes the file a second time; line {seen[path]} did before.", path)
            seen[path] = file.line
        if not (file.hunks or file.binary or file.moved or file.modes.keys() - {"index"}):
            raise PatchRefused(file.line, "names the file, but changes nothing of it.", file.paths[0])


def _second_opinion(diff: bytes, files: list[DiffedFile]) -> None:
    """Have another reader count the same, so that nobody is shown something else than what is there."""
    try:
        read = PatchSet(_bare(diff, files), metadata_only=True)
    except (UnidiffParseError, ValueError) as error:
        raise PatchRefused(files[0].line, f"begins a diff that is read in two ways: {error}") from error
    theirs = [(file.added, file.removed) for file in read]
    ours = [(file.additions, file.deletions) for file in files]
    for file, (mine, other) in zip(files, zip(ours, theirs, strict=False), strict=False):
        if mine != other:
            raise PatchRefused(file.line, "begins a file whose lines are counted in two ways.", file.paths[0])
    if len(ours) != len(theirs):
        raise PatchRefused(files[0].line, "begins a diff of which it is not clear how many files it has.")


def _bare(diff: bytes, files: list[DiffedFile]) -> str:
    """Return the diff without what stands before its first file; bytes that are no UTF-8 do not matter for counting."""
    skipped = "".join(f"{line}\n" for line in _head(diff, files[0].line))
    return diff.decode("utf-8", "replace")[len(skipped) :]


def _head(diff: bytes, first: int) -> Iterator[str]:
    for line in diff.split(b"\n", first)[: first - 1]:
        yield line.decode("utf-8", "replace")
