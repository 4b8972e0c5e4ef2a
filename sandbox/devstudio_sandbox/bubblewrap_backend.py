"""Namespaces without an engine: bubblewrap around the supervisor.

What the host's root does: bubblewrap keeps real privileges only to make the mounts, and the supervisor turns into
the tenant's own uid before it listens. Anyone else gets a user namespace.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from uuid import UUID

from devstudio_sandbox.base import EGRESS, TOOLS, SupervisedSandbox, egress_place, environment
from devstudio_sandbox.errors import SandboxUnavailable
from devstudio_sandbox.host import (
    PLUGIN,
    PLUGIN_NAME,
    SUPERVISOR,
    find_node,
    kill_runs,
    marks,
    rlimits,
    spawn,
    tool_path,
)
from devstudio_sandbox.identity import Ownership, tenant_uid
from devstudio_sandbox.ports import BackendStatus, Language, Limits, SandboxSpec
from devstudio_sandbox.supervisor import BOOT

WORKSPACE = "/workspace"
TMP = "/tmp"  # noqa: S108 - the sandbox's own
PROBE_TIMEOUT_S = 1.5
INSTALL = "install it (`apt install bubblewrap`) and allow user namespaces, or use Docker"
SYSTEM_FOLDERS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
MASKED = ("/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/latency_stats", "/proc/kcore")
"""What engines hide of /proc, too."""
ETC = ("/etc/ld.so.cache", "/etc/alternatives")


@cache
def options(program: str) -> str:
    """Return the help text of this bubblewrap, which tells its options."""
    told = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False)
    return told.stdout + told.stderr


def namespaces(program: str, uid: int) -> list[str]:
    """Choose the namespaces and the user."""
    shared = ["--die-with-parent", "--new-session", "--as-pid-1", "--clearenv", "--hostname", "sandbox"]
    if os.geteuid() == 0:
        alone = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        # What it takes to become the tenant's uid; gone with the change (capabilities(7)).
        kept = ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_CHOWN"]
        return [*alone, *shared, "--cap-drop", "ALL", *kept]
    nested = ["--disable-userns"] if "--disable-userns" in options(program) else []
    mapped = ["--unshare-user", *nested, "--uid", str(uid), "--gid", str(uid)]
    return ["--unshare-all", *mapped, *shared, "--cap-drop", "ALL"]


def system() -> Iterator[str]:
    """Bind what programs need of the host, read-only."""
    yield from ("--perms", "0755", "--dir", "/etc", "--ro-bind", "/usr", "/usr")
    for folder in map(Path, SYSTEM_FOLDERS):
        if folder.is_symlink():
            yield from ("--symlink", str(folder.readlink()), str(folder))
        elif folder.exists():
            yield from ("--ro-bind", str(folder), str(folder))
    for name in ETC:
        yield from ("--ro-bind-try", name, name)
    yield from ("--proc", "/proc", "--dev", "/dev")
    for name in filter(os.path.exists, MASKED):
        yield from ("--ro-bind", "/dev/null", name)


def toolchains() -> Iterator[str]:
    """Bind the prefixes of Python and Node where they lie outside /usr."""
    prefixes = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent}
    if node := find_node():
        prefixes |= {node.parent.parent, node.resolve().parent.parent}
    for prefix in sorted(prefixes):
        if is_toolchain(prefix):
            yield from show(prefix, prefix)


def show(source: Path, place: Path) -> Iterator[str]:
    """Bind one thing read-only; the folders above it would be the builder's alone if bubblewrap made them by itself."""
    for folder in reversed(place.parents[:-1]):
        yield from ("--perms", "0755", "--dir", str(folder))
    yield from ("--ro-bind", str(source), str(place))


def is_toolchain(prefix: Path) -> bool:
    """Tell whether a folder may be shown: not what is there already, and never a home or a folder above one."""
    home = Path.home().resolve()
    real = prefix.resolve()
    return not real.is_relative_to("/usr") and not home.is_relative_to(real)


def scratch(program: str, limits: Limits) -> Iterator[str]:
    """Make the writable places, sized where this bubblewrap can."""
    sizes = {WORKSPACE: limits.workspace_bytes, TMP: limits.tmp_bytes, "/dev/shm": limits.tmp_bytes}  # noqa: S108
    for place, size in sizes.items():
        sized = ["--size", str(size)] if "--size" in options(program) else []
        yield from ("--perms", "0700" if place == WORKSPACE else "1777", *sized, "--tmpfs", place)


