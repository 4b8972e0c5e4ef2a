"""Kernels: ready from the pool and cold beside a bare local one; cells and a burst beside stock Jupyter Server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from jupyter_client.manager import AsyncKernelManager

from benchmarks.conftest import Scale
from benchmarks.reporter import Figure, Reporter
from devstudio_kernels.host import KernelHost, use_host
from devstudio_kernels.pool import KernelPool
from devstudio_sandbox.identity import Ownership
from support.kernel_client import SANDBOX, KernelClient, until
from support.studio import TOKEN, Studio, free_port

BURST = 10_000_000
LINES = f"for number in range({BURST // 100}): print('%06d' % number + 'x' * 93)"


async def ready(kernel_name: str, root: Path) -> float:
    """Start a kernel, and return after how long it answered who it is; it is ended then."""
    began = time.perf_counter()
    manager = AsyncKernelManager(kernel_name=kernel_name)
    await manager.start_kernel(cwd=str(root))
    client = manager.client()
    client.start_channels(stdin=False, hb=False)
    client.kernel_info()
    answer = await client.get_shell_msg(timeout=60)
    took = time.perf_counter() - began
    client.stop_channels()
    await manager.shutdown_kernel(now=True)
    assert answer["msg_type"] == "kernel_info_reply"
    return took


async def starts(root: Path, runtime: Path, count: int) -> dict[str, list[float]]:
    """Start kernels of each kind in turn."""
    host = KernelHost(runtime_dir=runtime, ownership=Ownership("benchmark", "benchmark"))
    use_host(host)
    pool = KernelPool.of(host)
    found: dict[str, list[float]] = {"bare": [], "cold": [], "warm": []}
    for _ in range(count):
        found["bare"].append(await ready("python3", root))
        pool.size = 0
        found["cold"].append(await ready(SANDBOX, root))
        pool.size = 1
        await ready(SANDBOX, root)  # asks for the first warm one
        await pool.settle()
        assert len(pool.boxes) == 1
        container = pool.boxes[0].container
        found["warm"].append(await ready(SANDBOX, root))
        assert container not in {box.container for box in pool.boxes}, "the warm kernel was the one that answered"
        await pool.settle()
        pool.let_go(-1)
        await pool.settle()
    await pool.close()
    host.engine.close()
    return found


def test_a_kernel_is_ready(tmp_path: Path, scale: Scale, reporter: Reporter) -> None:
    runtime = Path(f"/tmp/ds-bench-{free_port()}")  # short, as the paths of sockets must be
    root = tmp_path / "work"
    root.mkdir()
    try:
        found = asyncio.run(starts(root, runtime, scale.starts))
    finally:
        use_host(KernelHost())
        subprocess.run(["rm", "-rf", str(runtime)], check=True)
    figures = [
        Figure("sandboxed kernel ready, from the pool", "s", found["warm"], found["bare"]),
        Figure("sandboxed kernel ready, cold", "s", found["cold"], found["bare"]),
    ]
    reporter.add("A kernel answers who it is after its start", "a bare local kernel of jupyter_client", figures)


@contextmanager
def stock_server(root: Path) -> Iterator[str]:
    """Jupyter Server as it is, with local kernels."""
    root.mkdir()
    port = free_port()
    off = "{'devstudio_server': False}"
    argv = [sys.executable, "-m", "jupyter_server", "--allow-root", "--no-browser", f"--ServerApp.port={port}"]
    argv += [
        f"--ServerApp.root_dir={root}",
        f"--IdentityProvider.token={TOKEN}",
        f"--ServerApp.jpserver_extensions={off}",
    ]
    process = subprocess.Popen(argv, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/api/status?token={TOKEN}", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    try:
        until(answers, "stock Jupyter Server")
        yield url
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def a_kernel(url: str, kernel_name: str) -> Iterator[tuple[KernelClient, str]]:
    """Open a session, and end it."""
    client = KernelClient(url, f"token {TOKEN}")
    session = client.session("bench.ipynb", kernel_name)
    try:
        yield client, str(session["kernel"]["id"])
    finally:
        client.http.delete(f"/api/sessions/{session['id']}")
        client.close()


def cells(client: KernelClient, kernel: str, count: int) -> list[float]:
    """Run a small cell again and again, and return how long each took."""
    took = []
    with client.channels(kernel) as channels:
        for number in range(count + 5):
            began = time.perf_counter()
            ran = channels.run(f"print({number})")
            took.append((time.perf_counter() - began) * 1000)
            assert ran.stdout == f"{number}\n"
    return took[5:]


def burst(client: KernelClient, kernel: str) -> tuple[float, int]:
    """Print a lot, and return how long it took and how many bytes of it came."""
    began = time.perf_counter()
    ran = client.run(kernel, LINES)
    return time.perf_counter() - began, len(ran.stdout)


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Any]:
    """A kernel of ours, and one of stock Jupyter Server."""
    with (
        stock_server(tmp_path / "stock") as stock,
        Studio(tmp_path / "data", arguments=("--DevStudioApp.warm_kernels=0",)) as studio,
        a_kernel(stock, "python3") as peer,
        a_kernel(studio.url, SANDBOX) as ours,
    ):
        yield ours, peer


def test_a_cell_over_the_websocket(both: Any, scale: Scale, reporter: Reporter) -> None:
    ours, peer = both
    figure = Figure(
        "a cell, from its request to idle", "ms", cells(*ours, scale.requests), cells(*peer, scale.requests)
    )
    reporter.add("A cell over the kernel's WebSocket", "stock Jupyter Server with a local kernel", [figure])


def test_a_burst_over_the_websocket(both: Any, reporter: Reporter) -> None:
    ours, peer = both
    (took, came), (peer_took, peer_came) = burst(*ours), burst(*peer)
    assert came == BURST, "ours loses nothing"
    lost = 100 * (1 - min(peer_came, BURST) / BURST)
    title = f"10 MB printed in a cell: ours lost 0 %, the peer {lost:.0f} %"
    rates = [Figure("bytes that came", "1/s", [came / took], [peer_came / peer_took])]
    reporter.add(title, "stock Jupyter Server with a local kernel", rates)
