"""Pid 1 of a kernel's container: it starts the kernel, passes signals on, reaps, and leaves nothing behind.

It runs on any Python from 3.9 on, with the standard library alone, and speaks to nobody: the engine sends it signals,
and its exit code is the kernel's. SIGINT and SIGTERM go to the kernel's process group. When the kernel ends,
everything in the container is killed. When nobody has touched ``alive`` for a while, the kernel has lost its server,
and ends, too.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import resource
import signal
import struct
import sys
import time
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
CHECK_S = 20.0
PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 4, 22, 38  # linux/prctl.h
SECCOMP_MODE_FILTER = 2
WAITED_FOR = {signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
ALLOW, REFUSE = 0x7FFF0000, 0x00050000  # linux/seccomp.h; the low half of REFUSE is the error number
EPERM, ENOSYS = 1, 38
X32_BIT = 0x40000000
# linux/audit.h, and the numbers of symlink, symlinkat and io_uring_setup
MACHINES = {"x86_64": (0xC000003E, (88, 266), 425), "aarch64": (0xC00000B7, (36,), 425)}


def refuse_links() -> None:
    """Let nothing here make a symbolic link, nor ask for one where this filter would not see it.

    The tree of the tenant is the server's, too: whoever can put a link there while the server opens a path can lead the
    server out of that tree. The filter is inherited by all that the kernel starts, and cannot be taken off.
    """
    arch, links, uring = MACHINES[platform.machine()]
    load, equal, at_least, give = 0x20, 0x15, 0x35, 0x06
    rules = [(load, 0, 0, 4), (equal, 1, 0, arch), (give, 0, 0, REFUSE | ENOSYS), (load, 0, 0, 0)]
    rules += [(at_least, 0, 1, X32_BIT), (give, 0, 0, REFUSE | ENOSYS)]
    rules += [(equal, 0, 1, uring), (give, 0, 0, REFUSE | ENOSYS)]
    for link in links:
        rules += [(equal, 0, 1, link), (give, 0, 0, REFUSE | EPERM)]
    rules.append((give, 0, 0, ALLOW))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
    program = struct.pack("HxxxxxxP", len(rules), ctypes.addressof(code))
    if LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(program), 0, 0):
        raise OSError(ctypes.get_errno(), "the system call filter of the kernel cannot be set")


LIBC = ctypes.CDLL(None, use_errno=True)


def start(settings: dict[str, Any]) -> int:
    """Start the kernel as leader of a session and group of its own, and return its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # it may look at itself
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WAITED_FOR)
        for name in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these, a kernel may want them
            signal.signal(name, signal.SIG_DFL)
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")  # when memory runs out, pid 1 is there to see it
        resource.setrlimit(resource.RLIMIT_FSIZE, (settings["file_bytes"], settings["file_bytes"]))
        os.chdir(settings["cwd"])
        os.execvpe(settings["argv"][0], settings["argv"], settings["env"])  # noqa: S606 - no shell is the point
    except BaseException as problem:  # noqa: BLE001 - a second pid 1 must not go on from here
        os.write(2, f"the kernel cannot be started: {problem}\n".encode())
    os._exit(127)


def reap(kernel: int) -> int | None:
    """Collect everyone who died, and return the kernel's exit code when it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == kernel:
            code = os.waitstatus_to_exitcode(status)


class Owner:
    """The server, which touches a file as long as it lives: that it changes counts, not what the clock says."""

    def __init__(self, ttl_s: float) -> None:
        self._ttl_s, self._seen, self._since = ttl_s, 0.0, time.monotonic()

    def is_gone(self) -> bool:
        """Tell whether the file has not changed for too long."""
        try:
            touched = os.stat(os.path.join(HERE, "alive")).st_mtime
        except OSError:
            touched = self._seen
        if touched != self._seen:
            self._seen, self._since = touched, time.monotonic()
        return time.monotonic() - self._since > self._ttl_s


def serve(settings: dict[str, Any]) -> int:
    """See the kernel through to its end, and return its exit code as a shell tells it."""
    kernel, owner, code = start(settings), Owner(settings["ttl_s"]), None
    while code is None:
        got = signal.sigtimedwait(WAITED_FOR, min(CHECK_S, settings["ttl_s"] / 4))
        if got is None:
            if owner.is_gone():
                os.write(2, b"the server has been away for too long\n")
                code = -signal.SIGTERM
        elif got.si_signo == signal.SIGCHLD:
            code = reap(kernel)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(kernel, got.si_signo)
    return code if code >= 0 else 128 - code


def main() -> None:
    """Serve, and then kill all that is left; when pid 1 ends, the system does that too."""
    with open(os.path.join(HERE, "init.json"), encoding="utf-8") as file:
        settings = json.load(file)
    signal.pthread_sigmask(signal.SIG_BLOCK, WAITED_FOR)
    os.umask(0o022)
    LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    LIBC.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    refuse_links()
    sys.exit(serve(settings))


if __name__ == "__main__":
    main()
