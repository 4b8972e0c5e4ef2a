"""Writes down what a proxy told of: one row for each request, filled in while it goes on and when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.egress.models import EgressRequest
from devstudio_server.egress.repository import EgressRepository
from devstudio_server.egress.schemas import Verdict

MAX_REASON = 500


class RequestLog:
    """The requests of one proxy that are not written yet. What cannot be written now stays for the next time."""

    def __init__(self, proxy_id: UUID, project_id: UUID, run_id: UUID) -> None:
        """Keep the log of one run's proxy."""
        self._proxy_id, self._project_id, self._run_id = proxy_id, project_id, run_id
        self._new: dict[int, dict[str, Any]] = {}
        self._changes: dict[int, dict[str, Any]] = {}

    @property
    def waiting(self) -> bool:
        """Whether there is something to write."""
        return bool(self._new or self._changes)

    def take(self, event: Mapping[str, Any]) -> None:
        """Take an event of the proxy."""
        number = int(event["n"])
        if event["event"] == "request":
            self._new[number] = self._row(event)
            return
        fields: dict[str, Any] = {"bytes_up": event["up"], "bytes_down": event["down"]}
        if event["event"] == "end":
            fields |= {"duration_s": event["seconds"]}
            if event["how"] != "closed":
                fields |= {"reason": event["how"][:MAX_REASON]}
            if event["refused"]:
                fields |= {"verdict": Verdict.REFUSED}
        (self._new if number in self._new else self._changes).setdefault(number, {}).update(fields)

    def write(self, session: Session) -> None:
        """Write everything within one unit of work; `written` says that it was committed."""
        egress = EgressRepository(session)
        for row in egress.requests_of(self._proxy_id, self._changes):
            for name, value in self._changes[row.number].items():
                setattr(row, name, value)
        session.add_all(EgressRequest(**fields) for fields in self._new.values())
        session.flush()

    def written(self) -> None:
        """Forget what was written."""
        self._new.clear()
        self._changes.clear()

    def _row(self, event: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "lease_id": UUID(event["grant"]) if event["grant"] else None,
            "project_id": self._project_id,
            "run_id": self._run_id,
            "proxy_id": self._proxy_id,
            "number": int(event["n"]),
            "method": event["method"][:20],
            "host": event["host"],
            "port": event["port"],
            "path": event["path"],
            "verdict": Verdict(event["verdict"]),
            "reason": event["reason"][:MAX_REASON],
            "created_at": datetime.fromisoformat(event["at"]),
        }
