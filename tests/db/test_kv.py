"""Key-value entries on both databases: expiry, bounds, and tenants."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from devstudio_server.audit.models import AuditEntry
from devstudio_server.audit.recorder import record_audit
from devstudio_server.db import Actor, Units
from devstudio_server.events.models import Event
from devstudio_server.events.recorder import record_events
from devstudio_server.jobs.housekeeping import Housekeeping
from devstudio_server.kit.clock import now
from devstudio_server.kv.errors import KvFull, KvNotFound, KvStale
from devstudio_server.kv.models import KvEntry
from devstudio_server.kv.schemas import KvQuery, KvWrite
from devstudio_server.kv.service import KvService
from support.databases import Database


@pytest.fixture
def units(database: Database) -> Iterator[Units]:
    engine = database.engine()
    yield Units(engine, recorders=(record_events, record_audit))
    engine.dispose()


def put(units: Units, actor: Actor, key: str = "key", expected: int | None = None, limit: int = 100) -> int:
    with units.begin(actor) as session:
        return KvService(session, limit).put("global", key, KvWrite(value_json=[key]), expected).version


def expire(units: Units, actor: Actor, *keys: str) -> None:
    with units.begin(actor) as session:
        past = now() - timedelta(seconds=1)
        session.execute(update(KvEntry).where(KvEntry.key.in_(keys)).values(expires_at=past))


def keys(units: Units, actor: Actor) -> list[str]:
    with units.begin(actor, read_only=True) as session:
        return [entry.key for entry in KvService(session).list("global", KvQuery()).items]


def test_what_has_expired_is_missing_and_its_version_never_comes_back(units: Units, ana: Actor) -> None:
    assert [put(units, ana, "kept"), put(units, ana)] == [1, 1]
    with units.begin(ana) as session:
        ends = KvService(session).put("global", "key", KvWrite(value_json=1, ttl_s=60), 1).expires_at
    assert ends is not None
    assert timedelta(seconds=55) < ends - now() <= timedelta(seconds=60)
    expire(units, ana, "key")
    assert keys(units, ana) == ["kept"]
    with units.begin(ana, read_only=True) as session, pytest.raises(KvNotFound):
        KvService(session).get("global", "key")
    with units.begin(ana) as session, pytest.raises(KvNotFound):
        KvService(session).delete("global", "key", None)
    with pytest.raises(KvStale):
        put(units, ana, expected=2)
    assert put(units, ana, expected=0) == 3
    assert keys(units, ana) == ["key", "kept"]


def test_the_background_removes_what_has_expired_and_says_so(units: Units, ana: Actor, eve: Actor) -> None:
    for number in range(5):
        put(units, ana, f"a{number}")
    put(units, eve, "e0")
    expire(units, ana, "a1", "a3")
    expire(units, eve, "e0")
    chores = Housekeeping(units, {"kv": lambda session, limit: KvService(session).remove_expired(limit)})
    assert chores.run_once() == {"kv": 3}
    assert chores.run_once() == {"kv": 0}
    assert keys(units, ana) == ["a4", "a2", "a0"]
    with units.begin(ana, read_only=True) as session:
        assert session.scalar(select(func.count(Event.id)).where(Event.type == "kv.deleted")) == 2
        assert session.scalar(select(func.count(AuditEntry.id)).where(AuditEntry.action == "kv.deleted")) == 2


def test_housekeeping_works_in_its_thread_and_outlives_a_failure(units: Units, ana: Actor) -> None:
    put(units, ana)
    expire(units, ana, "key")
    failed = []

    def chore(session: object, limit: int) -> int:
        if not failed:
            failed.append(1)
            raise OSError
        return KvService(session).remove_expired(limit)  # type: ignore[arg-type]

    kept = Housekeeping(units, {"kv": chore}, every_s=0.01)
    kept.start()
    try:
        for _ in range(2000):
            with units.begin(ana, read_only=True) as session:
                if session.scalar(select(func.count(KvEntry.id))) == 0:
                    break
        else:
            raise AssertionError("the entry is still there")
    finally:
        kept.stop()
    assert not kept._thread.is_alive()


def test_entries_are_counted_by_tenant_and_expired_ones_make_room(units: Units, ana: Actor, eve: Actor) -> None:
    for number in range(3):
        put(units, ana, f"k{number}", limit=3)
    with pytest.raises(KvFull, match="There are 3 entries"):
        put(units, ana, "more", limit=3)
    assert put(units, ana, "k1", limit=3) == 1  # the same value again changes nothing
    assert put(units, eve, "more", limit=3) == 1
    expire(units, ana, "k0")
    assert put(units, ana, "more", limit=3) == 1
    assert keys(units, ana) == ["more", "k2", "k1"]


def test_another_tenant_sees_nothing_and_has_keys_of_its_own(units: Units, ana: Actor, eve: Actor) -> None:
    put(units, ana)
    assert keys(units, eve) == []
    with units.begin(eve) as session, pytest.raises(KvNotFound):
        KvService(session).delete("global", "key", None)
    assert put(units, eve, expected=0) == 1
    with units.begin(eve) as session:
        KvService(session).delete("global", "key", 1)
    assert keys(units, ana) == ["key"]
