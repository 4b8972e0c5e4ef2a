"""From a name to a connection: looked up once, checked, and connected to exactly what was checked."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

import h11

from .addresses import Network, pins, why_not
from .rules import Address, address_of

BUFFER = 64 * 1024
"""Bytes that one direction of one connection may hold."""
CONNECT_S = 10.0
TRIES = 3
"""Addresses of one name that are tried."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class Refused(Exception):
    """A connection that is not made; the message is for the person, ``status`` for the client."""

    def __init__(self, reason: str, status: int = 403) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Upstream:
    """The proxy of the house, through which everything but internal mirrors goes."""

    host: str
    port: int
    tls: bool = False
    authorization: str | None = None

    @classmethod
    def read(cls, url: str) -> Upstream:
        """Read `http://user:password@proxy.example:3128`; raises ValueError."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("a proxy's URL begins with http:// or https:// and names a host")
        tls = parts.scheme == "https"
        said = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        basic = f"Basic {base64.b64encode(said.encode()).decode()}" if parts.username else None
        return cls(parts.hostname, parts.port or (443 if tls else 80), tls, basic)


async def look_up(host: str, port: int) -> list[str]:
    """Ask the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass
class Dialer:
    """Opens connections to hosts that a lease allows already.

    ``internal`` are the names that the operator lets lead to private addresses, and to which: where these are single
    addresses, nothing is looked up.
    """

    internal: Mapping[str, tuple[Network, ...]] = field(default_factory=dict)
    upstream: Upstream | None = None
    resolve: Resolve = look_up

    def chained(self, host: str) -> bool:
        """Tell whether the way to a host leads through the proxy of the house."""
        return self.upstream is not None and host not in self.internal

    async def tunnel(self, host: str, port: int) -> Streams:
        """Open a way for bytes to a host; raises `Refused`."""
        if not self.chained(host):
            return await self._direct(host, port)
        streams = await self.to_upstream(host)
        try:
            await self._ask(streams, host, port)
        except BaseException:
            streams[1].transport.abort()
            raise
        return streams

    async def plain(self, host: str, port: int) -> Streams:
        """Open a connection for one plain HTTP request to a host; raises `Refused`."""
        return await (self.to_upstream(host) if self.chained(host) else self._direct(host, port))

    async def to_upstream(self, host: str) -> Streams:
        """Connect to the proxy of the house, which looks names up itself; an address is still checked here."""
        assert self.upstream is not None  # noqa: S101 - `chained` says so
        address = address_of(host)
        if address is not None:
            self._check(host, [address])
        via = self.upstream
        try:
            async with asyncio.timeout(CONNECT_S):
                return await asyncio.open_connection(via.host, via.port, ssl=True if via.tls else None, limit=BUFFER)
        except (OSError, TimeoutError) as problem:
            raise Refused(f"the upstream proxy cannot be reached ({_said(problem)})", 502) from problem

    async def _direct(self, host: str, port: int) -> Streams:
        addresses = await self._addresses(host, port)
        self._check(host, addresses)
        problem: Exception | None = None
        for address in addresses[:TRIES]:
            try:
                async with asyncio.timeout(CONNECT_S):
                    return await asyncio.open_connection(str(address), port, limit=BUFFER)
            except (OSError, TimeoutError) as failed:
                problem = failed
        raise Refused(f"{host} cannot be reached at port {port} ({_said(problem)})", 502) from problem

    async def _addresses(self, host: str, port: int) -> list[Address]:
        literal = address_of(host)
        fixed = [literal] if literal is not None else pins(self.internal.get(host, ()))
        if fixed:
            return fixed
        try:
            async with asyncio.timeout(CONNECT_S):
                return [ip_address(text.partition("%")[0]) for text in await self.resolve(host, port)]
        except (OSError, TimeoutError, UnicodeError) as problem:
            raise Refused(f"the name {host} is not found", 502) from problem

    def _check(self, host: str, addresses: Sequence[Address]) -> None:
        """Refuse a name when any of its addresses is forbidden: a mixed answer is an attempt, or a mistake."""
        allowed = self.internal.get(host, ())
        for address in addresses:
            if any(address in network for network in allowed if network.version == address.version):
                continue
            why = why_not(address)
            if why is not None:
                raise Refused(f"{host} leads to {address}, {why}, which only the operator can allow")
        if not addresses:
            raise Refused(f"the name {host} is not found", 502)

    async def _ask(self, streams: Streams, host: str, port: int) -> None:
        assert self.upstream is not None  # noqa: S101 - `chained` says so
        reader, writer = streams
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        wire = h11.Connection(h11.CLIENT)
        headers = [("Host", target)]
        if self.upstream.authorization:
            headers.append(("Proxy-Authorization", self.upstream.authorization))
        writer.write(wire.send(h11.Request(method="CONNECT", target=target, headers=headers)) or b"")
        try:
            async with asyncio.timeout(CONNECT_S):
                while (event := wire.next_event()) is h11.NEED_DATA:
                    wire.receive_data(await reader.read(1))  # what follows the answer belongs to the tunnel
        except (OSError, TimeoutError, h11.ProtocolError) as problem:
            raise Refused(f"the upstream proxy does not answer as one ({_said(problem)})", 502) from problem
        if not isinstance(event, h11.Response) or event.status_code >= 300:  # noqa: PLR2004 - success is 2xx
            code = getattr(event, "status_code", "no answer")
            raise Refused(f"the upstream proxy refuses {host} at port {port} ({code})", 502)


def _said(problem: Exception | None) -> str:
    if isinstance(problem, TimeoutError):
        return "it took too long"
    return getattr(problem, "strerror", None) or type(problem).__name__
