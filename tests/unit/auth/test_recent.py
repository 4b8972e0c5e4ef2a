"""What is remembered of a credential: for seconds, never past its end, and nothing across a revocation."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from devstudio_server.auth import recent
from devstudio_server.auth.recent import Recent
from devstudio_server.db import Actor
from devstudio_server.db.scope import Credential
from devstudio_server.kit.clock import now


def actor(seconds: float | None = None) -> Actor:
    ends = None if seconds is None else now() + timedelta(seconds=seconds)
    return Actor(uuid4(), uuid4(), credential=Credential("t", ends))


def test_it_is_remembered_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    cache, ana = Recent(5), actor()
    cache.put(b"a", ana, cache.generation)
    assert cache.get(b"a") is ana
    assert cache.get(b"b") is None
    later = recent.time.monotonic() + 5.1
    monkeypatch.setattr(recent.time, "monotonic", lambda: later)
    assert cache.get(b"a") is None


def test_it_is_not_remembered_past_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Recent(5)
    cache.put(b"gone", actor(-1), cache.generation)
    cache.put(b"soon", actor(2), cache.generation)
    assert cache.get(b"gone") is None
    assert cache.get(b"soon") is not None
    later = recent.time.monotonic() + 2.1
    monkeypatch.setattr(recent.time, "monotonic", lambda: later)
    assert cache.get(b"soon") is None


def test_what_was_looked_up_before_a_revocation_is_not_kept_after_it() -> None:
    cache = Recent(5)
    began = cache.generation
    cache.put(b"old", actor(), began)
    cache.forget()
    assert cache.get(b"old") is None
    cache.put(b"late", actor(), began)
    assert cache.get(b"late") is None
    cache.put(b"new", actor(), cache.generation)
    assert cache.get(b"new") is not None


def test_it_does_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "_MAX_REMEMBERED", 10)
    cache = Recent(5)
    for number in range(100):
        cache.put(bytes([number]), actor(), cache.generation)
        assert len(cache._actors) <= 10
    assert cache.get(bytes([99])) is not None
