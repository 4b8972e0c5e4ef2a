"""Server-sent events, as the HTML standard writes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
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
        """Return the bytes on the wire. JSON has no raw line break, so one data line is enough."""
        lines = [f"event: {self.event}"]
        if self.id is not None:
            lines.append(f"id: {self.id}")
        lines.append(f"data: {json.dumps(self.data, ensure_ascii=False)}")
        return ("\n".join(lines) + "\n\n").encode()
