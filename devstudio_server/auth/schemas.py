"""Public shapes of signing in and out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from devstudio_server.web.schemas import Payload, Shape


class LaunchCodeCreate(Payload):
    """Where the browser goes once it is signed in."""

    next: str = Field("", max_length=2000, description="A path of this server; JupyterLab when empty.")


class LaunchCodeRead(Shape):
    """A code that signs one browser in, once. ``url`` is relative to this server's address."""

    code: str
    expires_at: datetime
    url: str


class RevocationCreate(Payload):
    """What is refused from now on: one token, or every token and sign-in that a user has now."""

    token_id: Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")] | None = (
        Field(None, description="The `jti` of a token.")
    )
    user_id: UUID | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.token_id is None) == (self.user_id is None):
            message = "give either `token_id` or `user_id`"
            raise ValueError(message)
        return self


class RevocationRead(Shape):
    """What is refused. ``sign_ins_ended`` counts the browsers that were signed out."""

    token_id: str | None
    user_id: UUID | None
    issued_before: datetime | None
    sign_ins_ended: int
