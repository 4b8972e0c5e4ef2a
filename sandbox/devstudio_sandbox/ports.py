"""The port: what a caller sees of a sandbox, whatever isolates it.

Every backend passes the same conformity test (``tests/sandbox/test_conformity.py``),
so a caller never asks which one it got, except to show ``isolation`` to a person.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self
from uuid import UUID

Isolation = Literal["gvisor", "container", "bubblewrap", "process"]
Language = Literal["python", "node"]
Preference = Literal["auto", "docker", "bubblewrap", "process"]
Runtime = Literal["auto", "runc", "runsc"]
"""Which runtime of a Docker engine starts the containers."""
Stream = Literal["stdout", "stderr"]
OnOutput = Callable[[Stream, bytes], None]
"""Called with each piece of output, in order within a stream, on the thread that called ``run``.

While it blocks, the command's output is held back, not dropped.
"""

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """What one sandbox may use. The product's own figures; a caller may lower or raise each.

    How far a backend can enforce them differs: see the table in ``sandbox/README.md``.
    """

    memory_bytes: int = 2048 * MIB
    """Memory of all processes together, tmpfs files included, in bytes; no swap on top."""
    cpus: float = 1.0
    """CPU time per wall time, in cores."""
    pids: int = 128
    """Processes and threads alive at once, the supervisor included."""
    workspace_bytes: int = 512 * MIB
    """Size of the workspace, in bytes; with Docker at most half of the memory."""
    tmp_bytes: int = 100 * MIB
    """Size of ``/tmp``, in bytes; with Docker at most a quarter of the memory."""
    workspace_files: int = 100_000
    """Files and directories in the workspace."""
    open_files: int = 1024
    """Open file descriptors per process."""


@dataclass(frozen=True)
class SandboxSpec:
    """What to open: for whom, for which run, with which language."""

    language: Language
    tenant_id: UUID
    run_id: UUID
    limits: Limits = Limits()
    ttl_s: int = 900
    """Seconds after which the sandbox ends by itself, whatever its owner does."""
    egress: Path | None = None
    """Unix socket of a proxy on this host, in a directory of its own: all that the run may reach.

    The whole directory shows inside, read-only; the tenant's uid must be able to use the socket.
    """


@dataclass(frozen=True)
class Command:
    """One command: an argument list, never a shell line."""

    argv: tuple[str, ...]
    """Program and arguments. The program is looked up on the sandbox's own ``PATH``."""
    cwd: str = "."
    """Working directory, relative to the workspace and inside it."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to (and stronger than) :attr:`Sandbox.env`."""
    deadline_s: float = 300.0
    """Seconds of wall time; then the whole process group is killed."""
    stdin: bytes = b""
    """The command's standard input; at most 16 MiB."""


@dataclass(frozen=True)
class Completed:
    """How a command ended, as the supervisor saw it."""

    exit_code: int
    """As a shell reports it: the command's own, ``128 + n`` for a signal, 127 not found, 126 not executable."""
    signal: int | None
    """The signal that ended it, if one did."""
    timed_out: bool
    """It was killed at its deadline."""
    cancelled: bool
    """It was killed, or never started, because of :meth:`Sandbox.kill`."""
    duration_s: float
    """Wall time in seconds, on the monotonic clock."""
    cpu_s: float
    """User and system time of it and of all that it started, in seconds (``wait4``)."""
    max_rss_bytes: int
    """Largest resident set of any one of its processes, in bytes (``wait4``); at least the supervisor's own."""
    oom_killed: bool = False
    """The kernel killed a process for want of memory (cgroup counters; docker and gvisor only)."""


