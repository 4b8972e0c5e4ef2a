"""Lists of versions: sorting, and choosing the highest."""

from __future__ import annotations

from typing import Iterable, Optional

from semver.precedence import precedence
from semver.version import Version


def sort_versions(versions: Iterable[Version]) -> list[Version]:
    """Return the versions, lowest first; those of the same precedence keep their order."""
    return sorted(versions, key=precedence)


def highest(versions: Iterable[Version], include_prereleases: bool = True) -> Optional[Version]:
    """Return the highest version, the first given among equals, or ``None`` when there is none to choose from."""
    candidates = (version for version in versions if include_prereleases or not version.prerelease)
    return max(candidates, key=precedence, default=None)
