"""Ways to a model's text: straight to the server that has it, through us, through a peer; and how fast each is."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from threading import Barrier
from time import perf_counter
from typing import Any, Protocol

Once = Callable[[], None]


class Way(Protocol):
    """One way; each client keeps its own connection."""

    def client(self) -> AbstractContextManager[Once]:
        """Return what does one call, and checks that the text came."""
        ...


@dataclass(frozen=True)
class HttpWay:
    """POST to one path. ``pieces`` are what the answer must hold: the text, in one or in many."""

    port: int
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    pieces: Sequence[str]

    @contextmanager
    def client(self) -> Iterator[Once]:
        """Keep one connection open."""
        data = json.dumps(self.body).encode()
        headers = {"Content-Type": "application/json", **self.headers}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)) as connection:
            connection.connect()

            def once() -> None:
                connection.request("POST", self.path, data, headers)
                response = connection.getresponse()
                text = response.read().decode()
                assert response.status == 200, text
                assert all(piece in text for piece in self.pieces), text

            yield once


@dataclass(frozen=True)
class DirectWay:
    """A call in this process."""

    once: Once

    def client(self) -> AbstractContextManager[Once]:
        """Return the call."""
        return nullcontext(self.once)


def rate(way: Way, calls: int, clients: int) -> float:
    """Return calls a second of ``clients`` that are busy all the time."""
    ready = Barrier(clients + 1)

    def work() -> None:
        with way.client() as once:
            ready.wait(60)
            for _ in range(calls // clients):
                once()

    with ThreadPoolExecutor(clients) as threads:
        futures = [threads.submit(work) for _ in range(clients)]
        ready.wait(60)
        begun = perf_counter()
        for future in futures:
            future.result()
        return calls // clients * clients / (perf_counter() - begun)


def latency(way: Way, calls: int) -> float:
    """Return the median of the milliseconds that a call takes, one after the other."""
    samples = []
    with way.client() as once:
        for _ in range(calls):
            begun = perf_counter()
            once()
            samples.append((perf_counter() - begun) * 1000)
    return median(samples)


@contextmanager
def upstream(text: str) -> Iterator[str]:
    """Serve a model that always answers ``text``, in a process of its own; yield its URL."""
    command = [sys.executable, "-m", "support.model_server", "--text", text]
    tests = Path(__file__).resolve().parents[1]
    with subprocess.Popen(command, cwd=tests, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            yield program.stdout.readline().strip()
        finally:
            program.terminate()
