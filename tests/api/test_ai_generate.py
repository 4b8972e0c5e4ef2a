"""Text from a model over HTTP: whole or piece by piece, stopped by who leaves, within limits, and billed once."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from support.model_server import Answer, Fault, Flow, ModelServer, ScriptBrain
from support.studio import TOKEN, Api, Studio

WAIT_S = 20.0


@pytest.fixture
def script(model_server: ModelServer) -> Iterator[Any]:
    usual = model_server.brain

    def follow(*answers: Answer | Fault) -> None:
        model_server.brain = ScriptBrain(answers)
        model_server.requests.clear()

    yield follow
    model_server.brain = usual


@pytest.fixture(params=["openai", "anthropic"])
def model(api: Api, request: pytest.FixtureRequest) -> str:
    models = api.get("ai/models").expect(200)["items"]
    return str(next(item["id"] for item in models if item["endpoint"] == request.param))


def spent(api: Api) -> dict[str, Any]:
    return dict(api.get("ai/costs?group_by=operation").expect(200)["total"])


def test_whole_answer(api: Api, script: Any, model: str, model_server: ModelServer) -> None:
    script(Answer("Olá, “world”.", usage=(50, 7)))
    asked = {"prompt": "Greet.", "system": "Be short.", "model": model, "max_tokens": 99}
    answer = api.post("ai/generate", asked).expect(200)
    assert (answer["text"], answer["stop"], answer["model"]) == ("Olá, “world”.", "end", model)
    assert (answer["usage"]["tokens_input"], answer["usage"]["tokens_output"]) == (50, 7)
    assert answer["usage"]["cost_estimated"] > 0
    (request,) = model_server.requests
    assert (request.system, request.turns[0].text, request.max_tokens, request.tools) == ("Be short.", "Greet.", 99, ())


def test_an_answer_that_was_cut_says_so(api: Api, script: Any, model: str) -> None:
    script(Answer("One, two,", stop="length"))
    answer = api.post("ai/generate", {"prompt": "Count.", "model": model}).expect(200)
    assert (answer["text"], answer["stop"]) == ("One, two,", "length")


def test_each_piece_comes_while_the_rest_is_held_back(api: Api, script: Any, model: str) -> None:
    flow = Flow(piece=5, after=1, then="hold")
    script(Answer("First and the rest.", flow=flow))
    texts, result = [], None
    for event in api.events("POST", "ai/generate", {"prompt": "Write.", "model": model}):
        if event["event"] == "progress" and event["data"]["phase"] == "delta":
            if not texts:
                assert not flow.release.is_set()
                flow.release.set()
            texts.append(event["data"]["text"])
        elif event["event"] == "result":
            result = event["data"]
    assert texts[0] == "First"
    assert "".join(texts) == "First and the rest."
    assert result is not None
    assert result["text"] == "First and the rest."


def test_a_client_that_leaves_stops_the_model_and_pays_once(
    api: Api, studio: Studio, script: Any, model: str, model_server: ModelServer
) -> None:
    script(Answer("word " * 200, flow=Flow(piece=5, after=3, then="silent")))
    calls = spent(api)["calls"]
    with Api(studio.url, TOKEN) as leaver:
        for event in leaver.events("POST", "ai/generate", {"prompt": "Write.", "model": model}):
            if event["event"] == "progress" and event["data"]["phase"] == "delta":
                break
    assert model_server.left.acquire(timeout=WAIT_S), "the connection to the model stayed open"
    done = threading.Event()
    for _ in range(int(WAIT_S * 10)):
        if spent(api)["calls"] > calls:
            break
        done.wait(0.1)
    assert spent(api)["calls"] == calls + 1
    assert len(model_server.requests) == 1


def test_a_stream_that_breaks_is_a_problem_with_its_cost(api: Api, script: Any, model: str) -> None:
    script(Answer("word " * 200, flow=Flow(after=3, then="cut")))
    before = spent(api)
    problem = api.post("ai/generate", {"prompt": "Write.", "model": model}).expect(503)
    assert problem["type"] == "urn:devstudio:problem:ProviderDisconnected"
    after = spent(api)
    assert after["calls"] == before["calls"] + 1
    assert after["cost"] > before["cost"]


def test_the_settings_of_the_project_hold(api: Api, script: Any, model: str, model_server: ModelServer) -> None:
    project = api.project()
    settings = {"model": model, "temperature": 0.5, "max_tokens": 40, "token_limits": {"text": 5000}}
    api.put(f"projects/{project['id']}/agent-settings", settings).expect(200)
    script(Answer("Yes."))
    asked = {"prompt": "Well?", "project_id": project["id"], "max_tokens": 500}
    assert api.post("ai/generate", asked).expect(200)["model"] == model
    (request,) = model_server.requests
    assert (request.max_tokens, request.body["temperature"]) == (40, 0.5)
    asked["prompt"] = "long " * 8000
    assert api.post("ai/generate", asked).expect(429)["type"] == "urn:devstudio:problem:TokenLimitReached"
    assert len(model_server.requests) == 1


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({}, 422),
        ({"prompt": ""}, 422),
        ({"prompt": "x", "model": "nobody/knows"}, 422),
        ({"prompt": "x", "max_tokens": 0}, 422),
        ({"prompt": "x", "temperature": 3}, 422),
        ({"prompt": "x", "tools": []}, 422),
        ({"prompt": "x" * 100_001}, 422),
        ({"prompt": "x", "project_id": str(uuid.uuid4())}, 404),
        ({"prompt": "x", "task_id": str(uuid.uuid4())}, 404),
    ],
)
def test_bad_input_asks_no_model(
    api: Api, script: Any, model_server: ModelServer, asked: dict[str, Any], status: int
) -> None:
    script(Answer("never"))
    api.post("ai/generate", asked).expect(status)
    assert model_server.requests == []


def test_offline_says_that_it_has_no_words_of_its_own(api: Api) -> None:
    answer = api.post("ai/generate", {"prompt": "Hello", "model": "offline"}).expect(200)
    assert "offline" in answer["text"]
    assert answer["usage"]["cost_estimated"] == 0
