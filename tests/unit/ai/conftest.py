"""A server, and a gateway against it, in each protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from support.ai_world import KEY, World
from support.databases import Database
from support.model_server import Brain, ModelServer


@pytest.fixture
def start_server() -> Iterator[Callable[[Brain], ModelServer]]:
    servers: list[ModelServer] = []

    def start(brain: Brain) -> ModelServer:
        server = ModelServer(brain, keys=frozenset({KEY}))
        servers.append(server)
        return server.__enter__()

    yield start
    for server in servers:
        server.__exit__(None, None, None)


@pytest.fixture(params=["openai", "anthropic"])
def world(
    request: pytest.FixtureRequest, database: Database, start_server: Callable[[Brain], ModelServer]
) -> Iterator[World]:
    world = World(request.param, database, start_server)
    yield world
    for gateway in world.gateways:
        gateway.close()
    world.units.engine.dispose()
