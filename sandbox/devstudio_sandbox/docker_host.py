"""What the engine is, where it is, and what a container of it may do."""

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.types import LogConfig, Mount, Ulimit
from docker.utils import kwargs_from_env

from devstudio_sandbox.base import EGRESS
from devstudio_sandbox.errors import SandboxUnavailable
from devstudio_sandbox.ports import Isolation, Limits, Runtime

WORKSPACE = "/workspace"
SHM_BYTES = 64 * 1024 * 1024  # the engine's own default
DEFAULT_ENGINE = "unix:///var/run/docker.sock"

GVISOR_START = ("SETUID", "SETGID", "SYS_ADMIN")
"""Towards gVisor's kernel, not the host's, and given up before the first command: gVisor protects a pid 1 from signals
of its own uid no more than any process, and its descriptors not at all, so the supervisor takes another uid than the
command; and it bounds tasks in a control group of gVisor's own."""
GVISOR_EGRESS = "runsc-egress"
"""A second entry of gVisor in the engine, for runs with a proxy: no other container shall open sockets of the host."""
GVISOR_TASKS = 8192
"""Most threads of the host for one gVisor sandbox. On ptrace each guest process takes up to one for each busy thread of
gVisor (measured: 8,115 for 120 processes that wake every millisecond), and gVisor ends when it gets no more."""


@dataclass(frozen=True)
class Engine:
    """What the engine offers, as its /info says."""

    version: str
    runtime: str | None
    """``runsc`` when it is installed; otherwise the engine's own default."""
    isolation: Isolation
    remapped: bool
    """It runs rootless or with remapped users, so large uids do not exist in its containers."""
    egress_runtime: str | None = None
    """What starts a container with egress in place of ``runtime``; empty when gVisor would let no socket through."""

    def runtime_with(self, egress: Path | None) -> str | None:
        """Return the runtime of a container; raises `SandboxUnavailable` when none here lets it reach its proxy."""
        if egress is None:
            return self.runtime
        if self.egress_runtime == "":
            raise SandboxUnavailable(
                "gVisor lets a run reach no proxy here: add a runtime `runsc-egress` to the engine's daemon.json, "
                "which is `runsc` with `--host-uds=open` among its runtimeArgs"
            )
        return self.egress_runtime or self.runtime


def gvisor_for_egress(offered: Mapping[str, Any]) -> str:
    """Return the gVisor runtime that lets a mounted socket through, the one for egress first; empty: there is none."""
    for name in (GVISOR_EGRESS, "runsc"):
        told = " ".join((offered.get(name) or {}).get("runtimeArgs") or ())
        if re.search(r"-host-uds(=(open|all|true))?( |$)", told):
            return name
    return ""


def read_engine(info: Mapping[str, Any], runtime: Runtime = "auto") -> Engine:
    """Read the answer to /info, and choose the runtime. Raises `SandboxUnavailable` when it lacks the one asked for."""
    security = " ".join(info.get("SecurityOptions") or ())
    offered = info.get("Runtimes") or {}
    if runtime != "auto" and runtime not in offered:
        raise SandboxUnavailable(f"the Docker engine has no runtime {runtime!r}, only {', '.join(sorted(offered))}")
    gvisor = runtime == "runsc" or (runtime == "auto" and "runsc" in offered)
    return Engine(
        version=str(info.get("ServerVersion", "?")),
        runtime="runsc" if gvisor else None if runtime == "auto" else runtime,
        isolation="gvisor" if gvisor else "container",
        remapped="name=userns" in security or "name=rootless" in security,
        egress_runtime=gvisor_for_egress(offered) if gvisor else None,
    )


def tmpfs(size: int, uid: int, *options: str) -> str:
    """Write the mount options of a tmpfs that belongs to one user."""
    return ",".join(["rw", "nosuid", "nodev", f"size={size}", f"uid={uid}", f"gid={uid}", "mode=0700", *options])


def host_config(limits: Limits, uid: int, runtime: str | None, egress: Path | None = None) -> dict[str, Any]:
    """Everything that keeps a container in, as arguments of ``create_host_config``.

    Scratch files count as memory and outlive the process that wrote them: together they get at most 7/8 of it, or the
    kernel would in the end kill the supervisor, who could then tell nothing.
    """
    memory, gvisor = limits.memory_bytes, runtime in ("runsc", GVISOR_EGRESS)
    return {
        "network_mode": "none",
        "read_only": True,
        "tmpfs": {
            WORKSPACE: tmpfs(
                min(limits.workspace_bytes, memory // 2), uid, "exec", f"nr_inodes={limits.workspace_files + 1}"
            ),
            "/tmp": tmpfs(min(limits.tmp_bytes, memory // 4), uid, "noexec"),  # noqa: S108 - the container's own, made for one run
        },
        # The directory, not the socket: a proxy that starts again makes a new socket in it.
        "mounts": [Mount(EGRESS, str(egress.parent), type="bind", read_only=True)] if egress else [],
        "cap_drop": ["ALL"],
        "cap_add": list(GVISOR_START) if gvisor else [],
        "security_opt": ["no-new-privileges:true"],
        "ipc_mode": "private",
        "pids_limit": min(limits.pids**2 + 1024, GVISOR_TASKS) if gvisor else limits.pids,
        "mem_limit": memory,
        "memswap_limit": memory,
        "shm_size": min(SHM_BYTES, memory // 8),
        "nano_cpus": int(limits.cpus * 1e9),
        "ulimits": [
            Ulimit(name="nofile", soft=limits.open_files, hard=limits.open_files),
            Ulimit(name="core", soft=0, hard=0),  # a core dump could leave through the host's core_pattern
        ],
        "log_config": LogConfig(type=LogConfig.types.NONE),
        "init": False,
        "auto_remove": False,
        "runtime": runtime,
    }


def engine_address(docker_host: str | None) -> dict[str, Any]:
    """Say where the engine is, as arguments of docker-py's clients: named, in the environment, or local."""
    return {"base_url": docker_host} if docker_host else {"base_url": DEFAULT_ENGINE, **kwargs_from_env()}


def local_socket(url: str) -> str | None:
    """Return the path of the engine's unix socket; ``None`` for one behind a network, which sees other files."""
    scheme, _, path = url.partition("://")
    return "/" + path.lstrip("/") if scheme in ("unix", "http+unix") else None


def knock(url: str, timeout_s: float) -> None:
    """Try a unix socket before docker-py does, which leaves one open for each try that fails."""
    if path := local_socket(url):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(timeout_s)
            probe.connect(path)
