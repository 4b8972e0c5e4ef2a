"""Programs that take all that they can get: stopped in time and told truly, while a neighbour goes on."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from uuid import UUID, uuid4

import docker
import pytest
from sandbox_kit import Output, present_runs, python, run, spec

from devstudio_sandbox import (
    ArchiveEntry,
    Command,
    Completed,
    Limits,
    Sandbox,
    SandboxError,
    SandboxSpec,
    WorkspaceRejected,
    pack,
)
from devstudio_sandbox.docker_backend import DockerBackend

MIB = 1024 * 1024
DEADLINE_S = 3.0
STOPPED_S = 5.0
NEIGHBOUR = UUID("7d0c1f9e-0000-4000-8000-000000000002")
RUNTIMES = ("docker", "gvisor")

FORK = """
import os, time
born = 0
while True:
    try:
        if os.fork() == 0:
            time.sleep(3600)
        born += 1
    except OSError:
        break
print(born, flush=True)
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
THREADS = "import threading\nwhile True:\n  threading.Thread(target=lambda: [None for _ in iter(int, 1)]).start()"
PROCESSORS = "import os\nfor _ in range(4): os.fork()\nwhile True: pass"
MEMORY = "blocks = []\nwhile True: blocks.append(bytearray(5_000_000))"
MEMORY_OF_MANY = "import os, time\nfor _ in range(4): os.fork()\nx = bytearray(60_000_000)\ntime.sleep(3600)"
DESCRIPTORS = """
import os
for _ in range(20):
    if os.fork() == 0:
        break
try:
    while True: last = os.dup(0)
except OSError as problem: os.write(1, b"%d %s\\n" % (last, problem.strerror.encode()))
"""
DISK = """
for place in ("/workspace", "/tmp", "/dev/shm"):
    try:
        with open(place + "/big", "wb", buffering=0) as file:
            while True: file.write(bytes(1 << 20))
    except OSError as problem: print(place, problem.strerror, flush=True)
"""
DEAF = """
import os, signal, sys, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 3)
            time.sleep(3600)
        os._exit(0)
print("deaf", flush=True)
while True:
    try: time.sleep(3600)
    except BaseException: pass
"""


@dataclass
class Bombed:
    """A sandbox to be bombed."""

    sandbox: Sandbox
    run_id: UUID

    def by(self, script: str, deadline_s: float = DEADLINE_S) -> tuple[Completed, Output]:
        """Run a bomb to its end, which has to come in time."""
        began = time.monotonic()
        ended = python(self.sandbox, script, deadline_s=deadline_s)
        # The deadline, and what a busy machine takes to sweep.
        assert time.monotonic() - began < deadline_s + STOPPED_S
        return ended


class Neighbour:
    """Another tenant's sandbox on the same engine, asked again and again while the bomb goes off."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._stop = threading.Event()
        self.answers: list[float] = []
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self._stop.wait(0.05):
            began = time.monotonic()
            done, output = run(self._sandbox, "echo", "unharmed")
            assert (done.exit_code, output.stdout) == (0, b"unharmed\n")
            self.answers.append(time.monotonic() - began)

    def __enter__(self) -> Self:
        """Begin to ask."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop asking; there were answers, and each came."""
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()
        assert self.answers
        assert max(self.answers) < STOPPED_S


@pytest.fixture(params=RUNTIMES)
def engine_backend(request: pytest.FixtureRequest) -> DockerBackend:
    """Give the Docker backend on each runtime in turn."""
    backend: DockerBackend = request.getfixturevalue(f"{request.param}_backend")
    return backend


@pytest.fixture
def neighbour(engine_backend: DockerBackend) -> Iterator[Neighbour]:
    """Give a neighbour that is asked all the while."""
    with (
        engine_backend.open(SandboxSpec("python", NEIGHBOUR, uuid4(), ttl_s=300)) as sandbox,
        Neighbour(sandbox) as asked,
    ):
        yield asked


def opened(backend: DockerBackend, limits: Limits) -> tuple[Sandbox, UUID]:
    """Open a sandbox with limits of the test's choice."""
    wanted = spec(limits=limits)
    return backend.open(wanted), wanted.run_id


SMALL = Limits(memory_bytes=768 * MIB, workspace_bytes=16 * MIB, tmp_bytes=8 * MIB, pids=40, open_files=64, cpus=0.5)


@pytest.fixture
def bombed(engine_backend: DockerBackend, neighbour: Neighbour) -> Iterator[Bombed]:
    """Give a small sandbox beside a neighbour; nothing of it is left in the end."""
    sandbox, run_id = opened(engine_backend, SMALL)
    yield Bombed(sandbox, run_id)
    sandbox.close()
    until = time.monotonic() + 30
    while run_id in present_runs():
        assert time.monotonic() < until, "the container is still there"
        time.sleep(0.1)


