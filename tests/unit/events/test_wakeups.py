"""Wake-ups between servers: by Redis while it is there, and never lost for good when it is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
import redis

from devstudio_server.events.wakeups import CHANNEL, RedisWakeUps, WakeUps
from support.services import RedisServer
from support.studio import free_port

WAIT_S = 20.0


class Heard:
    """What a listener heard, and a way to wait for it."""

    def __init__(self, wakeups: WakeUps) -> None:
        self.newest: dict[UUID | None, int] = {}
        self.count = 0
        self._changed = threading.Condition()
        wakeups.listen(self)

    def __call__(self, tenant_id: UUID | None, seq: int) -> None:
        with self._changed:
            self.newest[tenant_id] = seq
            self.count += 1
            self._changed.notify_all()

    def wait(self, fulfilled: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(fulfilled, WAIT_S), self.newest


def test_within_one_process_a_wake_up_is_a_call() -> None:
    wakeups = WakeUps(alone=True)
    heard = Heard(wakeups)
    tenant = uuid4()
    wakeups.start()
    wakeups.wake(tenant, 7)
    wakeups.stop()
    assert heard.newest == {tenant: 7}
    assert wakeups.complete
    assert not WakeUps(alone=False).complete


def test_servers_wake_each_other_and_say_nothing_but_tenant_and_number(redis_server: RedisServer) -> None:
    one, two = RedisWakeUps(redis_server.url), RedisWakeUps(redis_server.url)
    heard = Heard(two)
    tenant = uuid4()
    assert not one.complete
    with redis.Redis.from_url(redis_server.url) as client, client.pubsub() as everything:
        everything.subscribe(CHANNEL)
        for each in (one, two):
            each.start()
        heard.wait(lambda: two.complete)
        one.wake(tenant, 41)
        one.wake(tenant, 42)
        heard.wait(lambda: heard.newest.get(tenant) == 42)
        said = set()
        deadline = time.monotonic() + WAIT_S
        while f"{tenant}:42".encode() not in said and time.monotonic() < deadline:
            message = everything.get_message(timeout=1)
            if message and message["type"] == "message":
                said.add(message["data"])
        assert said <= {f"{tenant}:41".encode(), f"{tenant}:42".encode()}
        assert f"{tenant}:42".encode() in said
    for each in (one, two):
        each.stop()
        assert not any(thread.is_alive() for thread in each._threads)


def test_messages_of_others_on_the_channel_do_no_harm(redis_server: RedisServer) -> None:
    wakeups = RedisWakeUps(redis_server.url)
    heard = Heard(wakeups)
    wakeups.start()
    heard.wait(lambda: wakeups.complete)
    tenant = uuid4()
    with redis.Redis.from_url(redis_server.url) as client:
        for hostile in (b"", b":", b"x" * 100_000, b"\xff\xfe", b"not-an-id:1", f"{tenant}:many".encode(), b"1:2:3"):
            client.publish(CHANNEL, hostile)
        client.publish(CHANNEL, f"{tenant}:3")
    heard.wait(lambda: heard.newest.get(tenant) == 3)
    wakeups.stop()
    assert set(heard.newest) == {None, tenant}


@pytest.mark.timeout(120)
def test_redis_that_dies_makes_followers_look_for_themselves_until_it_is_back() -> None:
    with RedisServer() as server:
        one, two = RedisWakeUps(server.url), RedisWakeUps(server.url)
        heard = Heard(two)
        for each in (one, two):
            each.start()
        heard.wait(lambda: two.complete and one.complete)
        before = heard.count
        server.stop()
        heard.wait(lambda: not two.complete and heard.count > before)
        tenants = [uuid4() for _ in range(5)]
        begun = time.monotonic()
        for tenant in tenants:
            for seq in range(1, 4):
                one.wake(tenant, seq)
        assert time.monotonic() - begun < 1, "writers never wait for Redis"
        assert not any(tenant in heard.newest for tenant in tenants)
        server.start()
        heard.wait(lambda: two.complete)
        one.wake(tenants[0], 4)  # what Redis did not take is sent before it
        heard.wait(lambda: heard.newest.get(tenants[0]) == 4)
        for each in (one, two):
            each.stop()


def test_a_redis_that_was_never_there_costs_writers_nothing() -> None:
    wakeups = RedisWakeUps(f"redis://127.0.0.1:{free_port()}/0")
    heard = Heard(wakeups)
    wakeups.start()
    begun = time.monotonic()
    tenant = uuid4()
    wakeups.wake(tenant, 1)
    assert heard.newest[tenant] == 1
    assert time.monotonic() - begun < 1
    assert not wakeups.complete
    wakeups.stop()
    assert not any(thread.is_alive() for thread in wakeups._threads)
