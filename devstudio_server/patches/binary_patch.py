"""How large what a binary patch holds is, found out without trusting it: git would take the memory that it names."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Sequence

_HEADER = re.compile(rb"(literal|delta) (\d{1,12})")
_CAPITALS = 26
_LINE_BYTES = 52
_LONGEST = 64


class BinaryInvalid(ValueError):
    """The content of a binary file is broken, or larger than is taken."""


def payload_size(header: bytes, block: Sequence[bytes], limit: int) -> int:
    """Return how many bytes git unpacks for one block; raises `BinaryInvalid` when a file gets more than ``limit``."""
    match = _HEADER.fullmatch(header)
    if match is None:
        message = "is no header of binary content, `literal 123` or `delta 123`."
        raise BinaryInvalid(message)
    size = int(match[2])
    _hold(size, limit)
    content = _inflate(b"".join(_decode(line) for line in block), size)
    if match[1] == b"literal":
        return size
    _source, at = _number(content, 0)
    target, _at = _number(content, at)
    _hold(target, limit)
    return size + target


def _hold(size: int, limit: int) -> None:
    if size > limit:
        message = f"announces {size} bytes of binary content; at most {limit} are taken for a file."
        raise BinaryInvalid(message)


def _decode(line: bytes) -> bytes:
    length = line[0] - (ord("A") - 1) if line[:1].isupper() else line[0] - (ord("a") - 1) + _CAPITALS
    try:
        content = base64.b85decode(line[1:])
    except ValueError as error:
        message = "begins binary content that is not base85."
        raise BinaryInvalid(message) from error
    if not 0 < length <= _LINE_BYTES or len(content) != (length + 3) // 4 * 4:
        message = "begins binary content with a line of another length than it says."
        raise BinaryInvalid(message)
    return content[:length]


def _inflate(content: bytes, size: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(content, size + 1)
    except zlib.error as error:
        message = "begins binary content that does not unpack."
        raise BinaryInvalid(message) from error
    if len(unpacked) != size or not unpacker.eof:
        message = "begins binary content that unpacks to another size than it says."
        raise BinaryInvalid(message)
    return unpacked


def _number(content: bytes, at: int) -> tuple[int, int]:
    """Read a number of a delta: seven bits a byte, the lowest first."""
    number = shift = 0
    while at < len(content) and shift < _LONGEST:
        byte = content[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return number, at
    message = "begins a binary delta that is cut off."
    raise BinaryInvalid(message)
