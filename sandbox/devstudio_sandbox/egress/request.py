"""What a client of the proxy asks for, read strictly: whatever could be read in two ways is refused."""

from __future__ import annotations

from dataclasses import dataclass

import h11

from .dial import Refused
from .rules import BadHost, read_host, split_port

MAX_HEAD = 32 * 1024
"""Bytes of a request's first line and headers."""
HOP_BY_HOP = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection",
        b"te", b"trailer", b"upgrade",
    }
)  # fmt: skip
"""Headers that end at a proxy (RFC 9110, 7.6.1)."""
_SCHEME = "http://"


@dataclass(frozen=True)
class Target:
    """What is asked for. ``path`` has the query: it goes to the host, and into no log."""

    method: str
    tls: bool
    host: str
    port: int
    path: str = ""

    @property
    def authority(self) -> str:
        """Host and port as the header ``Host`` has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 80 and not self.tls else f"{host}:{self.port}"  # noqa: PLR2004 - HTTP's own

    @property
    def shown(self) -> str:
        """The path without its query, which may hold a secret, and bounded."""
        return self.path.partition("?")[0][:500]


def read_target(request: h11.Request) -> Target:
    """Read a request; raises `Refused`."""
    try:
        target = _connect(request) if request.method == b"CONNECT" else _absolute(request)
        _check_host(request, target)
    except BadHost as problem:
        raise Refused(str(problem), 400) from problem
    _check_framing(request)
    return target


def _connect(request: h11.Request) -> Target:
    host, port = split_port(request.target.decode())
    if port is None:
        raise Refused("CONNECT needs host:port", 400)
    return Target("CONNECT", tls=True, host=read_host(host), port=port)


def _absolute(request: h11.Request) -> Target:
    text, method = request.target.decode(), request.method.decode()
    if not text.lower().startswith(_SCHEME):
        raise Refused("this is a proxy: ask for http://host/path, or CONNECT for https", 400)
    rest = text[len(_SCHEME) :]
    end = min((at for mark in "/?" if (at := rest.find(mark)) >= 0), default=len(rest))
    authority, path = rest[:end], rest[end:]
    if any(mark in authority for mark in "@\\#") or "#" in path or method == "TRACE":
        raise Refused("the address has parts that have no place in a request, or the method none here", 400)
    host, port = split_port(authority)
    path = path if path.startswith("/") else f"/{path}"
    return Target(method, tls=False, host=read_host(host), port=80 if port is None else port, path=path)


def _check_host(request: h11.Request, target: Target) -> None:
    """Refuse a ``Host`` that names another host than the address: they would be read by different eyes."""
    for name, value in request.headers:
        if name == b"host":
            host, port = split_port(value.decode("latin-1"))
            if read_host(host) != target.host or port not in {None, target.port}:
                raise Refused("the header Host names another host than the address", 400)


def _check_framing(request: h11.Request) -> None:
    """Refuse what h11 would settle by a rule that the next server may not share."""
    names = [name for name, _ in request.headers]
    coded, sized = b"transfer-encoding" in names, b"content-length" in names
    if coded and (sized or request.http_version < b"1.1"):
        raise Refused("the request says in two ways how long it is", 400)
    if request.method == b"CONNECT" and (coded or sized):
        raise Refused("CONNECT has no body", 400)


def forwarded_headers(request: h11.Request, target: Target) -> list[tuple[bytes, bytes]]:
    """Return the headers that go on to the host, with a ``Host`` of our own writing."""
    kept = end_to_end(list(request.headers))
    return [
        (b"Host", target.authority.encode()),
        *((name, value) for name, value in kept if name != b"host"),
        (b"Connection", b"close"),
    ]


def end_to_end(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Leave out the headers that end here, those that ``Connection`` names among them."""
    named = {
        token.strip().lower() for name, value in headers if name == b"connection" for token in value.split(b",")
    } - {b"host", b"content-length", b"transfer-encoding"}
    return [(name, value) for name, value in headers if name not in HOP_BY_HOP | named]