@pytest.mark.parametrize(("bomb", "script"), [("fork", FORK), ("threads", THREADS), ("processors", PROCESSORS)])
def test_a_bomb_of_processes_ends_at_its_deadline(bombed: Bombed, bomb: str, script: str) -> None:
    done, output = bombed.by(script)
    assert (done.timed_out, done.exit_code, done.signal, done.oom_killed) == (True, 137, 9, False)
    assert done.cpu_s <= done.duration_s  # half a processor, give or take a measure
    if bomb == "fork" and output.stdout:
        assert int(output.stdout.split()[0]) < SMALL.pids
    assert run(bombed.sandbox, "echo", "swept")[1].stdout == b"swept\n"


@pytest.mark.parametrize("script", [MEMORY, MEMORY_OF_MANY], ids=["one", "many"])
def test_a_bomb_of_memory_is_told_as_one(bombed: Bombed, script: str) -> None:
    """On gVisor everything inside is one program of the host, so its files go with it: there are none, it says."""
    # The memory ends it, before a deadline that a busy machine could come to first.
    done, _ = bombed.by(script, 30.0 if script is MEMORY else DEADLINE_S)
    assert done.oom_killed or (done.timed_out and script is MEMORY_OF_MANY)
    if script is MEMORY:
        assert (done.exit_code, done.signal, done.timed_out, done.cancelled) == (137, 9, False, False)
        assert bombed.sandbox.get("report.xml", 100) is None
        if bombed.sandbox.isolation == "gvisor":
            with pytest.raises(SandboxError, match="out of memory"):
                run(bombed.sandbox, "true")


def test_descriptors_and_disk_are_bounded_for_all(bombed: Bombed) -> None:
    done, output = bombed.by(DESCRIPTORS)
    assert done.exit_code == 0
    assert output.stdout.splitlines() == [b"63 Too many open files"] * output.stdout.count(b"\n")
    done, output = bombed.by(DISK)
    assert done.exit_code == 0
    places = (b"/workspace", b"/tmp", b"/dev/shm")
    assert output.stdout.splitlines() == [place + b" No space left on device" for place in places]
    assert run(bombed.sandbox, "echo", "still there")[1].stdout == b"still there\n"


def test_who_hears_no_signal_and_leaves_children_behind_ends_all_the_same(bombed: Bombed) -> None:
    done, output = bombed.by(DEAF)
    assert (done.timed_out, done.signal, bytes(output.stdout)) == (True, 9, b"deaf\n")
    _, output = run(bombed.sandbox, "sh", "-c", "ls -d /proc/[0-9]* | wc -l")
    assert int(output.stdout) <= 4


def test_many_files_go_in_and_more_than_the_limit_do_not(
    engine_backend: DockerBackend, pytestconfig: pytest.Config
) -> None:
    """A hundred thousand of them with ``--bench-scale=full``."""
    most = 100_000 if pytestconfig.getoption("--bench-scale") == "full" else 3_000
    limits = Limits(workspace_files=most)
    with engine_backend.open(spec(limits=limits)) as sandbox:
        with pytest.raises(WorkspaceRejected, match=r"files|full"):
            sandbox.put(pack(ArchiveEntry(f"d{number % 50}/f{number}", b"x") for number in range(most + 100)))
        _, output = run(sandbox, "sh", "-c", "find . -type f | wc -l")
        assert most - 100 <= int(output.stdout) <= most


def resident(pid: str = "self") -> int:
    """Return the resident memory of a process in bytes."""
    lines = Path("/proc", pid, "status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def test_output_without_end_is_taken_without_growing(
    engine_backend: DockerBackend, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of it arrives, 10 GB with ``--bench-scale=full`` on runc, while this process grows by 64 MiB at most."""
    full = pytestconfig.getoption("--bench-scale") == "full" and engine_backend._runtime == "runc"
    size = 10 * 1000**3 if full else 48 * MIB
    seen, most, before = 0, 0, resident()

    def count(_: object, data: bytes) -> None:
        nonlocal seen, most
        seen += len(data)
        if seen % (16 * MIB) < len(data):
            most = max(most, resident())

    with engine_backend.open(spec(limits=Limits(cpus=2), ttl_s=800)) as sandbox:
        began = time.monotonic()
        done = sandbox.run(Command(("sh", "-c", f"head -c {size} /dev/zero"), deadline_s=700), count)
    with capsys.disabled():
        rate = seen / (time.monotonic() - began) / 1e6
        print(f"\n{seen} bytes of output at {rate:.0f} MB/s, memory + {(most - before) / MIB:.1f} MiB")
    assert (done.exit_code, seen) == (0, size)
    assert most - before <= 64 * MIB


def test_an_image_that_goes_away_is_told_and_its_runs_go_on(engine_backend: DockerBackend) -> None:
    client = docker.from_env()
    name = f"renum-devstudio-gone-{uuid4().hex[:8]}:latest"
    client.images.get(engine_backend._images["python"]).tag(name)
    other = DockerBackend(runtime=engine_backend._runtime, images={"python": name})
    with other.open(spec()) as sandbox:
        client.images.remove(name, force=True)
        assert run(sandbox, "echo", "here")[1].stdout == b"here\n"
        with pytest.raises(SandboxError, match="make sandbox-image"):
            other.open(spec())
    other.close()
    client.close()
