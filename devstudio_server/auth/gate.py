"""Decides whom a credential stands for at this moment, and remembers it for a few seconds."""

from __future__ import annotations

import threading
import time
from hashlib import sha256

from devstudio_server.auth.permissions import permissions_of
from devstudio_server.auth.tokens import Claims, TokenVerifier
from devstudio_server.db import Actor
from devstudio_server.db.scope import Credential

REMEMBERED_S = 5.0
_MAX_REMEMBERED = 10_000


class Recent:
    """Actors by the digest of their credential, each for a few seconds. Safe to share between threads.

    An actor that was looked up before a `forget` is not kept after it.
    """

    def __init__(self, seconds: float = REMEMBERED_S) -> None:
        """Keep each for ``seconds``."""
        self._seconds = seconds
        self._actors: dict[bytes, tuple[float, Actor]] = {}
        self._lock = threading.Lock()
        self.generation = 0

    def get(self, digest: bytes) -> Actor | None:
        """Return the actor of a credential that was looked up a moment ago and has not expired since."""
        found = self._actors.get(digest)
        return found[1] if found and time.monotonic() < found[0] else None

    def put(self, digest: bytes, actor: Actor, generation: int) -> None:
        """Keep ``actor``, unless something was forgotten since ``generation`` or its credential ends before that."""
        left = self._seconds
        if actor.credential is not None and actor.credential.expires_at is not None:
            left = min(left, actor.credential.expires_at.timestamp() - time.time())
        with self._lock:
            if generation != self.generation or left <= 0:
                return
            if len(self._actors) >= _MAX_REMEMBERED:
                self._actors.clear()
            self._actors[digest] = (time.monotonic() + left, actor)

    def forget(self) -> None:
        """Look everybody up again."""
        with self._lock:
            self.generation += 1
            self._actors.clear()


class Gate:
    """Whom a token stands for. Safe to share between threads; may block where it says so."""

    def __init__(self, verifier: TokenVerifier) -> None:
        """Verify tokens with ``verifier``."""
        self._verifier = verifier
        self._recent = Recent()

    def known_token(self, token: str) -> Actor | None:
        """Return whom ``token`` stood for a moment ago; never blocks."""
        return self._recent.get(_digest(token))

    def of_token(self, token: str) -> Actor:
        """Return whom ``token`` stands for; raises `BadCredentialError`. May block."""
        generation = self._recent.generation
        actor = _actor_of(self._verifier.verify(token))
        self._recent.put(_digest(token), actor, generation)
        return actor


def _digest(credential: str) -> bytes:
    return sha256(credential.encode()).digest()


def _actor_of(claims: Claims) -> Actor:
    return Actor(
        tenant_id=claims.tenant_id,
        user_id=claims.user_id,
        name=claims.name or claims.subject,
        permissions=permissions_of(claims.roles),
        roles=frozenset(map(str, claims.roles)),
        credential=Credential(claims.token_id, claims.expires_at),
    )
