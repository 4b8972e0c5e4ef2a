"""Plain text through LiteLLM's proxy, another implementation of both protocols, in front of models and by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from support.databases import Databases
from support.litellm import KEY, MOCKED, LiteLLM
from support.model_environment import MODEL_KEY
from support.model_server import Answer, Fault, ModelServer, ScriptBrain
from support.studio import Api, Studio

OPENAI, ANTHROPIC = "gpt-6.1-sol", "claude-sonnet-5-5"
TEXT = "Trinta e dois caracteres, em pedaços."
# By the protocol that we speak, and by the one that LiteLLM speaks to the server behind it.
WAYS = [f"{spoken}/{model}" for spoken in ("speaks-openai", "speaks-anthropic") for model in (OPENAI, ANTHROPIC)]


@pytest.fixture
def server(model_server: ModelServer) -> Iterator[ModelServer]:
    """The server behind the proxy, which always says `TEXT`."""
    usual, model_server.brain = model_server.brain, ScriptBrain([Answer(TEXT, usage=(70, 8))])
    yield model_server
    model_server.brain = usual


@pytest.fixture(scope="module")
def through(tmp_path_factory: pytest.TempPathFactory, databases: Databases, litellm: LiteLLM) -> Iterator[Api]:
    """The API of a studio that knows no model but the proxy's."""
    folder = tmp_path_factory.mktemp("through-litellm")
    models = [OPENAI, ANTHROPIC, "mock"]
    common = {
        "api_key_env": "PROXY_KEY",
        "models": models,
        "prices": {name: {"input": 2, "output": 10} for name in models},
    }
    endpoints = {
        "speaks-openai": {**common, "protocol": "openai", "base_url": litellm.openai_base_url},
        "speaks-anthropic": {**common, "protocol": "anthropic", "base_url": litellm.url},
    }
    environment = {"PROXY_KEY": KEY, "DEVSTUDIO_MODEL_ENDPOINTS": json.dumps(endpoints), "DEVSTUDIO_MODEL_RETRIES": "0"}
    with (
        databases.fresh(folder / "devstudio.db") as database,
        Studio(folder / "data", environment | database.environment()) as studio,
    ):
        yield studio.api


@pytest.mark.timeout(600)
@pytest.mark.parametrize("model", WAYS)
def test_text_comes_through_the_proxy(through: Api, server: ModelServer, model: str) -> None:
    written = through.post("ai/generate", {"prompt": "Diga algo.", "system": "Seja breve.", "model": model}).expect(200)
    assert (written["text"], written["stop"], written["model"]) == (TEXT, "end", model)
    assert (written["usage"]["tokens_input"], written["usage"]["tokens_output"]) == (70, 8)
    assert written["usage"]["cost_estimated"] == pytest.approx((70 * 2 + 8 * 10) / 1_000_000)
    seen = server.requests[-1]
    assert seen.protocol == ("openai" if model.endswith(OPENAI) else "anthropic")
    assert seen.streams
    assert seen.system == "Seja breve."
    assert seen.turns[-1].text == "Diga algo."
    assert MODEL_KEY in " ".join(seen.headers.values())  # the proxy's own; ours stops at the proxy
    assert KEY not in " ".join(seen.headers.values())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("model", WAYS)
def test_pieces_come_as_they_are_written(through: Api, server: ModelServer, model: str) -> None:
    events = list(through.events("POST", "ai/generate", {"prompt": "Diga algo.", "model": model}))
    deltas = [event["data"]["text"] for event in events if event["data"].get("phase") == "delta"]
    assert len(deltas) > 1, events
    assert "".join(deltas) == TEXT


@pytest.mark.timeout(600)
def test_the_proxys_own_mock_answers(through: Api) -> None:
    """By Chat Completions; for Messages its mock gives one JSON body to a request that streams, which is an error."""
    written = through.post("ai/generate", {"prompt": "Say.", "model": "speaks-openai/mock"}).expect(200)
    assert written["text"] == MOCKED
    assert written["usage"]["tokens_output"] > 0
    problem = through.post("ai/generate", {"prompt": "Say.", "model": "speaks-anthropic/mock"}).problem(502)
    assert "not its protocol" in problem["detail"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("model", WAYS)
def test_the_limit_behind_the_proxy_is_told(through: Api, server: ModelServer, model: str) -> None:
    server.brain = ScriptBrain([Fault(429, {"retry-after": "7"})])
    through.post("ai/generate", {"prompt": "Diga algo.", "model": model}).problem(429)
