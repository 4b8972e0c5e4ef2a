"""A backend of sandboxes that tells when it opens one."""

from __future__ import annotations

from collections.abc import Callable

from devstudio_sandbox import Sandbox, SandboxSpec
from devstudio_sandbox.ports import BackendStatus
from support.lean_process import LeanProcess


class Watched:
    """The plain process, told when a sandbox is opened: what happens in the middle of a run is done there."""

    name = "process"

    def __init__(self) -> None:
        self._real = LeanProcess()
        self.opened = 0
        self.then: Callable[[], None] = lambda: None

    def status(self) -> BackendStatus:
        return self._real.status()

    def open(self, spec: SandboxSpec) -> Sandbox:
        self.opened += 1
        sandbox = self._real.open(spec)
        try:
            self.then()
        except BaseException:
            sandbox.close()
            raise
        return sandbox

    def reap(self, keep: object = ()) -> int:
        del keep
        return 0
