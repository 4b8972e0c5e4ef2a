"""Remembers for a few seconds whom a credential stood for, so that not every request asks the database."""

from __future__ import annotations

import threading
import time

from devstudio_server.db import Actor

REMEMBERED_S = 5.0
_MAX_REMEMBERED = 10_000


class Recent:
    """Actors by the digest of their credential, each for a few seconds. Safe to share between threads.

    An actor whose look-up began before a `forget` is not kept after it.
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
        """Keep ``actor``, unless something was forgotten since ``generation`` or its credential has ended."""
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
