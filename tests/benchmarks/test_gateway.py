"""The gateway with budget and ledger on, beside LiteLLM's proxy without them, on the same server with a model."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks.conftest import Scale
from benchmarks.reporter import Figure, Reporter
from benchmarks.ways import DirectWay, HttpWay, Way, latency, rate, upstream
from devstudio_server.ai.budget_schemas import BudgetScope, BudgetWrite
from devstudio_server.ai.budgets import BudgetService, Purpose
from devstudio_server.ai.gateway import Gateway, GatewaySettings
from devstudio_server.ai.text import Question
from devstudio_server.auth import local_actor
from devstudio_server.db import Units
from support.databases import Databases
from support.litellm import KEY, LiteLLM, forwarded
from support.model_server import Answer, Fault, Flow, ModelServer, SeenRequest
from support.studio import TOKEN, Studio

MODEL = "gpt-6.1-sol"
TEXT = "A short answer that is a sentence."
PIECES = [TEXT[start : start + Flow().piece] for start in range(0, len(TEXT), Flow().piece)]
PROMPT = "Say something short."
ASKED = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": PROMPT}]}
COST = Decimal("0.003")  # 1,000 tokens in and 100 out, of which the model server tells, at $2 and $10 a million
CONCURRENCY = (1, 8)
HELD = "held"
NOTHING = Purpose(None, None, None)


class HoldingBrain:
    """Gives the first piece of an answer, and the rest only when it was asked to go on."""

    def __init__(self) -> None:
        self.flow = Flow(after=1)

    def think(self, request: SeenRequest) -> Answer | Fault:
        """Answer with the flow of this call."""
        del request
        return Answer(TEXT, flow=self.flow)


@dataclass(frozen=True)
class Ways:
    """What is compared; ``held`` is the server in this process that gives the first piece and waits."""

    straight: dict[bool, Way]
    ours: dict[bool, Way]
    theirs: dict[bool, Way]
    studio: Studio
    litellm: LiteLLM
    held: ModelServer
    url: str

    def spent(self) -> Decimal:
        """Return what our ledger has of this month's calls."""
        return Decimal(str(self.studio.api.get("budgets").expect(200)["spent"]))


def to_provider(port: int, key: str, *, stream: bool) -> Way:
    headers = {"Authorization": f"Bearer {key}"}
    pieces = PIECES if stream else [TEXT]
    return HttpWay(port, "/v1/chat/completions", headers, {**ASKED, "stream": stream}, pieces)


def to_studio(port: int, *, stream: bool) -> Way:
    accept = "text/event-stream" if stream else "application/json"
    headers = {"Authorization": f"token {TOKEN}", "Accept": accept}
    body = {"prompt": PROMPT, "model": f"openai/{MODEL}", "max_tokens": 100}
    return HttpWay(port, "/api/v1/ai/generate", headers, body, PIECES if stream else [TEXT])


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Ways]:
    """A studio with a budget, and a proxy, both before the same two servers with models."""
    folder = tmp_path_factory.mktemp("gateway")
    with (
        upstream(TEXT) as url,
        ModelServer(HoldingBrain()) as held,
        databases.fresh(folder / "devstudio.db") as database,
        LiteLLM(
            [forwarded("openai", MODEL, f"{url}/v1", "k"), forwarded("openai", HELD, held.openai_base_url, "k")]
        ) as litellm,
        Studio(folder / "data", studio_environment(url, held) | database.environment()) as studio,
    ):
        studio.api.put("budgets", {"limit": "100000"}).expect(200)
        both = (False, True)
        port = int(url.rpartition(":")[2])
        yield Ways(
            straight={stream: to_provider(port, "k", stream=stream) for stream in both},
            ours={stream: to_studio(studio.port, stream=stream) for stream in both},
            theirs={stream: to_provider(litellm.port, KEY, stream=stream) for stream in both},
            studio=studio,
            litellm=litellm,
            held=held,
            url=url,
        )


def studio_environment(url: str, held: ModelServer) -> dict[str, str]:
    endpoint = {
        "protocol": "openai",
        "base_url": held.openai_base_url,
        "api_key_env": "HELD_API_KEY",
        "models": [HELD],
        "prices": {HELD: {"input": 2, "output": 10}},
    }
    return {
        "OPENAI_API_KEY": "k",
        "OPENAI_BASE_URL": f"{url}/v1",
        "HELD_API_KEY": "k",
        "DEVSTUDIO_MODEL_ENDPOINTS": json.dumps({"here": endpoint}),
    }


@dataclass(frozen=True)
class Compared:
    """Samples of the three ways, measured in turn, so that noise of the machine meets all of them."""

    straight: list[float]
    ours: list[float]
    theirs: list[float]

    def added(self, name: str) -> Figure:
        """Return the figure of what each adds to the way straight to the model."""
        pairs = zip(self.straight, self.ours, self.theirs, strict=True)
        gone = [(ours - straight, theirs - straight) for straight, ours, theirs in pairs]
        return Figure(name, "ms", [ours for ours, _ in gone], [theirs for _, theirs in gone])


