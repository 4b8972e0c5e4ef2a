"""What a process that was killed left behind is found by its owner, and nothing else is touched."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import docker
import pytest
from sandbox_kit import TENANT, present_runs, run, spec

from devstudio_sandbox import Backend, SandboxSpec, SandboxUnavailable
from devstudio_sandbox.bubblewrap_backend import BubblewrapBackend
from devstudio_sandbox.docker_backend import DockerBackend
from devstudio_sandbox.docker_labels import labels
from devstudio_sandbox.host import PACKAGE
from devstudio_sandbox.identity import Ownership
from devstudio_sandbox.process_backend import ProcessBackend

Make = Callable[[str, str], Backend]


@pytest.fixture(params=["docker", "bubblewrap", "process"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Make a backend of each kind in turn for an installation and an owner."""
    with ExitStack() as made:

        def one(installation: str, owner: str) -> Backend:
            if request.param == "bubblewrap":
                return BubblewrapBackend(installation=installation, owner=owner)
            if request.param == "process":
                return ProcessBackend(installation=installation, owner=owner)
            request.getfixturevalue("docker_backend")  # the image is there
            backend = DockerBackend(runtime="runc", installation=installation, owner=owner)
            made.callback(backend.close)
            return backend

        yield one


def test_only_what_the_dead_of_this_installation_left_is_removed(make: Make) -> None:
    here, elsewhere = uuid4().hex, uuid4().hex
    dead, living, own, other = (make(*pair) for pair in ((here, "1"), (here, "2"), (here, "3"), (elsewhere, "1")))
    specs = {name: spec() for name in ("dead", "living", "own", "other")}
    with (
        dead.open(specs["dead"]),
        living.open(specs["living"]) as second,
        own.open(specs["own"]) as third,
        other.open(specs["other"]) as fourth,
    ):
        assert own.reap_owners(alive=["2"]) == 1
        assert specs["dead"].run_id not in present_runs()
        for sandbox in (second, third, fourth):
            assert run(sandbox, "echo", "here")[1].stdout == b"here\n"
        assert own.reap_owners(alive=["2"]) == 0


def test_a_run_that_a_living_owner_does_again_is_not_taken_for_what_the_dead_left(make: Make) -> None:
    here, wanted = uuid4().hex, spec()
    dead, living = make(here, "1"), make(here, "2")
    left = dead.open(wanted)
    with living.open(wanted) as again:
        assert living.reap_owners(alive=[]) == 1
        assert run(again, "echo", "here")[1].stdout == b"here\n"
        left.close()  # a first life that was only cut off, and comes back to clean up
        assert run(again, "echo", "here")[1].stdout == b"here\n"


def test_a_backend_that_knows_no_installation_removes_nothing(make: Make) -> None:
    with make("", "1").open(spec()) as sandbox:
        assert make("", "2").reap_owners(alive=[]) == 0
        assert run(sandbox, "echo", "here")[1].stdout == b"here\n"


LEAVE = textwrap.dedent("""
    import sys, time, uuid
    from devstudio_sandbox import SandboxSpec, choose_backend
    kind, installation, tenant, run = sys.argv[1:]
    backend = choose_backend(kind, allow_process=True, runtime="runc", installation=installation, owner="dead")
    sandbox = backend.open(SandboxSpec("python", uuid.UUID(tenant), uuid.UUID(run)))
    print(sandbox.handle, flush=True)
    time.sleep(3600)
""")


def test_the_next_life_of_a_killed_process_removes_what_it_left(make: Make) -> None:
    here, left = uuid4().hex, uuid4()
    next_life = make(here, "next")
    argv = [sys.executable, "-c", LEAVE, next_life.name, here, str(TENANT), str(left)]
    killed = subprocess.Popen(
        argv, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)}, text=True
    )
    assert killed.stdout
    assert killed.stdout.readline().strip()
    assert left in present_runs()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    next_life.reap_owners(alive=["another"])
    assert left not in present_runs()


@pytest.fixture
def engine() -> Iterator[docker.APIClient]:
    """Give the engine's own API."""
    client = docker.APIClient()
    yield client
    client.close()


