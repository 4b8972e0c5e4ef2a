"""Errors of health."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devstudio_server.kit.errors import Unavailable


class NotReady(Unavailable):
    """A part that every request needs is down."""

    title = "Not ready"

    def __init__(self, down: Mapping[str, Mapping[str, Any]]) -> None:
        """``down`` are the checks of these parts, by name."""
        parts = "; ".join(f"{name}: {check['detail']}" for name, check in down.items())
        super().__init__(f"Not ready. {parts}.", headers={"Retry-After": "2"}, checks=dict(down))
