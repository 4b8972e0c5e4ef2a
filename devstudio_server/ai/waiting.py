"""How long to wait before a call is made again: what the provider asks for, within bounds, or longer each time."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from devstudio_server.kit.clock import now

LONGEST_WAIT_S = 30.0
"""Who is asked to wait longer than this is told so, instead of being kept waiting."""

_FIRST_WAIT_S = 0.5
# Spreads those who failed together; the source is no secret.
_random = random.Random()  # noqa: S311 - see above


def asked_wait_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that an answer with these headers asks to wait, ``None`` when it does not ask."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    return _seconds_until(text) if seconds is None and text else seconds


def wait_s(attempt: int, asked_s: float | None) -> float | None:
    """Return the seconds to wait before attempt ``attempt`` (the second is 1), ``None`` when it would be too long.

    Without a wish of the provider: exponential backoff with full jitter
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """
    if asked_s is not None:
        # Not all of those who were told the same second shall come in that second.
        return asked_s + _random.uniform(0, asked_s / 10) if asked_s <= LONGEST_WAIT_S else None
    return _random.uniform(0, min(LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(attempt, 16)))


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return max(value, 0.0) if math.isfinite(value) else None


def _seconds_until(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - now()).total_seconds(), 0.0)
