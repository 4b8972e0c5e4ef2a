"""Three-way merge of documents: block by block, and line by line where both sides changed one block.

No side ever wins over the other. What cannot be merged is a `Clash` with the texts of both, and the merged text has
ours there; the rest of the document goes on. Blocks are told by their ids, so `theirs` must come with ids
(`block_ids.own_ids`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from merge3 import Merge3

from devstudio_server.specs.markdown import strip_ids, with_id
from devstudio_server.specs.schemas import DocumentType
from devstudio_server.specs.segments import PREAMBLE, Segment, join, moved, split

_HEADS = {
    "criterion": re.compile(r"^ {0,3}\d+(?:\.\d+)*[.)]?[ \t]+"),
    "task": re.compile(r"^[ \t]*[-*][ \t]+\[[ xX-]\]\*?[ \t]+(?:\d+(?:\.\d+)*\.?[ \t]+)?"),
    "requirement": re.compile(r"^#{2,4}[ \t]+\w+[ \t]+\d{1,9}[ \t]*[:.\u2013\u2014-]?[ \t]*"),
}


@dataclass(frozen=True)
class Clash:
    """A block that both sides changed in the same lines, or that one removed and the other changed.

    A text is None where the block is not there; ``behind`` is the block that it followed. Without a ``block_id`` it is
    about the whole document.
    """

    block_id: str
    label: str
    base: str | None
    ours: str | None
    theirs: str | None
    behind: str = ""


@dataclass(frozen=True)
class Merged:
    """A text with the changes of both sides, and what could not be brought together."""

    text: str
    clashes: tuple[Clash, ...] = ()


@dataclass(frozen=True)
class Patch:
    """Another text of one block, or of the whole document; None takes it out."""

    block_id: str
    text: str | None
    behind: str = ""


def merge(base: str, ours: str, theirs: str) -> str | None:
    """Return both changes to ``base`` in one text, or None when they touch the same lines."""
    if theirs in {ours, base}:
        return ours
    if ours == base:
        return theirs
    merged = Merge3(base.splitlines(keepends=True), ours.splitlines(keepends=True), theirs.splitlines(keepends=True))
    if any(region[0] == "conflict" for region in merged.merge_regions()):
        return None
    return "".join(merged.merge_lines())


def merge_blocks(kind: DocumentType, base: str, ours: str, theirs: str) -> Merged:
    """Bring the changes from ``base`` to ``theirs`` into ``ours``."""
    bare = strip_ids(theirs)
    if bare in {strip_ids(ours), strip_ids(base)}:
        return Merged(ours)
    if not theirs.strip():
        return Merged(ours, (Clash("", "", base, ours, theirs),))  # an emptied file asks, too
    if ours == base and _survives(split(kind, base), (segment.id for segment in split(kind, theirs))):
        return Merged(theirs)
    return _merge_blocks(kind, base, ours, theirs)


def _survives(old: Sequence[Segment], found: Iterable[str]) -> bool:
    """Tell whether a text still has a block of those that there were: one that has none is no edit of it."""
    blocks = {segment.id for segment in old} - {PREAMBLE}
    return not blocks or not blocks.isdisjoint(found)


def _merge_blocks(kind: DocumentType, base: str, ours: str, theirs: str) -> Merged:
    whole = Merged(ours, (Clash("", "", base, ours, theirs),))
    ending = _pick(*("\n" if text.endswith("\n") else "" for text in (base, ours, theirs)))
    old, mine, new = (split(kind, text.removesuffix("\n")) if text else [] for text in (base, ours, theirs))
    if not _survives(old, (segment.id for segment in new)):
        return whole
    work = _Merge(old, mine, new)
    work.merge()
    if not all(_is_whole(kind, segments) for segments in (work.segments, *work.with_clashes())):
        return whole  # a fence that one side opened hides blocks of the other
    if work.parents_kept and not _comes_up_again(kind, work):
        return whole
    return Merged(join(work.segments) + ending if work.segments else "", tuple(work.clashes))


def _comes_up_again(kind: DocumentType, work: _Merge) -> bool:
    """Tell whether the next merge finds the same clashes, or would take the removal of a requirement silently."""
    file, base = (split(kind, join(segments)) for segments in work.with_clashes())
    again = _Merge(base, split(kind, join(work.segments)), file)
    again.merge()
    return {clash.block_id for clash in again.clashes} == {clash.block_id for clash in work.clashes}


def _is_whole(kind: DocumentType, segments: Sequence[Segment]) -> bool:
    """Tell whether the blocks are the same ones when their text is read again."""
    found = [segment.id for segment in split(kind, join(segments))] if segments else []
    return [block for block in found if block != PREAMBLE] == [s.id for s in segments if s.id != PREAMBLE]


def _pick(base: str, ours: str, theirs: str) -> str:
    return theirs if ours == base else ours


@dataclass(frozen=True)
class _Body:
    """A segment's text: without ids and without the empty lines at its end, and these."""

    text: str
    tail: str
    core: str

    @classmethod
    def of(cls, segment: Segment) -> _Body:
        bare = strip_ids(segment.text)
        text = bare.rstrip()
        head = _HEADS["criterion"].match(text) if segment.kind == "criterion" else None
        return cls(text, bare[len(text) :], text[head.end() :] if head else text)