def compare(straight: Way, ours: Way, theirs: Way, scale: Scale) -> tuple[list[Figure], int]:
    """Measure what the ways add, and how much goes through; return the figures and the number of our calls."""
    for way in (straight, ours, theirs):
        latency(way, 4)  # warm
    times = Compared([], [], [])
    for _ in range(scale.rounds):
        times.straight.append(latency(straight, scale.requests))
        times.ours.append(latency(ours, scale.requests))
        times.theirs.append(latency(theirs, scale.requests))
    figures = [times.added("added to a call, median")]
    for clients in CONCURRENCY:
        rates = [
            (rate(ours, scale.requests, clients), rate(theirs, scale.requests, clients)) for _ in range(scale.rounds)
        ]
        name = f"calls a second, {clients} at a time"
        figures.append(Figure(name, "1/s", [one for one, _ in rates], [other for _, other in rates]))
    through = sum(scale.requests // clients * clients for clients in CONCURRENCY)
    return figures, 4 + scale.rounds * (scale.requests + through)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("stream", [False, True])
def test_over_http_beside_litellm(ways: Ways, scale: Scale, reporter: Reporter, *, stream: bool) -> None:
    before = ways.spent()
    figures, calls = compare(ways.straight[stream], ways.ours[stream], ways.theirs[stream], scale)
    how = "streamed" if stream else "whole"
    reporter.add(f"Text over HTTP, {how}, budget and ledger on", "LiteLLM's proxy, neither on", figures)
    assert ways.spent() - before == calls * COST


@pytest.mark.timeout(900)
def test_in_process_beside_litellm(
    ways: Ways, scale: Scale, reporter: Reporter, databases: Databases, tmp_path: Path
) -> None:
    settings = GatewaySettings(openai_api_key="k", openai_base_url=f"{ways.url}/v1", openai_models=(MODEL,))
    gateway = Gateway(settings)
    with databases.fresh(tmp_path / "in-process.db") as database:
        units = Units(database.engine())
        actor = local_actor()
        with units.begin(actor) as session:
            BudgetService(session).put(BudgetScope.TENANT, NOTHING, BudgetWrite(limit=Decimal(100000)), None)

        def once() -> None:
            written = gateway.write(Question(PROMPT), units=units, actor=actor, progress=lambda _: None)
            assert written.text == TEXT

        figures, calls = compare(ways.straight[True], DirectWay(once), ways.theirs[True], scale)
        with units.begin(actor, read_only=True) as session:
            spent = BudgetService(session).read(BudgetScope.TENANT, NOTHING).spent
        units.engine.dispose()
    gateway.close()
    reporter.add("Text in this process, budget and ledger on", "LiteLLM's proxy over HTTP, streamed", figures)
    assert spent == calls * COST


def first_piece(way: Way, ways: Ways) -> float:
    """Return the milliseconds from when the model server sent a piece to when it came; no other was sent before."""
    assert isinstance(way, HttpWay)
    brain = ways.held.brain
    assert isinstance(brain, HoldingBrain)
    brain.flow = Flow(after=1, release=threading.Event())
    with closing(http.client.HTTPConnection("127.0.0.1", way.port, timeout=60)) as connection:
        headers = {"Content-Type": "application/json", **way.headers}
        connection.request("POST", way.path, json.dumps(way.body), headers)
        response = connection.getresponse()
        for line in response:
            if PIECES[0] in line.decode():
                break
        came = time.monotonic()
        sent = ways.held.sent[-1]
        assert not brain.flow.release.is_set()
        brain.flow.release.set()
        rest = response.read().decode()
    assert PIECES[-1] in rest
    return (came - sent) * 1000


@pytest.mark.timeout(300)
def test_first_token_beside_litellm(ways: Ways, scale: Scale, reporter: Reporter) -> None:
    ours = HttpWay(
        ways.studio.port,
        "/api/v1/ai/generate",
        {"Authorization": f"token {TOKEN}", "Accept": "text/event-stream"},
        {"prompt": PROMPT, "model": f"here/{HELD}", "max_tokens": 100},
        PIECES,
    )
    theirs = HttpWay(
        ways.litellm.port,
        "/v1/chat/completions",
        {"Authorization": f"Bearer {KEY}"},
        {**ASKED, "model": HELD, "stream": True},
        PIECES,
    )
    first_piece(ours, ways)
    first_piece(theirs, ways)
    sent = len(ways.held.sent)
    pairs = [(first_piece(ours, ways), first_piece(theirs, ways)) for _ in range(scale.requests)]
    name = "first token, from the model's server to the client"
    reporter.add(
        "Streaming through the gateway",
        "LiteLLM's proxy",
        [Figure(name, "ms", [one for one, _ in pairs], [other for _, other in pairs])],
    )
    assert len(ways.held.sent) - sent == 2 * scale.requests * len(PIECES)
