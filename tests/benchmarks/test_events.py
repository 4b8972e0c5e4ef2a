"""An event on its way from the commit to 500 WebSocket clients, beside one client alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from statistics import quantiles
from time import perf_counter
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.conftest import Scale
from benchmarks.reporter import Figure, Reporter
from support.studio import TOKEN, Api, Studio

CLIENTS = {"small": 100, "full": 500}
EVENTS = {"small": 10, "full": 100}
WAIT_S = 120


class Audience:
    """Clients that follow, and note when each was told of which event."""

    def __init__(self, connections: Sequence[ClientConnection]) -> None:
        self.connections = connections

    async def ready(self) -> None:
        for connection in self.connections:
            assert json.loads(await connection.recv())["event"] == "ready"

    async def told(self, seq: int) -> list[float]:
        """Return when each client had the event with number ``seq``."""

        async def one(connection: ClientConnection) -> float:
            message: dict[str, Any] = json.loads(await connection.recv())
            at = perf_counter()
            assert message["data"]["seq"] == seq
            return at

        return list(await asyncio.gather(*(one(connection) for connection in self.connections)))


async def follow(server: Studio, project: str, clients: int, events: int) -> list[float]:
    """Change a project ``events`` times; return the milliseconds from each answer to each client's message.

    The answer is sent right after the commit, so a client can be told before the writer: then it counts as 0.
    """
    taken: list[float] = []
    async with AsyncExitStack() as stack:
        url = f"{server.url.replace('http', 'ws')}/api/v1/events"
        headers = {"Authorization": f"token {TOKEN}"}
        opened = [
            await stack.enter_async_context(connect(url, additional_headers=headers, proxy=None, max_queue=None))
            for _ in range(clients)
        ]
        audience = Audience(opened)
        await audience.ready()
        api = stack.enter_context(Api(server.url))
        seq = int(api.get("events", limit=1).expect(200)["newest"])
        for number in range(events):
            seq += 1
            telling = asyncio.create_task(audience.told(seq))
            committed = await asyncio.to_thread(change, api, project, f"{clients} {number}")
            taken += [max(0.0, at - committed) * 1000 for at in await telling]
    return taken


def change(api: Api, project: str, name: str) -> float:
    api.put(f"projects/{project}", {"name": name}).expect(200)
    return perf_counter()


@pytest.mark.timeout(600)
def test_from_a_commit_to_every_client(
    studio: Studio, scale: Scale, reporter: Reporter, request: pytest.FixtureRequest
) -> None:
    assert scale.runs > 0
    size = request.config.getoption("--bench-scale")
    project = studio.api.project()["id"]

    async def work(clients: int) -> list[float]:
        async with asyncio.timeout(WAIT_S * 4):
            return await follow(studio, project, clients, EVENTS[size])

    many = asyncio.run(work(CLIENTS[size]))
    alone = asyncio.run(work(1))
    assert len(many) == CLIENTS[size] * EVENTS[size]
    reporter.add(
        f"An event from its commit to {CLIENTS[size]} WebSocket clients ({EVENTS[size]} events)",
        "one client alone",
        [
            Figure("until a client is told, median", "ms", many, alone),
            Figure("until a client is told, p99", "ms", [percentile(many)], [percentile(alone)]),
            Figure("until the last client is told", "ms", slowest(many, CLIENTS[size])),
        ],
    )


def percentile(samples: Sequence[float]) -> float:
    return quantiles(samples, n=100, method="inclusive")[98]


def slowest(samples: Sequence[float], clients: int) -> list[float]:
    return [max(samples[start : start + clients]) for start in range(0, len(samples), clients)]
