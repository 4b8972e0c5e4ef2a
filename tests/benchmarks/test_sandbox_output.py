"""A command's output on its way to us, byte by byte the same, beside `docker logs -f` of the same output."""

from __future__ import annotations

import hashlib
import subprocess
import time
from uuid import uuid4

import pytest

from benchmarks.conftest import Scale
from benchmarks.reporter import Figure, Reporter
from devstudio_sandbox import Command, Limits, SandboxSpec
from devstudio_sandbox.docker_backend import IMAGES, DockerBackend
from devstudio_sandbox.images.__main__ import main as build_images

MB = {"small": 32, "full": 512}
WRITE = """
import os, sys
lines = b"".join(b"%07d " % number + b"x" * 91 + b"\\n" for number in range(10_000))
for _ in range(int(sys.argv[1])):
    rest = memoryview(lines)
    while rest:
        rest = rest[os.write(1, rest):]
"""
"""Writes so many times 1 MB in lines of 100 bytes, as fast as they are taken."""


def expected(megabytes: int) -> str:
    """Return the digest of what `WRITE` writes."""
    lines = b"".join(b"%07d " % number + b"x" * 91 + b"\n" for number in range(10_000))
    digest = hashlib.sha256()
    for _ in range(megabytes):
        digest.update(lines)
    return digest.hexdigest()


def ours(backend: DockerBackend, megabytes: int) -> float:
    """Return bytes per second from the start of the command to its end, all of them hashed and right."""
    digest = hashlib.sha256()
    with backend.open(SandboxSpec("python", uuid4(), uuid4(), Limits(cpus=2.0))) as sandbox:
        began = time.perf_counter()
        command = Command(("python3", "-c", WRITE, str(megabytes)))
        done = sandbox.run(command, lambda _, data: digest.update(data))
        taken = time.perf_counter() - began
    assert (done.exit_code, digest.hexdigest()) == (0, expected(megabytes))
    return megabytes / taken


def peer(megabytes: int) -> float:
    """Return the same of a plain container whose log is followed from its start; Docker's default log driver."""
    argv = ["docker", "create", "--network=none", IMAGES["python"], "python3", "-c", WRITE, str(megabytes)]
    container = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    digest = hashlib.sha256()
    try:
        subprocess.run(["docker", "start", container], stdout=subprocess.DEVNULL, check=True)
        began = time.perf_counter()
        with subprocess.Popen(["docker", "logs", "-f", container], stdout=subprocess.PIPE, bufsize=0) as process:
            assert process.stdout
            while data := process.stdout.read(1 << 18):
                digest.update(data)
        taken = time.perf_counter() - began
    finally:
        subprocess.run(["docker", "rm", "-f", container], stdout=subprocess.DEVNULL, check=True)
    assert digest.hexdigest() == expected(megabytes)
    return megabytes / taken


@pytest.mark.timeout(1800)
def test_output(scale: Scale, reporter: Reporter, request: pytest.FixtureRequest) -> None:
    assert build_images(["build", "python", "--if-missing"]) == 0
    megabytes = MB[request.config.getoption("--bench-scale")]
    backend = DockerBackend(runtime="runc")
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(scale.starts):
        rates[0].append(ours(backend, megabytes))
        rates[1].append(peer(megabytes))
    backend.close()
    reporter.add(
        f"Output of a command, {megabytes} MB in lines of 100 bytes, every byte compared (goal: at most 0.2)",
        "`docker logs -f` of the same output, from the container's start",
        [Figure("stdout to the reader", "MB/s", *rates)],
    )
