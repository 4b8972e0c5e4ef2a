"""Which addresses may be connected to, whatever name led there.

Source of the ranges: the registries of IANA, as `ipaddress` has them, and RFC 6052, 8215, 3056, 4380 and 4291 for the
IPv6 addresses that carry an IPv4 address in them, behind which any of the others could hide.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network

from .rules import Address

Network = IPv4Network | IPv6Network

CARRIERS = {
    "an IPv4-mapped address": "::ffff:0:0/96",
    "an IPv4-compatible address": "::/96",
    "an IPv4-translated address": "::ffff:0:0:0/96",
    "a NAT64 address": "64:ff9b::/96",
    "a local NAT64 address": "64:ff9b:1::/48",
    "a 6to4 address": "2002::/16",
    "a Teredo address": "2001::/32",
}
_CARRIERS = {what: ip_network(text) for what, text in CARRIERS.items()}
_SHARED = ip_network("100.64.0.0/10")


def read_network(text: str) -> Network:
    """Read an address or a CIDR range; raises ValueError."""
    return ip_network(text.strip(), strict=False)


def why_not(address: Address) -> str | None:
    """Say why an address is nobody's to reach from a sandbox; None when it is a public one of another machine."""
    if isinstance(address, IPv6Address) and not (address.is_loopback or address.is_unspecified):
        for what, network in _CARRIERS.items():
            if address in network:
                return what
    kinds = {
        "a loopback address": address.is_loopback,
        "an unspecified address": address.is_unspecified,
        "a multicast address": address.is_multicast,
        "a link-local address": address.is_link_local,
        "a shared address": address in _SHARED if address.version == _SHARED.version else False,
        "a reserved address": address.is_reserved,
        "a private address": address.is_private or not address.is_global,
    }
    found = next((what for what, holds in kinds.items() if holds), None)
    return found or ("an address of this machine" if is_own(address) else None)


def is_own(address: Address) -> bool:
    """Tell whether an address is this machine's: the kernel lets a socket be bound to no other."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def pins(networks: Iterable[Network]) -> list[Address]:
    """Return the addresses, when single addresses are all that is named; then nothing is looked up."""
    found = list(networks)
    whole = all(network.prefixlen == network.max_prefixlen for network in found)
    return [network.network_address for network in found] if whole else []