@dataclass
class _Merge:
    """The blocks of both sides on their way into one document."""

    base: list[Segment]
    ours: list[Segment]
    theirs: list[Segment]
    segments: list[Segment] = field(default_factory=list)
    clashes: list[Clash] = field(default_factory=list)
    parents_kept: bool = False

    def __post_init__(self) -> None:
        self._b, self._o, self._t = ({s.id: s for s in side} for side in (self.base, self.ours, self.theirs))
        self._bodies: dict[int, _Body] = {}
        self._our_before, self._their_before = _before(self.ours), _before(self.theirs)

    def merge(self) -> None:
        """Merge every block, then put them in order."""
        found: dict[str, Segment] = {}
        for block_id in dict.fromkeys([*self._o, *self._t]):
            segment = self._block(block_id)
            if segment is not None:
                found[block_id] = segment
        self._keep_parents(found)
        self.segments = _in_order(found, self.base, self.ours, self.theirs)

    def with_clashes(self) -> Iterator[list[Segment]]:
        """Yield the blocks as the file will have them and as its next base will, when something clashes."""
        for side in ("theirs", "base") if self.clashes else ():
            segments = [*self.segments]
            for clash in self.clashes:
                _put(segments, Patch(clash.block_id, getattr(clash, side), clash.behind))
            yield segments

    def _body(self, segment: Segment) -> _Body:
        body = self._bodies.get(id(segment))
        if body is None:
            body = self._bodies[id(segment)] = _Body.of(segment)
        return body

    def _same(self, one: Segment, other: Segment) -> bool:
        return one.text == other.text or self._body(one).core == self._body(other).core

    def _block(self, block_id: str) -> Segment | None:
        """Return what becomes of a block, None when it goes; a clash is noted."""
        base, ours, theirs = self._b.get(block_id), self._o.get(block_id), self._t.get(block_id)
        if ours is None and theirs is not None:
            if base is None:
                return theirs
            if not self._same(base, theirs):
                self._clash(base, None, theirs)
            return None
        if ours is None or theirs is None:
            return self._removed_outside(base, ours) if ours is not None else None
        return self._both(base, ours, theirs)

    def _removed_outside(self, base: Segment | None, ours: Segment) -> Segment | None:
        if base is None:
            return ours
        if self._same(base, ours):
            return None
        self._clash(base, ours, None)
        return ours

    def _both(self, base: Segment | None, ours: Segment, theirs: Segment) -> Segment:
        if theirs.text == ours.text or (base is not None and theirs.text == base.text):
            return ours
        b, o, t = self._body(base) if base else None, self._body(ours), self._body(theirs)
        tail = _pick(b.tail if b else o.tail, o.tail, t.tail)
        if o.text == t.text or (b is not None and t.text == b.text):
            return replace(ours, text=ours.text.rstrip() + tail)
        if b is not None and o.text == b.text:
            return replace(theirs, text=theirs.text.rstrip() + tail)
        text = _merge_text(ours.kind, b.text if b else "", o.text, t.text)
        if text is None:
            self._clash(base, ours, theirs)
            return ours
        named = text if ours.id == PREAMBLE else _named(text, ours.id)
        return replace(ours, text=named + tail)

    def _clash(self, base: Segment | None, ours: Segment | None, theirs: Segment | None) -> None:
        some = next(segment for segment in (ours, theirs) if segment is not None)
        old, mine, new = (None if side is None else side.text.rstrip() for side in (base, ours, theirs))
        before = self._their_before if theirs is not None else self._our_before
        self.clashes.append(Clash(some.id, some.title, old, mine, new, before[some.id]))

    def _keep_parents(self, found: dict[str, Segment]) -> None:
        """Let a requirement that one side removed not go, or come back, behind the back of its criteria."""
        for segment in [*found.values()]:
            parent = self._parent(segment)
            if not parent or parent in found:
                continue
            if parent in self._o:  # removed outside, and here a criterion of it was added or changed
                found[parent], self.parents_kept = self._o[parent], True
                self._clash(self._b.get(parent), self._o[parent], None)
            elif segment.id not in self._o:  # removed here, and a criterion was added to it outside
                self._orphan(segment, found)

    def _parent(self, segment: Segment) -> str:
        """Return under which requirement a criterion comes to stand: where theirs moved it, unless ours did, too."""
        base, ours, theirs = self._b.get(segment.id), self._o.get(segment.id), self._t.get(segment.id)
        if ours is None or theirs is None:
            return segment.parent
        return theirs.parent if base is not None and ours.parent == base.parent else ours.parent

    def _orphan(self, segment: Segment, found: dict[str, Segment]) -> None:
        del found[segment.id]
        self.parents_kept = True
        if not any(clash.block_id == segment.parent for clash in self.clashes):
            self._clash(self._b.get(segment.parent), None, self._t[segment.parent])
        self._clash(None, None, segment)


def _before(side: Sequence[Segment]) -> dict[str, str]:
    ids = [segment.id for segment in side]
    return dict(zip(ids, ["", *ids], strict=False))


