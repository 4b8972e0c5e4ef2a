"""What the sandboxes of all backends have in common."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

from devstudio_sandbox.archive import END_OF_ARCHIVE
from devstudio_sandbox.channel import Channel, Transport
from devstudio_sandbox.errors import SandboxLost
from devstudio_sandbox.ports import Command, Completed, Isolation, Limits, OnOutput

TOOLS = "/opt/devstudio"
"""Where the supervisor and the plugins lie in images and under bubblewrap."""
CONTAINER_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
EGRESS = "/run/devstudio"
"""Where the directory with the proxy's socket is mounted, for a run that has one."""
RUN_VARIABLE = "RENUM_DEVSTUDIO_RUN"


def egress_place(socket: Path | None) -> str | None:
    """Say where the supervisor finds the proxy's socket, if there is one."""
    return None if socket is None else f"{EGRESS}/{socket.name}"


def environment(run_id: UUID, *, path: str, home: str, plugins: str) -> dict[str, str]:
    """Build the environment that each command starts from; nothing of the server's own is in it."""
    return {
        "PATH": path,
        "HOME": home,
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        "CI": "true",  # test runners do not watch for changes and do not ask
        "NO_COLOR": "1",
        "PYTHONPATH": plugins,
        "PYTHONUNBUFFERED": "1",  # the person watches the output live
        "PYTHONDONTWRITEBYTECODE": "1",
        "npm_config_offline": "true",
        "npm_config_audit": "false",
        "npm_config_fund": "false",
        "npm_config_update_notifier": "false",
        RUN_VARIABLE: str(run_id),
    }


class SupervisedSandbox:
    """A sandbox whose supervisor answers on a channel; see :class:`devstudio_sandbox.ports.Sandbox`."""

    def __init__(
        self,
        transport: Transport,
        remove: Callable[[], object],
        *,
        isolation: Isolation,
        handle: str,
        workspace: str,
        env: Mapping[str, str],
        limits: Limits,
    ) -> None:
        self.isolation: Isolation = isolation
        self.handle = handle
        self.workspace = workspace
        self.env = env
        self._limits = limits
        self._remove = remove
        self._starved: Callable[[], bool] = lambda: False
        self._gone = False
        """It ran out of memory as a whole: what was in it is no more."""
        self._channel = Channel(transport, destroy=remove)

    def ask_when_lost(self, starved: Callable[[], bool]) -> Self:
        """Name whom to ask, when the sandbox is lost, whether it ran out of memory as a whole."""
        self._starved = starved
        return self

    def greet(self) -> Self:
        """Wait until the supervisor is ready."""
        self._channel.greet()
        return self

    def put(self, archive: Iterable[bytes]) -> None:
        """Unpack a tar stream into the workspace."""
        self._channel.put(archive, self._limits)

    def run(self, command: Command, on_output: OnOutput) -> Completed:
        """Run one command to its end."""
        if self._gone:
            raise SandboxLost("the sandbox ran out of memory before, and is gone with its files")
        began = time.monotonic()
        try:
            return self._channel.run(command, {**self.env, **command.env}, on_output)
        except SandboxLost:
            if not self._starved():
                raise
        self._gone = True
        return Completed(
            exit_code=137,
            signal=9,
            timed_out=False,
            cancelled=False,
            duration_s=time.monotonic() - began,
            cpu_s=0.0,
            max_rss_bytes=self._limits.memory_bytes,
            oom_killed=True,
        )

    def get(self, path: str, max_bytes: int) -> bytes | None:
        """Read one file of the workspace."""
        return None if self._gone else self._channel.get(path, max_bytes)

    def export(self, patterns: Sequence[str], *, max_bytes: int, max_files: int) -> Iterator[bytes]:
        """Give the files of the workspace that match as a tar stream."""
        if self._gone:
            return iter([END_OF_ARCHIVE])
        return self._channel.export(patterns, max_bytes=max_bytes, max_files=max_files)

    def quiet(self) -> bool:
        """Tell whether a sandbox that waits for its run is still there, as far as that shows from here."""
        return self._channel.quiet()

    def adopt(self, run_id: UUID, ttl_s: int) -> None:
        """Give a sandbox that waits to its run; raises `SandboxError` when it is not there any more."""
        self._channel.adopt(ttl_s)
        self.env = {**self.env, RUN_VARIABLE: str(run_id)}

    def kill(self) -> None:
        """Cancel the running command and every later one."""
        self._channel.kill()

    def close(self) -> None:
        """Remove the sandbox and everything in it."""
        try:
            self._channel.close()
        finally:
            self._remove()

    def __enter__(self) -> Self:
        """Return the sandbox itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()
