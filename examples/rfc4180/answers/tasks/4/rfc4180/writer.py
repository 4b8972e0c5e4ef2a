"""Writing of records (RFC 4180, section 2)."""

from __future__ import annotations

import re
from typing import Iterable, Sequence

_NEEDS_QUOTES = re.compile(r'[",\r\n]')


def write(records: Iterable[Sequence[str]]) -> str:
    """Return the records as text; raises ``ValueError`` unless all have the same number of fields, at least one."""
    rows = list(records)
    for number, row in enumerate(rows, start=1):
        if not row or len(row) != len(rows[0]):
            raise ValueError(
                f"record {number} has {len(row)} fields, the first has {len(rows[0])}; at least 1 is needed"
            )
    return "".join(",".join(map(_field, row)) + "\r\n" for row in rows)


def _field(value: str) -> str:
    if not _NEEDS_QUOTES.search(value):
        return value
    doubled = value.replace('"', '""')
    return f'"{doubled}"'
