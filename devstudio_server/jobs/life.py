"""One life of a process: what holds leases and owns sandboxes, and how others of the same host see that it is over."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self
from uuid import UUID

from devstudio_server.kit.ids import new_id

LifeKind = Literal["server", "worker"]
_START_FIELD = 19
"""Of `/proc/<pid>/stat`, counted after the name of the program: when the process began, in ticks since the boot."""


@dataclass(frozen=True)
class Life:
    """A process from its start to its end. A restarted one is another life, whatever it has in common with the last."""

    id: UUID
    kind: LifeKind
    host: str
    pid: int
    started: int
    """In ticks since the boot of the host; 0 where that cannot be known."""

    @classmethod
    def begun(cls, kind: LifeKind) -> Self:
        """Return the life of this process."""
        return cls(new_id(), kind, this_host(), os.getpid(), started_at(os.getpid()) or 0)


def this_host() -> str:
    """Name what this process shares its process ids with: host, boot and, in a container, the container."""
    boot = _read("/proc/sys/kernel/random/boot_id").strip()
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = ""
    return f"{socket.gethostname()} {boot} {space}".strip()[:200]


def started_at(pid: int) -> int | None:
    """Return when the process began, in ticks; None when there is no such process, or it has ended."""
    _, _, fields = _read(f"/proc/{pid}/stat").rpartition(")")
    words = fields.split()
    if len(words) <= _START_FIELD or words[0] in {"Z", "X"}:
        return None
    return int(words[_START_FIELD])


def surely_over(host: str, pid: int, started: int) -> bool:
    """Tell whether that life has ended. False when nobody here can know."""
    return host == this_host() and started > 0 and started_at(pid) != started


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""
