"""Gives the blocks of a text that a model wrote the ids that they had: models drop, invent, swap and reorder them."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from devstudio_server.kit.ids import new_block_id
from devstudio_server.specs.markdown import Block, own_blocks, parse, strip_ids, with_id
from devstudio_server.specs.schemas import DocumentType

_WORD = re.compile(r"\w+")
_ALIKE = 0.5
"""Shared words by all words (Jaccard) from which two texts are one block that was reworded."""
_HINT = 0.25
_MAX_PAIRS = 250_000
"""Pairs of blocks that are compared by their words; beyond, only written ids and labels count."""


def keep_ids(kind: DocumentType, text: str, before: str) -> str:
    """Return ``text`` with ids: those of the blocks of ``before`` that its blocks are, and new ones.

    A block is the one with the same text, wherever it stands and whatever id was written; else the one that it is
    likest to, where the written id is a hint; else the one whose id was written, or with the same label. Ids that
    ``before`` does not have are never taken over.
    """
    blocks = own_blocks(kind, text)
    hints = {block.line: block.id for block in blocks}
    old = [block for block in parse(kind, before).blocks() if block.id]
    for block in blocks:
        block.id = None
    left = _match(blocks, old, lambda block: (hints[block.line], block.sha256), lambda block: (block.id, block.sha256))
    left = _match(blocks, left, lambda block: block.sha256)
    left = _match_alike(blocks, left, hints)
    left = _match(blocks, left, lambda block: hints[block.line], lambda block: block.id)
    _match(blocks, left, lambda block: block.label)
    lines = strip_ids(text).split("\n")
    for block in blocks:
        lines[block.line] = with_id(lines[block.line], block.id or new_block_id())
    return "\n".join(lines)


def own_ids(kind: DocumentType, text: str, base: str, ours: str) -> str:
    """Return ``text``, which another program wrote from ``base``, with the ids that its blocks have here, and new ones.

    Ids may be lost, doubled, shuffled, or of somewhere else: a block is the one with the same text, and only for a text
    that nobody knows does the written id count. Ids that neither ``base`` nor ``ours`` has are never taken over, nor
    those of another kind of block. What only ``ours`` has is known by id or by text, never by its number: that both
    sides gave one number to two new blocks makes them no single one.
    """
    blocks = own_blocks(kind, text)
    hints = {block.line: block.id for block in blocks}
    old = [block for block in parse(kind, base).blocks() if block.id]
    ids = {block.id for block in old}
    present = [block for block in parse(kind, ours).blocks() if block.id]
    both = [*old, *present]
    known = {(block.kind, block.id, block.sha256) for block in both}
    taken: set[str] = set()
    for block in blocks:
        if (block.kind, block.id, block.sha256) in known and block.id not in taken:
            taken.add(block.id or "")
        else:
            block.id = None
    if all(block.id for block in blocks):
        return text
    old = [block for block in old if block.id not in taken]
    new = [block for block in present if block.id not in taken and block.id not in ids]
    changed = [block for block in present if block.id not in taken and block.id in ids]
    old = _without(_match(blocks, old, _sha256), blocks)
    _match(blocks, _without(changed, blocks), _sha256)
    new = _match(blocks, new, _sha256)
    old = _match_alike(blocks, _without(old, blocks), hints)
    left = _match(blocks, [*old, *new], lambda block: hints.get(block.line), lambda block: block.id)
    _match(blocks, [block for block in left if block.id in ids], lambda block: block.label)
    return _written(text, blocks)


def _sha256(block: Block) -> object:
    return block.sha256


def _without(old: Sequence[Block], blocks: Sequence[Block]) -> list[Block]:
    taken = {block.id for block in blocks}
    return [block for block in old if block.id not in taken]


def _written(text: str, blocks: Sequence[Block]) -> str:
    lines = text.split("\n")
    for block in blocks:
        lines[block.line] = with_id(lines[block.line], block.id or new_block_id())
    return "\n".join(lines)


def _match(
    blocks: Sequence[Block],
    old: Sequence[Block],
    of_new: Callable[[Block], object],
    of_old: Callable[[Block], object] | None = None,
) -> list[Block]:
    """Give each block without an id that of the first old one of its kind with the same trait; return the old left."""
    waiting: dict[object, deque[Block]] = {}
    for block in old:
        waiting.setdefault((block.kind, (of_old or of_new)(block)), deque()).append(block)
    for block in blocks:
        if block.id is None and (alike := waiting.get((block.kind, of_new(block)))):
            block.id = alike.popleft().id
    left = {id(block) for alike in waiting.values() for block in alike}
    return [block for block in old if id(block) in left]


def _match_alike(blocks: Sequence[Block], old: Sequence[Block], hints: dict[int, str | None]) -> list[Block]:
    """Pair blocks with the old ones whose words they share most, the likest first; return the old left."""
    open_blocks = [block for block in blocks if block.id is None]
    if len(open_blocks) * len(old) > _MAX_PAIRS:
        return list(old)
    left = {id(block): block for block in old}
    for _score, block, other in sorted(_pairs(open_blocks, old, hints), key=lambda pair: -pair[0]):
        if block.id is None and id(other) in left:
            block.id = left.pop(id(other)).id
    return list(left.values())


def _pairs(
    blocks: Sequence[Block], old: Sequence[Block], hints: dict[int, str | None]
) -> Iterator[tuple[float, Block, Block]]:
    words = {id(block): _words(block) for block in (*blocks, *old)}
    for block in blocks:
        for other in old:
            if block.kind != other.kind:
                continue
            mine, its = words[id(block)], words[id(other)]
            alike = len(mine & its) / (len(mine | its) or 1)
            score = alike + (_HINT if hints[block.line] == other.id else 0)
            if score >= _ALIKE:
                yield score + (0.01 if block.label == other.label else 0), block, other


def _words(block: Block) -> frozenset[str]:
    return frozenset(word.casefold() for word in _WORD.findall(block.text))
