"""Versions and their text (Semantic Versioning 2.0.0, sections 2, 9 and 10)."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_LENGTH = 255
"""Characters in a version. The specification sets no limit; this one is ours."""

_QUOTED_LENGTH = 40
_DIGITS = re.compile(r"[0-9]+")
_IDENTIFIER = re.compile(r"[0-9A-Za-z-]+")


class InvalidVersion(ValueError):
    """A text that is not a version. ``reason`` says why."""

    def __init__(self, text: str, reason: str) -> None:
        """Quote the start of ``text``, so that a message has a bounded length."""
        super().__init__(f"not a version: {reason}: {text[:_QUOTED_LENGTH]!r}")
        self.text = text
        self.reason = reason


@dataclass(frozen=True)
class Version:
    """A version. Identifiers stay text, so that ``str`` gives what was read."""

    major: int
    minor: int
    patch: int
    prerelease: tuple[str, ...] = ()
    build: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the version's text."""
        text = f"{self.major}.{self.minor}.{self.patch}"
        if self.prerelease:
            text += "-" + ".".join(self.prerelease)
        if self.build:
            text += "+" + ".".join(self.build)
        return text


def parse(text: str) -> Version:
    """Read a version; raises `InvalidVersion`."""
    if len(text) > MAX_LENGTH:
        raise InvalidVersion(text, f"it is longer than {MAX_LENGTH} characters")
    rest, plus, build = text.partition("+")
    core, hyphen, prerelease = rest.partition("-")
    major, minor, patch = _numbers(text, core)
    return Version(
        major,
        minor,
        patch,
        prerelease=_prerelease(text, prerelease) if hyphen else (),
        build=_identifiers(text, build, "build metadata") if plus else (),
    )


def _numbers(text: str, core: str) -> list[int]:
    parts = core.split(".")
    if len(parts) != 3 or not all(parts):
        raise InvalidVersion(text, "it does not start with three numbers between dots")
    for part in parts:
        if not _DIGITS.fullmatch(part):
            raise InvalidVersion(text, f"{part!r} is not a number of ASCII digits")
        _refuse_leading_zero(text, part)
    return [int(part) for part in parts]


def _prerelease(text: str, part: str) -> tuple[str, ...]:
    identifiers = _identifiers(text, part, "pre-release")
    for identifier in identifiers:
        if _DIGITS.fullmatch(identifier):
            _refuse_leading_zero(text, identifier)
    return identifiers


def _identifiers(text: str, part: str, name: str) -> tuple[str, ...]:
    identifiers = tuple(part.split("."))
    for identifier in identifiers:
        if not identifier:
            raise InvalidVersion(text, f"an identifier of the {name} is empty")
        if not _IDENTIFIER.fullmatch(identifier):
            raise InvalidVersion(text, f"the {name} may hold ASCII letters, digits and hyphens only")
    return identifiers


def _refuse_leading_zero(text: str, number: str) -> None:
    if len(number) > 1 and number.startswith("0"):
        raise InvalidVersion(text, f"{number!r} starts with a zero")
