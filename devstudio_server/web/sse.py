"""Server-sent events, as the HTML standard writes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

HEARTBEAT_S = 15.0
"""A comment this often keeps proxies from closing an idle stream."""

HEARTBEAT = b": keep-alive\n\n"


@dataclass(frozen=True)
class ServerEvent:
    """One event: a name, JSON data, and the id from which a client resumes."""

    event: str
    data: Any
    id: str | None = None

    def encode(self) -> bytes:
        """Return the bytes on the wire."""
        return self._wire

    @property
    def message(self) -> str:
        """The same as one message of a WebSocket: ``{"event": …, "id": …, "data": …}``."""
        return self._message

    # Made once, however many clients an event goes to.

    @cached_property
    def _wire(self) -> bytes:
        lines = [f"event: {self.event}"]
        if self.id is not None:
            lines.append(f"id: {self.id}")
        # JSON has no raw line break, so one data line is enough.
        lines.append(f"data: {json.dumps(self.data, ensure_ascii=False)}")
        return ("\n".join(lines) + "\n\n").encode()

    @cached_property
    def _message(self) -> str:
        return json.dumps({"event": self.event, "id": self.id, "data": self.data}, ensure_ascii=False)
