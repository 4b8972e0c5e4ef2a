"""Cuts a document at its blocks, compares two versions block by block, and puts chosen blocks into a third.

A block is what has a permanent id: a requirement's head, a criterion, a section of the design, a task. What stands
before the first is the block `PREAMBLE`. Joined again, the segments are the text byte for byte.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from devstudio_server.specs.markdown import Block, parse, strip_ids
from devstudio_server.specs.schemas import DocumentType

PREAMBLE = "preamble"
ChangeKind = Literal["added", "changed", "removed", "moved", "same"]

_NUMBER = re.compile(r"^ {0,3}\d+(?:\.\d+)*[.)]?[ \t]+")
_TITLE = 120
_REMEMBERED_CHARACTERS = 400_000
"""A merge cuts the same few texts again and again; larger ones are not worth the memory."""


@dataclass(frozen=True)
class Segment:
    """One block with everything up to the next. ``parent`` is the id of a criterion's requirement."""

    id: str
    kind: str
    label: str
    title: str
    text: str
    parent: str = ""

    @property
    def shown(self) -> str:
        """The text for a person: without ids, and without the empty lines at its end."""
        return strip_ids(self.text).rstrip()

    @property
    def core(self) -> str:
        """What makes two texts of the block the same one: a criterion's own number is only its place in the list."""
        text = self.shown.replace("\r", "")
        return _NUMBER.sub("", text) if self.kind == "criterion" else text


@dataclass(frozen=True)
class BlockChange:
    """What became of one block. ``before`` and ``after`` are its texts without ids; None where it is not there."""

    id: str
    kind: ChangeKind
    label: str
    title: str
    before: str | None
    after: str | None
    moved: bool = False


def split(kind: DocumentType, text: str) -> list[Segment]:
    """Return the segments of ``text`` in its order; `join` undoes it."""
    return list(_remembered(kind, text) if len(text) < _REMEMBERED_CHARACTERS else _split(kind, text))


def _split(kind: DocumentType, text: str) -> list[Segment]:
    lines = text.split("\n")
    blocks = sorted(parse(kind, text).blocks(), key=lambda block: block.line)
    starts = [block.line for block in blocks]
    segments: list[Segment] = []
    opening = "\n".join(lines[: starts[0]]) if starts else text
    if opening or (starts and starts[0] > 0):
        segments.append(Segment(PREAMBLE, PREAMBLE, "", "Opening", opening))
    parent = ""
    taken = {PREAMBLE}
    for block, end in zip(blocks, [*starts[1:], len(lines)][: len(starts)], strict=True):
        block_id = _free(block.id or f"line-{block.line}", taken)
        parent = block_id if block.kind == "requirement" else parent
        own_parent = parent if block.kind == "criterion" else ""
        title, piece = _title(block), "\n".join(lines[block.line : end])
        segments.append(Segment(block_id, block.kind, _label(block), title, piece, own_parent))
    return segments


@lru_cache(maxsize=12)
def _remembered(kind: DocumentType, text: str) -> tuple[Segment, ...]:
    return tuple(_split(kind, text))


def _free(wanted: str, taken: set[str]) -> str:
    """Tell blocks apart that have one id: a document that nobody stored yet may have it twice."""
    block_id, number = wanted, 1
    while block_id in taken:
        number += 1
        block_id = f"{wanted}-{number}"
    taken.add(block_id)
    return block_id


def _label(block: Block) -> str:
    return "" if block.kind == "section" else block.label


def _title(block: Block) -> str:
    named = {"requirement": f"Requirement {block.label}: ", "section": "", "task": f"Task {block.label}: "}
    text = " ".join(block.text.split())
    return f"{named.get(block.kind, f'{block.label} ')}{text}"[:_TITLE]


def join(segments: Sequence[Segment]) -> str:
    """Return the text of which these are the segments."""
    return "\n".join(segment.text for segment in segments)


