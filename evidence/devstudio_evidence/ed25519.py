"""Ed25519 verification after RFC 8032, with nothing installed.

`cryptography` does the arithmetic where it is importable; where it is not, the code below does. The checks on which
libraries are known to differ (a point written in two ways, a key of small order, S beyond the order) are made here
first, so that the verdict is the same on every machine. Nothing secret passes through this file, so nothing in it has
to take constant time.
"""

from __future__ import annotations

import hashlib
import types

exact: types.ModuleType | None
try:
    from cryptography.hazmat.primitives.asymmetric import ed25519 as exact
except ImportError:  # an empty environment
    exact = None

KEY_BYTES = 32
SIGNATURE_BYTES = 64

# RFC 8032, section 5.1: the field, the order of the base point, the curve's constant, and a square root of -1.
PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
_CURVE = -121665 * pow(121666, PRIME - 2, PRIME) % PRIME
_ROOT = pow(2, (PRIME - 1) // 4, PRIME)

# A point in extended homogeneous coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, x*y = T/Z (RFC 8032, section 5.1.4).
Point = tuple[int, int, int, int]
_NEUTRAL: Point = (0, 1, 1, 0)


class SignatureWrong(ValueError):
    """The signature is not one of this key over these bytes."""


def verify(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Check a signature; raise `SignatureWrong`, which says why, unless it holds."""
    point = public_point(public_key)
    if len(signature) != SIGNATURE_BYTES:
        raise SignatureWrong(f"a signature has {SIGNATURE_BYTES} bytes, this one {len(signature)}")
    if int.from_bytes(signature[32:], "little") >= ORDER:
        raise SignatureWrong("the signature's S is not below the group's order")
    holds = _holds(point, public_key, message, signature) if exact is None else _ask(public_key, message, signature)
    if not holds:
        raise SignatureWrong("the signature does not belong to these bytes and this key")


def public_point(public_key: bytes) -> Point:
    """Decode a public key; refused is what is no point, is written in a second way, or is of small order."""
    if len(public_key) != KEY_BYTES:
        raise SignatureWrong(f"a public key has {KEY_BYTES} bytes, this one {len(public_key)}")
    point = _decode(public_key)
    if point is None:
        raise SignatureWrong("the public key is no point of the curve in its one way of writing")
    if _same(_double(_double(_double(point))), _NEUTRAL):
        raise SignatureWrong("the public key is of small order: anyone could sign with it")
    return point


def _ask(public_key: bytes, message: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - absent where `exact` is None

    try:
        exact.Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)  # type: ignore[union-attr]
    except InvalidSignature:
        return False
    return True


def _holds(point: Point, public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Compare R with [S]B - [k]A as bytes, as OpenSSL does: an R written in a second way never equals."""
    challenge = hashlib.sha512(signature[:32] + public_key + message).digest()
    k = int.from_bytes(challenge, "little") % ORDER
    x, y, z, t = point
    minus: Point = (-x % PRIME, y, z, -t % PRIME)
    expected = _add(_times(int.from_bytes(signature[32:], "little"), _BASE), _times(k, minus))
    return _encode(expected) == signature[:32]


def _add(one: Point, other: Point) -> Point:
    """Add two points (RFC 8032, section 5.1.4)."""
    a = (one[1] - one[0]) * (other[1] - other[0]) % PRIME
    b = (one[1] + one[0]) * (other[1] + other[0]) % PRIME
    c = 2 * one[3] * other[3] * _CURVE % PRIME
    d = 2 * one[2] * other[2] % PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def _double(point: Point) -> Point:
    return _add(point, point)


def _times(factor: int, point: Point) -> Point:
    total = _NEUTRAL
    while factor:
        if factor & 1:
            total = _add(total, point)
        point = _double(point)
        factor >>= 1
    return total


def _same(one: Point, other: Point) -> bool:
    return (one[0] * other[2] - other[0] * one[2]) % PRIME == 0 and (one[1] * other[2] - other[1] * one[2]) % PRIME == 0


def _encode(point: Point) -> bytes:
    inverse = pow(point[2], PRIME - 2, PRIME)
    x, y = point[0] * inverse % PRIME, point[1] * inverse % PRIME
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _decode(encoded: bytes) -> Point | None:
    """Decode a point (RFC 8032, section 5.1.3), or None."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    if y >= PRIME:
        return None
    square = (y * y - 1) * pow(_CURVE * y * y + 1, PRIME - 2, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if (x * x - square) % PRIME:
        x = x * _ROOT % PRIME
    if (x * x - square) % PRIME or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = PRIME - x
    return x, y, 1, x * y % PRIME


def _base() -> Point:
    """Give the base point: y = 4/5 and an even x (RFC 8032, section 5.1)."""
    point = _decode((4 * pow(5, PRIME - 2, PRIME) % PRIME).to_bytes(32, "little"))
    if point is None:
        raise AssertionError("4/5 is a point of the curve")
    return point


_BASE = _base()
