"""Public shapes of bundles."""

from __future__ import annotations

from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator


class BundleQuery(BaseModel):
    """What a bundle is to be about: one task, or one session with all of its tasks."""

    model_config = ConfigDict(extra="forbid")

    task_id: UUID | None = Field(None, description="The task.")
    session_id: UUID | None = Field(None, description="Or the spec session.")

    @model_validator(mode="after")
    def _is_about_one(self) -> Self:
        if (self.task_id is None) == (self.session_id is None):
            message = "give `task_id` or `session_id`, one of them"
            raise ValueError(message)
        return self
