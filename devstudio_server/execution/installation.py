"""The packages of a project, installed through its way out before its command runs."""

from __future__ import annotations

from dataclasses import replace

from devstudio_sandbox import Command, Completed, Sandbox, Stream
from devstudio_sandbox.install import INDEXES, Install
from devstudio_server.egress.gate import EgressAccess
from devstudio_server.execution.logs import LogStream, LogWriter
from devstudio_server.execution.plans import RunPlan
from devstudio_server.execution.results import RunResult
from devstudio_server.execution.schemas import RunStatus
from devstudio_server.execution.service import RunEnd

INSTALL_S = 600.0
"""Longest that an installation may take, in seconds; the command's own deadline begins after it."""


class Installation:
    """What comes before the command of one run, and what the command gets from it."""

    def __init__(self, plan: RunPlan, way: EgressAccess | None) -> None:
        """Look at what the plan needs, and at where the run may go."""
        self._plan, self._way = plan, way
        self._done: Install | None = None

    def run(self, sandbox: Sandbox, log: LogWriter) -> RunResult | None:
        """Install, if that is wanted and possible; return the run's end when it failed."""
        install, way = self._plan.install, self._way
        if install is None:
            return None
        index = (way.mirrors if way else {}).get(install.client, INDEXES[install.client])
        if way is None or not way.allows(index):
            if self._plan.must_install:
                log.note(f"Nothing is installed: no egress lease in force allows {index}.")
            return None
        log.note(f"Installing the project's packages from {index} ({install.client}).")

        def show(stream: Stream, data: bytes) -> None:
            log.write(data, LogStream(stream))

        done = sandbox.run(install.command(sandbox, way.env, INSTALL_S), show)
        if done.exit_code != 0:
            return RunResult(_failed(done))
        log.note(f"Installed after {done.duration_s:.1f} s.")
        self._done = install
        return None

    def around(self, command: Command, sandbox: Sandbox) -> Command:
        """Return the command with the variables of its way out, and with what was installed on its path."""
        env = {**(self._way.env if self._way else {}), **command.env}
        if self._done is not None and (found := self._done.found(sandbox)):
            path = env.get("PYTHONPATH") or sandbox.env.get("PYTHONPATH", "")
            env["PYTHONPATH"] = ":".join([*filter(None, [path]), *found])
        return replace(command, env=env)


def _failed(done: Completed) -> RunEnd:
    if done.cancelled:
        return RunEnd(RunStatus.CANCELLED, "Cancelled.", done.exit_code)
    if done.timed_out:
        return RunEnd(RunStatus.TIMEOUT, f"Installing the packages took more than {INSTALL_S:.0f} s.", done.exit_code)
    reason = f"The packages could not be installed (exit code {done.exit_code}); the log says why."
    return RunEnd(RunStatus.FAILED, reason, done.exit_code)
