"""What a person marked in a Markdown text as not for outside models: ``<!-- restricted -->`` at a block's first line.

The mark holds for the block and for what is below it: at a heading for all of its section, at a list item for all of
the item and of the tasks below that one, at the opening of a fenced block or inside one for all of it, else for the
paragraph. By itself on a line it holds for the next block, and as the first line of a text for all of it. Where a mark
stands in an odd place, more is taken to be restricted, never less.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

MARK = "<!-- restricted -->"

_MARK = re.compile(r"[ \t]?<!--[ \t]*restri(?:cted|to|ta)\b(?:[^>\n]*-->)?", re.IGNORECASE)
_ANY_MARK = re.compile(r"<!--\s*restri(?:cted|to|ta)\b", re.IGNORECASE)
_ID_AT_END = re.compile(r"[ \t]?<!--[ \t]*id:[A-Za-z0-9_-]{1,64}[ \t]*-->[ \t]*$")
_COMMENT_LINE = re.compile(r"^[ \t]*(?:<!--[^>\n]*-->[ \t]*)+$")
_FENCE = re.compile(r"^ {0,3}(```+(?=[^`]*$)|~~~+)")
_HEADING = re.compile(r"^ {0,3}(#{1,6})(?:[ \t]|$)")
_UNDERLINE = re.compile(r"^ {0,3}(=+|--+)[ \t]*$")
_ITEM = re.compile(r"^([ \t]*)(?:[-*+]|\d{1,9}(?:\.\d+)*[.)]?)[ \t]+")
_NUMBERED = re.compile(r"^[ \t]*\d")
_CRITERIA = re.compile(
    r"^#{3,6}[ \t]+(?:Acceptance Criteria|Crit[ée]rios de Aceita[çc][ãa]o|Crit[ée]rios de Aceite)\b", re.IGNORECASE
)
_TASK = re.compile(r"^[ \t]*[-*][ \t]+\[[ xX-]\]\*?[ \t]+(?:(\d+(?:\.\d+)*)\.?(?=[ \t]|$))?")
_LABEL = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]+(?:(?:Requirement|Requisito)[ \t]+\d{1,9}[ \t]*[:.\u2013\u2014-]?)?"
    r"|[-*][ \t]+\[[ xX-]\]\*?[ \t]+(?:\d+(?:\.\d+)*\.?(?=[ \t]|$))?|[-*+][ \t]+|\d{1,9}(?:\.\d+)*[.)]?[ \t]+)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Part:
    """Lines ``start`` (counted from 0) up to, not including, ``end``."""

    start: int
    end: int


@dataclass(frozen=True)
class Cut:
    """A text without its restricted parts. Each stands in it as one line, a ``stubs``, and in full in ``parts``."""

    text: str
    stubs: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    lines: tuple[Part, ...] = field(default=())


def is_marked(line: str) -> bool:
    """Tell whether a line says that its block is restricted."""
    return _ANY_MARK.search(line) is not None


def without_mark(line: str) -> str:
    """Return a line without that mark."""
    return _MARK.sub("", line)


def mark(text: str) -> str:
    """Return ``text`` with the marks that make all of it restricted."""
    lines = text.split("\n")
    layout = _Layout(lines)
    covered = {index for part in layout.restricted() for index in range(part.start, part.end)}
    at = 0
    while at < len(lines):
        if not lines[at].strip() or at in covered:
            at += 1
            continue
        lines[at] = _with_mark(lines[at])
        at = layout.part_of(at, at).end
    return "\n".join(lines)


def unmark(text: str) -> str:
    """Return ``text`` without any mark; a line that held nothing else goes."""
    lines = text.split("\n")
    return "\n".join(without_mark(line) for line in lines if not is_marked(line) or without_mark(line).strip())


def is_all_restricted(text: str) -> bool:
    """Tell whether every line of ``text`` that says something is restricted."""
    lines = text.split("\n")
    covered = {index for part in restricted_parts(text) for index in range(part.start, part.end)}
    return bool(covered) and all(index in covered for index, line in enumerate(lines) if line.strip())


def cut(text: str) -> Cut:
    """Take the restricted parts out of ``text``. What is left keeps its numbers: a label stays at its place."""
    if not _ANY_MARK.search(text):
        return Cut(text)
    lines = text.split("\n")
    parts = restricted_parts(text)
    tag = hashlib.sha256(str((len(lines), parts)).encode()).hexdigest()[:4]
    kept: list[str] = []
    stubs: list[str] = []
    end = 0
    for number, part in enumerate(parts, 1):
        stubs.append(f"[restricted part {number}-{tag}, not shown]")
        kept += [*lines[end : part.start], _stub_line(lines[part.start], stubs[-1])]
        end = part.end
    kept += lines[end:]
    cut_out = tuple("\n".join(lines[part.start : part.end]) for part in parts)
    return Cut("\n".join(kept), tuple(stubs), cut_out, tuple(parts))


def put_back(before: Cut, after: str) -> str:
    """Return ``after``, which was made from the text of ``before``, with its restricted parts where their stubs are.

    A part whose stub was dropped comes to the end; a stub that is there twice counts once.
    """
    left = dict(zip(before.stubs, before.parts, strict=True))
    lines: list[str] = []
    for line in after.split("\n"):
        named = [stub for stub in before.stubs if stub in line]
        if not named:
            lines.append(line)
        lines += [left.pop(stub) for stub in named if stub in left]
    for part in left.values():
        lines += [*([""] if lines and lines[-1].strip() else []), part]
    return "\n".join(lines)


def restricted_parts(text: str) -> list[Part]:
    """Return the restricted parts of ``text`` in its order, none within or beside another without a line between."""
    found = _Layout(text.split("\n")).restricted()
    joined: list[Part] = []
    for part in sorted(found, key=lambda part: (part.start, -part.end)):
        if joined and part.start < joined[-1].end:
            joined[-1] = Part(joined[-1].start, max(joined[-1].end, part.end))
        else:
            joined.append(part)
    return joined


def _with_mark(line: str) -> str:
    bare = line.removesuffix("\r")
    found = _ID_AT_END.search(bare)
    at = found.start() if found else len(bare)
    return f"{bare[:at]} {MARK}{bare[at:]}{line[len(bare) :]}"


def _stub_line(line: str, stub: str) -> str:
    """Return the line that stands for a part: its heading or number, so that no other number changes, and its id."""
    bare = line.removesuffix("\r")
    label = _LABEL.match(bare)
    found = _ID_AT_END.search(without_mark(bare))
    head = label.group(0).rstrip() + " " if label else ""
    return f"{head}{stub}{found.group(0).rstrip() if found else ''}"


class _Layout:
    """Which lines of a text are headings, items, and in fenced blocks."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = [line.removesuffix("\r") for line in lines]
        self._fences = list(_fences(self._lines))
        self._fence_of = {index: fence for fence in self._fences for index in range(fence.start, fence.end)}
        self._levels = [self._level(index) for index in range(len(self._lines))]
        self._first_text = next((index for index, line in enumerate(self._lines) if line.strip()), len(self._lines))
        self._text_from: list[int | None] = [None] * len(self._lines)
        for index in range(len(self._lines) - 2, -1, -1):
            self._text_from[index] = index + 1 if self._is_text(index + 1) else self._text_from[index + 1]
        self._ends: dict[int, int] = {}
        outside = [index for index in range(len(self._lines)) if index not in self._fence_of]
        self._headings = [[at for at in outside if self._ends_section(at, level)] for level in range(7)]

    def restricted(self) -> Iterator[Part]:
        """Yield the marked parts; they may overlap."""
        end = 0
        for index, line in enumerate(self._lines):
            if end >= len(self._lines):
                return
            if is_marked(line) and (index >= end or self._levels[index] or _COMMENT_LINE.match(line)):
                part = self.part_of(index, end)
                end = max(end, part.end)
                yield part

    def part_of(self, index: int, floor: int) -> Part:
        """Return what a mark in a line holds for, beginning not above the line ``floor``."""
        if index in self._fence_of:
            return self._fence_of[index]
        if _COMMENT_LINE.match(self._lines[index]):
            if index <= self._first_text:
                return Part(0, len(self._lines))
            below = self._text_from[index]
            return Part(index, index + 1 if below is None else self._block_end(below))
        start = self._item_start(index, floor)
        if start is None or self._block_end(start) <= index:
            start = self._paragraph_start(index, floor)
        return Part(start, max(index + 1, self._block_end(start)))

    def _is_text(self, index: int) -> bool:
        return bool(self._lines[index].strip()) and not _COMMENT_LINE.match(self._lines[index])

    def _level(self, index: int) -> int:
        """Return the level of the heading that starts in a line, 0 when none does."""
        if index in self._fence_of:
            return 0
        heading = _HEADING.match(self._lines[index])
        if heading:
            return len(heading.group(1))
        following = self._lines[index + 1] if index + 1 < len(self._lines) else ""
        underline = _UNDERLINE.match(following) if self._lines[index].strip() else None
        return 0 if underline is None else 1 if "=" in underline.group(1) else 2

    def _item_start(self, index: int, floor: int) -> int | None:
        """Return the first line of the list item that a line belongs to, or of the heading that it is."""
        at = index
        while not self._opens(at):
            above = at - 1
            is_apart = above >= 0 and not self._lines[above].strip() and not self._lines[at].startswith((" ", "\t"))
            if above < floor or self._levels[above] or is_apart:
                return None
            at = above
        return at

    def _paragraph_start(self, index: int, floor: int) -> int:
        at = index
        while at > floor and self._lines[at - 1].strip() and not self._opens(at) and not self._levels[at - 1]:
            if at - 1 in self._fence_of:
                break
            at -= 1
        return at

    def _opens(self, index: int) -> bool:
        return bool(self._levels[index] or _ITEM.match(self._lines[index]))

    def _block_end(self, start: int) -> int:
        if start not in self._ends:
            self._ends[start] = self._find_end(start)
        return self._ends[start]

    def _find_end(self, start: int) -> int:
        if start in self._fence_of:
            return self._fence_of[start].end
        if self._levels[start]:
            headings = self._headings[self._levels[start]]
            following = bisect_right(headings, start)
            return headings[following] if following < len(headings) else len(self._lines)
        item = _ITEM.match(self._lines[start])
        if item:
            return self._item_end(start, len(item.group(1)))
        return self._next(start, lambda at: not self._lines[at].strip() or self._ends_section(at, 6))

    def _ends_section(self, at: int, level: int) -> bool:
        """Only a heading by ``#`` ends one for sure: an underlined one may be a list and a line below it."""
        heading = _HEADING.match(self._lines[at])
        return bool(heading and len(heading.group(1)) <= level and not _CRITERIA.match(self._lines[at]))

    def _item_end(self, start: int, indent: int) -> int:
        """Return where the next item begins that is neither inside this one nor, for tasks, numbered below it."""
        task = _TASK.match(self._lines[start])
        label = (task.group(1) or "") if task else ""
        is_numbered = _NUMBERED.match(self._lines[start])  # what follows a criterion, bullets too, is part of it

        def is_next(at: int) -> bool:
            if self._ends_section(at, 6):
                return True
            item = _ITEM.match(self._lines[at])
            if item is None or len(item.group(1)) > indent or (is_numbered and not _NUMBERED.match(self._lines[at])):
                return False
            below = _TASK.match(self._lines[at])
            return not (label and below and (below.group(1) or "").startswith(f"{label}."))

        return self._next(start, is_next)

    def _next(self, start: int, ends: Callable[[int], bool]) -> int:
        outside = (at for at in range(start + 1, len(self._lines)) if at not in self._fence_of)
        return next((at for at in outside if ends(at)), len(self._lines))


def _fences(lines: Sequence[str]) -> Iterator[Part]:
    fence, start = "", 0
    for index, line in enumerate(lines):
        opening = _FENCE.match(line)
        if fence:
            if opening and line.strip().startswith(fence) and not line.strip().strip(fence[0]):
                yield Part(start, index + 1)
                fence = ""
        elif opening:
            fence, start = opening.group(1), index
    if fence:
        yield Part(start, len(lines))
