"""Keyset paging: a cursor is the sort key of the last row that was seen, never an offset."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from devstudio_server.kit.errors import Invalid

DEFAULT_LIMIT = 50
MAX_LIMIT = 200

T = TypeVar("T")


@dataclass(frozen=True)
class PageRequest:
    """What a list call asks for: at most ``limit`` rows after the row with id ``after`` (UUIDv7, newest first)."""

    limit: int = DEFAULT_LIMIT
    after: UUID | None = None


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of rows and the cursor of the next, ``None`` on the last."""

    items: list[T]
    next_cursor: str | None


def encode_cursor(last: UUID) -> str:
    """Return the opaque cursor that continues after ``last``."""
    return base64.urlsafe_b64encode(json.dumps([str(last)]).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> UUID:
    """Read a cursor made by `encode_cursor`; raises `Invalid` for anything else."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        (value,) = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
        return UUID(value)
    except (ValueError, TypeError, AttributeError, binascii.Error) as error:
        message = "This cursor was not made by this server. Start again without `cursor`."
        raise Invalid(message, errors=[{"loc": ["query", "cursor"], "msg": message}]) from error


def page_of(rows: Sequence[T], limit: int, key: Callable[[T], UUID]) -> Page[T]:
    """Cut ``rows``, read with ``limit + 1``, into a page."""
    items = list(rows[:limit])
    more = len(rows) > limit
    return Page(items, encode_cursor(key(items[-1])) if more else None)
