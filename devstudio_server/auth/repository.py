"""All SQL of identities: people, launch codes, sign-ins and revocations of one tenant."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from devstudio_server.auth.models import LaunchCode, RevokedToken, SignIn, UserRow


def every_token_of(user_id: UUID) -> str:
    """Return what stands for all tokens of a user where a row names one token."""
    return f"user:{user_id}"


MAX_REMOVED = 100
"""Rows of a kind that are removed at a time."""


class IdentityRepository:
    """Reads and changes identities within one unit of work."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def add(self, row: UserRow | LaunchCode | SignIn | RevokedToken) -> None:
        """Store a new row."""
        self._session.add(row)
        self._session.flush()

    def find_user(self, user_id: UUID) -> UserRow | None:
        """Return the mirror of a person, or None."""
        return self._session.scalars(select(UserRow).where(UserRow.user_id == user_id)).one_or_none()

    def list_users(self, user_ids: Collection[UUID]) -> Sequence[UserRow]:
        """Return the mirrors of those of ``user_ids`` who were here."""
        return self._session.scalars(select(UserRow).where(UserRow.user_id.in_(user_ids))).all()

    def find_launch_code(self, code_sha256: str) -> LaunchCode | None:
        """Return a launch code by the digest of its secret, or None."""
        return self._session.scalars(select(LaunchCode).where(LaunchCode.code_sha256 == code_sha256)).one_or_none()

    def find_sign_in(self, secret_sha256: str) -> SignIn | None:
        """Return a sign-in by the digest of its cookie's secret, or None."""
        return self._session.scalars(select(SignIn).where(SignIn.secret_sha256 == secret_sha256)).one_or_none()

    def get_sign_in(self, sign_in_id: UUID) -> SignIn | None:
        """Return a sign-in by its id, or None."""
        return self._session.scalars(select(SignIn).where(SignIn.id == sign_in_id)).one_or_none()

    def list_open_sign_ins(self, *, token_id: str = "", user_id: UUID | None = None) -> Sequence[SignIn]:
        """Return the sign-ins that have not ended, of one token or of one user."""
        query = select(SignIn).where(SignIn.ended_at.is_(None))
        whose = SignIn.token_id == token_id if token_id else SignIn.user_id == user_id
        return self._session.scalars(query.where(whose)).all()

    def list_unused_codes(self, *, token_id: str = "", user_id: UUID | None = None) -> Sequence[LaunchCode]:
        """Return the launch codes that nobody used, of one token or of one user."""
        query = select(LaunchCode).where(LaunchCode.used_at.is_(None))
        whose = LaunchCode.token_id == token_id if token_id else LaunchCode.user_id == user_id
        return self._session.scalars(query.where(whose)).all()

    def find_revocation(self, token_id: str) -> RevokedToken | None:
        """Return the revocation of a token, or of all tokens of a user (`every_token_of`), or None."""
        return self._session.scalars(select(RevokedToken).where(RevokedToken.token_id == token_id)).one_or_none()

    def is_revoked(self, token_id: str, user_id: UUID, issued_at: datetime) -> bool:
        """Tell whether a token is refused, itself or with all that its user had until some time."""
        names = (token_id, every_token_of(user_id))
        rows = self._session.scalars(select(RevokedToken).where(RevokedToken.token_id.in_(names)))
        return any(row.issued_before is None or issued_at <= row.issued_before for row in rows)

    def remove_expired(self, before: datetime) -> None:
        """Remove what ended before a time and can open nothing any more, row by row: the audit tells of each."""
        for table in (LaunchCode, SignIn, RevokedToken):
            for row in self._session.scalars(select(table).where(table.expires_at < before).limit(MAX_REMOVED)):
                self._session.delete(row)
        self._session.flush()