def compare(kind: DocumentType, before: str, after: str) -> list[BlockChange]:
    """Return what became of each block, in the order of ``after``, removed ones where they stood."""
    old, new = split(kind, before), split(kind, after)
    old_by_id, new_ids = {segment.id: segment for segment in old}, {segment.id for segment in new}
    elsewhere = moved(old, new)
    removed = _removed_after(old, new_ids)
    changes = [_removal(segment) for segment in removed.get("", [])]
    for segment in new:
        changes.append(_change(old_by_id.get(segment.id), segment, moved=segment.id in elsewhere))
        changes += [_removal(gone) for gone in removed.get(segment.id, [])]
    return changes


def _removed_after(old: Sequence[Segment], kept: Collection[str]) -> dict[str, list[Segment]]:
    """Return the removed segments by the last one before them that was kept."""
    found: dict[str, list[Segment]] = {}
    anchor = ""
    for segment in old:
        if segment.id in kept:
            anchor = segment.id
        else:
            found.setdefault(anchor, []).append(segment)
    return found


def _removal(segment: Segment) -> BlockChange:
    return BlockChange(segment.id, "removed", segment.label, segment.title, segment.shown, None)


def _change(old: Segment | None, new: Segment, *, moved: bool) -> BlockChange:
    if old is None:
        return BlockChange(new.id, "added", new.label, new.title, None, new.shown)
    kind: ChangeKind = "changed" if old.core != new.core else "moved" if moved else "same"
    return BlockChange(new.id, kind, new.label, new.title, old.shown, new.shown, moved)


def moved(old: Sequence[Segment], new: Sequence[Segment]) -> set[str]:
    """Return the blocks that changed their place: as few as explain the new order, and those with another parent."""
    places = {segment.id: place for place, segment in enumerate(old)}
    parents = {segment.id: segment.parent for segment in old}
    common = [segment.id for segment in new if segment.id in places]
    staying = _longest_rising(common, places)
    elsewhere = {segment.id for segment in new if segment.id in parents and segment.parent != parents[segment.id]}
    return (set(common) - staying) | elsewhere


def _longest_rising(ids: Sequence[str], places: dict[str, int]) -> set[str]:
    """Return the longest run of ``ids`` whose places rise (patience sorting)."""
    tails: list[int] = []
    tail_ids: list[str] = []
    before: dict[str, str] = {}
    for block_id in ids:
        at = bisect_left(tails, places[block_id])
        before[block_id] = tail_ids[at - 1] if at else ""
        tails[at : at + 1], tail_ids[at : at + 1] = [places[block_id]], [block_id]
    run, last = set(), tail_ids[-1] if tail_ids else ""
    while last:
        run.add(last)
        last = before[last]
    return run


@dataclass(frozen=True)
class Applied:
    """A text with the blocks that were put in; ``conflicts`` has the present text of those that were not, by id.

    The present text is None when the block is gone.
    """

    text: str
    conflicts: dict[str, str | None]


def choose_with(kind: DocumentType, base: str, after: str, chosen: set[str]) -> set[str]:
    """Return ``chosen`` with what it cannot go without.

    A criterion that comes needs its new requirement; a requirement that goes takes along the criteria that it had.
    """
    old = {segment.id: segment for segment in split(kind, base)}
    new = {segment.id: segment for segment in split(kind, after)}
    kinds = {change.id: change.kind for change in compare(kind, base, after)}
    parents = {new[block_id].parent for block_id in chosen if block_id in new and kinds.get(block_id) != "same"}
    whole = chosen | {parent for parent in parents if kinds.get(parent) == "added"}
    leaving = {block_id for block_id in whole if kinds.get(block_id) == "removed"}
    children = {s.id for s in old.values() if s.parent in leaving and kinds.get(s.id) != "same"}
    added = {new[child].parent for child in children if child in new and kinds.get(new[child].parent) == "added"}
    return whole | children | added


