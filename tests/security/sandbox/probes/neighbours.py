"""Other tenants' sandboxes on the same host, and the host's own programs."""

import os
import socket
from pathlib import Path

from probes.harness import BAIT, LIBC, first, probe


@probe("neighbours", "shared")
def processes_of_others() -> str | None:
    """See another sandbox's or the host's processes."""
    word = BAIT["neighbour"].encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word in path.read_bytes():
                return f"saw {path}"
        except OSError:
            continue
    return None


@probe("neighbours", "shared")
def files_of_others() -> str | None:
    """Read another sandbox's workspace, through its processes or in a place that both have."""
    places = [*Path("/proc").glob("[0-9]*/root/workspace/secret"), Path("/workspace/secret"), Path("/tmp/secret")]
    places += [Path("/dev/shm/secret"), Path("/var/tmp/secret")]
    for path in places:
        try:
            if BAIT["neighbour"] in path.read_text():
                return f"read {path}"
        except OSError:
            continue
    return None


@probe("neighbours", "shared")
def environments_of_others() -> str | None:
    """Read secrets in other processes' environments."""
    word = BAIT["secret"].encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        if path.parent.name != str(os.getpid()):
            try:
                if word in path.read_bytes():
                    return f"read {path}"
            except OSError:
                continue
    return None


@probe("neighbours")
def own_environment() -> str | None:
    """The server's secrets in the own environment."""
    told = {name: value for name, value in os.environ.items() if name != "PROBE_BAIT"}
    return next((name for name, value in told.items() if BAIT["secret"] in value), None)


@probe("neighbours", "shared")
def shared_memory_of_the_host() -> str | None:
    """Attach to shared memory that is the host's."""
    return (
        f"attached {LIBC.shmget(int(BAIT['shm_key']), 0, 0)}" if LIBC.shmget(int(BAIT["shm_key"]), 0, 0) >= 0 else None
    )


@probe("neighbours", "neighbour")
def socket_of_a_neighbour() -> str | None:
    """Connect to what another sandbox listens on: 127.0.0.1 and an abstract name."""

    def abstract() -> str:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("\0" + BAIT["neighbour"])
        return "connected to its abstract socket"

    def loopback() -> str:
        with socket.create_connection(("127.0.0.1", int(BAIT["neighbour_port"])), 2):
            return "connected to its port"

    return first([abstract, loopback])


@probe("neighbours", "shared")
def signal_others() -> str | None:
    """Reach a process of the host by number."""
    os.kill(int(BAIT["host_pid"]), 0)
    return f"reached {Path('/proc', BAIT['host_pid'], 'comm').read_text()}"


@probe("neighbours", "shared")
def name_of_the_host() -> str | None:
    """The host's name."""
    return socket.gethostname() if socket.gethostname() == BAIT["hostname"] else None
