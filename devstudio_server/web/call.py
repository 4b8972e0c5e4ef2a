"""One call of an operation, as a handler sees it: who, in which unit of work, with which adapters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from devstudio_server.db import Actor, Units
from devstudio_server.kit.stopping import StopSignal
from devstudio_server.web.ports import Ports

T = TypeVar("T")


def _no_progress(_event: dict[str, Any]) -> None:
    """Drop progress when nobody listens."""


@dataclass
class Call:
    """What a handler works with.

    ``if_match`` is the version in the ``If-Match`` header, ``None`` when absent or ``*``. ``progress`` takes
    ``{"phase": …, "message": …}`` and sends it to a client that listens by SSE. ``left`` is set when the client goes.
    """

    actor: Actor
    units: Units
    ports: Ports
    request_id: str
    if_match: int | None = None
    progress: Callable[[dict[str, Any]], None] = _no_progress
    left: StopSignal = field(default_factory=StopSignal)
    _session: Session | None = None

    @property
    def session(self) -> Session:
        """The open unit of work. Operations declared ``outside`` open their own and have none here."""
        if self._session is None:
            message = "this operation works outside a transaction; open one with call.units.begin(call.actor)"
            raise RuntimeError(message)
        return self._session

    def port(self, kind: type[T]) -> T:
        """Return the adapter that `assembly.py` provides for ``kind``."""
        return self.ports.get(kind)
