"""Answers that come piece by piece: the heartbeat keeps their events, and an error reaches the reader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from devstudio_server.kit.errors import Invalid
from devstudio_server.web import streaming
from devstudio_server.web.sse import HEARTBEAT, ServerEvent
from devstudio_server.web.streaming import with_heartbeat


def test_a_stream_beats_while_nothing_comes_and_keeps_its_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_S", 0.01)

    async def collect() -> list[bytes]:
        go_on = asyncio.Event()

        async def events() -> AsyncIterator[ServerEvent]:
            yield ServerEvent("a", 1)
            await go_on.wait()
            yield ServerEvent("b", 2)

        found: list[bytes] = []
        async for chunk in with_heartbeat(events()):
            found.append(chunk)
            if found.count(HEARTBEAT) == 2:
                go_on.set()
        return found

    found = asyncio.run(collect())
    assert [chunk for chunk in found if chunk != HEARTBEAT] == [
        ServerEvent("a", 1).encode(),
        ServerEvent("b", 2).encode(),
    ]
    assert found.count(HEARTBEAT) >= 2


def test_an_error_in_a_stream_reaches_its_reader() -> None:
    async def events() -> AsyncIterator[ServerEvent]:
        yield ServerEvent("a", 1)
        raise Invalid("broken")

    async def collect() -> bytes:
        chunks = with_heartbeat(events())
        first = await anext(chunks)
        with pytest.raises(Invalid):
            await anext(chunks)
        return first

    assert asyncio.run(collect()) == ServerEvent("a", 1).encode()
