"""Decides whom a credential stands for at this moment: the port between requests and the tables of identities."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from devstudio_server.auth.codes import Code
from devstudio_server.auth.errors import BadCredentialError, Reason
from devstudio_server.auth.permissions import Role, permissions_of
from devstudio_server.auth.recent import Recent
from devstudio_server.auth.service import IdentityService
from devstudio_server.auth.tokens import MAX_NAME, Claims, TokenVerifier
from devstudio_server.auth.user import NOBODY
from devstudio_server.db import Actor, Units
from devstudio_server.db.scope import Credential
from devstudio_server.kit.clock import now
from devstudio_server.kit.errors import AppError, Unavailable
from devstudio_server.kit.logging import get_logger

LAUNCH_CODE_S = 60
SIGN_IN_S = 8 * 3600
SEEN_S = 3600.0
"""How often at most it is written down that somebody was here."""
_MAX_SEEN = 100_000
_log = get_logger("auth")


@dataclass(frozen=True)
class SignInRules:
    """How long a launch code and a sign-in last, in seconds, and where the server is."""

    base_url: str = "/"
    launch_code_s: int = LAUNCH_CODE_S
    sign_in_s: int = SIGN_IN_S


class Gate:
    """Whom tokens, cookies and launch codes stand for. Safe to share between threads; may block where it says so."""

    def __init__(self, verifier: TokenVerifier, rules: SignInRules) -> None:
        """Verify tokens with ``verifier``. Nobody comes in before `open`."""
        self._verifier = verifier
        self.rules = rules
        self._recent = Recent()
        self._seen: dict[tuple[UUID, UUID], tuple[int, float]] = {}
        self._seen_lock = threading.Lock()
        self._units: Units | None = None

    def open(self, units: Units) -> None:
        """Look identities up in ``units`` from now on."""
        self._units = units

    @property
    def longest_token(self) -> timedelta:
        """How long a token that exists now can be good for at most."""
        rules = self._verifier.rules
        return timedelta(seconds=rules.max_lifetime_s + 2 * rules.clock_skew_s)

    @property
    def clock_skew(self) -> timedelta:
        """How far the clock of who makes the tokens may be apart from ours."""
        return timedelta(seconds=self._verifier.rules.clock_skew_s)

    def known(self, credential: str) -> Actor | None:
        """Return whom a token or cookie stood for a moment ago; never blocks."""
        return self._recent.get(_digest(credential))

    def forget(self) -> None:
        """Look everybody up again: a token was revoked, or a sign-in ended."""
        self._recent.forget()

    def of_token(self, token: str) -> Actor:
        """Return whom ``token`` stands for; raises `BadCredentialError`. May block."""
        generation = self._recent.generation
        claims = self._verifier.verify(token)
        actor = _actor_of_claims(claims)
        with self._opened().begin(actor, read_only=True) as session:
            if IdentityService(session, actor).is_revoked():
                raise BadCredentialError(Reason.REVOKED)
        self._note(actor, claims)
        self._recent.put(_digest(token), actor, generation)
        return actor

    def of_cookie(self, value: str) -> Actor:
        """Return whom the cookie ``value`` stands for; raises `BadCredentialError`. May block."""
        generation = self._recent.generation
        code = Code.read(value, Reason.COOKIE)
        anyone = _anyone_of(code.tenant_id)
        with self._opened().begin(anyone, read_only=True) as session:
            sign_in = IdentityService(session, anyone).open_sign_in(code)
        roles = frozenset(Role(name) for name in sign_in.roles)
        credential = Credential(sign_in.token_id, sign_in.expires_at, sign_in_id=sign_in.id)
        actor = _actor(code.tenant_id, sign_in.user_id, sign_in.user_name, roles, credential)
        self._recent.put(_digest(value), actor, generation)
        return actor

    def exchange(self, value: str) -> tuple[Code, datetime]:
        """Turn a launch code into a sign-in, once; return its cookie and until when it lasts.

        Raises `BadCredentialError`. May block.
        """
        code = Code.read(value, Reason.LAUNCH_CODE)
        anyone = _anyone_of(code.tenant_id)
        with self._opened().begin(anyone, read_only=True) as session:  # so that guesses wait for no lock
            found = IdentityService(session, anyone).unused_code(code)
        person = Actor(tenant_id=code.tenant_id, user_id=found.user_id, name=found.user_name)
        with self._opened().begin(person) as session:
            return IdentityService(session, person).exchange(code)

    def sign_out(self, actor: Actor) -> None:
        """End what ``actor`` signed in with. May block."""
        with self._opened().begin(actor) as session:
            IdentityService(session, actor).sign_out(self.longest_token)
        self.forget()

    def _opened(self) -> Units:
        if self._units is None:
            raise Unavailable("The server is starting. Try again.", headers={"Retry-After": "1"})
        return self._units

    def _note(self, actor: Actor, claims: Claims) -> None:
        """Write down who came, when they are new, their claims changed, or it has been a while.

        A database that takes no writes keeps nobody out who only reads.
        """
        key = (actor.tenant_id, actor.user_id)
        said = hash((claims.name, claims.email, claims.roles, claims.issuer))
        known, noted_at = self._seen.get(key, (None, 0.0))
        if known == said and time.monotonic() - noted_at < SEEN_S:
            return
        try:
            with self._opened().begin(actor) as session:
                IdentityService(session, actor).note(claims, now() - timedelta(seconds=SEEN_S))
        except AppError as error:
            _log.warning("user_not_noted", user_id=str(actor.user_id), reason=error.detail)
            return
        with self._seen_lock:
            if len(self._seen) >= _MAX_SEEN:
                self._seen.clear()
            self._seen[key] = (said, time.monotonic())


def _digest(credential: str) -> bytes:
    return sha256(credential.encode()).digest()


def _anyone_of(tenant_id: UUID) -> Actor:
    """Return an actor that only gives the tenant in which a secret is looked up."""
    return Actor(tenant_id=tenant_id, user_id=NOBODY.user_id)


def _actor_of_claims(claims: Claims) -> Actor:
    credential = Credential(claims.token_id, claims.expires_at, issued_at=claims.issued_at)
    name = (claims.name or claims.subject)[:MAX_NAME]
    return _actor(claims.tenant_id, claims.user_id, name, claims.roles, credential)


def _actor(tenant_id: UUID, user_id: UUID, name: str, roles: frozenset[Role], credential: Credential) -> Actor:
    return Actor(
        tenant_id=tenant_id,
        user_id=user_id,
        name=name,
        permissions=permissions_of(roles),
        roles=frozenset(map(str, roles)),
        credential=credential,
    )
