"""Wake-ups: word that a tenant has new events. They carry its id and a number, never content, and may be lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from uuid import UUID

from redis import Redis, RedisError

from devstudio_server.kit.logging import get_logger

CHANNEL = "devstudio:events"
RETRY_S = 1.0
TIMEOUT_S = 2.0
_STOP = None

Listener = Callable[[UUID | None, int], None]
"""Called in any thread with a tenant and the number of its newest event; None means that any tenant may have some."""

_log = get_logger("events")


class WakeUps:
    """Wake-ups within this process."""

    def __init__(self, *, alone: bool) -> None:
        """``alone`` when no other process writes to this database."""
        self._alone = alone
        self._listeners: list[Listener] = []

    @property
    def complete(self) -> bool:
        """Whether every writer's wake-ups arrive here at present. If not, followers look for themselves, often."""
        return self._alone

    def listen(self, listener: Listener) -> None:
        """Call ``listener`` from now on."""
        self._listeners.append(listener)

    def wake(self, tenant_id: UUID, seq: int) -> None:
        """Tell everyone that ``tenant_id`` has events up to ``seq``. To be called after the commit, in any thread."""
        self._tell(tenant_id, seq)

    def start(self) -> None:
        """Begin to send and to listen."""

    def stop(self) -> None:
        """End what `start` began."""

    def _tell(self, tenant_id: UUID | None, seq: int) -> None:
        for listener in self._listeners:
            listener(tenant_id, seq)


class RedisWakeUps(WakeUps):
    """Wake-ups between all servers on one Redis. Writers never wait for it: one thread sends, another listens."""

    def __init__(self, url: str) -> None:
        """Use the Redis server at ``url``."""
        super().__init__(alone=False)
        self._url = url
        self._connected = False
        self._outbox: SimpleQueue[tuple[UUID, int] | None] = SimpleQueue()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=loop, name=f"devstudio-{name}", daemon=True)
            for name, loop in (("wake-sender", self._send), ("wake-listener", self._listen))
        ]

    @property
    def complete(self) -> bool:
        """Whether Redis is there."""
        return self._connected

    def wake(self, tenant_id: UUID, seq: int) -> None:
        """Tell this process at once, and the others by Redis."""
        super().wake(tenant_id, seq)
        self._outbox.put((tenant_id, seq))

    def start(self) -> None:
        """Start both threads. A Redis that is not there yet is waited for."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop both threads."""
        self._stopping.set()
        self._outbox.put(_STOP)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(2 * TIMEOUT_S)

    def _client(self) -> Redis:
        return Redis.from_url(
            self._url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, health_check_interval=5
        )

    def _send(self) -> None:
        """Publish the newest number of each tenant. What Redis did not take is kept, and sent once it is back."""
        waiting: dict[UUID, int] = {}
        with self._client() as client:
            while not self._stopping.is_set():
                self._collect(waiting)
                try:
                    with client.pipeline(transaction=False) as pipeline:
                        for tenant_id, seq in waiting.items():
                            pipeline.publish(CHANNEL, f"{tenant_id}:{seq}")
                        pipeline.execute()
                except (RedisError, OSError):
                    self._stopping.wait(RETRY_S)
                else:
                    waiting.clear()

    def _collect(self, waiting: dict[UUID, int]) -> None:
        """Take everything that is in the outbox; wait for the first only when nothing waits already."""
        try:
            item = self._outbox.get(block=not waiting)
            while item is not _STOP:
                tenant_id, seq = item
                waiting[tenant_id] = max(seq, waiting.get(tenant_id, 0))
                item = self._outbox.get_nowait()
        except Empty:
            return

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._client() as client, client.pubsub() as subscription:
                    subscription.subscribe(CHANNEL)
                    while not self._stopping.is_set():
                        self._received(subscription.get_message(timeout=TIMEOUT_S / 2))
            except (RedisError, OSError) as error:
                if self._connected:
                    _log.warning("redis_lost", reason=type(error).__name__)
                self._connected = False
                self._tell(None, 0)
                self._stopping.wait(RETRY_S)

    def _received(self, message: dict[str, object] | None) -> None:
        if message is None:
            return
        if message["type"] == "subscribe":
            self._connected = True
            self._tell(None, 0)  # whatever was published while nobody listened
            return
        try:
            tenant, _, seq = bytes(message["data"]).decode("ascii").partition(":")  # type: ignore[call-overload]
            tenant_id, number = UUID(tenant), int(seq)
        except (TypeError, ValueError):
            return  # not ours
        self._tell(tenant_id, number)
