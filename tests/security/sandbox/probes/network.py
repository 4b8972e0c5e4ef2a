"""Ways out over a network."""

import ctypes
import fcntl
import os
import socket
import struct

from probes.harness import BAIT, LIBC, checked, first, probe

TIMEOUT_S = 2.0


def connects(address: tuple[str, int], family: int = socket.AF_INET) -> str:
    """Open a TCP connection."""
    with socket.socket(family) as client:
        client.settimeout(TIMEOUT_S)
        client.connect(address)
    return f"connected to {address}"


@probe("network", "shared")
def loopback_of_the_host() -> str | None:
    """A service that listens on the host's 127.0.0.1."""
    return connects(("127.0.0.1", int(BAIT["tcp_port"])))


@probe("network", "shared")
def loopback_of_the_host_by_ipv6() -> str | None:
    """The same service on ::1."""
    return connects(("::1", int(BAIT["tcp6_port"])), socket.AF_INET6)


@probe("network", "shared")
def address_of_the_host() -> str | None:
    """The host's own address on the engine's bridge, or whatever other it has."""
    return connects((BAIT["host_address"], int(BAIT["tcp_port"])))


@probe("network", "shared")
def datagram_to_the_host() -> str | None:
    """A datagram, and its answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(TIMEOUT_S)
        client.sendto(b"ping", (BAIT["host_address"], int(BAIT["udp_port"])))
        return f"got {client.recv(100)!r}"


@probe("network")
def metadata_address() -> str | None:
    """The address at which clouds give credentials away."""
    return first([lambda: connects(("169.254.169.254", 80)), lambda: connects(("fd00:ec2::254", 80), socket.AF_INET6)])


@probe("network")
def the_internet() -> str | None:
    """Any address outside."""
    return first([lambda: connects(("1.1.1.1", 443)), lambda: connects(("2606:4700:4700::1111", 443), socket.AF_INET6)])


@probe("network")
def names() -> str | None:
    """A name that a resolver would know; data can leave in questions alone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("1.1.1.1", 53))
        return f"sent {client.send(b'question')} bytes to a resolver"


@probe("network", "privileged")
def raw_socket() -> str | None:
    """A socket that makes its own IP packets."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, 1):
        return "opened"


@probe("network", "privileged")
def packet_socket() -> str | None:
    """A socket that reads and writes whole frames of an interface."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3):
        return "opened"


@probe("network", "privileged")
def change_an_interface() -> str | None:
    """Set an interface's flags by ioctl (SIOCGIFFLAGS, SIOCSIFFLAGS)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = fcntl.ioctl(handle, 0x8913, struct.pack("16sH14x", b"lo", 0))
        fcntl.ioctl(handle, 0x8914, request)
    return "changed"


@probe("network", "privileged")
def make_an_interface() -> str | None:
    """Make an interface over netlink (RTM_NEWLINK, bridge)."""
    kind = struct.pack("HH", 10, 1) + b"bridge\0\0"  # IFLA_INFO_KIND
    attributes = struct.pack("HH", 13, 3) + b"ds-probe\0\0\0\0" + struct.pack("HH", 4 + len(kind), 18) + kind
    body = struct.pack("BxHiII", 0, 0, 0, 0, 0) + attributes
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as link:
        link.settimeout(TIMEOUT_S)
        link.send(struct.pack("IHHII", 16 + len(body), 16, 0x1 | 0x4 | 0x400 | 0x200, 1, 0) + body)
        answer = link.recv(4096)
    refusal = -int(struct.unpack_from("i", answer, 16)[0])
    if refusal:
        raise OSError(refusal, os.strerror(refusal))
    return "made"


@probe("network")
def machine_socket() -> str | None:
    """The hypervisor's socket (AF_VSOCK), which knows no network namespaces."""

    def reaches(port: int) -> str:
        with socket.socket(40, socket.SOCK_STREAM) as client:
            client.settimeout(TIMEOUT_S)
            address = struct.pack("=HHIIB3x", 40, 0, port, 2, 0)
            checked(LIBC.connect(client.fileno(), address, len(address)))
        return f"connected to port {port} of the machine below"

    return first([lambda port=port: reaches(port) for port in (22, 52, 1024, 5000, 8000)])  # type: ignore[misc]


@probe("network")
def ciphers_of_the_kernel() -> str | None:
    """The kernel's crypto over sockets (AF_ALG), a large surface (CVE-2019-8912)."""
    with socket.socket(38, socket.SOCK_SEQPACKET) as handle:
        handle.bind(("hash", "sha256"))
    return "bound"


@probe("network", "privileged")
def enter_the_network_of_pid_1() -> str | None:
    """Join the network namespace of another process."""
    fd = os.open("/proc/1/ns/net", os.O_RDONLY)
    ctypes.set_errno(0)
    checked(LIBC.setns(fd, 0x40000000))
    return "joined"
