"""The names of files as git writes them in a diff: plain, or in quotes with backslashes."""

from __future__ import annotations

import re

_ESCAPES = {b"a": 7, b"b": 8, b"t": 9, b"n": 10, b"v": 11, b"f": 12, b"r": 13, b'"': 34, b"\\": 92}
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb"\\([0-3][0-7]{2}|.)", re.DOTALL)
_ADVICE = "Make the diff with `git diff`, which writes `a/` and `b/` before names."


class NameInvalid(ValueError):
    """A name that git does not write, or that can be read in two ways."""


def header_names(text: bytes) -> tuple[str, str]:
    """Return the old and the new name of ``a/… b/…``; raises `NameInvalid`."""
    found = [pair for pair in _splits(text) if pair[0].startswith(b"a/") and pair[1].startswith(b"b/")]
    same = [pair for pair in found if pair[0][2:] == pair[1][2:]]
    if same:
        found = same
    if not found:
        message = f"names no two files. {_ADVICE}"
        raise NameInvalid(message)
    if len(found) > 1:
        message = "names files in a way that can be read as more than two. Rename in two steps, or without blanks."
        raise NameInvalid(message)
    return _decoded(found[0][0][2:]), _decoded(found[0][1][2:])


def side_name(text: bytes, prefix: str) -> str | None:
    """Return the name in a ``---`` or ``+++`` line, None for `/dev/null`; raises `NameInvalid`."""
    text = text.removesuffix(b"\t")
    if text == b"/dev/null":
        return None
    name = _unquoted(text)
    if not name.startswith(prefix.encode()):
        message = f"names no file below `{prefix}`. {_ADVICE}"
        raise NameInvalid(message)
    return _decoded(name[len(prefix) :])


def plain_name(text: bytes) -> str:
    """Return a name that stands alone, without prefix; raises `NameInvalid`."""
    return _decoded(_unquoted(text))


def _splits(text: bytes) -> list[tuple[bytes, bytes]]:
    """Return every way to read two names from ``text``."""
    if b'"' not in text:
        return [(text[:at], text[at + 1 :]) for at in (match.start() for match in re.finditer(rb" ", text))]
    first = _QUOTED.match(text)
    if first is not None:
        rest = text[first.end() :]
        return [(_unescaped(first[1]), _unquoted(rest[1:]))] if rest.startswith(b" ") else []
    at = text.find(b' "')
    return [(text[:at], _unquoted(text[at + 1 :]))] if at >= 0 else []


def _unquoted(text: bytes) -> bytes:
    if not text.startswith(b'"'):
        return text
    match = _QUOTED.fullmatch(text)
    if match is None:
        message = "has a name in quotes that do not close."
        raise NameInvalid(message)
    return _unescaped(match[1])


def _unescaped(text: bytes) -> bytes:
    def byte(match: re.Match[bytes]) -> bytes:
        code = match[1]
        if len(code) > 1:
            return bytes([int(code, 8)])
        if code not in _ESCAPES:
            message = "has a name with a backslash that git does not write."
            raise NameInvalid(message)
        return bytes([_ESCAPES[code]])

    return _ESCAPE.sub(byte, text)


def _decoded(name: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError as error:
        message = "has a name that is not UTF-8."
        raise NameInvalid(message) from error
