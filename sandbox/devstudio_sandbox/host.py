"""Tools, processes and pipes of the host, for the backends that use them directly."""

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

from devstudio_sandbox.base import RUN_VARIABLE
from devstudio_sandbox.errors import SandboxError
from devstudio_sandbox.identity import Ownership
from devstudio_sandbox.ports import Language, Limits

PACKAGE = Path(__file__).parent
SUPERVISOR = PACKAGE / "supervisor"
PLUGIN = PACKAGE / "pytest_criteria.py"
PLUGIN_NAME = "devstudio_criteria.py"
SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
PIECE = 256 * 1024
STALLED_S = 60.0
DIAGNOSIS_BYTES = 4096
LEAVE_S = 12.0
"""A supervisor that is asked to quit sweeps for up to 10 s."""
RUN_MARK = re.compile(RUN_VARIABLE.encode() + rb"\W{1,5}([0-9a-f-]{36})")
OWNER_VARIABLE = "RENUM_DEVSTUDIO_OWNER"
OWNER_MARK = re.compile(OWNER_VARIABLE.encode() + rb'\W{1,5}([^"\0/]*)/([^"\0]*)')

_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="devstudio-sandbox-spawn")
"""Starts every child: "die with parent" means the parent *thread*, and a caller's thread may end before its sandbox."""


def find_node() -> Path | None:
    """Find ``node``: beside this interpreter (``pip install renum-devstudio[node]``), or on the PATH."""
    beside = Path(sys.executable).parent / "node"
    found = str(beside) if beside.exists() else shutil.which("node")
    return Path(found) if found else None


def tool_path(language: Language) -> str:
    """Build the PATH on which ``python3`` (with pytest) and, for Node, ``node`` and ``npm`` are found.

    Raises
    ------
    SandboxError
        Node is asked for and there is none.

    """
    node = find_node()
    if language == "node" and node is None:
        raise SandboxError("node is not installed: `pip install renum-devstudio[node]`, or use the Docker backend")
    folders = [str(Path(sys.executable).parent), *([str(node.parent)] if node else []), *SYSTEM_PATH]
    return os.pathsep.join(dict.fromkeys(folders))


def rlimits(language: Language, limits: Limits) -> dict[str, int]:
    """Translate limits into per-process limits of the kernel (setrlimit(2)), the best the host has without cgroups."""
    given = {"NOFILE": limits.open_files, "FSIZE": limits.workspace_bytes, "CORE": 0}
    # The kernel counts all threads of a user, so those that the person has already come on top.
    given["NPROC"] = limits.pids + (own_tasks() if os.getuid() else 0)
    if language != "node":  # V8 reserves far more address space than it ever uses
        given["AS"] = limits.memory_bytes
    return given


def own_tasks() -> int:
    """Count the threads of this user."""
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == os.getuid():
                count += sum(1 for _ in (process / "task").iterdir())
        except OSError:  # it ended meanwhile
            continue
    return count


def spawn(argv: Sequence[str], env: Mapping[str, str], pass_fds: Collection[int] = ()) -> "PipedProcess":
    """Start a supervisor, in a session of its own and with pipes to it."""
    return _SPAWNER.submit(PipedProcess, argv, env, pass_fds).result()


