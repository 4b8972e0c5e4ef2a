"""From asking for a sandbox to the first byte, and a command in one that is held, beside Docker's own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from uuid import UUID, uuid4

import docker
import pytest

from benchmarks.conftest import Scale
from benchmarks.reporter import Figure, Reporter
from devstudio_sandbox import Backend, Command, PooledBackend, PoolPolicy, Sandbox, SandboxSpec
from devstudio_sandbox.docker_backend import IMAGES, DockerBackend
from devstudio_sandbox.images.__main__ import main as build_images

IMAGE = IMAGES["python"]
SAY = ("echo", "here")
COMMANDS = 10
"""Commands in the same sandbox, per run of the benchmark."""


@pytest.fixture(scope="module")
def backend() -> Iterator[DockerBackend]:
    """Give the backend, with the image there."""
    assert build_images(["build", "python", "--if-missing"]) == 0
    with ExitStack() as stack:
        made = DockerBackend(runtime="runc", installation=uuid4().hex)
        stack.callback(made.close)
        yield made


def first_byte(backend: Backend, tenant: UUID) -> float:
    """Return the seconds from `open` to the first byte of a command's output."""
    arrived: list[float] = []
    began = time.perf_counter()
    with backend.open(SandboxSpec("python", tenant, uuid4())) as sandbox:
        said = bytearray()

        def take(_: object, data: bytes) -> None:
            arrived.append(time.perf_counter())
            said.extend(data)

        assert sandbox.run(Command(SAY), take).exit_code == 0
        assert said == b"here\n"
    return arrived[0] - began


def first_byte_of(*argv: str) -> float:
    """Return the seconds from starting a program of Docker's to its first byte."""
    began = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.read(1) == b"h"
        taken = time.perf_counter() - began
        assert process.stdout.read() == b"ere\n"
    assert process.returncode == 0
    return taken


def warm_start(pool: PooledBackend, tenant: UUID) -> float:
    """Measure one start from the pool, which it must have been."""
    end = time.monotonic() + 60
    while not pool.stats().parked:
        assert time.monotonic() < end
        time.sleep(0.05)
    before = pool.stats()
    taken = first_byte(pool, tenant)
    assert pool.stats().handed_over == before.handed_over + 1
    return taken


@pytest.mark.timeout(1800)
def test_starts(backend: DockerBackend, scale: Scale, reporter: Reporter) -> None:
    tenant, run = uuid4(), ("docker", "run", "--rm", "--network=none", IMAGE, *SAY)
    pool = PooledBackend(backend, PoolPolicy(settle_s=0.5, check_s=1.0), memory=lambda: None)
    cold: tuple[list[float], list[float]] = ([], [])
    warm: tuple[list[float], list[float]] = ([], [])
    try:
        first_byte(pool, tenant)
        first_byte_of(*run)
        for _ in range(scale.runs):
            cold[0].append(1000 * first_byte(backend, uuid4()))
            cold[1].append(1000 * first_byte_of(*run))
            warm[0].append(1000 * warm_start(pool, tenant))
            warm[1].append(1000 * first_byte_of(*run))
    finally:
        pool.close()
    reporter.add(
        "Start of a run to the first byte of its output (goals: warm at most 0.05, cold at most 1)",
        f"`docker run --rm --network=none {IMAGE} echo`, the command line",
        [Figure("from the pool", "ms", *warm), Figure("cold", "ms", *cold)],
    )


def commands(sandbox: Sandbox) -> list[float]:
    """Measure commands in a sandbox that is open, each to its end."""
    taken = []
    for _ in range(COMMANDS):
        said = bytearray()
        began = time.perf_counter()
        done = sandbox.run(Command(SAY), lambda _, data, said=said: said.extend(data))  # type: ignore[misc]
        taken.append(1000 * (time.perf_counter() - began))
        assert (done.exit_code, said) == (0, b"here\n")
    return taken


def test_a_command_in_a_held_sandbox(backend: DockerBackend, scale: Scale, reporter: Reporter) -> None:
    ours: list[float] = []
    peer: list[float] = []
    with backend.open(SandboxSpec("python", uuid4(), uuid4())) as sandbox:
        commands(sandbox)
        for _ in range(scale.runs):
            ours += commands(sandbox)
            began = time.perf_counter()
            done = subprocess.run(["docker", "exec", sandbox.handle, *SAY], capture_output=True, check=True)
            peer.append(1000 * (time.perf_counter() - began))
            assert done.stdout == b"here\n"
    reporter.add(
        "A command in a sandbox that is held, to its end (goal: at most 0.05)",
        "`docker exec` in the same container, the command line",
        [Figure("echo", "ms", ours, peer)],
    )


def test_memory_of_one_that_waits(backend: DockerBackend, scale: Scale, reporter: Reporter) -> None:
    """The container's own, by its control group; the engine's shim comes on top, as for every container."""
    pool, tenant = PooledBackend(backend, PoolPolicy(cap=1, settle_s=0.0, check_s=1.0), memory=lambda: None), uuid4()
    client = docker.APIClient()
    used = []
    try:
        for _ in range(scale.runs):
            first_byte(pool, tenant)
            while not pool.stats().parked:
                time.sleep(0.05)
            (box,) = client.containers(
                filters={"label": ["renum.devstudio.kind=pool", f"renum.devstudio.tenant={tenant}"]}
            )
            used.append(client.stats(box["Id"], stream=False)["memory_stats"]["usage"] / 1e6)
    finally:
        client.close()
        pool.close()
    reporter.add(
        "Memory of a sandbox that waits in the pool, by its control group",
        "none: Docker keeps no containers ready",
        [Figure("one Python sandbox", "MB", used)],
    )
