"""The host's hold on a proxy process: start it, tell it the leases, hear what it did, end it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from devstudio_sandbox.egress.addresses import read_network
from devstudio_sandbox.egress.dial import Upstream
from devstudio_sandbox.egress.rules import read_host
from devstudio_sandbox.egress.server import ProxyLimits
from devstudio_sandbox.errors import SandboxError

BOOT = "import sys; sys.path.append(sys.argv[1]); from egress.process import main; main(sys.argv[2])"
SOCKET = "proxy.sock"
CA_FILE = "ca.pem"
READY_S = 15.0
END_S = 5.0

Hear = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class ProxySettings:
    """What the operator says about the way out. Raises ValueError, and `BadHost`, for what cannot be read."""

    internal: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names that may lead to private addresses, and to which: addresses and CIDR ranges."""
    upstream: str | None = None
    """URL of the proxy of the house."""
    authorities: bytes = b""
    """Certificates (PEM) that clients in the sandbox shall trust, all of them; nothing: what the image trusts."""
    limits: ProxyLimits = field(default_factory=ProxyLimits)

    def __post_init__(self) -> None:
        """Read everything once, so that a mistake is told when the server starts."""
        for name, texts in self.internal.items():
            if read_host(name) != name:
                raise ValueError(f"“{name}” is written {read_host(name)}")
            for text in texts:
                read_network(text)
        if self.upstream:
            Upstream.read(self.upstream)

    def told(self) -> dict[str, Any]:
        """Return what the process is told first."""
        internal = {name: list(texts) for name, texts in self.internal.items()}
        return {"internal": internal, "upstream": self.upstream, "limits": asdict(self.limits)}


@dataclass(frozen=True)
class Lease:
    """One approved lease, as the proxy is told of it."""

    id: str
    domains: tuple[str, ...]
    expires_in_s: float
    up_limit: int
    down_limit: int


class EgressProxy:
    """One proxy process, for one run.

    Parameters
    ----------
    settings
        What the operator says.
    hear
        Called with each event of the process, in order, on a thread of its own; ``{"event": "gone"}`` is the last when
        the process ended by itself.

    """

    def __init__(self, settings: ProxySettings, hear: Hear) -> None:
        self._settings = settings
        self._hear = hear
        self._ready = threading.Event()
        self._closing = False
        self._writing = threading.Lock()
        self._private: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """The socket, once the process was started; its directory is what the container gets to see."""
        assert self._private is not None  # noqa: S101 - `start` comes first
        return self._private / "run" / SOCKET

    @property
    def pid(self) -> int | None:
        """The process id, once it was started."""
        return self._process.pid if self._process else None

    def start(self, leases: Iterable[Lease]) -> None:
        """Start the process and wait until it listens; raises `SandboxError`."""
        try:
            self._lay_out()
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-B", "-c", BOOT, str(Path(__file__).parents[1]), str(self.socket)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={"PATH": os.defpath, "LANG": "C.UTF-8"},
                cwd="/",
                start_new_session=True,  # a Ctrl-C on the server is the server's to pass on
            )
            self._reader = threading.Thread(target=self._read, name="devstudio-egress", daemon=True)
            self._reader.start()
            self._write(self._settings.told())
            self.renew(leases)
            self._await_ready()
        except BaseException:
            self.close()
            raise

    def _await_ready(self) -> None:
        if not self._ready.wait(READY_S) or not self.alive:
            raise SandboxError("the egress proxy did not start; the server's log says why")

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def renew(self, leases: Iterable[Lease]) -> None:
        """Tell all leases in force now; what hangs on others is cut at once."""
        self._write({"grants": [asdict(lease) for lease in leases]})

    def close(self) -> None:
        """End the process, cut what goes on, and remove the socket. May be called again."""
        self._closing = True
        process = self._process
        if process is not None:
            assert process.stdin is not None  # noqa: S101 - it is a pipe
            with self._writing, contextlib.suppress(OSError):  # which says that it is gone already
                process.stdin.close()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self._reader.join(END_S)
        if self._private is not None:
            shutil.rmtree(self._private, ignore_errors=True)

    def _lay_out(self) -> None:
        self._private = Path(tempfile.mkdtemp(prefix="devstudio-egress-"))  # 0700: others on the host stay out
        directory = self._private / "run"
        directory.mkdir()
        directory.chmod(0o755)
        if self._settings.authorities:
            file = directory / CA_FILE
            file.write_bytes(self._settings.authorities)
            file.chmod(0o644)

    def _write(self, told: Mapping[str, Any]) -> None:
        assert self._process is not None  # noqa: S101 - `start` comes first
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        with self._writing:
            try:
                self._process.stdin.write(json.dumps(told).encode() + b"\n")
                self._process.stdin.flush()
            except (OSError, ValueError):
                return  # it is gone; `gone` says so

    def _read(self) -> None:
        assert self._process is not None  # noqa: S101 - `start` comes first
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        with self._process.stdout as lines:
            for line in lines:
                event = json.loads(line)
                if event["event"] == "ready":
                    self._ready.set()
                else:
                    self._hear(event)
        self._ready.set()
        if not self._closing:
            self._hear({"event": "gone"})
