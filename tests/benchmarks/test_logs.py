"""Log throughput: a run's output on its way to a client, beside `docker logs -f`; and storing it, beside a file."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from time import perf_counter

import pytest
from websockets.asyncio.client import connect

from benchmarks.conftest import Scale
from benchmarks.reporter import Figure, Reporter
from devstudio_server.db import Units, create_engine
from devstudio_server.execution.log_files import LogFiles
from devstudio_server.execution.log_rows import LogRows
from devstudio_server.execution.logs import LogMedium, LogStorage
from devstudio_server.kit.ids import new_id
from support.services import Postgres
from support.studio import TOKEN, Api, Studio

MEGABYTES = {"small": 32, "full": 256}
IMAGE = "renum-devstudio-python:latest"
LINE = b"%0127d\n"
PROGRAM = """
import os, time
block = b"".join(b"%0127d\\n" % number for number in range(8192))
os.write(1, b"go\\n")
time.sleep(1)
for _ in range({megabytes}):
    view = memoryview(block)
    while view:
        view = view[os.write(1, view):]
"""
BLOCK = b"".join(LINE % number for number in range(8192))
"""1 MiB of lines with 128 bytes each."""


def rate(megabytes: int, begun: float, ended: float) -> float:
    return megabytes * len(BLOCK) / 1e6 / (ended - begun)


def expected(megabytes: int) -> str:
    digest = sha256()
    for _ in range(megabytes):
        digest.update(BLOCK)
    return digest.hexdigest()


async def followed(api: Api, run_id: str, megabytes: int) -> float:
    """Follow a run over a WebSocket; return MB/s from the first byte after its pause, all of them checked."""
    digest, size, begun, ended = sha256(), 0, 0.0, 0.0
    url = f"{api.url.replace('http', 'ws')}/api/v1/exec/{run_id}/logs?limit=1048576&stream=stdout"
    async with connect(
        url, additional_headers={"Authorization": f"token {TOKEN}"}, proxy=None, max_size=2**24, compression=None
    ) as opened:
        async for message in opened:
            data = json.loads(message)["data"]["content"].encode().removeprefix(b"go\n")
            if data:
                ended = perf_counter()
                begun = begun or ended
                digest.update(data)
                size += len(data)
    assert size == megabytes * len(BLOCK), "0 bytes lost"
    assert digest.hexdigest() == expected(megabytes)
    return rate(megabytes, begun, ended)


def docker_logs(megabytes: int) -> float:
    """Return the same of `docker logs -f` for the same program in the same image."""
    program = PROGRAM.format(megabytes=megabytes)
    made = ["docker", "run", "-d", "--network=none", "--entrypoint=python3", IMAGE, "-c", program]
    container = subprocess.run(made, capture_output=True, text=True, check=True).stdout.strip()
    try:
        with subprocess.Popen(["docker", "logs", "-f", container], stdout=subprocess.PIPE) as tail:
            assert tail.stdout is not None
            assert os.read(tail.stdout.fileno(), 3) == b"go\n"
            digest, begun, ended = sha256(), 0.0, 0.0
            while data := os.read(tail.stdout.fileno(), 1 << 20):
                ended = perf_counter()
                begun = begun or ended
                digest.update(data)
    finally:
        subprocess.run(["docker", "rm", "-f", container], capture_output=True, check=True)
    assert digest.hexdigest() == expected(megabytes)
    return rate(megabytes, begun, ended)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A server whose runs may log as much as is printed here."""
    data = tmp_path_factory.mktemp("wide") / "data"
    with Studio(data, {}, ("--DevStudioApp.run_log_bytes=1000000000",)) as server:
        yield server


@pytest.mark.timeout(900)
def test_a_log_on_its_way_to_a_client_beside_docker_logs(
    wide: Studio, scale: Scale, reporter: Reporter, request: pytest.FixtureRequest
) -> None:
    megabytes = MEGABYTES[request.config.getoption("--bench-scale")]
    api = wide.api
    project = api.project()["id"]
    command = ["python3", "-c", PROGRAM.format(megabytes=megabytes)]
    ours, peer = [], []
    for _ in range(scale.rounds):
        run = api.post("exec", {"project_id": project, "type": "test", "command": command}).expect(202)
        ours.append(asyncio.run(followed(api, run["id"], megabytes)))
        peer.append(docker_logs(megabytes))
    title = f"{megabytes} MiB of lines from a program in a container to a client, 0 bytes lost"
    reporter.add(title, "`docker logs -f`, same program, same image", [Figure("to the client", "MB/s", ours, peer)])


def stored_and_read(write: Callable[[bytes], object], read: Callable[[int], bytes], megabytes: int) -> float:
    """Write in pieces of 32 KiB while another thread reads behind; return MB/s until all of it is read."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(megabytes):
                for at in range(0, len(BLOCK), 32_768):
                    write(BLOCK[at : at + 32_768])
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failed.append(error)

    digest, size = sha256(), 0
    begun = perf_counter()
    thread = threading.Thread(target=work)
    thread.start()
    while size < megabytes * len(BLOCK) and not failed:
        data = read(size)
        digest.update(data)
        size += len(data)
        if not data:
            time.sleep(0.001)
    ended = perf_counter()
    thread.join()
    assert (failed, digest.hexdigest()) == ([], expected(megabytes))
    return rate(megabytes, begun, ended)


def through(medium: LogMedium, megabytes: int) -> float:
    logs, tenant, run = LogStorage(medium, 1 << 40), new_id(), new_id()
    with logs.writer(tenant, run) as log:
        return stored_and_read(log.write, lambda at: logs.slice(tenant, run, at, 1 << 20).data, megabytes)


@contextmanager
def rows(postgres: Postgres) -> Iterator[LogRows]:
    engine = create_engine(postgres.app_url(postgres.database()))
    yield LogRows(Units(engine))
    engine.dispose()


def plain(path: Path, megabytes: int) -> float:
    with path.open("wb", buffering=0) as out, path.open("rb", buffering=0) as tail:
        return stored_and_read(out.write, lambda _at: tail.read(1 << 20), megabytes)


@pytest.mark.timeout(600)
def test_storing_and_reading_a_log_beside_a_plain_file(
    postgres: Postgres, tmp_path: Path, scale: Scale, reporter: Reporter, request: pytest.FixtureRequest
) -> None:
    megabytes = MEGABYTES[request.config.getoption("--bench-scale")] * 2
    files, tables, peer = [], [], []
    with rows(postgres) as medium:
        for number in range(scale.rounds):
            peer.append(plain(tmp_path / str(number), megabytes))
            files.append(through(LogFiles(tmp_path / "logs"), megabytes))
            tables.append(through(medium, megabytes))
    title = f"{megabytes} MiB written and read at the same time, with stream and time of each piece"
    figures = [Figure("in files", "MB/s", files, peer), Figure("in rows of PostgreSQL", "MB/s", tables, peer)]
    reporter.add(title, "a plain file, appended and read by two threads", figures)
