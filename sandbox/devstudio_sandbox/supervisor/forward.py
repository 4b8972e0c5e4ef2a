"""The sandbox's end of its proxy: a port on the loopback, carried to the unix socket that the host mounted.

The supervisor holds the port from its start, so no command can take it. What carries the bytes is a child of its own
beside each command, as the command's user, and ends with it: however a command floods or kills it, it harms itself.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket

PORT = 3128
MOST = 400
"""Connections at a time; the proxy has a lower limit, and answers what is beyond it."""
BACKLOG = 128
BUFFER = 65536
CONNECT_S = 5.0
KEPT = 3
"""The only descriptor beyond the standard ones that the child keeps."""
GONE = "DevStudio egress: the proxy of this run is gone, nothing outside can be reached any more"
ANSWER = (
    f"HTTP/1.1 502 {GONE}\r\nContent-Type: text/plain\r\nContent-Length: {len(GONE) + 1}\r\n"
    f"Connection: close\r\n\r\n{GONE}\n"
).encode()


class Forward:
    """Holds the port, and starts a child for each command."""

    def __init__(self, path: str, uid: int | None) -> None:
        self._path, self._uid = path, uid
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", PORT))
        self._listener.listen(BACKLOG)

    def begin(self) -> None:
        """Start the child that carries bytes; it is killed with the command that it is for."""
        if os.fork() == 0:
            try:
                self._turn()
                Carrier(socket.socket(fileno=KEPT), self._path).serve()
            finally:
                os._exit(1)

    def _turn(self) -> None:
        """In the child: be the command's user, and hold nothing but the port."""
        if self._uid is not None:
            os.setresuid(self._uid, self._uid, self._uid)
        os.setsid()
        signal.set_wakeup_fd(-1)
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        if self._listener.fileno() != KEPT:
            os.dup2(self._listener.fileno(), KEPT)
        os.closerange(KEPT + 1, 4096)  # the conversation with the host among them


class Way:
    """One direction of a connection."""

    def __init__(self, source: socket.socket, sink: socket.socket | None) -> None:
        self.source, self.sink = source, sink
        self.waiting = bytearray()
        self.ended = False
        """The source has said its last."""
        self.over = False
        """And the sink was told."""

    def read(self) -> None:
        """Take what the source has; without a sink it is dropped."""
        try:
            piece = self.source.recv(BUFFER)
        except BlockingIOError:
            return
        except ConnectionResetError:  # a unix socket says so when its peer left something unread
            piece = b""
        self.ended = not piece
        if self.sink is not None:
            self.waiting += piece

    def write(self) -> None:
        """Hand on as much as the sink takes."""
        if self.sink is not None and self.waiting:
            try:
                del self.waiting[: self.sink.send(self.waiting)]
            except BlockingIOError:
                return

    def finish(self) -> None:
        """Tell the sink that no more will come."""
        if self.ended and not self.waiting and not self.over:
            self.over = True
            if self.sink is not None:
                self.sink.shutdown(socket.SHUT_WR)


class Pair:
    """A connection of the sandbox and its other half on the host's socket, if there is one."""

    def __init__(self, client: socket.socket, host: socket.socket | None) -> None:
        self.ends = [end for end in (client, host) if end is not None]
        self.ways = [Way(client, host)]
        if host is None:
            told = Way(client, client)
            told.waiting += ANSWER
            told.ended = True
            self.ways.append(told)
        else:
            self.ways.append(Way(host, client))

    def wants(self, end: socket.socket) -> int:
        """Say what to wait for at one end."""
        events = 0
        for way in self.ways:
            if way.source is end and not way.ended and not way.waiting:
                events |= selectors.EVENT_READ
            if way.sink is end and way.waiting:
                events |= selectors.EVENT_WRITE
        return events

    def step(self, end: socket.socket, events: int) -> None:
        """Do what can be done at one end; OSError when a half is gone."""
        for way in self.ways:
            if events & selectors.EVENT_READ and way.source is end and not way.ended and not way.waiting:
                way.read()
            way.write()
            way.finish()

    @property
    def over(self) -> bool:
        """Whether both directions have ended."""
        return all(way.over for way in self.ways)


class Carrier:
    """Carries every connection to the port to the socket at ``path``."""

    def __init__(self, listener: socket.socket, path: str) -> None:
        self._listener, self._path = listener, path
        self._selector = selectors.DefaultSelector()
        self._pairs = 0
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, None)

    def serve(self) -> None:
        """Go on until this process is killed."""
        while True:
            gone = set()
            for key, events in self._selector.select():
                if key.data is None:
                    self._accept()
                elif key.data not in gone and not self._go_on(key.data, key.fileobj, events):
                    gone.add(key.data)

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:  # it left again, or a command before this one had it
            return
        if self._pairs >= MOST:
            client.close()
            return
        client.setblocking(False)
        self._pairs += 1
        pair = Pair(client, self._connect())
        for end in pair.ends:
            self._selector.register(end, selectors.EVENT_READ | selectors.EVENT_WRITE, pair)

    def _connect(self) -> socket.socket | None:
        host = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        host.settimeout(CONNECT_S)
        try:
            host.connect(self._path)
        except OSError:
            host.close()
            return None
        host.setblocking(False)
        return host

    def _go_on(self, pair: Pair, end: object, events: int) -> bool:
        """Move a connection on; False when it is over."""
        try:
            pair.step(end, events)  # type: ignore[arg-type]
            if not pair.over:
                for each in pair.ends:
                    self._watch(each, pair)
                return True
        except OSError:
            pass
        for each in pair.ends:
            if each in self._selector.get_map():
                self._selector.unregister(each)
            each.close()
        self._pairs -= 1
        return False

    def _watch(self, end: socket.socket, pair: Pair) -> None:
        wanted, known = pair.wants(end), self._selector.get_map().get(end)
        if known is None and wanted:
            self._selector.register(end, wanted, pair)
        elif known is not None and not wanted:
            self._selector.unregister(end)
        elif known is not None and known.events != wanted:
            self._selector.modify(end, wanted, pair)
