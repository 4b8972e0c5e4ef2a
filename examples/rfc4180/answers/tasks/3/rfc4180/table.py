"""Tables: records of one length, with or without a header (RFC 4180, section 2, rules 3 and 4, and section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from rfc4180.errors import CsvError
from rfc4180.reader import scan


@dataclass(frozen=True)
class Table:
    """A table. ``header`` is ``None`` when the text has none."""

    header: Optional[list[str]]
    records: list[list[str]]


def read_table(text: str, *, header: bool) -> Table:
    """Return the table in ``text``; ``header`` says whether its first record is one. Raises `CsvError`."""
    records = _even_records(text)
    if not header:
        return Table(None, records)
    if not records:
        raise CsvError("a header was promised, but the text is empty", text, 0)
    return Table(records[0], records[1:])


def _even_records(text: str) -> list[list[str]]:
    records: list[list[str]] = []
    for start, record in scan(text):
        expected = len(records[0]) if records else len(record)
        if len(record) != expected:
            raise CsvError(f"the first record has {expected} fields, this one has {len(record)}", text, start)
        records.append(record)
    return records
