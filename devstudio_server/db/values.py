"""What a column takes, the same on both databases: SQLite would keep a text that PostgreSQL refuses."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Integer, String, inspect

from devstudio_server.db.base import Base
from devstudio_server.kit.errors import Invalid

NUL = "\0"
_BITS = {BigInteger: 63, Integer: 31}


def check_values(row: Base) -> None:
    """Raise `Invalid` when a text of ``row`` is too long for its column or holds NUL, or a number is too large."""
    present = vars(row)
    for name, longest, largest in _limits(type(row)):
        value = present.get(name)
        if isinstance(value, str) and NUL in value:
            _refuse(name, "holds the character NUL, which cannot be stored; leave it out")
        if longest is not None and isinstance(value, str) and len(value) > longest:
            _refuse(name, f"has {len(value)} characters; at most {longest} are stored")
        if largest is not None and isinstance(value, int) and not -largest <= value <= largest:
            _refuse(name, f"is out of range; at most {largest} is stored")


@lru_cache
def _limits(model: type[Base]) -> tuple[tuple[str, int | None, int | None], ...]:
    """Return attribute, longest text and largest number of the columns of ``model`` that have such a limit."""
    return tuple(
        (attribute.key, getattr(kind, "length", None), _largest(kind))
        for attribute in inspect(model).column_attrs
        for kind in (attribute.columns[0].type,)
        if isinstance(kind, (String, Integer))
    )


def _largest(kind: Any) -> int | None:
    bits = next((bits for base, bits in _BITS.items() if isinstance(kind, base)), None)
    return None if bits is None else 2**bits - 1


def _refuse(name: str, what: str) -> None:
    raise Invalid(f"`{name}` {what}.", errors=[{"loc": [name], "msg": what}])
