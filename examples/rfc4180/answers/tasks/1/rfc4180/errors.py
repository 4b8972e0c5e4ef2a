"""What a reader refuses, and where."""

from __future__ import annotations

import re

_LINE_BREAK = re.compile(r"\r\n|\r|\n")


class CsvError(ValueError):
    """A text that is not comma-separated values. ``line`` and ``column`` count from 1."""

    def __init__(self, reason: str, text: str, offset: int) -> None:
        """Locate ``offset``, an index into ``text``."""
        self.reason = reason
        self.line, self.column = _position(text, offset)
        super().__init__(f"line {self.line}, column {self.column}: {reason}")


def _position(text: str, offset: int) -> tuple[int, int]:
    line, start = 1, 0
    for line_break in _LINE_BREAK.finditer(text, 0, offset):
        line, start = line + 1, line_break.end()
    return line, offset - start + 1
