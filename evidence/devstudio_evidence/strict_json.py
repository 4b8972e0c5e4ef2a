"""JSON read so that one text has one meaning: no member twice, no number of another language, no endless nesting."""

from __future__ import annotations

import json
from typing import Any


class JsonInvalid(ValueError):
    """Not JSON, or JSON with two meanings."""


def loads(text: str) -> Any:
    """Read JSON.

    `json` alone keeps the last of two members with one name, and another program may keep the first: what was
    signed and what is acted on would differ.
    """
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except JsonInvalid:
        raise
    except RecursionError as error:
        raise JsonInvalid("it is nested too deeply") from error
    except ValueError as error:  # also whole numbers of thousands of digits
        raise JsonInvalid(f"it is not JSON: {error}") from error


def canonical(value: Any) -> str:
    """Give the one text of a value: names sorted, no white space, plain ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise JsonInvalid(f"the member {twice!r} is there twice")
    return members


def _refuse(constant: str) -> None:
    raise JsonInvalid(f"{constant} is not JSON")
