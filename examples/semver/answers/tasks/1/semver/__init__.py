"""Semantic Versioning 2.0.0: reading, comparing and sorting versions."""

from __future__ import annotations

from semver.version import InvalidVersion, Version, parse

__all__ = ["InvalidVersion", "Version", "parse"]
