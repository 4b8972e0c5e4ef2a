"""Reads literals as people write them in criteria, and writes them in Python and JavaScript."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from devstudio_server.ai.offline.names import TargetLanguage

_WORDS: dict[str, bool | None] = {
    "true": True,
    "false": False,
    "verdadeiro": True,
    "falso": False,
    "null": None,
    "none": None,
    "nil": None,
    "nulo": None,
}
_NUMBER = re.compile(r"[-+]?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.]\d|\w)")
_WORD = re.compile(r"[A-Za-z]+(?![\w(])")
_SPACE = re.compile(r"\s*")
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»"}  # noqa: RUF001 - people type these
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
_MAX_DEPTH = 20
# The largest whole number that JavaScript keeps exact.
_MAX_SAFE_INTEGER = 2**53 - 1


class NotLiteralError(ValueError):
    """The text is no literal; what it means is for a person to say."""


@dataclass
class Reader:
    """A place in a text."""

    text: str
    at: int = 0

    def skip_space(self) -> None:
        """Go to the next character that is not white space."""
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def take(self, expected: str) -> bool:
        """Go past ``expected``, after white space, if it is next."""
        self.skip_space()
        if not self.text.startswith(expected, self.at):
            return False
        self.at += len(expected)
        return True

    def take_match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Go past what ``pattern`` matches here, if it does."""
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def at_end(self) -> bool:
        """Tell whether only white space is left."""
        self.skip_space()
        return self.at >= len(self.text)

    def literal(self, depth: int = 0) -> Any:
        """Read one literal; raises `NotLiteralError`."""
        self.skip_space()
        if depth > _MAX_DEPTH or self.at >= len(self.text):
            raise NotLiteralError
        char = self.text[self.at]
        if char in _QUOTES:
            return self._string(_QUOTES[char])
        if char == "[":
            self.at += 1
            return self.sequence("]", lambda: self.literal(depth + 1))
        if char == "{":
            self.at += 1
            return dict(self.sequence("}", lambda: self._pair(depth)))
        return self._number_or_word()

    def sequence(self, end: str, item: Callable[[], Any]) -> list[Any]:
        """Read items between commas up to ``end``; raises `NotLiteralError`."""
        items: list[Any] = []
        while not self.take(end):
            if items and not self.take(","):
                raise NotLiteralError
            items.append(item())
        return items

    def _pair(self, depth: int) -> tuple[str, Any]:
        key = self.literal(depth + 1)
        # JavaScript reads the key `__proto__` of a literal as something else.
        if not isinstance(key, str) or key == "__proto__" or not self.take(":"):
            raise NotLiteralError
        return key, self.literal(depth + 1)

    def _string(self, closing: str) -> str:
        self.at += 1
        parts: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if char == closing:
                return "".join(parts)
            if char == "\\":
                char = _ESCAPES.get(self.text[self.at : self.at + 1], "")
                self.at += 1
                if not char:
                    raise NotLiteralError
            parts.append(char)
        raise NotLiteralError

    def _number_or_word(self) -> Any:
        number = self.take_match(_NUMBER)
        if number:
            return _number(number.group())
        word = self.take_match(_WORD)
        if word and word.group().lower() in _WORDS:
            return _WORDS[word.group().lower()]
        raise NotLiteralError


def _number(text: str) -> int | float:
    value = float(text) if any(char in text for char in ".eE") else int(text)
    if isinstance(value, float) and value in {float("inf"), float("-inf")}:
        raise NotLiteralError
    if isinstance(value, int) and abs(value) > _MAX_SAFE_INTEGER:
        raise NotLiteralError
    return value


def whole_literal(text: str) -> Any:
    """Return the value of a text that is one literal and nothing else; raises `NotLiteralError`."""
    reader = Reader(text)
    value = reader.literal()
    if not reader.at_end():
        raise NotLiteralError
    return value


def write(value: Any, language: TargetLanguage) -> str:
    """Return the source of a literal."""
    return _python(value) if language == "python" else json.dumps(_as_in_javascript(value), ensure_ascii=False)


def _as_in_javascript(value: Any) -> Any:
    """Drop the difference of 2 and 2.0, which JavaScript does not know."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_as_in_javascript(item) for item in value]
    if isinstance(value, dict):
        return {key: _as_in_javascript(item) for key, item in value.items()}
    return value


def _python(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # Python reads every JSON string, and it has double quotes
    if isinstance(value, list):
        return "[" + ", ".join(_python(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_python(key)}: {_python(item)}" for key, item in value.items()) + "}"
    return repr(value)
