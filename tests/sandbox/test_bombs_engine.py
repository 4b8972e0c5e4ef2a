"""An engine that is killed in the middle, and a clock that jumps."""

import ast
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from sandbox_kit import Output, run, spec

from devstudio_sandbox import Command, SandboxLost, SandboxUnavailable
from devstudio_sandbox.docker_backend import DockerBackend

PACKAGE = Path(__file__).parents[2] / "sandbox" / "devstudio_sandbox"
DECIDES = ("channel.py", "base.py", "host.py", "docker_stream.py", "supervisor/*.py")


class OwnEngine:
    """A second Docker engine, which a test may kill."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = f"unix://{folder}/engine.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._end_containerd()
        (self._folder / "pid").unlink(missing_ok=True)
        paths = [f"--{name}={self._folder / name}" for name in ("data-root", "exec-root")]
        # In a network of its own: with --bridge=none an engine removes the bridge of the one that is there.
        command = [
            "unshare",
            "--net",
            "dockerd",
            "-H",
            self.url,
            *paths,
            f"--pidfile={self._folder / 'pid'}",
            "--bridge=none",
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([*command, "--iptables=false"], stdout=log, stderr=log)
        until = time.monotonic() + 60
        while not DockerBackend(self.url).status().available:
            assert time.monotonic() < until, (self._folder / "log").read_text()[-3000:]
            time.sleep(0.1)

    def kill(self) -> None:
        """Kill it without a word; what it started stays."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it and what is left of it."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(30)
        self._end_containerd()
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for place in sorted((place for place in mounts if place.startswith(f"{self._folder}/")), reverse=True):
            subprocess.run(["umount", "--lazy", place], check=True)  # what a killed engine leaves mounted

    def _end_containerd(self) -> None:
        """End the containerd that it has started, and what says that there is one."""
        place = self._folder / "exec-root" / "containerd" / "containerd.pid"
        if not place.exists():
            return
        process = Path("/proc", place.read_text().strip())
        while process.exists() and str(place.parent).encode() in (process / "cmdline").read_bytes():
            os.kill(int(process.name), signal.SIGKILL)
            time.sleep(0.05)
        place.unlink(missing_ok=True)


@pytest.fixture
def own_engine(docker_backend: DockerBackend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnEngine]:
    """Give a second engine that has the Python image."""
    folder = tmp_path_factory.mktemp("engine")
    made = OwnEngine(folder)
    made.start()
    first, second = docker.APIClient(timeout=120), docker.APIClient(made.url, timeout=120)
    image = docker_backend._images["python"]
    list(second.load_image(first.get_image(image)))
    first.close()
    second.close()
    yield made
    made.stop()
    shutil.rmtree(folder, ignore_errors=True)


def test_an_engine_that_is_killed_loses_its_runs_and_leaves_nothing(own_engine: OwnEngine) -> None:
    backend = DockerBackend(own_engine.url, runtime="runc")
    sandbox = backend.open(spec())
    up, told = threading.Event(), []

    def work() -> None:
        try:
            told.append(sandbox.run(Command(("sh", "-c", "echo up; sleep 600")), lambda *_: up.set()))
        except SandboxLost as problem:
            told.append(problem)

    thread = threading.Thread(target=work)
    thread.start()
    assert up.wait(30)
    own_engine.kill()
    thread.join(10)
    assert isinstance(told[0], SandboxLost)
    assert "run it again" in str(told[0])
    with pytest.raises(SandboxUnavailable, match="DOCKER_HOST"):
        DockerBackend(own_engine.url, runtime="runc").open(spec())
    began = time.monotonic()
    sandbox.close()
    assert time.monotonic() - began < 10
    own_engine.start()
    backend.close()
    again = DockerBackend(own_engine.url, runtime="runc")
    again.reap()
    client = docker.APIClient(own_engine.url)
    until = time.monotonic() + 30
    while client.containers(all=True):
        assert time.monotonic() < until
        again.reap()
        time.sleep(0.2)
    client.close()
    with again.open(spec()) as another:
        assert run(another, "echo", "back")[1].stdout == b"back\n"
    again.close()


def test_no_wall_clock_decides_about_an_end() -> None:
    """``time.time`` and ``datetime`` jump when a clock is set; ``time.monotonic`` does not."""
    modules = [path for pattern in DECIDES for path in sorted(PACKAGE.glob(pattern))]
    assert len(modules) > 8
    read = set()
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                read.add((node.value.id, node.attr))
            elif isinstance(node, ast.ImportFrom):
                read |= {(node.module, alias.name) for alias in node.names}
            elif isinstance(node, ast.Import):
                read |= {("import", alias.name) for alias in node.names}
    wall = {("time", name) for name in ("time", "time_ns", "localtime", "gmtime")} | {("import", "datetime")}
    assert not read & wall
    assert not any(module == "datetime" for module, _ in read)
    assert ("time", "monotonic") in read


@pytest.mark.parametrize("jump_s", [86_400.0, -86_400.0])
def test_a_clock_that_jumps_changes_no_deadline(
    docker_backend: DockerBackend, monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    true_time = time.time
    output = Output()
    with docker_backend.open(spec(ttl_s=60)) as sandbox:
        monkeypatch.setattr(time, "time", lambda: true_time() + jump_s)
        done = sandbox.run(Command(("sleep", "600"), deadline_s=0.5), output)
        assert (done.timed_out, done.exit_code) == (True, 137)
        assert 0.5 <= done.duration_s < 5
        assert run(sandbox, "echo", "there")[1].stdout == b"there\n"
