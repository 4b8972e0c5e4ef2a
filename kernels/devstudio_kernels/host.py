"""What the kernels of one process have in common: engine, folders, limits, whose they are."""

from __future__ import annotations

import asyncio
import hashlib
import os
import select
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from devstudio_kernels.boxes import (
    INSIDE,
    TOUCH_S,
    Box,
    Keeper,
    RuntimeFolder,
    close_folder,
    default_runtime_dir,
    is_listening,
)
from devstudio_kernels.engine import GONE, KernelEngine, State
from devstudio_kernels.errors import KernelError
from devstudio_kernels.sharing import kernel_uid, share
from devstudio_sandbox.base import CONTAINER_PATH
from devstudio_sandbox.docker_host import WORKSPACE
from devstudio_sandbox.identity import Ownership
from devstudio_sandbox.ports import Language, Limits

T = TypeVar("T")
START_S = 60.0
LOOK_S = 0.004
AWAY_S = 24 * 3600.0
"""How long a kernel waits for a server that is away before it ends."""
FILE_BYTES = 4 << 30
"""Largest file that a kernel may write; its folder has no other quota."""
MODULES = {"python": "devstudio_kernel", "node": "devstudio_javascript"}
THREADS = 8


@dataclass(frozen=True)
class Place:
    """For whom a kernel is: it can serve no other tenant and see no other folder."""

    language: Language
    tenant_id: UUID
    root: Path
    limits: Limits = field(default_factory=Limits)

    def inside(self, folder: str | Path) -> str:
        """Return where a folder of the tenant is inside the container; what is not below the root is the root."""
        try:
            relative = Path(os.path.realpath(folder)).relative_to(os.path.realpath(self.root))
        except ValueError:
            return WORKSPACE
        return str(Path(WORKSPACE, relative))


class KernelHost:
    """Starts and ends the containers of kernels."""

    def __init__(
        self,
        *,
        docker_host: str | None = None,
        runtime_dir: Path | None = None,
        ownership: Ownership | None = None,
        away_s: float = AWAY_S,
    ) -> None:
        """Use the engine at ``docker_host``; ``ownership`` tells apart what servers on the same engine made."""
        self.engine = KernelEngine(docker_host)
        self.folders = RuntimeFolder(runtime_dir or default_runtime_dir())
        self.ownership = ownership or Ownership(own_name(self.folders.root), "kernels")
        self.away_s = away_s
        self.keeper = Keeper(min(TOUCH_S, away_s / 4))
        self.started: set[str] = set()
        """The containers that this process has started and not ended."""
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="devstudio-kernels")

    async def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call what blocks in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))

    def start(self, place: Place, key: str, cwd: str, env: dict[str, str]) -> Box:
        """Start a kernel and wait until its sockets are there.

        Raises
        ------
        KernelError
            It ended at once, or took too long; its last words are in the message.

        """
        uid = kernel_uid(place.tenant_id)
        share(place.root, uid)
        program = MODULES[place.language]
        boot = f"import sys; sys.path.insert(0, {INSIDE!r}); import {program}; {program}.main()"
        settings = {
            "argv": ["python3", "-B", "-c", boot],
            "env": environment(uid) | env,
            "cwd": cwd,
            "ttl_s": self.away_s,
            "file_bytes": FILE_BYTES,
        }
        folder = self.folders.make(uid, key, program, settings)
        box = Box("", str(folder), uid, key)
        try:
            container = self.engine.create(
                language=place.language,
                tenant_id=place.tenant_id,
                uid=uid,
                root=place.root,
                run=box.run,
                limits=place.limits,
                ownership=self.ownership,
            )
            self.started.add(container)
            box = Box(container, str(folder), uid, key)
            self._await_sockets(box)
            close_folder(box)
            self.keeper.keep(box)
        except BaseException:
            self.end(box)
            raise
        return box

    def end(self, box: Box) -> None:
        """Kill a kernel, and leave nothing of it but its tenant's files."""
        self.keeper.drop(box)
        if box.container:
            self.engine.remove(box.container)
            self.started.discard(box.container)
        self.folders.remove(box)

    def _await_sockets(self, box: Box) -> None:
        until, looks = time.monotonic() + START_S, 0
        while not is_listening(box):
            time.sleep(LOOK_S)
            looks += 1
            if time.monotonic() > until or (looks % 64 == 0 and not self.engine.state(box.container).running):
                words = self.engine.last_words(box.container)
                raise KernelError(f"the kernel did not start: {words or 'it said nothing'}")


def own_name(folder: Path) -> str:
    """Name an installation that has no name, by its folder."""
    return hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:16]


def environment(uid: int) -> dict[str, str]:
    """Return the variables that every kernel has; nothing of the server's own is in it."""
    return {
        "PATH": CONTAINER_PATH,
        "HOME": "/tmp",  # noqa: S108 - the container's own
        "TMPDIR": "/tmp",  # noqa: S108
        "USER": f"kernel-{uid}",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "npm_config_offline": "true",
    }


class Watch:
    """Knows at once when a container has ended, without asking the engine, where this machine runs it."""

    def __init__(self, engine: KernelEngine, container: str) -> None:
        """Watch ``container``. Blocks for one call of the engine."""
        self._engine, self._container = engine, container
        self.ended: State | None = None
        state = engine.state(container)
        self._pidfd = -1
        if not state.running:
            self.ended = state
            return
        with suppress(OSError):  # the engine is in another pid namespace, or the process has just ended
            self._pidfd = os.pidfd_open(state.pid)

    def fileno(self) -> int:
        """Return what becomes readable when the container ends, or -1."""
        return self._pidfd

    def look(self) -> State | None:
        """Return how the container ended, or None while it runs. Blocks when it has ended."""
        if self.ended is None:
            if self._pidfd >= 0 and not self._is_readable():
                return None
            state = self._engine.state(self._container)
            until = time.monotonic() + 5
            while self._pidfd >= 0 and state.running and time.monotonic() < until:  # the engine hears of it later
                time.sleep(0.02)
                state = self._engine.state(self._container)
            self.ended = None if state.running else state
        return self.ended

    def _is_readable(self) -> bool:
        poller = select.poll()
        poller.register(self._pidfd, select.POLLIN)
        return bool(poller.poll(0))

    def close(self) -> None:
        """End to watch."""
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        self.ended = self.ended or GONE


_current: KernelHost | None = None


def use_host(host: KernelHost) -> None:
    """Let the provisioners of this process use ``host``."""
    global _current  # noqa: PLW0603 - Jupyter makes provisioners itself, and hands nothing of ours to them
    _current = host


def current_host() -> KernelHost:
    """Return what `use_host` was given, else one with the defaults."""
    if _current is None:
        use_host(KernelHost())
    assert _current is not None  # noqa: S101 - for mypy
    return _current