def _merge_text(kind: str, base: str, ours: str, theirs: str) -> str | None:
    """Merge one block: its number and mark for themselves, the rest line by line."""
    pattern = _HEADS.get(kind)
    heads = [_cut(pattern.match(text), text) if pattern else ("", text) for text in (base, ours, theirs)]
    (base_head, base_rest), (our_head, our_rest), (their_head, their_rest) = heads
    clear = our_head in {base_head, their_head} or their_head == base_head or kind == "criterion"
    rest = merge(base_rest + "\n", our_rest + "\n", their_rest + "\n") if clear else None
    return None if rest is None else _pick(base_head, our_head, their_head) + rest.removesuffix("\n")


def _cut(found: re.Match[str] | None, text: str) -> tuple[str, str]:
    end = found.end() if found else 0
    return text[:end], text[end:]


def _named(text: str, block_id: str) -> str:
    head, newline, rest = text.partition("\n")
    return with_id(head, block_id) + newline + rest


def _depth(segment: Segment) -> int:
    nested = segment.kind == "criterion" or (segment.kind == "task" and "." in segment.label)
    return 1 if nested else 0


def _in_order(
    found: Mapping[str, Segment], base: Sequence[Segment], ours: Sequence[Segment], theirs: Sequence[Segment]
) -> list[Segment]:
    """Order the blocks as ours are; those that only they moved stand where they moved them, new ones behind ours."""
    chain = _Chain([segment.id for segment in ours if segment.id in found])
    theirs_moved = moved(base, theirs) - moved(base, ours)
    here = {segment.id for segment in theirs}
    last = ""
    for segment in theirs:
        if segment.id not in found:
            continue
        if segment.id not in chain.next:
            chain.insert(segment.id, _place(chain, last, found, here, segment))
        elif segment.id in theirs_moved:
            run = chain.cut(_followers(chain, segment.id, found, here))
            chain.insert_run(run, _place(chain, last, found, here, segment))
        last = segment.id
    return [found[block_id] for block_id in chain]


def _followers(chain: _Chain, block_id: str, found: Mapping[str, Segment], here: set[str]) -> list[str]:
    """Return a block with what of ours alone stands behind it and belongs to it."""
    run, follower, depth = [block_id], chain.next[block_id], _depth(found[block_id])
    while follower is not None and follower not in here and _depth(found[follower]) > depth:
        run.append(follower)
        follower = chain.next[follower]
    return run


def _place(chain: _Chain, last: str, found: Mapping[str, Segment], here: set[str], segment: Segment) -> str:
    """Return the block behind which ``segment`` goes: ``last``, and what of ours alone stands behind that."""
    depth = _depth(found[segment.id])
    follower = chain.next[last]
    if segment.id != PREAMBLE and follower == PREAMBLE:
        last, follower = follower, chain.next[follower]
    while follower is not None and follower not in here and _depth(found[follower]) >= depth:
        last, follower = follower, chain.next[follower]
    return last


class _Chain:
    """A linked list of ids; "" stands before the first."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.next: dict[str, str | None] = dict(zip(["", *ids], [*ids, None], strict=True))
        self._before: dict[str, str] = dict(zip(ids, ["", *ids[:-1]], strict=True)) if ids else {}

    def __iter__(self) -> Iterator[str]:
        at = self.next[""]
        while at is not None:
            yield at
            at = self.next[at]

    def insert(self, block_id: str, behind: str) -> None:
        self.insert_run([block_id], behind)

    def insert_run(self, run: Sequence[str], behind: str) -> None:
        follower = self.next[behind]
        for block_id in run:
            self.next[behind], self._before[block_id] = block_id, behind
            behind = block_id
        self.next[behind] = follower
        if follower is not None:
            self._before[follower] = behind

    def cut(self, run: Sequence[str]) -> Sequence[str]:
        """Take out blocks that stand behind each other."""
        behind, follower = self._before[run[0]], self.next[run[-1]]
        self.next[behind] = follower
        if follower is not None:
            self._before[follower] = behind
        return run


def overlay(kind: DocumentType, text: str, patches: Sequence[Patch]) -> str | None:
    """Return ``text`` with other texts of some blocks; None when the document itself is taken out."""
    if not patches:
        return text
    for patch in patches:
        if not patch.block_id:
            return patch.text
    ending = "\n" if text.endswith("\n") else ""
    segments = split(kind, text.removesuffix("\n")) if text else []
    for patch in patches:
        _put(segments, patch)
    return join(segments) + ending if segments else ""


def _put(segments: list[Segment], patch: Patch) -> None:
    places = {segment.id: place for place, segment in enumerate(segments)}
    place = places.get(patch.block_id)
    if place is not None and patch.text is None:
        segments.pop(place)
    elif place is not None and patch.text is not None:
        old = segments[place]
        segments[place] = replace(old, text=patch.text + old.text[len(old.text.rstrip()) :])
    elif patch.text is not None:
        behind = places.get(patch.behind, -1 if not patch.behind else len(segments) - 1)
        segments.insert(behind + 1, Segment(patch.block_id, "", "", "", patch.text))
