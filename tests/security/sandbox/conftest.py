"""Sandboxes with bait around them, and containers that are weak on purpose."""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from ctypes import CDLL
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import docker
import pytest

from devstudio_sandbox import ArchiveEntry, Backend, Command, Sandbox, SandboxSpec, Stream, pack
from devstudio_sandbox.bubblewrap_backend import BubblewrapBackend
from devstudio_sandbox.docker_backend import IMAGES, DockerBackend
from devstudio_sandbox.images.__main__ import main as build_images

PROBES = Path(__file__).parent / "probes"
TENANT = UUID("7d0c1f9e-0000-4000-8000-00000000000a")
NEIGHBOUR = UUID("7d0c1f9e-0000-4000-8000-00000000000b")
PROBE_S = 25.0
IPC_CREAT = 0o1000


@dataclass
class Told:
    """What a command said, and how it ended."""

    exit_code: int
    stdout: str
    stderr: str


def tell(sandbox: Sandbox, *argv: str, bait: dict[str, str] | None = None) -> Told:
    """Run a command to its end."""
    said: dict[Stream, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
    command = Command(argv, env={"PROBE_BAIT": json.dumps(bait or {})}, deadline_s=PROBE_S)
    done = sandbox.run(command, lambda stream, data: said[stream].extend(data))
    return Told(done.exit_code, said["stdout"].decode(errors="replace"), said["stderr"].decode(errors="replace"))


@contextmanager
def listening(address: tuple[str, int] | str, family: int, kind: int = socket.SOCK_STREAM) -> Iterator[int]:
    """Listen, and answer every datagram; gives the port."""
    with socket.socket(family, kind) as listener:
        listener.bind(address)
        if kind == socket.SOCK_STREAM:
            listener.listen(100)
        else:
            threading.Thread(target=echo, args=(listener,), daemon=True).start()
        yield 0 if isinstance(address, str) else listener.getsockname()[1]


def echo(listener: socket.socket) -> None:
    """Answer every datagram until the socket is closed."""
    while True:
        try:
            data, sender = listener.recvfrom(100)
            listener.sendto(data, sender)
        except OSError:
            return


@contextmanager
def shared_memory() -> Iterator[int]:
    """Make System V shared memory on the host; gives its key."""
    libc, key = CDLL(None), uuid4().int % 2**30 + 1
    number = libc.shmget(key, 4096, IPC_CREAT | 0o666)
    assert number >= 0
    try:
        yield key
    finally:
        libc.shmctl(number, 0, None)  # IPC_RMID


def backends() -> dict[str, Backend]:
    """Make each backend that is held against the corpus."""
    assert build_images(["build", "--if-missing"]) == 0
    return {
        "runc": DockerBackend(runtime="runc"),
        "gvisor": DockerBackend(runtime="runsc"),
        "bubblewrap": BubblewrapBackend(),
    }


LISTEN = """
import socket, sys, time
word = sys.argv[1]
open("secret", "w").write(word)
tcp = socket.create_server(("127.0.0.1", 47123))
unix = socket.socket(socket.AF_UNIX)
unix.bind("\\0" + word)
unix.listen()
print("listening", flush=True)
time.sleep(600)
"""


@contextmanager
def neighbour(backend: Backend, word: str) -> Iterator[str]:
    """Hold a sandbox of another tenant that has a file, a process and sockets of its own."""
    up = threading.Event()
    with backend.open(SandboxSpec("python", NEIGHBOUR, uuid4(), ttl_s=600)) as sandbox:
        command = Command(("python3", "-c", LISTEN, word), deadline_s=600)
        thread = threading.Thread(target=sandbox.run, args=(command, lambda *_: up.set()), daemon=True)
        thread.start()
        assert up.wait(60)
        yield sandbox.handle
        sandbox.kill()
        thread.join(20)


@pytest.fixture(scope="session")
def bait(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Lay things out on the host that a probe could reach if it got out."""
    secret = f"canary-secret-{uuid4().hex}"
    canary = tmp_path_factory.mktemp("bait") / "canary"
    canary.write_text(uuid4().hex)
    canary.chmod(0o644)
    os.environ["DEVSTUDIO_PROBE_SECRET"] = secret
    program = subprocess.Popen(["sleep", "900"])  # a program of the host's with that in its environment
    abstract = f"devstudio-{uuid4().hex}"
    with ExitStack() as stack, closing(docker.from_env()) as engine:
        port = stack.enter_context(listening(("0.0.0.0", 0), socket.AF_INET))
        port6 = stack.enter_context(listening(("::1", 0), socket.AF_INET6))
        udp = stack.enter_context(listening(("0.0.0.0", 0), socket.AF_INET, socket.SOCK_DGRAM))
        stack.enter_context(listening("\0" + abstract, socket.AF_UNIX))
        gateway = engine.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"]
        yield {
            "abstract": abstract,
            "tcp_port": str(port),
            "tcp6_port": str(port6),
            "udp_port": str(udp),
            "host_address": gateway,
            "host_file": str(canary),
            "canary": canary.read_text(),
            "data_root": engine.info()["DockerRootDir"],
            "secret": secret,
            "shm_key": str(stack.enter_context(shared_memory())),
            "host_pid": str(program.pid),
            "hostname": platform.node(),
            "neighbour_port": "47123",
        }
    program.kill()
    program.wait()
    del os.environ["DEVSTUDIO_PROBE_SECRET"]


def packed_probes() -> list[ArchiveEntry]:
    """Read the probes as files of a workspace."""
    return [ArchiveEntry(f"probes/{path.name}", path.read_bytes()) for path in sorted(PROBES.glob("*.py"))]


class Place:
    """One backend with a neighbour, in which probes are run one after the other."""

    def __init__(self, backend: Backend, bait: dict[str, str]) -> None:
        self._backend, self._bait = backend, bait
        self._sandbox: Sandbox | None = None

    def run(self, name: str) -> Told:
        """Run a probe, in the sandbox of the last one if it is still well."""
        if self._sandbox is None:
            self._sandbox = self._backend.open(SandboxSpec("python", TENANT, uuid4(), ttl_s=600))
            self._sandbox.put(pack(packed_probes()))
        return tell(self._sandbox, "python3", "-m", "probes", name, bait=self._bait)

    def well(self) -> bool:
        """Tell whether the sandbox answers as it should."""
        assert self._sandbox is not None
        return tell(self._sandbox, "sh", "-c", "echo well; exit 7") == Told(7, "well\n", "")

    def on_the_host(self) -> set[tuple[str, str]]:
        """Tell how nice the host is to the container's processes, and how ready to kill them; one of each is all."""
        assert self._sandbox is not None or self.run("kill_it")
        assert self._sandbox is not None
        with closing(docker.APIClient()) as engine:
            rows = engine.top(self._sandbox.handle, "-eo pid,ni")["Processes"]
        return {(nice, Path("/proc", pid, "oom_score_adj").read_text().strip()) for pid, nice in rows}

    def close(self) -> None:
        """Close the sandbox; the next probe gets another."""
        if self._sandbox is not None:
            self._sandbox.close()
            self._sandbox = None


@pytest.fixture(scope="session")
def places(bait: dict[str, str]) -> Iterator[dict[str, Place]]:
    """Give each backend, with a neighbour beside it."""
    made: dict[str, Place] = {}
    with ExitStack() as stack:
        for name, backend in backends().items():
            word = f"neighbour-{uuid4().hex}"
            stack.enter_context(neighbour(backend, word))
            made[name] = Place(backend, {**bait, "neighbour": word})
            stack.callback(made[name].close)
        yield made


CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
)  # fmt: skip
"""In the order of linux/capability.h."""


def own_capabilities() -> list[str]:
    """Name those that this machine has to give: a nested one lacks some, and ``--privileged`` does not start there."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd"))
    return [name for number, name in enumerate(CAPABILITIES) if int(line.split()[1], 16) >> number & 1]


class Weak:
    """Containers that hold nothing in: the probes have to succeed in one of them."""

    def __init__(self, engine: docker.APIClient, bait: dict[str, str], word: str, host: str) -> None:
        self._bait = json.dumps({**bait, "neighbour": word})
        self._engine = engine
        folder = str(Path(bait["host_file"]).parent)
        system = ["/dev:/dev", "/sys:/sys"]
        everything = [*system, *(f"{path}:{path}" for path in ("/var/run", "/run", bait["data_root"], folder))]
        self._containers = {
            "privileged": self._start(system, network_mode="none"),
            "shared": self._start(everything, network_mode="host", ipc_mode="host", pid_mode="host", uts_mode="host"),
            # What a neighbour has to itself is reached from within its own network, as far as a leak could lead.
            "neighbour": self._start([], network_mode=f"container:{host}"),
        }

    def _start(self, binds: list[str], **shared: str) -> str:
        config = self._engine.create_host_config(
            cap_add=own_capabilities(),
            security_opt=["seccomp=unconfined", "apparmor=unconfined"],
            device_cgroup_rules=["a *:* rwm"],
            binds=binds,
            **shared,
        )
        config |= {"MaskedPaths": [], "ReadonlyPaths": []}
        created = self._engine.create_container(
            IMAGES["python"], ["sleep", "900"], user="0:0", stdin_open=True, host_config=config,
            environment={"DEVSTUDIO_PROBE_CONTROL": "1"},
        )  # fmt: skip
        self._engine.put_archive(created["Id"], "/opt", b"".join(pack(packed_probes())))
        self._engine.start(created["Id"])
        return str(created["Id"])

    def run(self, kind: str, name: str) -> str:
        """Run a probe as root in one of them."""
        command, bait = ["python3", "-m", "probes", name], {"PROBE_BAIT": self._bait}
        made = self._engine.exec_create(self._containers[kind], command, environment=bait, workdir="/opt", user="0:0")
        output: bytes = self._engine.exec_start(made["Id"])
        return output.decode(errors="replace")

    def close(self) -> None:
        """Remove them."""
        for container in self._containers.values():
            self._engine.remove_container(container, force=True, v=True)


@pytest.fixture(scope="session")
def weak(bait: dict[str, str]) -> Iterator[Weak]:
    """Give the weak containers, with a neighbour whom they can see."""
    word = f"neighbour-{uuid4().hex}"
    with closing(docker.APIClient()) as engine, neighbour(backends()["runc"], word) as host:
        made = Weak(engine, bait, word, host)
        try:
            yield made
        finally:
            made.close()
