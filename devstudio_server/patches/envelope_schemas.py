"""Public shapes of signatures."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from devstudio_server.web.schemas import Shape


class SignatureRead(Shape):
    """What the signature of a patch is worth now. Before anything is done, git and the spec are compared as well."""

    key_id: str | None = Field(description="The key that signed it, one of `GET signing-keys`.")
    valid: bool
    expires_at: datetime | None
    problem: str | None = Field(description="What is wrong, when it is not valid.")
