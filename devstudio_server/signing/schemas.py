"""Public shapes of signing keys."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from devstudio_server.web.schemas import Shape


class KeyStatus(StrEnum):
    """What a key is good for."""

    ACTIVE = "active"
    """It signs, and what it signed is good."""
    RETIRED = "retired"
    """It signs no more; what it signed is good."""
    REVOKED = "revoked"
    """Nothing that it signed is good any more."""


class SigningKeyRead(Shape):
    """The public half of a key. Nothing of it is secret."""

    key_id: str = Field(description="What envelopes name the key by: the first 16 digits of `fingerprint`.")
    status: KeyStatus
    fingerprint: str = Field(description="SHA-256 of the raw public key, in hexadecimal.")
    public_key: str = Field(description="The raw public key, 32 bytes in base64.")
    pem: str = Field(description="The same as PEM.")


class SigningKeyList(Shape):
    """Every key that this server knows, the active one first."""

    items: list[SigningKeyRead]
