"""Many calls at once at a budget with room for one: how many our budgets let through, and how many LiteLLM's."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.reporter import Figure, Reporter
from benchmarks.ways import upstream
from devstudio_server.db import Units
from support.budget_world import Race, race
from support.databases import Databases
from support.litellm import KEY, LiteLLM, forwarded
from support.services import Postgres

CALLS = {"small": 100, "full": 1000}
MODEL = "race"
PRICES = {"input_cost_per_token": 2e-6, "output_cost_per_token": 1e-5}
COST = 0.003
"""What a call costs at these prices: the server with the model tells of 1,000 tokens in and 100 out."""


@pytest.fixture
def calls(request: pytest.FixtureRequest) -> int:
    return CALLS[str(request.config.getoption("--bench-scale"))]


@pytest.fixture
def proxy() -> Iterator[LiteLLM]:
    """The proxy with the budget that it has without a database: of a provider, for a day, kept in its memory."""
    budget = {"openai": {"budget_limit": COST, "time_period": "1d"}}
    settings = {"provider_budget_config": budget, "disable_cooldowns": True}
    with (
        upstream("A short answer.") as url,
        LiteLLM([forwarded("openai", MODEL, f"{url}/v1", "k", **PRICES)], router_settings=settings) as litellm,
    ):
        yield litellm


def ours(databases: Databases, folder: Path, calls: int) -> Race:
    with databases.fresh(folder / f"{databases.kind}.db") as database:
        engine = database.engine()
        ended = race(Units(engine), calls)
        engine.dispose()
    return ended


async def ask(client: httpx.AsyncClient) -> int:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Plan it."}]}
    response = await client.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {KEY}"})
    assert response.status_code == 200 or "Exceeded budget" in response.text, response.text
    return response.status_code


async def theirs(litellm: LiteLLM, calls: int) -> Counter[int]:
    limits = httpx.Limits(max_connections=calls)
    async with httpx.AsyncClient(base_url=litellm.url, limits=limits, timeout=300, trust_env=False) as client:
        return Counter(await asyncio.gather(*(ask(client) for _ in range(calls))))


@pytest.mark.timeout(900)
def test_calls_beyond_the_budget_beside_litellm(
    tmp_path: Path, postgres: Postgres, proxy: LiteLLM, calls: int, reporter: Reporter
) -> None:
    races = [
        ours(Databases("sqlite", tmp_path), tmp_path, calls),
        ours(Databases("postgresql", tmp_path, postgres), tmp_path, calls),
    ]
    answers = asyncio.run(theirs(proxy, calls))
    name = f"let through beyond the one, of {calls} at once"
    figures = [Figure(name, "calls", [ended.passed - 1 for ended in races], [answers[200] - 1])]
    reporter.add("A budget with room for one call, SQLite and PostgreSQL", "LiteLLM's budget of a provider", figures)
    for ended in races:
        assert (ended.passed, ended.refused, ended.overshoot) == (1, calls - 1, 0)
    # Its budget is on: once the calls are charged, it lets no more through.
    assert answers.total() == calls
    assert asyncio.run(theirs(proxy, 1)) == {429: 1}
