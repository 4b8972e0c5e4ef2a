"""Finds criteria that say the same as an earlier one, or that cannot hold together with it.

Two criteria are compared when their conditions and their subject say the same. They contradict each other when their
responses differ only in a NOT, in a verb and its opposite (show, hide), or in their figures. The time is linear in the
text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from devstudio_server.specs.ears import Criterion, Part
from devstudio_server.specs.lint_rules import Mark
from devstudio_server.specs.lint_words import FIGURES, OPPOSITES

_TOKEN = re.compile(r"`[^`\n]*`|\d+(?:[.,]\d+)*|\w+|[%€$£<>=≤≥+*/-]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SMALL = frozenset("the a an o os as um uma".split())  # noqa: SIM905
_NEGATIONS = frozenset("not never não nunca".split())  # noqa: SIM905


@dataclass(frozen=True)
class _Claim:
    """What a response says: its words without figures and polarity, its figures, and its polarity."""

    words: tuple[str, ...]
    figures: tuple[str, ...]
    positive: bool


def compare(criteria: Iterable[tuple[str, Criterion]]) -> Iterator[tuple[int, Mark]]:
    """Yield the position among ``criteria``, which have their keys, of each that an earlier one speaks against."""
    seen: dict[tuple[str, ...], dict[tuple[str, ...], tuple[str, _Claim]]] = {}
    for position, (key, criterion) in enumerate(criteria):
        if criterion.obligation is None or not criterion.response.text or not criterion.subject.text:
            continue
        claim = _claim(criterion)
        earlier = seen.setdefault(_circumstance(criterion), {})
        if claim.words in earlier:
            other, before = earlier[claim.words]
            code = "duplicate-criterion" if claim == before else "contradiction"
            yield position, Mark(code, criterion.response.start, criterion.response.end, other)
        else:
            earlier[claim.words] = (key, claim)


def _circumstance(criterion: Criterion) -> tuple[str, ...]:
    """Return conditions and subject in a form in which spelling, articles and the order of the clauses say nothing."""
    clauses = sorted((clause.name, *_tokens(_original(criterion, clause.condition))) for clause in criterion.clauses)
    return (*(word for clause in clauses for word in clause), "|", *_tokens(criterion.subject.text))


def _claim(criterion: Criterion) -> _Claim:
    words: list[str] = []
    figures: list[str] = []
    positive = not criterion.negated
    for token in _tokens(_original(criterion, criterion.response)):
        if token in _NEGATIONS:
            # The NOT that the obligation is read with has been counted.
            positive = positive if not words and criterion.negated else not positive
        elif _NUMBER.fullmatch(token):
            figures.append(token)
            words.append("#")
        else:
            twin, sign = OPPOSITES.get(token, (token, 1))
            positive = positive == (sign > 0)
            words.append(twin)
    return _Claim(tuple(words), tuple(figures), positive)


def _original(criterion: Criterion, part: Part) -> str:
    return criterion.text[part.start : part.end]


def _tokens(text: str) -> list[str]:
    found = (token if token.startswith("`") else token.casefold() for token in _TOKEN.findall(text))
    return [FIGURES.get(token, token) for token in found if token not in _SMALL]
