"""The plain process as sandbox, in which pytest loads the plugins it is told to, and not all that are installed here.

This environment has many, and loading them costs more than ten times what the tests of a small project do. Runs with
all of them are seen by `tests/sandbox` and wherever a server is started.
"""

from __future__ import annotations

from devstudio_sandbox import SandboxSpec
from devstudio_sandbox.base import SupervisedSandbox
from devstudio_sandbox.process_backend import ProcessBackend


class LeanProcess(ProcessBackend):
    """Sandboxes as plain processes, each with a quick pytest."""

    def open(self, spec: SandboxSpec) -> SupervisedSandbox:
        """Open a sandbox whose commands find the variable that says so."""
        sandbox = super().open(spec)
        sandbox.env = {**sandbox.env, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return sandbox
