"""What the kernel lets one know about, and do to, the processes below."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import struct
import sys

from .guard import put_on

PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 4, 36, 38  # linux/prctl.h
LIBC = ctypes.CDLL(None)
TASK_GROUPS = "/sys/fs/cgroup"
OOM_COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process; elsewhere than on Linux there is none to set."""
    if sys.platform == "linux":
        LIBC.prctl(option, value, 0, 0, 0)


def bound_tasks(most: int) -> int:
    """Make a control group that takes at most so many tasks; return what a process joins it by, or -1.

    For gVisor, whose kernel counts its own tasks only here: the engine's limit counts threads of gVisor itself, which
    gives up when it meets it. Needs CAP_SYS_ADMIN inside.
    """
    if LIBC.mount(b"none", TASK_GROUPS.encode(), b"cgroup", 0, b"pids"):
        return -1
    group = f"{TASK_GROUPS}/commands"
    try:
        os.mkdir(group)
        with open(f"{group}/pids.max", "w", encoding="ascii") as file:
            file.write(str(most))
        return os.open(f"{group}/cgroup.procs", os.O_WRONLY)
    except OSError:
        return -1


def give_up_capabilities() -> None:
    """Keep none, not even those that this process could only take up again (capset(2), version 3)."""
    if sys.platform == "linux":
        LIBC.capset(struct.pack("=Ii", 0x20080522, 0), bytes(24))


def descendants() -> list[int]:
    """Every process below this one, from /proc; the subreaper bit keeps double-forked ones below it."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc") if sys.platform == "linux" else ():
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry))
    found, queue = [], [os.getpid()]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def kill_all(group: int = 0) -> None:
    """Kill everything below this process, and the process group when it is named.

    Name a group only while its leader is not reaped: afterwards its number may be somebody else's.
    """
    targets = [-group] if group else []
    # As pid 1 the kernel's own "everyone else" leaves no gap for a fork bomb to slip through.
    targets += [-1] if os.getpid() == 1 else descendants()
    for target in targets:
        try:
            os.kill(target, signal.SIGKILL)
        except OSError:
            continue


def oom_kills() -> int:
    """How often the kernel killed for memory in this cgroup, as far as it can be seen from here."""
    for path in OOM_COUNTERS:
        try:
            with open(path, encoding="ascii") as file:
                counters = dict(line.split() for line in file)
            return int(counters.get("oom_kill", 0))
        except (OSError, ValueError):
            continue
    return 0


def become(
    argv: list[str],
    env: dict[str, str],
    directory: int,
    stdio: tuple[int, int, int],
    failed: int,
    limits: dict[str, int],
    place: tuple[int | None, int, bytes],
) -> None:
    """In the child: turn into the command, or tell the parent why not. Never returns.

    ``place`` is the user whom the command becomes, unless it is that already, the control group that it joins, if there
    is one, and the filter of its system calls.
    """
    uid, group, guard = place
    try:
        if group >= 0:
            os.write(group, str(os.getpid()).encode())
        if uid is not None:
            os.setresuid(uid, uid, uid)
        os.setsid()
        for number, fd in enumerate(stdio):
            os.dup2(fd, number)
        os.fchdir(directory)
        for name in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these, a command should not
            signal.signal(name, signal.SIG_DFL)
        prctl(PR_SET_DUMPABLE, 1)
        offer_to_oom_killer()
        for limit, value in limits.items():
            kind = getattr(resource, f"RLIMIT_{limit}")
            hard = resource.getrlimit(kind)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)  # noqa: PLW2901
            resource.setrlimit(kind, (value, value))
        put_on(guard)
        os.execvpe(argv[0], argv, env)  # noqa: S606 - no shell is the point
    except BaseException as problem:  # noqa: BLE001 - whatever it is, a second supervisor must not go on from here
        os.write(failed, str(getattr(problem, "errno", None) or errno.EINVAL).encode())
    os._exit(127)


def offer_to_oom_killer() -> None:
    """When memory runs out, the command dies before the supervisor, who can then report it."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
    except OSError:
        return