def apply(kind: DocumentType, base: str, after: str, present: str, chosen: Collection[str]) -> Applied:
    """Put the ``chosen`` changes from ``base`` to ``after`` into ``present``; what somebody changed there stays."""
    changes = [change for change in compare(kind, base, after) if change.kind != "same"]
    if strip_ids(base) == strip_ids(present) and {change.id for change in changes} <= set(chosen):
        return Applied(after, {})
    ending = "\n" if (present or after).endswith("\n") else ""
    work = _Assembly(*(split(kind, text.removesuffix("\n")) for text in (base, after, present)))
    for change in changes:
        if change.id in chosen:
            work.put(change)
    return Applied(join(work.segments) + ending if work.segments else "", work.conflicts)


class _Assembly:
    """The present segments, into which changes are put one after the other."""

    def __init__(self, base: list[Segment], after: list[Segment], present: list[Segment]) -> None:
        self._base = {segment.id: segment for segment in base}
        self._after = {segment.id: segment for segment in after}
        self._order = [segment.id for segment in after]
        self.segments = present
        self.conflicts: dict[str, str | None] = {}

    def put(self, change: BlockChange) -> None:
        """Make one change, or note that the block is not what the change was made from."""
        place = next((place for place, segment in enumerate(self.segments) if segment.id == change.id), None)
        current = None if place is None else self.segments[place]
        if self._is_there(change, current):
            return
        if self._was_touched(change, current):
            self.conflicts[change.id] = current.shown if current else None
            return
        if place is None:
            self._insert(self._after[change.id])
        elif change.kind == "removed":
            self._remove(place)
        else:
            self._replace(place, change)

    def _is_there(self, change: BlockChange, current: Segment | None) -> bool:
        if change.kind == "removed":
            return current is None
        alike = current is not None and current.core == self._after[change.id].core
        return alike and not change.moved

    def _was_touched(self, change: BlockChange, current: Segment | None) -> bool:
        old = self._base.get(change.id)
        if old is None:
            return current is not None
        if current is None or current.core not in self._fitting(change, old):
            return True
        return change.kind == "removed" and any(child not in self._base for child in self._children(change.id))

    def _fitting(self, change: BlockChange, old: Segment) -> set[str]:
        new = self._after.get(change.id)
        return {old.core, new.core} if new else {old.core}

    def _children(self, requirement: str) -> Iterator[str]:
        return (segment.id for segment in self.segments if segment.parent == requirement)

    def _replace(self, place: int, change: BlockChange) -> None:
        new = self._after[change.id]
        if change.moved:
            self._remove(place)
            self._insert(new)
            return
        current = self.segments[place]
        self.segments[place] = replace(new, text=_body(new.text) + _tail(current.text), parent=current.parent)

    def _remove(self, place: int) -> None:
        """Remove a segment; the empty lines behind it stay, unless there are some before it."""
        gone = self.segments.pop(place)
        if place and place < len(self.segments) and not _tail(self.segments[place - 1].text):
            above = self.segments[place - 1]
            self.segments[place - 1] = replace(above, text=above.text + _tail(gone.text))

    def _insert(self, new: Segment) -> None:
        """Insert a segment behind the nearest one that it follows in the new text."""
        here = {segment.id: place for place, segment in enumerate(self.segments)}
        before = self._order[: self._order.index(new.id)]
        place = next((here[block_id] + 1 for block_id in reversed(before) if block_id in here), 0)
        if place == 0 and PREAMBLE in here and new.id != PREAMBLE:
            place = here[PREAMBLE] + 1
        while new.kind == "requirement" and place < len(self.segments) and self.segments[place].kind == "criterion":
            place += 1  # criteria that somebody added stay with the requirement above
        self.segments.insert(place, new)


def _body(text: str) -> str:
    return text.rstrip()


def _tail(text: str) -> str:
    """Return the empty lines at the end of a segment."""
    return text[len(text.rstrip()) :]
