"""Which of two versions comes first (Semantic Versioning 2.0.0, section 11)."""

from __future__ import annotations

from typing import Tuple

from semver.version import Version

_Identifier = Tuple[int, int, str]
Precedence = Tuple[int, int, int, bool, Tuple[_Identifier, ...]]
"""Sorts as the versions do. Build metadata is not part of it (section 10)."""


def precedence(version: Version) -> Precedence:
    """Return the key that sorts versions, lowest first."""
    is_release = not version.prerelease
    identifiers = tuple(_rank(identifier) for identifier in version.prerelease)
    return (version.major, version.minor, version.patch, is_release, identifiers)


def compare(left: Version, right: Version) -> int:
    """Return -1 when ``left`` comes first, 1 when ``right`` does, and 0 when neither."""
    first, second = precedence(left), precedence(right)
    return (first > second) - (first < second)


def _rank(identifier: str) -> _Identifier:
    """Digits are compared as numbers, and come before everything else (11.4.1 to 11.4.3)."""
    return (0, int(identifier), "") if identifier.isdigit() else (1, 0, identifier)