def test_kernels_are_nobody_elses_to_remove(docker_backend: DockerBackend, engine: docker.APIClient) -> None:
    here, run_id = uuid4().hex, uuid4()
    kernel = engine.create_container(
        "renum-devstudio-python:latest",
        ["sleep", "3600"],
        labels=labels(Ownership(here, "dead"), "kernel", TENANT, run_id),
    )["Id"]
    try:
        backend = DockerBackend(runtime="runc", installation=here, owner="next")
        assert backend.reap_owners(alive=[]) == 0
        assert backend.reap(only=[run_id]) == 0
        assert engine.inspect_container(kernel)["Id"] == kernel
        backend.close()
    finally:
        engine.remove_container(kernel, force=True)


def test_the_labels_tell_owner_and_kind(docker_backend: DockerBackend, engine: docker.APIClient) -> None:
    backend, wanted = DockerBackend(runtime="runc", installation="here", owner="me"), spec(ttl_s=77)
    with backend.open(wanted) as sandbox:
        told = engine.inspect_container(sandbox.handle)["Config"]["Labels"]
    backend.close()
    names = ("installation", "owner", "kind", "tenant", "run", "ttl")
    values = ("here", "me", "run", str(TENANT), str(wanted.run_id), "77")
    assert {name: told[f"renum.devstudio.{name}"] for name in names} == dict(zip(names, values, strict=True))


def test_a_process_directory_of_the_dead_goes_without_its_process(tmp_path: Path) -> None:
    here, wanted = uuid4().hex, spec()
    dead = ProcessBackend(installation=here, owner="dead")
    sandbox = dead.open(wanted)
    root = Path(sandbox.workspace).parent
    copied = shutil.copytree(root, tmp_path / root.name)
    sandbox.close()
    shutil.move(copied, root)
    next_life = ProcessBackend(installation=here, owner="next")
    assert next_life.reap_owners(alive=["dead"]) == 0
    assert root.exists()
    assert next_life.reap_owners(alive=[]) == 1
    assert not root.exists()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Path]:
    """Give a socket that listens, alone in its directory."""
    place = tmp_path / "proxy"
    place.mkdir()
    for folder in (tmp_path, *tmp_path.parents[:2]):  # pytest's own are root's alone, which is no proxy's way to do it
        folder.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place / "s"))
        (place / "s").chmod(0o777)
        listening.listen()
        yield place / "s"


@pytest.mark.parametrize("kind", ["docker", "bubblewrap"])
def test_egress_shows_the_directory_of_the_proxys_socket_and_nothing_of_it_can_be_changed(
    request: pytest.FixtureRequest, engine: docker.APIClient, listener: Path, kind: str
) -> None:
    backend: Backend = request.getfixturevalue("docker_backend") if kind == "docker" else BubblewrapBackend()
    with backend.open(SandboxSpec("python", TENANT, uuid4(), ttl_s=60, egress=listener)) as sandbox:
        if kind == "docker":
            (mount,) = engine.inspect_container(sandbox.handle)["Mounts"]
            assert (mount["Source"], mount["Destination"], mount["RW"]) == (
                str(listener.parent),
                "/run/devstudio",
                False,
            )
        script = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/devstudio/s'); print('in')"
        _, output = run(sandbox, "python3", "-c", script)
        assert output.stdout == b"in\n", output.stderr
        assert run(sandbox, "rm", "/run/devstudio/s")[0].exit_code != 0
    assert listener.exists()


def test_egress_is_refused_where_it_would_hold_nothing_or_reach_nothing(listener: Path) -> None:
    wanted = SandboxSpec("python", TENANT, uuid4(), ttl_s=60, egress=listener)
    with pytest.raises(SandboxUnavailable, match="whole network"):
        ProcessBackend().open(wanted)
    with pytest.raises(SandboxUnavailable, match="local unix socket"):
        DockerBackend("tcp://127.0.0.1:1").open(wanted)
    assert wanted.run_id not in present_runs()
