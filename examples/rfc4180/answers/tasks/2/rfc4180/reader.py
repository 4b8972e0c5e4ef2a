"""Reading of records (RFC 4180, section 2)."""

from __future__ import annotations

import re
from typing import Iterator

from rfc4180.errors import CsvError

_PLAIN = re.compile(r'[^",\r\n]*')


def parse(text: str) -> list[list[str]]:
    """Return the records of ``text``; raises `CsvError`."""
    return [record for _, record in scan(text)]


def scan(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the offset where it starts; raises `CsvError` on reaching what is wrong."""
    at = 0
    while at < len(text):
        start = at
        field, at = _field(text, at)
        record = [field]
        while text.startswith(",", at):
            field, at = _field(text, at + 1)
            record.append(field)
        yield start, record
        at = _line_break(text, at)


def _field(text: str, at: int) -> tuple[str, int]:
    """Return the field that starts at ``at``, and the offset after it."""
    if text.startswith('"', at):
        return _quoted(text, at)
    end = _PLAIN.match(text, at).end()  # type: ignore[union-attr]  # it matches the empty text at least
    if text.startswith('"', end):
        raise CsvError("a double quote stands in a field that does not start with one", text, end)
    return text[at:end], end


def _quoted(text: str, opening: int) -> tuple[str, int]:
    parts = []
    at = opening + 1
    while True:
        quote = text.find('"', at)
        if quote < 0:
            raise CsvError("the quoted field that starts here is never closed", text, opening)
        parts.append(text[at:quote])
        at = quote + 1
        if not text.startswith('"', at):
            break
        parts.append('"')
        at += 1
    if at < len(text) and text[at] not in ",\r\n":
        raise CsvError("only a comma or a line break may follow a closing quote", text, at)
    return "".join(parts), at


def _line_break(text: str, at: int) -> int:
    """Return the offset after the line break at ``at``, or the end of the text."""
    if at == len(text):
        return at
    if not text.startswith("\r\n", at):
        raise CsvError("a line break outside a quoted field must be CRLF", text, at)
    return at + 2
