"""Launch codes and the values of cookies: a tenant id, so that the tenant is known before the look-up, and a secret."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Self
from uuid import UUID

from devstudio_server.auth.errors import BadCredentialError, Reason

_SECRET_BYTES = 32
_VALUE = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True)
class Code:
    """A code or cookie as its holder has it. Only the sha256 of its secret is stored."""

    tenant_id: UUID
    secret: str

    @classmethod
    def new(cls, tenant_id: UUID) -> Self:
        """Return a new one that nobody can guess."""
        return cls(tenant_id, secrets.token_urlsafe(_SECRET_BYTES))

    @classmethod
    def read(cls, value: str, reason: Reason) -> Self:
        """Read one; raises `BadCredentialError` with ``reason`` for what cannot be any."""
        match = _VALUE.fullmatch(value)
        if match is None:
            raise BadCredentialError(reason)
        return cls(UUID(match.group(1)), match.group(2))

    def __str__(self) -> str:
        """Return the value that its holder sends."""
        return f"{self.tenant_id}.{self.secret}"

    @property
    def sha256(self) -> str:
        """The digest that is stored. The secret has 256 random bits, so it needs no salt and no slow hash."""
        return sha256(self.secret.encode()).hexdigest()
