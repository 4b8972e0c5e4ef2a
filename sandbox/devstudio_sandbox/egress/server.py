"""The proxy itself: connections from the sandbox, each decided on when it comes, and watched until it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

import h11

from .dial import BUFFER, Dialer, Refused, Streams
from .grants import Grants
from .hello import Hello, NotTls
from .relay import Relay, abort, stop
from .request import MAX_HEAD, Target, end_to_end, forwarded_headers, read_target
from .rules import address_of

TICK_S = 0.25
"""How often the leases and clocks of all connections are looked at."""
REPORT_S = 1.0
"""How often the bytes of a connection that goes on are told."""

Tell = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class ProxyLimits:
    """What one run may do to the proxy."""

    connections: int = 64
    """At the same time."""
    requests: int = 10_000
    """In all; the log of a run has an end."""
    opening_s: float = 20.0
    """Until a client has said what it wants and the host has been reached."""
    idle_s: float = 60.0
    """Without a byte in either direction."""
    total_s: float = 3600.0
    """For one connection."""


class ProxyServer:
    """Listens on a unix socket and does what the leases allow.

    ``tell`` gets ``{"event": "request" | "progress" | "end", "n": …}`` in order, for each connection.
    """

    def __init__(self, grants: Grants, dialer: Dialer, tell: Tell, limits: ProxyLimits | None = None) -> None:
        self.grants = grants
        self.dialer = dialer
        self.limits = limits or ProxyLimits()
        self._tell = tell
        self._numbers = count(1)
        self._open: dict[asyncio.Task[None], Connection] = {}
        self._busy_told = 0.0

    async def serve(self, listener: Any) -> None:
        """Serve a listening socket until this task is cancelled."""
        server = await asyncio.start_unix_server(self._accept, sock=listener, limit=BUFFER)
        try:
            while True:
                await asyncio.sleep(TICK_S)
                self.watch()
        finally:
            server.close()
            for task in list(self._open):
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    def watch(self) -> None:
        """Cut every connection whose lease has ended, or whose time is over."""
        for task, connection in list(self._open.items()):
            why = connection.why_cut(self.limits)
            if why is not None and not connection.cut:
                connection.cut = why
                task.cancel()
            else:
                connection.report()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= self.limits.connections:
            self._turn_away(writer)
            return
        connection = Connection(self, (reader, writer))
        task = asyncio.get_running_loop().create_task(connection.run())
        self._open[task] = connection
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._open.pop(task, None)
        if not task.cancelled():
            task.exception()  # it is told in the connection's end; asyncio need not say it again

    def _turn_away(self, writer: asyncio.StreamWriter) -> None:
        """Answer a connection beyond the limit without reading it; one line a second is told of all of them."""
        reason = f"the run has {self.limits.connections} connections already"
        writer.write(plain_answer(503, reason))
        writer.close()
        if time.monotonic() - self._busy_told >= REPORT_S:
            self._busy_told = time.monotonic()
            self.note(None, "refused", reason)

    def note(self, target: Target | None, verdict: str, reason: str, grant: str | None = None) -> int:
        """Tell of a request that was decided; return its number. 0 when the run has told as many as it may."""
        number = next(self._numbers)
        if number > self.limits.requests:
            return 0
        self._tell(
            {
                "event": "request",
                "n": number,
                "at": datetime.now(UTC).isoformat(),
                "method": target.method if target else "",
                "host": target.host if target else "",
                "port": target.port if target else 0,
                "path": target.shown if target and not target.tls else "",
                "verdict": verdict,
                "reason": reason,
                "grant": grant,
            }
        )
        return number

    def told(self, event: dict[str, Any]) -> None:
        """Tell of what became of a request."""
        self._tell(event)


class Connection:
    """One connection from the sandbox: one request, and then bytes to and fro."""

    def __init__(self, server: ProxyServer, client: Streams) -> None:
        self._server = server
        self._client = client
        self._host: Streams | None = None
        self._wire = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._began = time.monotonic()
        self._number = 0
        self._grant = ""
        self._relay = Relay(self._count)
        self._reported = (0, 0, self._began)
        self.cut: str | None = None

    def why_cut(self, limits: ProxyLimits) -> str | None:
        """Say why this connection must end now."""
        now, age = time.monotonic(), time.monotonic() - self._began
        if not self._relay.begun and age > limits.opening_s:
            return "the client or the host took too long to begin"
        if self._relay.begun and now - self._relay.moved > limits.idle_s:
            return "nothing moved for too long"
        if age > limits.total_s:
            return "the connection lasted too long"
        return self._server.grants.why_cut(self._grant) if self._grant else None

    def report(self) -> None:
        """Tell how many bytes went through, when there are more, once a second."""
        up, down, at = self._reported
        now, relay = time.monotonic(), self._relay
        if self._number and now - at >= REPORT_S and (up, down) != (relay.up, relay.down):
            self._reported = (relay.up, relay.down, now)
            self._server.told({"event": "progress", "n": self._number, "up": relay.up, "down": relay.down})

    async def run(self) -> None:
        """See the connection through, and tell how it ended."""
        how, refused = "closed", False
        try:
            await self._serve()
        except Refused as refusal:
            how, refused = str(refusal), True
            self._answer(refusal.status, how)
        except LeaseOver as over:
            self.cut = how = str(over)
        except asyncio.CancelledError:
            how = self.cut or "the proxy ends"
            self._answer(504, how)
        except (OSError, h11.ProtocolError) as problem:
            how = f"broken off ({type(problem).__name__})"
            self._answer(502, how)
        finally:
            abort(self._client, gently=self.cut is None or not self._relay.begun)
            if self._host is not None:
                abort(self._host)
            self._end(how, refused=refused)

    def _end(self, how: str, *, refused: bool) -> None:
        if self._number:
            relay = self._relay
            self._server.told(
                {
                    "event": "end",
                    "n": self._number,
                    "up": relay.up,
                    "down": relay.down,
                    "seconds": round(time.monotonic() - self._began, 3),
                    "how": how,
                    "refused": refused and bool(self._grant),  # after it was allowed
                }
            )

    async def _serve(self) -> None:
        try:
            request = await self._request()
            target = read_target(request)
        except Refused as refusal:
            self._number = self._server.note(None, "refused", str(refusal))
            raise
        self._decide(target)
        if target.tls:
            await self._tunnel(target)
        else:
            await self._forward(request, target)

    async def _request(self) -> h11.Request:
        """Read the first line and the headers; raises `Refused`."""
        try:
            while (event := self._wire.next_event()) is h11.NEED_DATA:
                data = await self._client[0].read(BUFFER)
                self._wire.receive_data(data)
        except h11.RemoteProtocolError as problem:
            raise Refused(f"this is no HTTP request: {problem}", problem.error_status_hint) from problem
        if not isinstance(event, h11.Request):
            raise ConnectionError
        if len(event.target) + sum(len(name) + len(value) for name, value in event.headers) > MAX_HEAD:
            raise Refused("the request's headers are too long", 431)
        return event

    def _decide(self, target: Target) -> None:
        """Find the lease that allows it; raises `Refused`. Either is told."""
        grant, why = self._server.grants.find(target.host, target.port)
        self._number = self._server.note(
            target, "refused" if grant is None else "allowed", why, None if grant is None else grant.id
        )
        if not self._number:
            raise Refused("the run has made too many requests", 429)
        if grant is None:
            raise Refused(why)
        self._grant = grant.id

    async def _tunnel(self, target: Target) -> None:
        """Open the way, see that the client asks for the same name inside, and carry bytes."""
        self._host = await self._server.dialer.tunnel(target.host, target.port)
        agreed = self._wire.send(h11.Response(status_code=200, reason=b"Connection established", headers=[]))
        self._client[1].write(agreed or b"")
        early, _closed = self._wire.trailing_data
        hello = await self._hello(target, early)
        self._relay.begin()
        await self._relay.send(self._host[1], hello, up=True)
        await self._relay.both(self._client, self._host)

    async def _hello(self, target: Target, data: bytes) -> bytes:
        """Read the client's TLS hello and hold its name against the one that was allowed; raises `Refused`."""
        hello, seen = Hello(), bytearray(data)
        try:
            whole = hello.feed(data)
            while not whole:
                piece = await self._client[0].read(BUFFER)
                seen += piece
                whole = hello.feed(piece)
        except NotTls as problem:
            raise Refused(str(problem)) from problem
        name = (hello.name or "").removesuffix(".")
        if name != target.host and not (address_of(target.host) and not name):
            raise Refused(f"inside the connection to {target.host} the client asks for {name[:80] or 'no name'}")
        return bytes(seen)

    async def _forward(self, request: h11.Request, target: Target) -> None:
        """Carry one plain request to the host and the answer back; nothing after it is read."""
        dialer = self._server.dialer
        self._host = await dialer.plain(target.host, target.port)
        self._relay.begin()
        headers, address = forwarded_headers(request, target), target.path
        if dialer.chained(target.host):
            address = f"http://{target.authority}{target.path}"
            if dialer.upstream is not None and dialer.upstream.authorization:
                headers.append((b"Proxy-Authorization", dialer.upstream.authorization.encode()))
        wire = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        first = wire.send(h11.Request(method=request.method, target=address, headers=headers))
        await self._relay.send(self._host[1], first or b"", up=True)
        body = asyncio.get_running_loop().create_task(self._send_body(wire))
        try:
            await self._send_answer(wire)
        finally:
            await stop(body)

    async def _send_body(self, wire: h11.Connection) -> None:
        """Carry the request's body; one that breaks its own framing ends the connection to the host at once."""
        assert self._host is not None  # noqa: S101 - `_forward` has it
        try:
            await self._pump_body(wire, self._host)
        except (OSError, h11.ProtocolError, LeaseOver):
            abort(self._host)

    async def _pump_body(self, wire: h11.Connection, host: Streams) -> None:
        while True:
            event = self._wire.next_event()
            if event is h11.NEED_DATA:
                self._wire.receive_data(await self._client[0].read(BUFFER))
            elif isinstance(event, (h11.Data, h11.EndOfMessage)):
                if isinstance(event, h11.EndOfMessage):
                    event = h11.EndOfMessage()
                await self._relay.send(host[1], wire.send(event) or b"", up=True)
            if isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
                return

    async def _send_answer(self, wire: h11.Connection) -> None:
        assert self._host is not None  # noqa: S101 - `_forward` has it
        while True:
            event = wire.next_event()
            if event is h11.NEED_DATA:
                data = await self._host[0].read(BUFFER)
                self._relay.received(len(data))
                wire.receive_data(data)
                continue
            if isinstance(event, h11.Response):
                headers = [*end_to_end(list(event.headers)), (b"Connection", b"close")]
                event = h11.Response(status_code=event.status_code, reason=event.reason, headers=headers)
            elif isinstance(event, h11.EndOfMessage):
                event = h11.EndOfMessage()
            elif not isinstance(event, (h11.Data, h11.InformationalResponse)):
                return
            self._client[1].write(self._wire.send(event) or b"")
            await self._client[1].drain()
            if isinstance(event, h11.EndOfMessage):
                return

    def _count(self, up: int, down: int) -> None:
        grants = self._server.grants
        grants.count(self._grant, up, down)
        over = grants.why_cut(self._grant)
        if over is not None:
            raise LeaseOver(over)

    def _answer(self, status: int, reason: str) -> None:
        """Say why not, when the client still waits for an answer to its request."""
        if self._wire.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self._client[1].write(plain_answer(status, reason))


class LeaseOver(Exception):
    """The lease ended, or its bytes are used up, while bytes went through."""


def plain_answer(status: int, reason: str) -> bytes:
    """Write an answer of the proxy's own; its reason phrase is what most clients show."""
    text = f"DevStudio egress: {reason}"
    phrase = text.encode("ascii", "replace").decode()
    shown = "".join(mark if mark.isprintable() else "?" for mark in phrase)[:300]
    body = f"{text}\n".encode()
    head = (
        f"HTTP/1.1 {status} {shown}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
