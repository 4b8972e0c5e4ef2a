"""Who one is: uids, capabilities, programs that give rights, and limits."""

import ctypes
import os
import resource
import stat
import struct
import subprocess
from pathlib import Path

from probes.harness import LIBC, checked, first, probe


def status(name: str) -> int:
    """Read a number of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((int(line.split()[1], 16) for line in lines if line.startswith(f"{name}:")), 0)


@probe("identity", "privileged")
def capabilities() -> str | None:
    """Any capability at all, in effect or to be taken up."""
    held = {name: status(name) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb") if status(name)}
    return str(held) if held else None


@probe("identity", "privileged")
def become_root() -> str | None:
    """Become another user or group, root first."""

    def becomes(uid: int) -> str:
        os.setresuid(uid, uid, uid)
        return f"became {uid}"

    return first([lambda uid=uid: becomes(uid) for uid in (0, 1, 65534, os.getuid() + 1)])  # type: ignore[misc]


@probe("identity", "privileged")
def join_groups() -> str | None:
    """Join other groups: disk, docker, shadow."""
    os.setgroups([6, 42, 999])
    return "joined"


@probe("identity", "privileged")
def raise_capabilities() -> str | None:
    """Ask for all capabilities (capset)."""
    ctypes.set_errno(0)
    wanted = struct.pack("IIIIII", 0xFFFFFFFF, 0xFFFFFFFF, 0, 0x1FF, 0x1FF, 0)
    held = status("CapPrm")
    wanted = struct.pack("IIIIII", held & 0xFFFFFFFF or 1, held & 0xFFFFFFFF or 1, 0, held >> 32, held >> 32, 0)
    checked(LIBC.capset(struct.pack("=Ii", 0x20080522, 0), wanted))
    return "set"


@probe("identity", "privileged")
def programs_that_give_rights() -> str | None:
    """su, mount, newgrp and every other program with the setuid bit: does one of them run as root?"""
    script = "import os; print(os.geteuid())"

    def runs(argv: list[str]) -> str | None:
        done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=10, check=False)
        return f"{argv[0]} ran as root" if done.returncode == 0 and done.stdout.strip() == b"0" else None

    attempts = [["su", "-s", "/bin/sh", "-c", "id -u", "root"], ["sudo", "-n", "id", "-u"], ["pkexec", "id", "-u"]]
    found = [
        path for path in Path("/usr/bin").iterdir() if not path.is_symlink() and path.stat().st_mode & stat.S_ISUID
    ]
    return first([lambda argv=argv: runs(argv) for argv in [*attempts, *([str(p), "-c", script] for p in found)]])  # type: ignore[misc]


@probe("identity", "privileged")
def a_setuid_program_of_ones_own() -> str | None:
    """Make a program that runs as its owner, root."""
    copy = Path("/tmp/own")
    copy.write_bytes(Path("/bin/sh").read_bytes())
    copy.chmod(0o4755)
    os.chown(copy, 0, 0)
    copy.chmod(0o4755)
    return "made"


@probe("identity", "privileged")
def capabilities_on_a_file() -> str | None:
    """Give a program capabilities (security.capability)."""
    Path("/tmp/capable").write_bytes(b"")
    os.setxattr("/tmp/capable", "security.capability", struct.pack("<IIIII", 0x2000001, 0x3000, 0, 0, 0))
    return "given"


@probe("identity", "none")
def new_privileges() -> str | None:
    """Take back the promise that no program gives rights."""
    checked(LIBC.prctl(38, 0, 0, 0, 0))  # PR_SET_NO_NEW_PRIVS
    return "taken back"


@probe("identity", "none")
def no_promise() -> str | None:
    """Run without that promise in the first place."""
    return None if LIBC.prctl(39, 0, 0, 0, 0) == 1 else "no_new_privs is not set"


@probe("identity", "none")
def filter_off() -> str | None:
    """Turn the filter of system calls off (PR_SET_SECCOMP), or its strictness."""
    checked(LIBC.prctl(22, 0, 0, 0, 0))
    return "off"


@probe("limits")
def raise_limits() -> str | None:
    """Raise the limits of this process above the hard ones."""

    def raises(name: str) -> str | None:
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        wanted = 4096 if hard == 0 else hard * 2
        if hard == resource.RLIM_INFINITY:
            return None
        try:
            resource.setrlimit(kind, (wanted, wanted))
        except ValueError as problem:
            raise OSError(1, str(problem)) from problem
        return f"raised {name}"

    return first([lambda name=name: raises(name) for name in ("RLIMIT_NOFILE", "RLIMIT_CORE", "RLIMIT_MEMLOCK")])  # type: ignore[misc]


@probe("limits", "privileged")
def be_nicer_to_oneself() -> str | None:
    """Take more than one's turn on the processor."""
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    return "taken" if os.getpriority(os.PRIO_PROCESS, 0) == -20 else None


@probe("limits")
def real_time() -> str | None:
    """Run before every other process of the host."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return "set" if os.sched_getscheduler(0) == os.SCHED_FIFO else None


@probe("limits")
def never_out_of_memory() -> str | None:
    """Let others be killed when memory runs out."""
    Path("/proc/self/oom_score_adj").write_text("-1000", encoding="ascii")
    return "set"
