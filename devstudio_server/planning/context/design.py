"""Which sections of the design a task needs: those that it names, and those that say what it says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from devstudio_server.planning.context.words import words_of
from devstudio_server.specs.markdown import parse, strip_ids
from devstudio_server.specs.schemas import DocumentType

MOST_SECTIONS = 1000
MOST_CHARACTERS = 1_000_000
"""Of a longer design only the beginning is looked at."""
_LONGEST_TASK = 20_000  # characters in which titles are looked for
_MATCHES = 0.35  # of the score of the best section


@dataclass(frozen=True)
class Section:
    """A section of the design; ``score`` is 0 when the task says nothing of it, ``named`` when it names it."""

    title: str
    text: str
    score: float
    named: bool

    @property
    def why(self) -> str:
        """What brings the section in."""
        return "the task names it" if self.named else "it says what the task says"


def sections_of(text: str) -> list[tuple[str, str]]:
    """Return title and text of each section, what stands before the first one as ``(beginning)``."""
    lines = text.split("\n")
    starts = [(block.text, block.line) for block in parse(DocumentType.DESIGN, text).sections][:MOST_SECTIONS]
    bounds = [*(line for _title, line in starts), len(lines)]
    found = [("(beginning)", "\n".join(lines[: bounds[0]]))]
    for (title, line), end in zip(starts, bounds[1:], strict=True):
        found.append((title, "\n".join(lines[line:end])))
    return [(title, strip_ids(body).strip("\n")) for title, body in found if body.strip()]


def rank_sections(text: str, task: str, words: Mapping[str, float]) -> tuple[list[Section], list[Section]]:
    """Return the sections that the task needs, the best first, and the others."""
    sections = sections_of(text[:MOST_CHARACTERS])
    said = [words_of(body) for _title, body in sections]
    folded = " ".join(task[:_LONGEST_TASK].lower().split())
    scores = _scores(said, words)
    found = [
        Section(title, body, score, len(title) > 3 and title.lower() in folded)  # noqa: PLR2004 - no "API" by chance
        for (title, body), score in zip(sections, scores, strict=True)
    ]
    best = max(scores, default=0.0)
    chosen = [section for section in found if section.named or (section.score > 0 and section.score >= _MATCHES * best)]
    chosen.sort(key=lambda section: (not section.named, -section.score))  # stable: else in the order of the document
    taken = {id(section) for section in chosen}
    return chosen, [section for section in found if id(section) not in taken]


def _scores(said: Sequence[set[str]], words: Mapping[str, float]) -> list[float]:
    """Return a score for each section; a word that every section says counts little."""
    scores = [0.0] * len(said)
    for word, weight in words.items():
        having = [index for index, section in enumerate(said) if word in section]
        for index in having:
            scores[index] += weight * math.log(1 + len(said) / len(having))
    return [round(score, 6) for score in scores]
