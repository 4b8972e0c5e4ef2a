"""What is said when a cassette has no answer: what differs from the recorded request that is most alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile, zip_longest
from pathlib import Path
from typing import Any, Self

from devstudio_server.ai.errors import ProviderError
from devstudio_server.kit.errors import Unavailable

_SHOWN_DIFFERENCES = 3
_SHOWN_CHARACTERS = 60
_NOTHING = object()


class CassetteMiss(ProviderError, Unavailable):
    """A replay has no answer to a request."""

    title = "The exchange was not recorded"

    @classmethod
    def used_up(cls, folder: Path, times: int) -> Self:
        """Say that the request was made more often than when it was recorded."""
        return cls(f"The cassette {folder} has {times} answers to this request, and all were given. Record it anew.")

    @classmethod
    def broken(cls, path: Path) -> Self:
        """Say that a file cannot be read."""
        return cls(f"{path} is no recorded exchange. Restore or remove it.")

    @classmethod
    def unknown(cls, folder: Path, body: Any, recorded: Iterable[tuple[str, Any]]) -> Self:
        """Say in what the request differs from the recorded one that is most alike."""
        apart = [(list(differences(request, body)), name) for name, request in recorded]
        if not apart:
            return cls(f"The cassette {folder} has no exchange with this endpoint. Record it anew.")
        found, name = min(apart, key=lambda one: (sum(difference.size for difference in one[0]), one[1]))
        more = len(found) - _SHOWN_DIFFERENCES
        shown = "; ".join(difference.text for difference in found[:_SHOWN_DIFFERENCES])
        rest = f"; and {more} more" if more > 0 else ""
        return cls(f"The cassette {folder} has no answer to this request. The nearest, {name}, differs: {shown}{rest}.")


@dataclass(frozen=True)
class Difference:
    """One place in which two JSON values differ: how, and by about how many characters."""

    text: str
    size: int


def differences(recorded: Any, sent: Any, where: str = "") -> Iterator[Difference]:
    """Yield each place in which two JSON values differ."""
    if isinstance(recorded, dict) and isinstance(sent, dict):
        for key in dict.fromkeys((*recorded, *sent)):
            place = f"{where}.{key}" if where else str(key)
            yield from differences(recorded.get(key, _NOTHING), sent.get(key, _NOTHING), place)
    elif isinstance(recorded, list) and isinstance(sent, list):
        for index, (one, other) in enumerate(zip_longest(recorded, sent, fillvalue=_NOTHING)):
            yield from differences(one, other, f"{where}[{index}]")
    elif type(recorded) is not type(sent) or recorded != sent:
        text = f"{where} was {_shown(recorded, sent)}, and is {_shown(sent, recorded)}"
        yield Difference(text, _size(recorded, sent))


def _size(recorded: Any, sent: Any) -> int:
    if isinstance(recorded, str) and isinstance(sent, str):
        same = _same_start(recorded, sent)
        rest = recorded[same:][::-1], sent[same:][::-1]
        return max(map(len, rest)) - _same_start(*rest)
    return max(len(str(value)) for value in (recorded, sent) if value is not _NOTHING)


def _same_start(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _shown(value: Any, other: Any) -> str:
    """Return the part of a value from where it differs from the other one."""
    if value is _NOTHING:
        return "not there"
    start = 0
    if isinstance(value, str) and isinstance(other, str):
        start = max(_same_start(value, other) - _SHOWN_CHARACTERS // 3, 0)
        text = repr(value[start : start + _SHOWN_CHARACTERS])
    else:
        text = repr(value)
    cut = "…" if len(text) > _SHOWN_CHARACTERS or (isinstance(value, str) and len(value) > _SHOWN_CHARACTERS) else ""
    return f"{'…' if start else ''}{text[: _SHOWN_CHARACTERS + 2]}{cut}"
