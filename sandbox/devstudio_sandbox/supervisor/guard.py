"""A filter of system calls that every command gets, whatever else holds it in (seccomp(2), filter mode).

It refuses what no build and no test needs and what much of the kernel's trouble came from: new namespaces, mounts,
modules, keyrings, BPF, io_uring, user-handled page faults, rare socket families, device nodes. And it keeps a command
from giving its supervisor, who may have the same uid, other limits or a later turn. Engines have such filters too, of
differing age; bubblewrap and plain processes have no other.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

LIBC = ctypes.CDLL(None)
PR_SET_SECCOMP, MODE_FILTER = 22, 2
LOAD, EQUAL, AT_LEAST, ANY_BIT, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06  # linux/bpf_common.h
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16  # struct seccomp_data
OTHER_TABLE = 0x40000000
"""The x32 calls of x86-64."""
NAMESPACES = 0x7E020080
"""All CLONE_NEW… flags; the lowest, of time, is no valid signal in clone(2)."""
FAMILIES = (0, 1, 2, 10, 16)
"""Unspecified, unix, IPv4, IPv6, netlink."""
PERSONALITIES = (0, 8, 0x20000, 0x20008, 0xFFFFFFFF)
"""As Docker's default profile has them."""
DEVICES = (0x2000, 0x6000)
EVERYWHERE = (425, 426, 427, 428, 429, 430, 431, 432, 433, 442, 443, 467)
"""io_uring_setup, _enter, _register, open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr,
quotactl_fd, open_tree_attr: the newer calls have one number on all machines."""
CLONE3 = 435

TABLES: dict[str, tuple[int, tuple[int, ...], dict[str, int]]] = {
    "x86_64": (
        0xC000003E,
        # acct add_key bpf chroot clock_adjtime clock_settime delete_module fanotify_init finit_module init_module
        # ioperm iopl kexec_file_load kexec_load keyctl lookup_dcookie modify_ldt mount nfsservctl open_by_handle_at
        # perf_event_open pivot_root quotactl reboot request_key setdomainname sethostname setns settimeofday swapoff
        # swapon syslog umount2 uselib userfaultfd vhangup
        (
            *(163, 248, 321, 161, 305, 227, 176, 300, 313, 175, 173, 172, 320, 246, 250, 212, 154, 165, 180, 304),
            *(298, 155, 179, 169, 249, 171, 170, 308, 164, 168, 167, 103, 166, 134, 323, 153),
        ),
        {"socket": 41, "socketpair": 53, "clone": 56, "unshare": 272, "personality": 135, "mknod": 133, "mknodat": 259}
        | {"prlimit64": 302, "setpriority": 141, "sched_setparam": 142, "sched_setscheduler": 144}
        | {"sched_setattr": 314, "ioprio_set": 251},
    ),
    "aarch64": (
        0xC00000B7,
        (
            *(89, 217, 280, 51, 266, 112, 106, 262, 273, 105, 294, 104, 219, 18, 40, 42, 265, 241, 41, 60, 142),
            *(218, 162, 161, 268, 170, 225, 224, 116, 39, 282, 58),
        ),
        {"socket": 198, "socketpair": 199, "clone": 220, "unshare": 97, "personality": 92, "mknodat": 33}
        | {"prlimit64": 261, "setpriority": 140, "sched_setparam": 118, "sched_setscheduler": 119}
        | {"sched_setattr": 274, "ioprio_set": 30},
    ),
}
"""For each machine its audit number, the calls that are refused, and those whose arguments decide."""


def op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """Write one instruction (struct sock_filter)."""
    return struct.pack("=HBBI", code, if_true, if_false, value)


def refuse(number: int) -> bytes:
    """End with an error."""
    return op(RETURN, REFUSE | number)


def argument(place: int) -> bytes:
    """Load the low half of an argument; the machines that are known are little endian."""
    return op(LOAD, ARGUMENTS_AT + 8 * place)


def when(test: int, value: int, then: bytes) -> bytes:
    """Do something that ends, if a comparison of what is loaded holds; else go on."""
    return op(test, value, 0, len(then) // 8) + then


def only(values: tuple[int, ...], number: int) -> bytes:
    """Allow these values of what is loaded, and end with an error for others."""
    return b"".join(when(EQUAL, value, op(RETURN, ALLOW)) for value in values) + refuse(number)


def never(test: int, values: tuple[int, ...]) -> bytes:
    """End with an error for these values of what is loaded, and allow others."""
    return b"".join(when(test, value, refuse(errno.EPERM)) for value in values) + op(RETURN, ALLOW)


def rules(supervisor: int) -> dict[str, bytes]:
    """Say what decides about the calls whose arguments do."""
    family = argument(0) + only(FAMILIES, errno.EAFNOSUPPORT)
    namespace = argument(0) + never(ANY_BIT, (NAMESPACES,))
    on_supervisor = argument(0) + never(EQUAL, (supervisor,))
    by_kind = {
        kind: argument(0) + when(EQUAL, kind, refuse(errno.EPERM)) + argument(1) + never(EQUAL, (supervisor,))
        for kind in (2, 3)  # of a whole user: PRIO_USER, IOPRIO_WHO_USER
    }
    node = {place: argument(place) + op(AND, 0xF000) + never(EQUAL, DEVICES) for place in (1, 2)}
    return {
        "socket": family,
        "socketpair": family,
        "clone": namespace,
        "unshare": namespace,
        "personality": argument(0) + only(PERSONALITIES, errno.EPERM),
        "mknod": node[1],
        "mknodat": node[2],
        "prlimit64": on_supervisor,
        "sched_setparam": on_supervisor,
        "sched_setscheduler": on_supervisor,
        "sched_setattr": on_supervisor,
        "setpriority": by_kind[2],
        "ioprio_set": by_kind[3],
    }


def guard(supervisor: int) -> bytes:
    """Write the filter for the commands of one supervisor; nothing on a machine that is not known."""
    if os.uname().machine not in TABLES:
        return b""
    architecture, refused, decided = TABLES[os.uname().machine]
    told = rules(supervisor)
    text = op(LOAD, ARCHITECTURE_AT) + op(EQUAL, architecture, 1, 0) + refuse(errno.EPERM) + op(LOAD, NUMBER_AT)
    text += when(AT_LEAST, OTHER_TABLE, refuse(errno.EPERM))
    text += when(EQUAL, CLONE3, refuse(errno.ENOSYS))  # its flags are out of a filter's sight; clone is taken instead
    text += b"".join(when(EQUAL, decided[name], told[name]) for name in decided)
    text += b"".join(when(EQUAL, number, refuse(errno.EPERM)) for number in (*refused, *EVERYWHERE))
    return text + op(RETURN, ALLOW)


def put_on(text: bytes) -> None:
    """Put a filter on this process and on all that it starts; it can't be taken off. Needs no_new_privs."""
    if text:
        buffer = ctypes.create_string_buffer(text, len(text))
        program = struct.pack("@HP", len(text) // 8, ctypes.addressof(buffer))
        if LIBC.prctl(PR_SET_SECCOMP, ctypes.c_ulong(MODE_FILTER), program, 0, 0):
            raise OSError(errno.ENOSYS, "the kernel has no seccomp filters")
