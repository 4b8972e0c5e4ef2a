"""Finds text that is sent more than once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from devstudio_server.planning.context.parts import tokens_of

MOST_TEXTS = 60
MOST_LINES = 5000
MOST_FOUND = 50
_SHORTEST_LINE = 20  # characters; shorter ones are alike by chance
_FEWEST_LINES = 3
_NEAR = 0.6  # of the lines of the shorter text


@dataclass(frozen=True)
class Duplicate:
    """Text that is there more than once. ``tokens`` is what is sent again."""

    kind: Literal["same", "near", "repeated"]
    names: tuple[str, ...]
    lines: int
    tokens: int


def find_duplicates(texts: Mapping[str, str]) -> list[Duplicate]:
    """Return what is doubled among ``texts`` and within each, the largest first. Only the first lines of each count."""
    lines = {name: _lines(text) for name, text in list(texts.items())[:MOST_TEXTS]}
    found = [*_between(lines), *_within(lines)]
    return sorted(found, key=lambda one: (-one.tokens, one.kind, one.names))[:MOST_FOUND]


def _lines(text: str) -> list[str]:
    folded = (" ".join(line.split()) for line in text.split("\n", MOST_LINES)[:MOST_LINES])
    return [line for line in folded if len(line) >= _SHORTEST_LINE]


def _between(lines: Mapping[str, Sequence[str]]) -> Iterator[Duplicate]:
    groups: dict[frozenset[str], list[str]] = {}
    for name, of in lines.items():
        if of:
            groups.setdefault(frozenset(of), []).append(name)
    for shared, names in groups.items():
        if len(names) > 1:
            yield Duplicate("same", tuple(names), len(shared), _tokens(shared) * (len(names) - 1))
    for first, second in combinations(groups, 2):
        common = first & second
        if len(common) >= max(_FEWEST_LINES, _NEAR * min(len(first), len(second))):
            yield Duplicate("near", (groups[first][0], groups[second][0]), len(common), _tokens(common))


def _within(lines: Mapping[str, Sequence[str]]) -> Iterator[Duplicate]:
    for name, of in lines.items():
        again = {line: count - 1 for line, count in Counter(of).items() if count > 1}
        if sum(again.values()) >= _FEWEST_LINES:
            yield Duplicate(
                "repeated", (name,), sum(again.values()), sum(tokens_of(line) * count for line, count in again.items())
            )


def _tokens(lines: frozenset[str]) -> int:
    return sum(tokens_of(line) for line in lines)
