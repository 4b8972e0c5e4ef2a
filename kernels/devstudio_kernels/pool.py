"""Kernels that are started before anybody asks for them.

A warm kernel has its tenant's folder already, so it can serve that tenant alone; it has run nothing. Handing it over
tells it its key, folder and variables, and takes milliseconds. Every kernel that is used up or handed over is
followed by another one, up to ``size`` for each tenant, language and limits that asked at least once; those that
nobody asked for in a while are let go. An idle Python kernel takes about 50 MiB.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, ClassVar

import zmq
from jupyter_client.session import Session

from devstudio_kernels.boxes import PORTS, Box
from devstudio_kernels.errors import KernelError
from devstudio_kernels.host import KernelHost, Place

log = logging.getLogger(__name__)
HAND_OVER_S = 5.0
IDLE_S = 900.0
"""How long a place keeps warm kernels after it was last asked for one."""


@dataclass
class Shelf:
    """The warm kernels of one place."""

    boxes: list[Box] = field(default_factory=list)
    starting: int = 0
    asked: float = field(default_factory=time.monotonic)


class KernelPool:
    """Keeps warm kernels for places that use kernels. Lives on the event loop of the server."""

    _pools: ClassVar[dict[KernelHost, KernelPool]] = {}

    def __init__(self, host: KernelHost, size: int = 0, cap: int = 8) -> None:
        """Keep ``size`` for each place and ``cap`` in all; none by default."""
        self.host, self.size, self.cap = host, size, cap
        self._shelves: dict[Place, Shelf] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @classmethod
    def of(cls, host: KernelHost) -> KernelPool:
        """Return the pool of ``host``."""
        if host not in cls._pools:
            cls._pools[host] = cls(host)
        return cls._pools[host]

    @property
    def boxes(self) -> list[Box]:
        """Return all warm kernels."""
        return [box for shelf in self._shelves.values() for box in shelf.boxes]

    async def take(self, place: Place, key: str, cwd: str, env: dict[str, str]) -> Box | None:
        """Hand over a warm kernel, or return None when there is none."""
        if self.size <= 0 or self._closed:
            return None
        shelf = self._shelves.setdefault(place, Shelf())
        shelf.asked = time.monotonic()
        try:
            while shelf.boxes:
                box = shelf.boxes.pop(0)
                if await self.host.call(hand_over, box, key, cwd, env):
                    return box
                log.warning("a warm kernel did not answer, so it is removed")
                await self.host.call(self.host.end, box)
            return None
        finally:
            self.fill(place)

    def fill(self, place: Place) -> None:
        """Start what ``place`` lacks, in the background."""
        shelf = self._shelves.setdefault(place, Shelf())
        while not self._closed and len(shelf.boxes) + shelf.starting < self.size and self._has_room(place):
            shelf.starting += 1
            self._later(self._start(place, shelf))

    async def settle(self) -> None:
        """Wait until nothing is being started or ended."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def let_go(self, idle_s: float = IDLE_S) -> None:
        """End the warm kernels of places that nobody asked for in ``idle_s``."""
        for place, shelf in list(self._shelves.items()):
            if time.monotonic() - shelf.asked > idle_s:
                for box in shelf.boxes:
                    self._later(self.host.call(self.host.end, box))
                shelf.boxes.clear()
                if not shelf.starting:
                    del self._shelves[place]

    async def close(self) -> None:
        """End all warm kernels."""
        self._closed = True
        self.let_go(-1.0)
        await self.settle()
        self.let_go(-1.0)  # those that were being started
        await self.settle()

    def _has_room(self, place: Place) -> bool:
        """Tell whether another one is within the cap; the place that waited longest makes room."""
        warm = sum(len(shelf.boxes) + shelf.starting for shelf in self._shelves.values())
        if warm < self.cap:
            return True
        others = [(shelf.asked, other) for other, shelf in self._shelves.items() if other != place and shelf.boxes]
        if not others:
            return False
        oldest = self._shelves[min(others, key=lambda pair: pair[0])[1]]
        self._later(self.host.call(self.host.end, oldest.boxes.pop(0)))
        return True

    async def _start(self, place: Place, shelf: Shelf) -> None:
        try:
            box = await self.host.call(
                self.host.start, place, token_hex(32), place.inside(place.root), {"DEVSTUDIO_POOLED": "1"}
            )
        except KernelError as problem:
            log.warning("no warm kernel could be started: %s", problem)
        else:
            shelf.boxes.append(box)
        finally:
            shelf.starting -= 1

    def _later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def hand_over(box: Box, key: str, cwd: str, env: dict[str, str]) -> bool:
    """Tell a warm kernel whose it is now; tell whether it said yes."""
    session = Session(key=box.key.encode(), check_pid=False)
    context: zmq.Context[Any] = zmq.Context.instance()
    socket = context.socket(zmq.DEALER)
    socket.linger = 0
    try:
        socket.connect(f"ipc://{box.run}/s-{PORTS['control_port']}")
        session.send(socket, "adopt_request", {"key": key, "cwd": cwd, "env": env})
        until = time.monotonic() + HAND_OVER_S
        while (left := until - time.monotonic()) > 0 and socket.poll(int(left * 1000)):
            _, message = session.recv(socket, mode=zmq.NOBLOCK)
            if message is not None and message["msg_type"] == "adopt_reply":
                return bool(message["content"]["status"] == "ok")
    except (zmq.ZMQError, ValueError):
        return False
    finally:
        with contextlib.suppress(zmq.ZMQError):
            socket.close()
    return False
