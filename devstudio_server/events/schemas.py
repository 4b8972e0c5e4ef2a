"""Public shapes of events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator

from devstudio_server.kit.pagination import DEFAULT_LIMIT, MAX_LIMIT
from devstudio_server.web.schemas import Shape

MAX_SEQ = 2**63 - 1
MAX_TYPES = 50
_OWN_ID = {"project_id": "project", "session_id": "spec_session"}


class EventRead(Shape):
    """One change. ``type`` is ``<subject>.created``, ``.updated`` or ``.deleted``; ``payload`` has ids and status."""

    seq: int
    type: str
    subject_id: UUID
    payload: dict[str, Any]
    created_at: datetime


class EventPage(Shape):
    """Events in the order of the commits.

    ``next_cursor`` is the ``after`` of the next page, null when there is none yet. ``oldest`` and ``newest`` are the
    numbers that can be read now; ``oldest`` is null while there is nothing.
    """

    items: list[EventRead]
    next_cursor: str | None
    oldest: int | None
    newest: int


@dataclass(frozen=True)
class EventFilter:
    """Which events a client wants; without any field, all."""

    types: frozenset[str] = frozenset()
    project_id: UUID | None = None
    session_id: UUID | None = None

    def matches(self, kind: str, payload: dict[str, Any]) -> bool:
        """Tell whether an event passes. ``project`` as a type stands for ``project.created`` and so on."""
        if self.types and kind not in self.types and kind.split(".", maxsplit=1)[0] not in self.types:
            return False
        return self._about("project_id", self.project_id, kind, payload) and self._about(
            "session_id", self.session_id, kind, payload
        )

    @staticmethod
    def _about(name: str, wanted: UUID | None, kind: str, payload: dict[str, Any]) -> bool:
        if wanted is None or payload.get(name) == str(wanted):
            return True
        return kind.split(".", maxsplit=1)[0] == _OWN_ID[name] and payload.get("id") == str(wanted)


class EventQuery(BaseModel):
    """From which event on, and which."""

    model_config = ConfigDict(extra="forbid")

    after: int | None = Field(
        None,
        ge=0,
        le=MAX_SEQ,
        description="The last `seq` that you have; 0 for all. Absent: a page starts with the oldest, a stream is live.",
    )
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description=f"Events a page, at most {MAX_LIMIT}.")
    types: str | None = Field(
        None, max_length=2000, description="Types, or subjects such as `run`, separated by commas."
    )
    project_id: UUID | None = Field(None, description="Only events whose payload names this project.")
    session_id: UUID | None = Field(None, description="Only events whose payload names this spec session.")

    @field_validator("types")
    @classmethod
    def _few(cls, value: str | None) -> str | None:
        if value is not None and value.count(",") >= MAX_TYPES:
            message = f"names more than {MAX_TYPES} types"
            raise ValueError(message)
        return value

    def filter(self) -> EventFilter:
        """Return the filter part."""
        types = frozenset(part.strip() for part in (self.types or "").split(",") if part.strip())
        return EventFilter(types, self.project_id, self.session_id)
