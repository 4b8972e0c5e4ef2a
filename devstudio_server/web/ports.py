"""What a service needs from outside the database, found by its type. `assembly.py` fills it."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


class Ports:
    """A table of the running server's adapters: one instance for each type."""

    def __init__(self) -> None:
        """Start empty."""
        self._instances: dict[type[Any], Any] = {}

    def provide(self, kind: type[T], instance: T) -> None:
        """Answer later requests for ``kind`` with ``instance``."""
        self._instances[kind] = instance

    def get(self, kind: type[T]) -> T:
        """Return what was provided for ``kind``; ``LookupError`` names what the wiring forgot."""
        try:
            instance: T = self._instances[kind]
        except KeyError:
            message = f"assembly.py provides no {kind.__name__}"
            raise LookupError(message) from None
        return instance
