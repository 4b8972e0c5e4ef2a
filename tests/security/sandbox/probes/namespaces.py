"""Namespaces: new ones, others' ones, and what a user namespace would give."""

import ctypes
import os
import struct
from collections.abc import Callable
from pathlib import Path

from probes.harness import LIBC, call, checked, first, probe, rewrites

NEW = {"mount": 0x20000, "control_group": 0x2000000, "host_name": 0x4000000, "ipc": 0x8000000, "process": 0x20000000,
       "network": 0x40000000, "time": 0x80}  # fmt: skip
NEW_USER = 0x10000000


def unshares(name: str) -> Callable[[], str | None]:
    """Make an attempt at a namespace of one kind."""

    def attempt() -> str | None:
        call("unshare", NEW[name])
        return "made"

    attempt.__name__ = f"new_{name}_namespace"
    attempt.__doc__ = f"A {name.replace('_', ' ')} namespace of one's own, without a user namespace."
    return attempt


for kind in NEW:
    probe("namespaces", "privileged")(unshares(kind))


@probe("namespaces", "privileged")
def power_by_a_user_namespace() -> str | None:
    """All capabilities over what is one's own (unshare), and what they reach of what is not."""
    call("unshare", NEW_USER)
    return with_all_capabilities()


@probe("namespaces", "privileged")
def power_by_clone() -> str | None:
    """The same by clone, with the other namespaces at once."""
    read, write = os.pipe()
    pid = call("clone", NEW_USER | NEW["mount"] | NEW["process"] | NEW["host_name"] | 17, None, None, None, None)
    if pid == 0:
        try:
            said = with_all_capabilities() or ""
        except OSError:
            said = ""
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    return os.read(read, 1000).decode() or None


@probe("namespaces", "privileged")
def power_by_clone3() -> str | None:
    """The same by clone3, whose arguments no filter can see."""
    arguments = struct.pack("8Q", NEW_USER, 0, 0, 0, 17, 0, 0, 0)
    read, write = os.pipe()
    pid = call("clone3", arguments, len(arguments))
    if pid == 0:
        try:
            said = with_all_capabilities() or ""
        except OSError:
            said = ""
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    return os.read(read, 1000).decode() or None


def with_all_capabilities() -> str | None:
    """Try what would be worth it: the image's files, the sandbox's limits, its supervisor, devices, the root."""

    def writes() -> str:
        Path("/etc/escaped").write_text("x", encoding="ascii")
        Path("/etc/escaped").unlink()
        return "wrote /etc"

    def limits() -> str | None:
        paths = [*Path("/sys/fs/cgroup").rglob("pids.max"), *Path("/sys/fs/cgroup").rglob("memory.limit_in_bytes")]
        return first([lambda path=path: rewrites(str(path)) for path in paths])  # type: ignore[misc]

    def mounts() -> str:
        checked(LIBC.mount(b"none", b"/", b"", 32, None))
        return "mounted the root again"

    def device() -> str:
        os.mknod("/dev/shm/node", 0o20600, os.makedev(1, 1))
        os.close(os.open("/dev/shm/node", os.O_RDONLY))
        return "opened the machine's memory"

    def supervisor() -> str | None:
        with open("/proc/1/mem", "rb"):  # noqa: PTH123
            return "opened the supervisor's memory"

    def trace() -> str:
        ctypes.set_errno(0)
        checked(LIBC.ptrace(0x4206, 1, None, None))
        return "traced the supervisor"

    return first([writes, limits, mounts, device, supervisor, trace])


@probe("namespaces", "privileged")
def namespaces_of_pid_1() -> str | None:
    """Join the namespaces of another process."""
    kinds = {"mnt": NEW["mount"], "pid": NEW["process"], "uts": NEW["host_name"], "ipc": NEW["ipc"]}

    def joins(name: str) -> str:
        call("setns", os.open(f"/proc/1/ns/{name}", os.O_RDONLY), kinds[name])
        return f"joined {name}"

    return first([lambda name=name: joins(name) for name in kinds])  # type: ignore[misc]


@probe("namespaces", "privileged")
def name_of_the_machine() -> str | None:
    """Change the machine's name."""
    checked(LIBC.sethostname(b"escaped", 7))
    return "changed"
