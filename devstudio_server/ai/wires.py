"""Connections to providers that another thread can cut: one call at a time on each, and kept open between calls."""

from __future__ import annotations

import functools
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, Protocol, TypeVar

import httpx2

from devstudio_server.kit.stopping import StopSignal

Hooks = dict[str, list[Callable[..., Any]]]

# More are opened when more calls run at once; these stay open for the next ones.
_MOST_IDLE = 32


@functools.cache
def trusted() -> ssl.SSLContext:
    """Return whom this machine trusts; to read it takes longer than a short call."""
    return httpx2.create_ssl_context()


class Client(Protocol):
    """The client of an SDK."""

    def close(self) -> None:
        """Close its connections."""
        ...


C = TypeVar("C", bound=Client)


class Wire(Generic[C]):
    """A client that serves one call at a time, so that its only connection is the one of that call.

    A thread that waits for bytes of a socket is woken by shutting the socket down; closing the client would not wake
    it. The HTTP library tells of its sockets through the ``trace`` extension of a request.
    """

    def __init__(self, open_client: Callable[[Hooks], C]) -> None:
        """Open a client, and no connection yet."""
        self.client = open_client({"request": [self._watch]})
        self._stream: Any = None
        self._guard = threading.Lock()
        self._cut = False

    def cut(self) -> None:
        """End the call that is under way, from whatever thread, also while it waits for the first byte."""
        with self._guard:
            self._cut = True
            self._shut()

    def renew(self) -> None:
        """Make ready for the next call."""
        with self._guard:
            self._cut = False

    def _watch(self, request: Any) -> None:
        request.extensions["trace"] = self._seen

    def _seen(self, name: str, info: dict[str, Any]) -> None:
        stream = info.get("return_value")
        if name.endswith(".complete") and hasattr(stream, "get_extra_info"):
            with self._guard:
                self._stream = stream
                if self._cut:
                    self._shut()

    def _shut(self) -> None:
        connection = self._stream.get_extra_info("socket") if self._stream is not None else None
        if connection is not None:
            with suppress(OSError):  # it is closed already
                # Not the TLS socket's own method, which takes its state from under the thread that reads.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


class Hold(Generic[C]):
    """A wire for the time of one call. ``expired`` tells that the time was over."""

    def __init__(self, wire: Wire[C]) -> None:
        """Hold ``wire``."""
        self._wire = wire
        self._guard = threading.Lock()
        self._over = False
        self.client = wire.client
        self.expired = False

    def cut(self) -> None:
        """End the call, unless it is over: the wire may serve another one by then."""
        with self._guard:
            if not self._over:
                self._wire.cut()

    def expire(self) -> None:
        """End the call for it took too long."""
        self.expired = True
        self.cut()

    def end(self) -> None:
        """Let go of the wire."""
        with self._guard:
            self._over = True
            self._wire.renew()


class Wires(Generic[C]):
    """The wires to one provider, shared by all threads."""

    def __init__(self, open_client: Callable[[Hooks], C]) -> None:
        """Open none yet."""
        self._open_client = open_client
        self._idle: list[Wire[C]] = []
        self._guard = threading.Lock()
        self._closed = False

    @contextmanager
    def hold(self, stop: StopSignal, timeout_s: float) -> Iterator[Hold[C]]:
        """Take a wire for one call, which is cut when ``stop`` is set or ``timeout_s`` are over."""
        wire = self._take()
        hold = Hold(wire)
        timer = threading.Timer(timeout_s, hold.expire)
        timer.daemon = True
        timer.start()
        try:
            with stop.on_set(hold.cut):
                yield hold
        finally:
            timer.cancel()
            hold.end()
            self._give_back(wire)

    def close(self) -> None:
        """Close the connections that serve no call; the others close after their calls."""
        with self._guard:
            self._closed = True
            idle, self._idle = self._idle, []
        for wire in idle:
            wire.client.close()

    def _take(self) -> Wire[C]:
        with self._guard:
            if self._idle:
                return self._idle.pop()
        return Wire(self._open_client)

    def _give_back(self, wire: Wire[C]) -> None:
        with self._guard:
            if not self._closed and len(self._idle) < _MOST_IDLE:
                self._idle.append(wire)
                return
        wire.client.close()
