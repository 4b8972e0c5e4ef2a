"""Which host and port a lease allows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

DEFAULT_PORTS = frozenset({80, 443})
LONGEST_NAME = 253
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")

Address = IPv4Address | IPv6Address


class BadHost(ValueError):
    """A host or rule that cannot be read; the message says why."""


@dataclass(frozen=True)
class Rule:
    """A host, or everything below it, and the ports there."""

    host: str
    below: bool
    """The rule is for names that end in ``.host``, and not for ``host`` itself."""
    ports: frozenset[int]

    def covers(self, host: str, port: int) -> bool:
        """Tell whether a host, as `read_host` gives it, may be reached at ``port``."""
        named = host.endswith(f".{self.host}") if self.below else host == self.host
        return named and port in self.ports

    def __str__(self) -> str:
        """Write it as a person does."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.ports == DEFAULT_PORTS else f":{min(self.ports)}"
        return f"{'.' if self.below else ''}{host}{port}"


def read_rule(text: str) -> Rule:
    """Read `example.org`, `.example.org`, `192.0.2.7`, `[2001:db8::1]`, each with or without `:port`.

    Raises `BadHost`. A name of one label, and the top of the tree, never stand for what is below them.
    """
    host, port = split_port(text.strip())
    below = host.startswith(".")
    name = read_host(host[1:] if below else host)
    if below and (address_of(name) or "." not in name):
        raise BadHost(f"“{text}” would allow too much: write at least two labels after the dot, as in .example.org")
    return Rule(name, below, DEFAULT_PORTS if port is None else frozenset({port}))


def split_port(text: str) -> tuple[str, int | None]:
    """Split `host:port` and `[v6]:port`; raises `BadHost`."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")) or ":" not in host:
            raise BadHost(f"“{text}” is no host and port")
        return host, read_port(rest[1:]) if rest else None
    host, colon, port = text.partition(":")
    return host, read_port(port) if colon else None


def read_port(text: str) -> int:
    """Read a port; raises `BadHost`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):  # noqa: PLR2004 - 16 bits
        raise BadHost(f"“{text}” is no port between 1 and 65535")
    return int(text)


def read_host(text: str) -> str:
    """Return a name or address in its one spelling: lower case, without the root's dot; raises `BadHost`."""
    host = text.lower().removesuffix(".")
    if address := address_of(host):
        return str(address)
    labels = host.split(".")
    if len(host) > LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadHost(f"“{text}” is no host name; names with other letters are written in their xn-- form")
    if _NUMBER.fullmatch(labels[-1]):  # 127.1, 2130706433 and 0x7f.1 are addresses to many a resolver
        raise BadHost(f"“{text}” is no host name, and an address is written in full")
    return host


def address_of(host: str) -> Address | None:
    """Read an address; None when it is a name."""
    try:
        found = ip_address(host)
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.scope_id is not None:
        return None
    return found
