"""Mounts, and roots of the file tree."""

import ctypes
import os
from pathlib import Path

from probes.harness import BAIT, LIBC, call, checked, first, opens, probe, read_now

MS_RDONLY, MS_REMOUNT, MS_BIND, MNT_DETACH = 1, 32, 4096, 2


def mount(source: bytes, target: str, kind: bytes, flags: int = 0) -> None:
    """Mount, or raise OSError."""
    ctypes.set_errno(0)
    checked(LIBC.mount(source, target.encode(), kind, flags, None))


def place(name: str) -> str:
    """Make a directory to mount on."""
    path = f"/tmp/{name}"
    Path(path).mkdir(exist_ok=True)
    return path


@probe("mounts", "privileged")
def mount_a_file_system() -> str | None:
    """Mount a tmpfs, without the limits of the sandbox's own."""
    mount(b"none", place("tmpfs"), b"tmpfs")
    LIBC.umount2(b"/tmp/tmpfs", MNT_DETACH)
    return "mounted"


@probe("mounts", "privileged")
def mount_proc_anew() -> str | None:
    """Mount another /proc, in which nothing is masked."""
    mount(b"proc", place("proc"), b"proc")
    LIBC.umount2(b"/tmp/proc", MNT_DETACH)
    return "mounted"


@probe("mounts", "privileged")
def bind_over_a_program() -> str | None:
    """Put a file of one's own over a program."""
    mount(b"/etc/passwd", "/bin/ls", b"", MS_BIND)
    LIBC.umount2(b"/bin/ls", MNT_DETACH)
    return "bound"


@probe("mounts", "privileged")
def make_the_root_writable() -> str | None:
    """Mount the root again, for writing."""
    mount(b"none", "/", b"", MS_REMOUNT)
    return "mounted"


@probe("mounts", "privileged")
def take_a_mask_away() -> str | None:
    """Take away what lies over the masked places, or over /proc itself."""
    places = (b"/proc/kcore", b"/proc/sys", b"/sys/firmware", b"/dev/shm")
    for masked in places:
        ctypes.set_errno(0)
        if LIBC.umount2(masked, MNT_DETACH) == 0:
            return f"unmounted {masked!r}"
    return str(checked(-1))


@probe("mounts", "privileged")
def open_a_file_system() -> str | None:
    """The newer calls: fsopen."""
    return f"descriptor {call('fsopen', b'tmpfs', 0)}"


@probe("mounts", "privileged")
def copy_a_tree() -> str | None:
    """The newer calls: open_tree with OPEN_TREE_CLONE."""
    return f"descriptor {call('open_tree', -100, b'/tmp', 1)}"


@probe("mounts", "none")
def move_a_tree() -> str | None:
    """The newer calls: move_mount."""
    return f"returned {call('move_mount', -100, b'/dev/shm', -100, place('moved').encode(), 0)}"


@probe("mounts", "none")
def change_a_tree() -> str | None:
    """The newer calls: mount_setattr, to clear read-only."""
    return f"returned {call('mount_setattr', -100, b'/', 0, (0).to_bytes(8, 'little') + (1).to_bytes(8, 'little') + bytes(16), 32)}"  # noqa: E501


@probe("mounts", "none")
def another_root() -> str | None:
    """Change the root of all processes here (pivot_root)."""
    return f"returned {call('pivot_root', place('root').encode(), place('root').encode())}"


@probe("mounts", "privileged")
def own_root() -> str | None:
    """Change the own root (chroot), the first half of the oldest way out."""
    if os.fork() == 0:
        try:
            os.chroot("/tmp")
        except OSError as problem:
            os._exit(problem.errno or 1)
        os._exit(0)
    number = os.waitstatus_to_exitcode(os.wait()[1])
    if number:
        raise OSError(number, os.strerror(number))
    return "changed"


@probe("mounts", "privileged")
def file_by_handle() -> str | None:
    """Open a file by its number in the file system, past every directory (CVE-2014-6407, "shocker")."""
    handle = ctypes.create_string_buffer(8 + 128)
    ctypes.cast(handle, ctypes.POINTER(ctypes.c_uint))[0] = 128
    number = ctypes.c_int()
    call("name_to_handle_at", -100, b"/dev/shm", handle, ctypes.byref(number), 0)
    fd = os.open("/dev/shm", os.O_RDONLY)
    return f"descriptor {call('open_by_handle_at', fd, handle, os.O_RDONLY)}"


@probe("mounts", "shared")
def root_of_pid_1() -> str | None:
    """The file tree of process 1 or of one of the host's, by its magic link."""
    pids = ("1", BAIT["host_pid"])
    return first([lambda pid=pid: opens(f"/proc/{pid}/root{BAIT['host_file']}", os.O_RDONLY) for pid in pids])  # type: ignore[misc]


@probe("mounts", "privileged")
def make_a_device() -> str | None:
    """Make a node for the machine's disk or its log, and open it."""
    import stat  # noqa: PLC0415

    def makes(mode: int, major: int, minor: int) -> str:
        os.mknod("/tmp/node", mode | 0o600, os.makedev(major, minor))
        try:
            return opens("/tmp/node", os.O_RDONLY)
        finally:
            Path("/tmp/node").unlink()

    disks = [lambda major=major: makes(stat.S_IFBLK, major, 0) for major in (8, 252, 253, 254, 259)]
    return first([lambda: makes(stat.S_IFCHR, 1, 11), *disks])  # type: ignore[list-item]


@probe("mounts", "privileged")
def devices_that_are_there() -> str | None:
    """Read what /dev has beyond the harmless."""
    harmless = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "fd", "stdin", "stdout", "stderr"}
    import stat  # noqa: PLC0415

    def special(path: Path) -> bool:
        mode = path.stat().st_mode
        return stat.S_ISBLK(mode) or stat.S_ISCHR(mode)

    found = [path for path in Path("/dev").iterdir() if path.name not in harmless and not path.is_symlink()]
    return first([lambda path=path: read_now(str(path)) for path in found if special(path)])  # type: ignore[misc]


@probe("mounts", "privileged")
def tunnels_and_loops() -> str | None:
    """Give the kernel a file system or a tunnel of one's own to read (tun, loop, kvm)."""

    def tunnel() -> str:
        import fcntl  # noqa: PLC0415

        request = b"ds-tun".ljust(16, b"\0") + (1).to_bytes(2, "little").ljust(24, b"\0")
        fcntl.ioctl(os.open("/dev/net/tun", os.O_RDWR), 0x400454CA, request)  # TUNSETIFF
        return "made a tunnel"

    names = ("/dev/loop-control", "/dev/kvm", "/dev/vhost-vsock")
    return first([tunnel, *(lambda name=name: opens(name, os.O_RDWR) for name in names)])  # type: ignore[misc]
