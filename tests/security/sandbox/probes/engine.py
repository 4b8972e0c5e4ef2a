"""The engine's sockets, files and control groups."""

import os
import socket
from pathlib import Path

from probes.harness import BAIT, LIBC, call, checked, first, opens, probe, rewrites

ENGINE_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock", "/run/crio/crio.sock")
CONTAINERD_SOCKETS = ("/run/containerd/containerd.sock", "/run/docker/containerd/containerd.sock")


def connects(path: str) -> str:
    """Connect to a unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        client.connect(path)
    return f"connected to {path!r}"


@probe("engine", "shared")
def docker_socket() -> str | None:
    """The engine's socket: whoever reaches it is root on the host."""
    return first([lambda path=path: connects(path) for path in ENGINE_SOCKETS])  # type: ignore[misc]


@probe("engine", "shared")
def containerd_socket() -> str | None:
    """The socket of containerd, below the engine."""
    return first([lambda path=path: connects(path) for path in CONTAINERD_SOCKETS])  # type: ignore[misc]


@probe("engine", "shared")
def abstract_socket_of_the_host() -> str | None:
    """An abstract socket, which belongs to a network namespace and to no directory (CVE-2020-15257)."""
    return connects("\0" + BAIT["abstract"])


@probe("engine", "shared")
def data_root_of_the_engine() -> str | None:
    """The engine's own files: images, layers and other containers."""
    return f"listed {[path.name for path in Path(BAIT['data_root']).iterdir()][:3]}"


@probe("engine", "shared")
def a_path_that_the_mount_table_names() -> str | None:
    """Paths of the host that /proc/self/mountinfo gives away."""
    text = Path("/proc/self/mountinfo").read_text()
    named = {part for word in text.split() for part in word.replace("=", ":").split(":") if part.count("/") > 2}
    places = [*(path for path in named if path.startswith("/var/lib")), BAIT["host_file"]]
    return next((f"{path} is there" for path in places if Path(path).exists()), None)


@probe("control groups", "privileged")
def release_agent() -> str | None:
    """Mount a control group hierarchy and name a program that the host runs as root (CVE-2022-0492)."""
    place = "/tmp/hierarchy"
    Path(place).mkdir(exist_ok=True)
    for controller in (b"rdma", b"misc", b"hugetlb", b"cpuset", b"devices"):
        if LIBC.mount(b"none", place.encode(), b"cgroup", 0, controller) == 0:
            reached = opens(f"{place}/release_agent", os.O_WRONLY)
            LIBC.umount2(place.encode(), 2)
            return reached
    return str(checked(-1))


def group_files(*names: str) -> list[str]:
    """Find files of control groups, whatever is mounted where."""
    found = [str(path) for name in names for path in Path("/sys/fs/cgroup").rglob(name)]
    return found or [f"/sys/fs/cgroup/{name}" for name in names]


@probe("control groups", "privileged")
def loosen_own_limits() -> str | None:
    """Raise the limits of the own control group."""
    names = ("memory.limit_in_bytes", "memory.max", "pids.max", "cpu.cfs_quota_us", "cpu.max", "cpu.shares")
    return first([lambda path=path: rewrites(path) for path in group_files(*names)])  # type: ignore[misc]


@probe("control groups", "privileged")
def leave_own_group() -> str | None:
    """Move into another control group, whose limits are others."""

    def joins(path: str) -> str:
        with open(path, "w", encoding="ascii") as file:  # noqa: PTH123
            file.write("0")
        return f"joined {path}"

    return first([lambda path=path: joins(path) for path in group_files("cgroup.procs", "tasks")])  # type: ignore[misc]


@probe("control groups", "privileged")
def allow_all_devices() -> str | None:
    """Write into devices.allow."""

    def allows(path: str) -> str:
        with open(path, "w", encoding="ascii") as file:  # noqa: PTH123
            file.write("c 1:3 r")  # /dev/null, which is allowed anyway
        return f"wrote {path}"

    return first([lambda path=path: allows(path) for path in group_files("devices.allow")])  # type: ignore[misc]


@probe("control groups", "privileged")
def make_a_group() -> str | None:
    """Make a control group below or beside the own one."""

    def makes(path: Path) -> str:
        (path / "escaped").mkdir()
        (path / "escaped").rmdir()
        return f"made a group in {path}"

    places = [Path("/sys/fs/cgroup"), *(path for path in Path("/sys/fs/cgroup").glob("*") if path.is_dir())]
    return first([lambda place=place: makes(place) for place in places])  # type: ignore[misc]


@probe("engine", "none")
def bpf_of_the_group() -> str | None:
    """Load a program that decides what the control group may do (BPF_PROG_LOAD, cgroup device)."""
    return f"loaded, descriptor {call('bpf', 5, bytes(128), 128)}"
