"""Errors of health."""

from __future__ import annotations

from collections.abc import Mapping

from devstudio_server.admin.schemas import Check
from devstudio_server.kit.errors import Unavailable


class NotReady(Unavailable):
    """A part that every request needs is down."""

    title = "Not ready"

    def __init__(self, down: Mapping[str, Check]) -> None:
        """``down`` are the parts, by name."""
        parts = "; ".join(f"{name}: {check.detail}" for name, check in down.items())
        checks = {name: check.model_dump() for name, check in down.items()}
        super().__init__(f"Not ready. {parts}.", headers={"Retry-After": "2"}, checks=checks)
