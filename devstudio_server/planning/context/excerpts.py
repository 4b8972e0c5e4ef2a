"""What is shown of a file that is too long: its beginning, and the definitions that have to do with the task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from devstudio_server.planning.context.outline import Symbol
from devstudio_server.planning.context.packing import cut_to
from devstudio_server.planning.context.parts import tokens_of
from devstudio_server.planning.context.words import path_words, words_of

_HEAD_LINES = 12
_LONGEST_SPAN = 120
_GAP_TOKENS = 12
_NAME_COUNTS = 5.0


def excerpt(text: str, symbols: Sequence[Symbol], words: Mapping[str, float], tokens: int) -> str:
    """Return lines of ``text`` that have ``tokens`` at most; what is not shown is said where it is missing."""
    lines = text.split("\n")
    shown: set[int] = set()
    left = tokens
    for span in _spans(lines, symbols, words):
        fresh = [index for index in span if index not in shown]
        cost = sum(tokens_of(lines[index]) + 1 for index in fresh) + _GAP_TOKENS
        if fresh and cost <= left:
            left -= cost
            shown.update(fresh)
    if not shown:
        return cut_to(text, tokens)
    made = "\n".join(_render(lines, sorted(shown)))
    return made if tokens_of(made) <= tokens else cut_to(made, tokens)


def _spans(lines: Sequence[str], symbols: Sequence[Symbol], words: Mapping[str, float]) -> Iterator[range]:
    """Yield what to show, the most important first: the beginning, then definitions, then all signatures."""
    yield range(min(_HEAD_LINES, len(lines)))
    scored = [(_score(lines, symbol, words), symbol) for symbol in symbols]
    for score, symbol in sorted(scored, key=lambda pair: (-pair[0], pair[1].line, -pair[1].end)):
        if score:
            yield range(symbol.line, min(symbol.end + 1, symbol.line + _LONGEST_SPAN, len(lines)))
    for symbol in symbols:
        yield range(symbol.line, min(symbol.line + 1, len(lines)))


def _score(lines: Sequence[str], symbol: Symbol, words: Mapping[str, float]) -> float:
    body = "\n".join(lines[symbol.line : min(symbol.end + 1, symbol.line + _LONGEST_SPAN)])
    said = words_of(body)
    named = sum(sorted(words[word] for word in path_words(symbol.name) if word in words))
    return round(_NAME_COUNTS * named + sum(sorted(words[word] for word in said if word in words)), 6)


def _render(lines: Sequence[str], shown: Sequence[int]) -> Iterator[str]:
    before = -1
    for index in shown:
        if index > before + 1:
            yield _gap(before + 1, index)
        yield lines[index]
        before = index
    if before + 1 < len(lines):
        yield _gap(before + 1, len(lines))


def _gap(first: int, end: int) -> str:
    return f"[… lines {first + 1} to {end} are not shown …]"
