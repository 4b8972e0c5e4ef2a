"""Bytes to and fro between a client and a host, counted, with as few of them in memory as one read takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from .dial import BUFFER, Streams

Count = Callable[[int, int], None]
"""Takes bytes up and down; raises when they were the last that may go through."""


class Relay:
    """The bytes of one connection. ``up`` is from the sandbox, ``down`` is to it."""

    def __init__(self, count: Count) -> None:
        self.up = self.down = 0
        self.begun = False
        self.moved = 0.0
        """When a byte last moved, on the monotonic clock."""
        self._count = count

    def begin(self) -> None:
        """From now on the connection is idle when nothing moves."""
        self.begun, self.moved = True, time.monotonic()

    async def send(self, writer: asyncio.StreamWriter, data: bytes, *, up: bool) -> None:
        """Count and write; wait while the other side takes nothing."""
        self._counted(len(data) if up else 0, 0 if up else len(data))
        writer.write(data)
        await writer.drain()

    def received(self, size: int) -> None:
        """Count bytes from the host that are written by somebody else."""
        self._counted(0, size)

    async def both(self, client: Streams, host: Streams) -> None:
        """Carry both directions until both have ended; the end of one is passed on, the other goes on."""
        loop = asyncio.get_running_loop()
        pumps = [
            loop.create_task(self._pump(client[0], host[1], up=True)),
            loop.create_task(self._pump(host[0], client[1], up=False)),
        ]
        try:
            await asyncio.gather(*pumps)
        finally:
            await stop(*pumps)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool) -> None:
        while data := await reader.read(BUFFER):
            await self.send(writer, data, up=up)
        if writer.can_write_eof():
            writer.write_eof()

    def _counted(self, up: int, down: int) -> None:
        self.up += up
        self.down += down
        self.moved = time.monotonic()
        self._count(up, down)


async def stop(*tasks: asyncio.Task[None]) -> None:
    """Cancel what goes on beside, and wait for its end, whatever that is."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def abort(streams: Streams, *, gently: bool = False) -> None:
    """Close a connection at once, or after what was written is sent."""
    if gently:
        streams[1].close()
    else:
        streams[1].transport.abort()
