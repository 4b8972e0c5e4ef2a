"""Frames: their kinds, and the link that carries them."""

from __future__ import annotations

import json
import os
import select
import struct
import time
from collections import deque

PROTOCOL = 2
PUT, CHUNK, END, START, GET, KILL, QUIT, ADOPT, EXPORT = range(1, 10)
READY, STDOUT, STDERR, EXIT, DATA, DONE, ERROR, ENTRY = range(65, 73)
HEADER = struct.Struct("!BI")
MAX_FRAME = 1 << 20
MAX_STDIN = 16 << 20
PIECE = 1 << 16
HIGH_WATER = 1 << 20
"""Bytes waiting for a slow host before the command's pipes are left full, which makes the command wait."""


class HostGone(Exception):
    """The host closed the connection, said quit, or the time to live is over."""


class Refused(Exception):
    """A request that is answered with an ERROR frame."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Link:
    """Frames in and out of two descriptors, neither of which ever blocks the supervisor."""

    def __init__(self, fd_in: int, fd_out: int, ttl_s: float) -> None:
        self.fd_in, self.fd_out = fd_in, fd_out
        self.expires = time.monotonic() + ttl_s
        self.pending = 0
        self._in = bytearray()
        self._out: deque[memoryview] = deque()
        os.set_blocking(fd_in, False)
        os.set_blocking(fd_out, False)

    def fill(self) -> None:
        """Read what is there."""
        try:
            piece = os.read(self.fd_in, PIECE)
        except BlockingIOError:
            return
        if not piece:
            raise HostGone
        self._in += piece

    def pop(self) -> tuple[int, bytes] | None:
        """Take one whole frame, if there is one."""
        if len(self._in) < HEADER.size:
            return None
        kind, size = HEADER.unpack_from(self._in)
        if size > MAX_FRAME:
            raise HostGone
        if len(self._in) < HEADER.size + size:
            return None
        payload = bytes(self._in[HEADER.size : HEADER.size + size])
        del self._in[: HEADER.size + size]
        if kind == QUIT:
            raise HostGone
        return kind, payload

    def receive(self) -> tuple[int, bytes]:
        """Wait for one frame."""
        while (frame := self.pop()) is None:
            self._wait(self.fd_in, select.POLLIN)
            self.fill()
        return frame

    def send(self, kind: int, payload: bytes) -> None:
        """Queue one frame and write what the host takes now."""
        frame = memoryview(HEADER.pack(kind, len(payload)) + payload)
        self._out.append(frame)
        self.pending += len(frame)
        self.flush()

    def send_json(self, kind: int, **fields: object) -> None:
        """Queue one frame with a JSON object."""
        self.send(kind, json.dumps(fields).encode())

    def flush(self) -> None:
        """Write as much as the host takes without waiting."""
        while self._out:
            try:
                written = os.write(self.fd_out, self._out[0])
            except BlockingIOError:
                return
            except OSError as problem:
                raise HostGone from problem
            self.pending -= written
            rest = self._out.popleft()[written:]
            if rest:
                self._out.appendleft(rest)

    def drain(self) -> None:
        """Wait until the host has taken everything."""
        while self._out:
            self._wait(self.fd_out, select.POLLOUT)
            self.flush()

    def _wait(self, fd: int, event: int) -> None:
        poller = select.poll()
        poller.register(fd, event)
        if not poller.poll(max(0.0, self.expires - time.monotonic()) * 1000):
            raise HostGone
