"""The process around the proxy: rules come in on standard input, what happens goes out on standard output.

The first line in is ``{"internal": {name: [network]}, "upstream": url | null, "limits": {…}}``, each later one
``{"grants": [{id, domains, expires_in_s, up_limit, down_limit}]}``: all leases in force, in place of those before. The
end of standard input, or a line that cannot be read, ends the process, and with it everything that goes on.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401 - see `give_up_root`
import contextlib
import json
import os
import resource
import socket
import sys
from typing import Any

from .addresses import read_network
from .dial import Dialer, Upstream
from .grants import Grants
from .server import ProxyLimits, ProxyServer

NOBODY = 65534
BACKLOG = 128
LONGEST_LINE = 4 * 1024 * 1024
MEMORY_BYTES = 2 * 1024**3
"""Of address space: threads of the resolver reserve far more of it than they use."""


def main(path: str) -> None:
    """Serve on the unix socket ``path`` until standard input ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with listen(path) as listener:
        give_up_root()
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(serve(listener))


def listen(path: str) -> socket.socket:
    """Bind the socket; whoever can reach it may use it, and the directory above says who can."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o666)  # noqa: S103, PTH101 - the directory is private; the container's user is another
    listener.listen(BACKLOG)
    return listener


def give_up_root() -> None:
    """Go on as nobody, with what Python would otherwise load when it is needed, from where nobody may not read."""
    "".encode("idna")
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


async def serve(listener: socket.socket) -> None:
    """Read the settings, then serve and follow the leases."""
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    settings = json.loads(await reader.readline())
    grants = Grants()
    proxy = ProxyServer(grants, dialer(settings), tell, ProxyLimits(**settings["limits"]))
    serving = asyncio.get_running_loop().create_task(proxy.serve(listener))
    tell({"event": "ready"})
    try:
        while line := await reader.readline():
            grants.replace(json.loads(line)["grants"])
            proxy.watch()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def dialer(settings: dict[str, Any]) -> Dialer:
    """Make what opens connections."""
    internal = {name: tuple(map(read_network, texts)) for name, texts in settings["internal"].items()}
    upstream = settings["upstream"]
    return Dialer(internal, Upstream.read(upstream) if upstream else None)


def tell(event: dict[str, Any]) -> None:
    """Write one line to the host."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()
