"""Identifiers: UUID version 7 (RFC 9562), so that they sort by creation time."""

from __future__ import annotations

import secrets
from uuid import UUID

from uuid_utils.compat import uuid7

# No vowels and no look-alikes, so that an id is never a word and can be read aloud.
_BLOCK_ALPHABET = "23456789bcdfghjkmnpqrstvwxz"
_BLOCK_LENGTH = 10


def new_id() -> UUID:
    """Return a new UUIDv7."""
    return UUID(int=uuid7().int)


def new_block_id() -> str:
    """Return a permanent id for a block of a document: 10 characters, about 47 bits."""
    return "".join(secrets.choice(_BLOCK_ALPHABET) for _ in range(_BLOCK_LENGTH))
