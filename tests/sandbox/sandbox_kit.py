"""What the sandbox tests share: specs, commands whose output is collected, and the scripts of ill-behaved programs."""

import tempfile
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import UUID, uuid4

import docker

from devstudio_sandbox import Command, Completed, Language, Limits, Sandbox, SandboxSpec, Stream
from devstudio_sandbox.docker_labels import LABEL_TENANT, Labelled
from devstudio_sandbox.host import run_of
from devstudio_sandbox.process_backend import DIRECTORY

TENANT = UUID("7d0c1f9e-0000-4000-8000-000000000001")


@dataclass
class Output:
    """Collects what a command says, stream by stream."""

    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)

    def __call__(self, stream: Stream, data: bytes) -> None:
        """Take one piece."""
        (self.stdout if stream == "stdout" else self.stderr).extend(data)


def spec(language: Language = "python", limits: Limits | None = None, ttl_s: int = 120) -> SandboxSpec:
    """Describe a sandbox for a run of its own."""
    return SandboxSpec(language, TENANT, uuid4(), limits or Limits(), ttl_s)


def run(sandbox: Sandbox, *argv: str, stdin: bytes = b"", deadline_s: float = 60.0) -> tuple[Completed, Output]:
    """Run a command and collect its output."""
    output = Output()
    return sandbox.run(Command(argv, stdin=stdin, deadline_s=deadline_s), output), output


def python(sandbox: Sandbox, script: str, *args: str, deadline_s: float = 60.0) -> tuple[Completed, Output]:
    """Run a Python script that comes over standard input, so that its text is in no command line."""
    return run(sandbox, "python3", "-", *args, stdin=script.encode(), deadline_s=deadline_s)


def until(holds: Callable[[], bool], within_s: float = 30.0) -> None:
    """Wait until something holds; fail when it does not in time."""
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, f"not within {within_s} s"
        threading.Event().wait(0.02)


class Open(Protocol):
    """Opens sandboxes that the test need not close."""

    def __call__(self, limits: Limits | None = None, *, language: Language = "python") -> Sandbox:
        """Open one."""


OUTLIVER = textwrap.dedent("""
    import os, signal, sys, time
    # Leaves its session twice over, ignores what can be ignored, closes its outputs, and stays.
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            os.closerange(0, 3)
            os.execvp("sleep", ["sleep", sys.argv[1]])
        os._exit(0)
    os.wait()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("started", flush=True)
    if len(sys.argv) > 2:
        time.sleep(float(sys.argv[2]))
""")
"""``argv[1]``: how long the orphan sleeps, which also marks it; ``argv[2]``: how long its ancestor does."""

SEARCH = textwrap.dedent("""
    import glob, sys
    # Counts the processes that have the word given on standard input in their command line.
    word = {word!r}
    found = 0
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            found += word in open(path).read().split(chr(0))
        except OSError:
            pass
    print(found)
""")


def alive(sandbox: Sandbox, word: str) -> int:
    """Count the processes that the sandbox can see with this argument."""
    _, output = python(sandbox, SEARCH.format(word=word))
    return int(output.stdout)


def present_runs() -> set[UUID]:
    """Find every run that has a container, a process or a directory on this machine, whoever started it."""
    client = docker.APIClient()
    boxes = map(Labelled.read, client.containers(all=True, filters={"label": LABEL_TENANT}))
    found = {UUID(box.run_id) for box in boxes if box.run_id}
    client.close()
    found |= {run for path in Path("/proc").glob("[0-9]*") if (run := run_of(path.name))}
    folders = (DIRECTORY.match(entry.name) for entry in Path(tempfile.gettempdir()).iterdir())
    return found | {UUID(folder[1]) for folder in folders if folder}
