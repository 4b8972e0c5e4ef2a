"""The tables of identities: the mirror of who was here, and what signs a browser in."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db import TenantRow

_SHA256 = 64


class UserRow(TenantRow):
    """A person as the identity provider last described them; ``user_id`` is the id that every other table names.

    Somebody who works for two tenants has a row in each, with the same ``user_id``.
    """

    __tablename__ = "ds_users"
    __subject__ = "user"
    __table_args__ = (UniqueConstraint("tenant_id", "user_id"),)

    user_id: Mapped[UUID]
    issuer: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(200), default="")
    email: Mapped[str | None] = mapped_column(String(320))
    roles: Mapped[list[Any]] = mapped_column(default=list)
    last_seen_at: Mapped[datetime | None]


class LaunchCode(TenantRow):
    """A code that signs one browser in, once, within a minute. Only its sha256 is kept."""

    __tablename__ = "ds_launch_codes"
    __subject__ = "launch_code"

    code_sha256: Mapped[str] = mapped_column(String(_SHA256), unique=True)
    user_id: Mapped[UUID]
    user_name: Mapped[str] = mapped_column(String(200), default="")
    roles: Mapped[list[Any]] = mapped_column(default=list)
    token_id: Mapped[str] = mapped_column(String(255), default="")
    expires_at: Mapped[datetime]
    session_expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class SignIn(TenantRow):
    """A browser that is signed in by a cookie. Only the sha256 of the cookie's secret is kept.

    ``token_id`` is the ``jti`` of the token that it came from: revoking that token ends this sign-in, too.
    """

    __tablename__ = "ds_sign_ins"
    __subject__ = "sign_in"

    secret_sha256: Mapped[str] = mapped_column(String(_SHA256), unique=True)
    user_id: Mapped[UUID]
    user_name: Mapped[str] = mapped_column(String(200), default="")
    roles: Mapped[list[Any]] = mapped_column(default=list)
    token_id: Mapped[str] = mapped_column(String(255), default="")
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class RevokedToken(TenantRow):
    """A token (``jti``) that is refused although it has not expired, or all tokens of a user from before a time.

    ``issued_before`` is set in rows of the second kind, whose ``token_id`` stands for the user. A row may go once
    every token that it refuses has expired.
    """

    __tablename__ = "ds_revoked_tokens"
    __subject__ = "revoked_token"
    __table_args__ = (UniqueConstraint("tenant_id", "token_id"),)

    token_id: Mapped[str] = mapped_column(String(255))
    user_id: Mapped[UUID | None]
    issued_before: Mapped[datetime | None]
    expires_at: Mapped[datetime]
