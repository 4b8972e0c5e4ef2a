"""Tells from a text alone which of two earlier ones a program had before it: nobody says what a program has read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

_ID = re.compile(r"<!--[ \t]*id:([A-Za-z0-9_-]+)[ \t]*-->")
_WORD = re.compile(r"\w+")
_ALIKE = 0.5
"""Shared words by all words from which a line is another one that was written anew."""


def nearer(text: str, newer: str, older: str) -> str:
    """Return what ``text`` was changed from: ``newer``, which was written last, or ``older``, which was there before.

    It was the older one when it still has its lines, and none of those that took their place, not even written anew.
    Taken for the older one, a text makes a person decide at worst; taken for the newer one, it could take that back.
    """
    said, of_newer, of_older = (
        Counter(line for line in side.split("\n") if line.strip()) for side in (text, newer, older)
    )
    added, gone = of_newer - of_older, of_older - of_newer
    has_newer, has_older = ((said - of_older) & added).total(), ((said - of_newer) & gone).total()
    if has_newer or has_older:
        return older if has_older > has_newer else newer
    return newer if _has_anew(text, newer, added) else older


def _has_anew(text: str, newer: str, added: Counter[str]) -> bool:
    """Tell whether a text has one of the ``added`` lines anew: with its id, or alike and behind the same line."""
    if {*_ID.findall("\n".join(added))} & {*_ID.findall(text)}:
        return True
    places: dict[str, list[frozenset[str]]] = {}
    for above, line in _with_above(newer):
        if line in added:
            places.setdefault(above, []).append(_words(line))
    return any(
        len(words & was) >= _ALIKE * len(words | was)
        for above, line in _with_above(text)
        if line.strip() and above in places
        for words in [_words(line)]
        for was in places[above]
    )


def _with_above(text: str) -> Iterator[tuple[str, str]]:
    """Yield each line with the one above it that says something."""
    return pairwise(["", *(line for line in text.split("\n") if line.strip())])


def _words(line: str) -> frozenset[str]:
    return frozenset(word.casefold() for word in _WORD.findall(_ID.sub("", line)))
