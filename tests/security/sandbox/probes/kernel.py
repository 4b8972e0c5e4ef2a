"""The kernel's own levers, and calls that a sandbox has no use for."""

import ctypes
import errno
import os
import struct
import time
from pathlib import Path

from probes.harness import LIBC, call, checked, first, opens, probe, reads, rewrites

NOT_REACHED = (errno.EPERM, errno.EACCES, errno.ENOSYS)


def reaches(name: str, *arguments: object) -> str:
    """Make a call with arguments that do no harm: any refusal but that of permission means that it was looked at."""
    try:
        result = call(name, *arguments)
    except OSError as problem:
        if problem.errno in NOT_REACHED:
            raise
        return f"{name} looked at its arguments: {problem}"
    return f"{name} returned {result}"


@probe("kernel")
def magic_key() -> str | None:
    """Press a magic key: h prints help into the kernel's log, b would restart the host."""
    Path("/proc/sysrq-trigger").write_text("h", encoding="ascii")
    return "pressed"


@probe("kernel", "privileged")
def core_pattern() -> str | None:
    """Name the program that the host runs as root when something crashes."""
    return rewrites("/proc/sys/kernel/core_pattern")


@probe("kernel", "privileged")
def settings_of_the_kernel() -> str | None:
    """Change other settings under /proc/sys."""
    names = ("kernel/modprobe", "vm/overcommit_memory", "kernel/panic", "vm/drop_caches", "kernel/yama/ptrace_scope")
    return first([lambda name=name: rewrites(f"/proc/sys/{name}") for name in names])  # type: ignore[misc]


@probe("kernel", "none")
def binary_formats() -> str | None:
    """Register an interpreter for a format (binfmt_misc), which runs for every process of the host."""
    return opens("/proc/sys/fs/binfmt_misc/register", os.O_WRONLY)


@probe("kernel", "privileged")
def hotplug_helper() -> str | None:
    """Name the kernel's helper for new devices (uevent_helper) or change another file of /sys."""
    places = ["/sys/kernel/uevent_helper", "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/power/state"]
    return first([lambda place=place: opens(place, os.O_WRONLY) for place in places])  # type: ignore[misc]


@probe("kernel")
def memory_of_the_kernel() -> str | None:
    """Read the kernel's memory."""
    return first([lambda: reads("/proc/kcore", 4), lambda: reads("/dev/mem"), lambda: reads("/dev/kmem")])


@probe("kernel", "privileged")
def addresses_of_the_kernel() -> str | None:
    """Where the kernel's functions are, which most exploits need first."""
    with open("/proc/kallsyms", encoding="ascii", errors="replace") as file:  # noqa: PTH123
        lines = [file.readline() for _ in range(50)]
    return next((line.strip() for line in lines if line and int(line.split()[0], 16)), None)


@probe("kernel", "privileged")
def log_of_the_kernel() -> str | None:
    """The kernel's messages: addresses, devices, what else runs on the host."""

    def by_call() -> str | None:
        buffer = ctypes.create_string_buffer(1 << 18)
        size = call("syslog", 3, buffer, len(buffer))
        return f"{size} bytes" if size and b"gVisor" not in buffer.value else None  # gVisor tells jokes of its own

    return first([by_call, lambda: opens("/dev/kmsg", os.O_RDONLY)])


@probe("kernel", "privileged")
def masked_files() -> str | None:
    """What the engine hides of /proc and /sys."""
    names = ("/proc/timer_list", "/proc/keys", "/proc/sched_debug", "/proc/latency_stats", "/proc/acpi/event")
    found = first([lambda name=name: reads(name) for name in names])  # type: ignore[misc]
    return found or next((f"saw {path}" for path in Path("/sys/firmware").iterdir()), None)


@probe("kernel")
def load_a_module() -> str | None:
    """Load code into the kernel."""
    return reaches("init_module", bytes(64), 64, b"")


@probe("kernel")
def load_a_module_from_a_file() -> str | None:
    """Load code into the kernel by descriptor."""
    return reaches("finit_module", os.open("/bin/sh", os.O_RDONLY), b"", 0)


