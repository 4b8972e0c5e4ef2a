"""Reading of records (RFC 4180, section 2)."""

from __future__ import annotations

import re

from rfc4180.errors import CsvError

_STRAY_BREAK = re.compile(r"\r(?!\n)|(?<!\r)\n")


def parse(text: str) -> list[list[str]]:
    """Return the records of ``text``; raises `CsvError`."""
    stray = _STRAY_BREAK.search(text)
    if stray:
        raise CsvError("a line break outside a quoted field must be CRLF", text, stray.start())
    lines = text.split("\r\n")
    if not lines[-1]:
        lines.pop()  # CRLF at the end starts no further record
    return [line.split(",") for line in lines]
