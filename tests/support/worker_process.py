"""`devstudio worker` as a process, started as an operator starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

START_S = 60.0


class WorkerProcess:
    """A worker with a data folder and a log of its own."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        *,
        concurrency: int = 2,
        grace_s: float = 10.0,
        within: Sequence[str] = (),
        sandbox: str = "process",
    ) -> None:
        """Prepare a worker of the server that has ``environment``; ``within`` starts its command."""
        folder.mkdir(parents=True, exist_ok=True)
        own = {"DEVSTUDIO_DATA_DIR": str(folder / "data"), "DEVSTUDIO_SANDBOX_BACKEND": sandbox}
        self._environment = {**environment, **own}
        self._environment.pop("DEVSTUDIO_DATABASE_OWNER_URL", None)
        options = ["--concurrency", str(concurrency), "--grace", str(grace_s)]
        self._command = [*within, sys.executable, "-m", "devstudio_server.cli", "worker", *options]
        self._log = folder / "worker.log"
        self._log.touch()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it."""
        self.kill()

    @property
    def log(self) -> str:
        """Everything that it printed, in all its lives."""
        return self._log.read_text()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start it, and wait until it takes jobs."""
        started = self.log.count('"worker_started"')
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, cwd="/", start_new_session=True
            )
        deadline = time.monotonic() + START_S
        while self.log.count('"worker_started"') == started:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def wait(self, timeout_s: float = 60.0) -> int:
        """Wait for its end, and return its exit code."""
        assert self.process is not None
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        """Kill it as a crash would."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def children(self) -> list[int]:
        """Return the processes that it started itself and that are there."""
        found = []
        for task in Path(f"/proc/{self.pid}/task").glob("*/children"):
            try:
                found += [int(word) for word in task.read_text().split()]
            except OSError:
                continue
        return found