@probe("kernel")
def remove_a_module() -> str | None:
    """Take code out of the kernel; there is no module of this name."""
    return reaches("delete_module", b"devstudio-no-such-module", os.O_NONBLOCK)


@probe("kernel")
def another_kernel() -> str | None:
    """Load another kernel to start (kexec); this one says that none shall be loaded."""
    return reaches("kexec_load", 0, 0, None, 0)


@probe("kernel", "none")
def restart() -> str | None:
    """Restart the host; this one only says that Ctrl-Alt-Delete shall not."""
    return f"returned {call('reboot', 0xFEE1DEAD, 672274793, 0, None)}"


@probe("kernel", "privileged")
def clock() -> str | None:
    """Set the clock; to the time that it shows."""
    now = time.time()
    call("clock_settime", 0, struct.pack("ll", int(now), int(now % 1 * 1e9)))
    return "set"


@probe("kernel", "privileged")
def swap() -> str | None:
    """Add swap space; the file is not there."""
    return reaches("swapon", b"/devstudio/no/such/file", 0)


@probe("kernel", "privileged")
def accounting() -> str | None:
    """Turn process accounting on, into a file of one's choice; this one turns it off."""
    return reaches("acct", None)


@probe("kernel", "privileged")
def quotas() -> str | None:
    """Change disk quotas."""
    return reaches("quotactl", 0x800002 << 8, b"/devstudio/no/such/device", 0, None)


@probe("kernel")
def ports_of_the_processor() -> str | None:
    """Talk to hardware (ioperm, iopl)."""
    return first([lambda: reaches("ioperm", 0x80, 1, 1), lambda: reaches("iopl", 3)])


@probe("kernel", "privileged")
def programs_in_the_kernel() -> str | None:
    """Make a BPF map."""
    return f"descriptor {call('bpf', 0, struct.pack('IIIII', 2, 4, 4, 1, 0) + bytes(108), 128)}"


@probe("kernel", "privileged")
def counters_of_the_processor() -> str | None:
    """Watch the whole machine with performance counters."""
    attributes = struct.pack("IIQ", 1, 128, 0) + bytes(112)  # a software clock
    return f"descriptor {call('perf_event_open', attributes, -1, 0, -1, 0)}"


@probe("kernel", "privileged")
def faults_by_hand() -> str | None:
    """Handle the kernel's page faults (userfaultfd), which makes races in it easy to win."""
    return f"descriptor {call('userfaultfd', os.O_CLOEXEC)}"


@probe("kernel", "privileged")
def rings() -> str | None:
    """Make calls past every filter (io_uring)."""
    return f"descriptor {call('io_uring_setup', 4, ctypes.create_string_buffer(120))}"


@probe("kernel", "privileged")
def keys() -> str | None:
    """Leave a key where another sandbox of the host could find it: keyrings know no containers."""
    return f"key {call('add_key', b'user', b'devstudio-probe', b'x', 1, -4)}"


@probe("kernel", "privileged")
def rings_of_keys() -> str | None:
    """Look at the keyring of the session."""
    return f"ring {call('keyctl', 0, -3, 1)}"


@probe("kernel", "privileged")
def addresses_not_random() -> str | None:
    """Take randomness from the addresses of whatever is started next."""
    checked(LIBC.personality(0x0040000))
    return "taken"


@probe("kernel", "privileged")
def all_files_of_the_mount() -> str | None:
    """Be told of every file that is opened on a file system (fanotify)."""
    return f"descriptor {call('fanotify_init', 0, os.O_RDONLY)}"


@probe("kernel", "none")
def page_cache_of_a_read_only_file() -> str | None:
    """Write into a file that may only be read (CVE-2022-0847)."""
    with open("/etc/passwd", "rb") as file:  # noqa: PTH123
        before = file.read(8)
        readable, writable = os.pipe()
        size = 1 << 16
        os.write(writable, bytes(size))
        os.read(readable, size)
        os.splice(file.fileno(), writable, 1, offset_src=0)
        os.write(writable, b"XX")
    with open("/etc/passwd", "rb") as file:  # noqa: PTH123
        return "written" if file.read(8) != before else None