@contextmanager
def accounts(uid: int) -> Iterator[tuple[list[str], list[int]]]:
    """Give the sandbox its own user database, so that nothing of the host's shows."""
    texts = {
        "/etc/passwd": f"sandbox:x:{uid}:{uid}:sandbox:{TMP}:/bin/sh\n",
        "/etc/group": f"sandbox:x:{uid}:\n",
        "/etc/hosts": "127.0.0.1 localhost sandbox\n",
    }
    arguments: list[str] = []
    files = []
    for name, text in texts.items():
        fd = os.memfd_create("devstudio")
        os.write(fd, text.encode())
        os.lseek(fd, 0, os.SEEK_SET)
        arguments += ["--perms", "0444", "--file", str(fd), name]
        files.append(fd)
    try:
        yield arguments, files
    finally:
        for fd in files:
            os.close(fd)


def arguments(program: str, uid: int, limits: Limits) -> list[str]:
    """Everything that bubblewrap is told, except the user database and the command."""
    return [
        program,
        *namespaces(program, uid),
        *system(),
        *scratch(program, limits),  # before the toolchains: one may lie under /tmp
        *toolchains(),
        *show(SUPERVISOR, Path(TOOLS, "supervisor")),
        *show(PLUGIN, Path(TOOLS, "plugins", PLUGIN_NAME)),
        *("--chdir", WORKSPACE),
    ]


class BubblewrapBackend:
    """Sandboxes by bubblewrap; see :class:`devstudio_sandbox.ports.Backend`."""

    name = "bubblewrap"

    def __init__(self, *, installation: str = "", owner: str = "") -> None:
        self._ownership = Ownership(installation, owner)

    def status(self) -> BackendStatus:
        """Run the interpreter in a sandbox like the real ones."""
        program = shutil.which("bwrap")
        if program is None:
            return self._unavailable("bwrap is not installed")
        try:
            probe = [*arguments(program, tenant_uid(UUID(int=0)), Limits()), sys.executable, "-I", "-S", "-c", "pass"]
            result = subprocess.run(probe, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False)
        except (OSError, subprocess.SubprocessError) as problem:
            return self._unavailable(f"bwrap does not run: {problem}")
        if result.returncode:
            return self._unavailable(f"bwrap cannot make a sandbox: {result.stderr.strip()}")
        detail = "bubblewrap" + (
            "" if "--size" in options(program) else "; too old to size the workspace (file size is bounded)"
        )
        return BackendStatus(self.name, True, "bubblewrap", detail, "")

    def open(self, spec: SandboxSpec) -> SupervisedSandbox:
        """Start bubblewrap with a supervisor in it."""
        program = shutil.which("bwrap")
        if program is None:
            raise SandboxUnavailable(f"bwrap is not installed: {INSTALL}")
        path = tool_path(spec.language)
        uid = tenant_uid(spec.tenant_id)
        own = marks(self._ownership, spec.run_id)
        settings = {
            "workspace": WORKSPACE,
            "ttl_s": spec.ttl_s,
            "rlimits": rlimits(spec.language, spec.limits),
            "egress": egress_place(spec.egress),
            **own,
        } | ({"uid": uid} if os.geteuid() == 0 else {})
        supervisor = [sys.executable, "-I", "-S", "-B", "-c", BOOT, TOOLS, json.dumps(settings)]
        egress = show(spec.egress.parent, Path(EGRESS)) if spec.egress else ()
        with accounts(uid) as (files, fds):
            closed = ["--remount-ro", "/", "--remount-ro", "/dev"]
            process = spawn([*arguments(program, uid, spec.limits), *egress, *files, *closed, *supervisor], {}, fds)

        def remove() -> None:
            process.destroy()
            # Started by root, the inside has another uid than bubblewrap by now, which may not signal it when it dies.
            kill_runs(only=(spec.run_id,), of=self._ownership.__eq__)

        try:
            return SupervisedSandbox(
                process,
                remove,
                isolation="bubblewrap",
                handle=str(process.pid),
                workspace=WORKSPACE,
                env=environment(spec.run_id, path=path, home=TMP, plugins=f"{TOOLS}/plugins") | own,
                limits=spec.limits,
            ).greet()
        except BaseException:
            process.close()
            raise

    def prepare(self, language: Language, say: Callable[[str], None]) -> None:
        """Nothing to make: the tools are the host's own."""

    def reap(self, keep: Collection[UUID] = (), only: Collection[UUID] | None = None) -> int:
        """Kill marked processes; all else goes with them."""
        return len(kill_runs(keep=keep, only=only))

    def reap_owners(self, alive: Collection[str]) -> int:
        """Kill the supervisors of owners who are gone; all else goes with them."""
        return len(kill_runs(of=lambda owner: self._ownership.outlives(owner, alive)))

    def _unavailable(self, detail: str) -> BackendStatus:
        return BackendStatus(self.name, False, "bubblewrap", detail, INSTALL)
