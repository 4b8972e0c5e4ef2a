"""Public shapes of key-value entries."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Self

from pydantic import AwareDatetime, Field, field_validator, model_validator

from devstudio_server.kit.clock import now
from devstudio_server.web.schemas import ListQuery, Payload, Shape

MAX_KEY = 200
MAX_VALUE_BYTES = 65_536
MAX_TTL_S = 10 * 365 * 86_400


class KvWrite(Payload):
    """A value, and how long it is kept: until ``expires_at``, for ``ttl_s`` seconds, or for good."""

    value_json: Any = Field(description=f"Any JSON, at most {MAX_VALUE_BYTES} bytes as UTF-8.")
    expires_at: AwareDatetime | None = None
    ttl_s: int | None = Field(None, ge=1, le=MAX_TTL_S, description="Instead of `expires_at`: seconds from now.")

    @field_validator("value_json")
    @classmethod
    def _fits(cls, value: Any) -> Any:
        size = len(json.dumps(value, ensure_ascii=False).encode())
        if size > MAX_VALUE_BYTES:
            message = f"has {size} bytes; at most {MAX_VALUE_BYTES} are kept"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _ends_once(self) -> Self:
        if self.expires_at is not None and self.ttl_s is not None:
            message = "give `expires_at` or `ttl_s`, not both"
            raise ValueError(message)
        if self.expires_at is not None and self.expires_at <= now():
            message = "`expires_at` is in the past"
            raise ValueError(message)
        return self

    def end(self) -> datetime | None:
        """Return when the value expires."""
        return now() + timedelta(seconds=self.ttl_s) if self.ttl_s is not None else self.expires_at


class KvQuery(ListQuery):
    """Filters of the list."""

    prefix: str | None = Field(None, max_length=MAX_KEY, description="Only keys that start so.")


class KvSummary(Shape):
    """An entry without its value."""

    scope: str
    key: str
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int
    source_module: str


class KvRead(KvSummary):
    """An entry."""

    value_json: Any
