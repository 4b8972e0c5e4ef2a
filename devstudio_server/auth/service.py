"""The rules of identities: who was here, launch codes, sign-ins, and what is refused before it expires."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.auth.codes import Code
from devstudio_server.auth.errors import BadCredentialError, Reason
from devstudio_server.auth.models import LaunchCode, RevokedToken, SignIn, UserRow
from devstudio_server.auth.repository import IdentityRepository, every_token_of
from devstudio_server.auth.tokens import Claims
from devstudio_server.db import Actor
from devstudio_server.kit.clock import now
from devstudio_server.kit.errors import Unauthorized

_KEPT = timedelta(days=1)
"""How long codes and sign-ins are kept after their end, for whoever looks into an incident."""
_ENDED = "Your sign-in has ended. Sign in again."


class IdentityService:
    """Works on the identities of the actor's tenant, in one unit of work."""

    def __init__(self, session: Session, actor: Actor) -> None:
        """Work in ``session`` for ``actor``."""
        self._identities = IdentityRepository(session)
        self._actor = actor

    def note(self, claims: Claims, seen_before: datetime) -> None:
        """Mirror what a token says about its holder; a person that is known and was seen since then stays as it is."""
        row = self._identities.find_user(claims.user_id)
        if row is None:
            row = UserRow(user_id=claims.user_id, issuer=claims.issuer, subject=claims.subject, last_seen_at=now())
            _describe(row, claims)
            self._identities.add(row)
            return
        _describe(row, claims)
        if row.last_seen_at is None or row.last_seen_at < seen_before:
            row.last_seen_at = now()

    def is_revoked(self) -> bool:
        """Tell whether the actor's token is refused."""
        credential = self._actor.credential
        if credential is None or credential.issued_at is None:
            return False
        return self._identities.is_revoked(credential.token_id, self._actor.user_id, credential.issued_at)

    def launch(self, code_s: int, sign_in_s: int) -> tuple[Code, datetime]:
        """Make a launch code for the actor's browser; return it and its end. ``*_s`` are lifetimes in seconds.

        A sign-in that comes from a sign-in ends with it. Raises `Unauthorized` for a credential that is no good any
        more, which another server may only have heard just now.
        """
        self._identities.remove_expired(now() - _KEPT)
        credential = self._actor.credential
        if credential is None or self.is_revoked():
            raise Unauthorized(_ENDED)
        ends = now() + timedelta(seconds=sign_in_s)
        if credential.sign_in_id is not None:
            sign_in = self._identities.get_sign_in(credential.sign_in_id)
            if sign_in is None or not _is_open(sign_in):
                raise Unauthorized(_ENDED)
            ends = sign_in.expires_at
        code = Code.new(self._actor.tenant_id)
        row = LaunchCode(
            code_sha256=code.sha256,
            user_id=self._actor.user_id,
            user_name=self._actor.name,
            roles=sorted(self._actor.roles),
            token_id=credential.token_id,
            expires_at=now() + timedelta(seconds=code_s),
            session_expires_at=ends,
        )
        self._identities.add(row)
        return code, row.expires_at

    def unused_code(self, code: Code) -> LaunchCode:
        """Return the row of a launch code that still opens; raises `BadCredentialError`."""
        row = self._identities.find_launch_code(code.sha256)
        if row is None or row.used_at is not None or row.expires_at <= now():
            raise BadCredentialError(Reason.LAUNCH_CODE)
        return row

    def exchange(self, code: Code) -> tuple[Code, datetime]:
        """Use a launch code; return the cookie of its sign-in, and when that ends. Raises `BadCredentialError`.

        Writers of a tenant take turns, so of many exchanges of one code the first alone finds it unused.
        """
        row = self.unused_code(code)
        row.used_at = now()
        cookie = Code.new(code.tenant_id)
        sign_in = SignIn(
            secret_sha256=cookie.sha256,
            user_id=row.user_id,
            user_name=row.user_name,
            roles=row.roles,
            token_id=row.token_id,
            expires_at=row.session_expires_at,
        )
        self._identities.add(sign_in)
        return cookie, sign_in.expires_at

    def open_sign_in(self, cookie: Code) -> SignIn:
        """Return the sign-in that a cookie stands for; raises `BadCredentialError` when it has ended."""
        sign_in = self._identities.find_sign_in(cookie.sha256)
        if sign_in is None or not _is_open(sign_in):
            raise BadCredentialError(Reason.COOKIE)
        return sign_in

    def sign_out(self, longest_token: timedelta) -> None:
        """End the actor's sign-in, or refuse their token and whatever came from it."""
        credential = self._actor.credential
        if credential is None:
            return
        if credential.sign_in_id is None:
            self.revoke_token(credential.token_id, longest_token)
            return
        sign_in = self._identities.get_sign_in(credential.sign_in_id)
        if sign_in is not None and sign_in.ended_at is None:
            sign_in.ended_at = now()

    def revoke_token(self, token_id: str, longest_token: timedelta) -> int:
        """Refuse a token, and end the sign-ins that came from it; return how many those were."""
        if self._identities.find_revocation(token_id) is None:
            self._identities.add(RevokedToken(token_id=token_id, expires_at=now() + longest_token))
        return self._end(token_id=token_id)

    def revoke_user(self, user_id: UUID, issued_before: datetime, longest_token: timedelta) -> int:
        """Refuse every token of a user from before a time, and end their sign-ins; return how many those were."""
        row = self._identities.find_revocation(every_token_of(user_id))
        if row is None:
            row = RevokedToken(token_id=every_token_of(user_id), user_id=user_id, expires_at=issued_before)
            self._identities.add(row)
        row.issued_before, row.expires_at = issued_before, issued_before + longest_token
        return self._end(user_id=user_id)

    def _end(self, *, token_id: str = "", user_id: UUID | None = None) -> int:
        sign_ins = self._identities.list_open_sign_ins(token_id=token_id, user_id=user_id)
        for sign_in in sign_ins:
            sign_in.ended_at = now()
        for code in self._identities.list_unused_codes(token_id=token_id, user_id=user_id):
            code.used_at = now()
        return len(sign_ins)


def _describe(row: UserRow, claims: Claims) -> None:
    """Bring ``row`` up to date; what stays the same is not touched, so that no change is told."""
    said = {
        "issuer": claims.issuer,
        "subject": claims.subject,
        "name": claims.name,
        "email": claims.email,
        "roles": sorted(map(str, claims.roles)),
    }
    for name, value in said.items():
        if getattr(row, name) != value:
            setattr(row, name, value)


def _is_open(sign_in: SignIn) -> bool:
    return sign_in.ended_at is None and sign_in.expires_at > now()