class PipedProcess:
    """A transport over the pipes of a child process."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], pass_fds: Collection[int]) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            argv,
            env=env,
            pass_fds=tuple(pass_fds),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            bufsize=0,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._reading, self._writing = threading.Lock(), threading.Lock()
        assert self._process.stdin  # noqa: S101 - for the type checker: PIPE was asked for
        assert self._process.stdout  # noqa: S101
        self._in, self._out = self._process.stdin, self._process.stdout
        os.set_blocking(self._in.fileno(), False)

    def read(self, timeout_s: float) -> bytes:
        """Return the next piece of the supervisor's standard output."""
        with self._reading:
            if self._out.closed:
                return b""
            wait(self._out.fileno(), select.POLLIN, timeout_s)
            return os.read(self._out.fileno(), PIECE)

    def write(self, data: bytes) -> None:
        """Write everything, or fail when the other side takes nothing for a minute."""
        rest = memoryview(data)
        with self._writing:
            if self._in.closed:
                raise BrokenPipeError
            while rest:
                wait(self._in.fileno(), select.POLLOUT, STALLED_S)
                rest = rest[os.write(self._in.fileno(), rest[: select.PIPE_BUF]) :]

    def quiet(self) -> bool:
        """Tell whether there is nothing to read, not even the end."""
        return not self._out.closed and is_quiet(self._out.fileno())

    def close(self) -> None:
        """Close its input, which tells it to leave; kill it when it does not."""
        with self._writing:
            self._in.close()
        try:
            self._process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            self.destroy()
        with self._reading:  # a reader meets the end of the output by now, not a descriptor that is somebody else's
            self._out.close()
        self._stderr.close()

    def destroy(self) -> None:
        """Kill it without asking."""
        self._process.kill()
        self._process.wait()

    def diagnosis(self) -> str:
        """Return the end of what it said on its standard error."""
        if self._stderr.closed:
            return ""
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - DIAGNOSIS_BYTES))
        return self._stderr.read().decode(errors="replace")


def is_quiet(fd: int) -> bool:
    """Tell whether a descriptor is open and has nothing to read, not even the end."""
    if fd < 0:
        return False
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return not poller.poll(0)


def wait(fd: int, event: int, timeout_s: float) -> None:
    """Wait for a descriptor, or raise TimeoutError."""
    poller = select.poll()
    poller.register(fd, event)
    if not poller.poll(timeout_s * 1000):
        raise TimeoutError


def run_of(pid: str) -> UUID | None:
    """Tell to which run a process belongs."""
    found = sandbox_of(pid)
    return found and found[0]


def sandbox_of(pid: str) -> tuple[UUID, Ownership] | None:
    """Tell to which run a process belongs, and whose it is: its command line or its environment says so."""
    for source in ("cmdline", "environ"):
        try:
            text = Path("/proc", pid, source).read_bytes()
        except OSError:  # it ended meanwhile, or is somebody else's
            continue
        if found := RUN_MARK.search(text):
            return UUID(found[1].decode()), owner_in(text)
    return None


def owner_in(text: bytes) -> Ownership:
    """Find the mark of an owner; nobody that is known when there is none."""
    found = OWNER_MARK.search(text)
    return Ownership(*(part.decode(errors="replace") for part in found.groups())) if found else Ownership()


def marks(ownership: Ownership, run_id: UUID) -> dict[str, str]:
    """Give what says whose a process is: for a supervisor's command line, and for the environment of each command."""
    return {RUN_VARIABLE: str(run_id), OWNER_VARIABLE: f"{ownership.installation}/{ownership.owner}"}


def kill_runs(
    *,
    only: Collection[UUID] | None = None,
    keep: Collection[UUID] = (),
    of: Callable[[Ownership], bool] = lambda _: True,
) -> set[UUID]:
    """Kill the processes of some runs, or of all runs that are not kept; return the runs that had any.

    ``of`` chooses by owner: where a run is done again, its id alone does not tell the living attempt from the dead.
    """
    killed: set[UUID] = set()
    until = time.monotonic() + LEAVE_S
    while time.monotonic() < until:
        found = {pid: box for pid in os.listdir("/proc") if pid.isdigit() and (box := sandbox_of(pid))}  # noqa: PTH208 - names are all it needs
        doomed = {
            pid: run
            for pid, (run, owner) in found.items()
            if run not in keep and (only is None or run in only) and of(owner)
        }
        if not doomed:
            break
        for pid in doomed:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except OSError:
                continue
        killed |= set(doomed.values())
        time.sleep(0.005)  # the kernel needs a moment to take them away; what they forked meanwhile is found next
    return killed