class Sandbox(Protocol):
    """A workspace and the right to run commands in it, for one run of one tenant.

    ``put``, ``run`` and ``get`` are for one thread at a time; they take turns. ``kill``
    and ``close`` may be called from any thread at any moment.
    """

    isolation: Isolation
    handle: str
    """Container id or process id, for the record."""
    workspace: str
    """Absolute path of the workspace as a command inside sees it."""
    env: Mapping[str, str]
    """The environment that each command starts from: PATH, HOME, LANG, TMPDIR, PYTHONPATH …"""

    def put(self, archive: Iterable[bytes]) -> None:
        """Unpack a tar stream into the workspace; existing files are replaced.

        Raises
        ------
        WorkspaceRejected
            A member is a link or a device, leads out, or the limits are exceeded. What came before it may be there.
        SandboxLost
            The sandbox is gone.

        """

    def run(self, command: Command, on_output: OnOutput) -> Completed:
        """Run one command to its end and hand its output over as it comes.

        When it returns, no process of the command is left, double-forked ones included.

        Raises
        ------
        WorkspaceRejected
            ``cwd`` leads out of the workspace or is no directory.
        SandboxLost
            The sandbox is gone, or did not keep to the deadline and was destroyed.

        """

    def get(self, path: str, max_bytes: int) -> bytes | None:
        """Read one regular file of the workspace; ``None`` when there is none.

        Raises
        ------
        ArtifactTooLarge
            It has more than ``max_bytes``.
        WorkspaceRejected
            The path leads out, goes through a link, or names something that is no regular file.
        SandboxLost
            The sandbox is gone.

        """

    def export(self, patterns: Sequence[str], *, max_bytes: int, max_files: int) -> Iterator[bytes]:
        """Give the regular files of the workspace that match one of the patterns, as a tar stream.

        ``*``, ``?`` and ``[…]`` match within a name, ``**`` any number of folders. Links and devices are left out, so
        is who owns a file and when it was changed. What comes before an error is of no use.

        Raises
        ------
        ArtifactTooLarge
            More than ``max_files`` match, or they have more than ``max_bytes`` together; told before the first byte.
        WorkspaceRejected
            A pattern leads out, or something cannot be read.
        SandboxLost
            The sandbox is gone.

        """

    def kill(self) -> None:
        """Cancel: kill the running command; every later ``run`` returns cancelled at once. Files stay readable."""

    def close(self) -> None:
        """Remove the sandbox and everything in it. May be called again; never raises for what is gone already."""

    def __enter__(self) -> Self:
        """Return the sandbox itself."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""


@dataclass(frozen=True)
class BackendStatus:
    """Whether a backend can be used here and now."""

    name: str
    available: bool
    isolation: Isolation
    detail: str
    """What was found, for an operator."""
    hint: str
    """What to do when it is not available; empty when it is."""


class Backend(Protocol):
    """A way to make sandboxes."""

    name: str

    def status(self) -> BackendStatus:
        """Look whether it works, in under 2 s. Never raises."""

    def open(self, spec: SandboxSpec) -> Sandbox:
        """Start a sandbox; the caller closes it.

        Raises
        ------
        SandboxUnavailable
            The backend does not work here (any more).
        ImageMissing
            The image of the language was not built.
        SandboxError
            It could not be started for another reason.

        """

    def prepare(self, language: Language, say: Callable[[str], None]) -> None:
        """Make what ``open`` needs and this machine can make by itself: a missing image is built, which takes a minute.

        ``say`` gets a line per step.

        Raises
        ------
        SandboxUnavailable
            The backend does not work here (any more).
        SandboxError
            It cannot be made here; the message says what to do.

        """

    def reap(self, keep: Collection[UUID] = (), only: Collection[UUID] | None = None) -> int:
        """Remove what crashed owners left behind: every sandbox whose run id is not in ``keep``.

        Where several servers share an engine, each passes its own runs as ``only``, and touches no other's.

        Returns
        -------
        int
            How many were removed.

        """

    def reap_owners(self, alive: Collection[str]) -> int:
        """Remove what processes left behind that are gone: sandboxes of this installation, of owners not in ``alive``.

        This backend's own owner counts as alive. Kernels, and what another installation made, are never touched.

        Returns
        -------
        int
            How many were removed; 0 when this backend was not told its installation.

        """
