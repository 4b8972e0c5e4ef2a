"""Public shapes of the audit."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, Field, field_validator

from devstudio_server.web.schemas import ListQuery, Shape


class AuditQuery(ListQuery):
    """Filters of the list. ``since`` is included, ``until`` is not."""

    action: str | None = Field(None, max_length=60, description="Such as `project.created`, or `data_read`.")
    resource_type: str | None = Field(None, max_length=60)
    resource_id: str | None = Field(None, max_length=255)
    user_id: UUID | None = None
    request_id: str | None = Field(None, max_length=64)
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


class AuditRead(Shape):
    """One entry. Personal data and secrets in ``details`` are masked; ``hash`` covers all of it and ``prev_hash``."""

    id: UUID
    seq: int
    action: str
    resource_type: str
    resource_id: str
    user_id: UUID
    request_id: str
    details: dict[str, Any]
    created_at: datetime
    prev_hash: str
    hash: str
    source_module: str

    @field_validator("details", mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value
