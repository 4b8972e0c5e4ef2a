"""What all probes share: how they are named, how they call the kernel, and how they say what came of it."""

import ctypes
import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Attempt = Callable[[], str | None]
Control = Literal["privileged", "shared", "neighbour", "none"]
"""In which weak container the probe has to succeed: one with every privilege, one that shares the host's network, IPC,
processes and files, one beside the neighbour, or none: it would do harm, or machines of tests lack what it needs."""

LIBC = ctypes.CDLL(None, use_errno=True)
NUMBERS: dict[str, dict[str, int]] = {
    "x86_64": {
        "modify_ldt": 154, "iopl": 172, "ioperm": 173, "init_module": 175, "delete_module": 176, "quotactl": 179,
        "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272, "perf_event_open": 298,
        "fanotify_init": 300, "name_to_handle_at": 303, "open_by_handle_at": 304, "clock_settime": 227, "setns": 308,
        "process_vm_readv": 310, "finit_module": 313, "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425,
        "open_tree": 428, "move_mount": 429, "fsopen": 430, "clone3": 435, "pidfd_open": 434, "pidfd_getfd": 438,
        "mount_setattr": 442, "pivot_root": 155, "acct": 163, "reboot": 169, "swapon": 167, "syslog": 103,
        "clone": 56, "add_key_type": 0, "memfd_secret": 447, "kcmp": 312,
    },
    "aarch64": {
        "init_module": 105, "delete_module": 106, "quotactl": 60, "kexec_load": 104, "add_key": 217,
        "request_key": 218, "keyctl": 219, "unshare": 97, "perf_event_open": 241, "fanotify_init": 262,
        "name_to_handle_at": 264, "open_by_handle_at": 265, "clock_settime": 112, "setns": 268,
        "process_vm_readv": 270, "finit_module": 273, "bpf": 280, "userfaultfd": 282, "io_uring_setup": 425,
        "open_tree": 428, "move_mount": 429, "fsopen": 430, "clone3": 435, "pidfd_open": 434, "pidfd_getfd": 438,
        "mount_setattr": 442, "pivot_root": 41, "acct": 89, "reboot": 142, "swapon": 224, "syslog": 116, "clone": 220,
        "memfd_secret": 447, "kcmp": 272,
    },
}  # fmt: skip
"""System calls that the C library has no wrapper for everywhere."""


@dataclass(frozen=True)
class Probe:
    """One attempt: it returns what it reached, or ``None``, or raises OSError."""

    name: str
    area: str
    control: Control
    attempt: Attempt


PROBES: dict[str, Probe] = {}
BAIT: dict[str, str] = json.loads(os.environ.get("PROBE_BAIT", "{}"))
"""What the test laid out on the host for the probes to find."""


def probe(area: str, control: Control = "none") -> Callable[[Attempt], Attempt]:
    """Name an attempt after its function."""

    def register(attempt: Attempt) -> Attempt:
        assert attempt.__name__ not in PROBES
        PROBES[attempt.__name__] = Probe(attempt.__name__, area, control, attempt)
        return attempt

    return register


def call(name: str, *arguments: object) -> int:
    """Make a system call, or raise OSError."""
    number = NUMBERS[platform.machine()].get(name)
    if number is None:
        raise OSError(38, "no such call on this machine")
    ctypes.set_errno(0)
    given = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result: int = LIBC.syscall(ctypes.c_long(number), *given)
    return checked(result)


def checked(result: int) -> int:
    """Pass the result of a C function on, or raise OSError."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def first(attempts: list[Attempt]) -> str | None:
    """Return what the first of several attempts reaches; raise the last refusal when all are refused."""
    refusal: OSError | None = None
    for attempt in attempts:
        try:
            if reached := attempt():
                return reached
        except OSError as problem:
            refusal = problem
    if refusal is not None:
        raise refusal
    return None


def opens(path: str, flags: int) -> str:
    """Open a file, and say so."""
    os.close(os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC))
    return f"opened {path}"


def reads(path: str, size: int = 4096) -> str | None:
    """Read the beginning of a file."""
    with open(path, "rb") as file:  # noqa: PTH123 - the shortest way to few system calls
        return f"read {path}" if file.read(size).strip(b"\0 \n") else None


def read_now(path: str) -> str | None:
    """Read what is there, without waiting for more."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return f"read {path}" if os.read(fd, 8192) else None
    finally:
        os.close(fd)


def rewrites(path: str) -> str:
    """Write back what a file of the kernel's says already, which changes nothing where it works."""
    text = Path(path).read_bytes()
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text or b"\n")
    finally:
        os.close(fd)
    return f"wrote {path}"


def main(name: str) -> None:
    """Run one probe and say what came of it, in one line."""
    try:
        reached = PROBES[name].attempt()
    except OSError as problem:
        print(f"CONTAINED {name}: {problem}", flush=True)
        return
    print(f"ESCAPED {name}: {reached}" if reached else f"CONTAINED {name}: nothing there", flush=True)
