"""The parts of a context, and how their size is told in tokens."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

BYTES_PER_TOKEN = 4
"""The rule of thumb that OpenAI and Anthropic give for English text; counted in UTF-8 bytes, so that text in other
scripts, which makes more tokens, counts for more."""

PART_OVERHEAD_TOKENS = 24
"""What the delimiters and the name of a part cost in the prompt."""

MIN_BUDGET_TOKENS = 400
"""The smallest budget that a context can be built under: a task and its criteria, cut."""


class PartKind(StrEnum):
    """What a part is, in the order of the prompt: what changes least from task to task stands first."""

    CONVENTIONS = "conventions"
    DESIGN = "design"
    SYMBOLS = "symbols"
    FILE = "file"
    TEST = "test"
    TASK = "task"
    CRITERIA = "criteria"
    REJECTION = "rejection"
    INSTRUCTIONS = "instructions"


@dataclass(frozen=True)
class Part:
    """A piece of the context. ``why`` says what brought it in; ``cut`` what is missing of it, ``None`` when whole.

    ``name`` is a path for files, tests and conventions, a heading for sections of the design. ``tokens`` is an
    estimate, delimiters included; ``whole`` what it would have been without the cut.
    """

    name: str
    kind: PartKind
    text: str
    tokens: int
    why: str
    cut: str | None = None
    whole: int = 0


@dataclass(frozen=True)
class Omitted:
    """What was left out, and why. ``count`` is more than 1 where many of a kind are told at once.

    ``tokens`` is what it would have cost, 0 where nobody looked.
    """

    name: str
    kind: PartKind
    why: str
    count: int = 1
    tokens: int = 0


@dataclass(frozen=True)
class Context:
    """The parts in the order of the prompt, what was left out, and the tokens of all parts together."""

    parts: tuple[Part, ...]
    omitted: tuple[Omitted, ...]
    tokens: int

    def of(self, kind: PartKind) -> tuple[Part, ...]:
        """Return the parts of ``kind``."""
        return tuple(part for part in self.parts if part.kind is kind)


def tokens_of(text: str) -> int:
    """Estimate the tokens of ``text`` by itself."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def part_tokens(name: str, text: str) -> int:
    """Estimate the tokens of a part with its name and delimiters."""
    return tokens_of(name) + tokens_of(text) + PART_OVERHEAD_TOKENS
