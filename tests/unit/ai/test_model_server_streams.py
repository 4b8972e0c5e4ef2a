"""What the test server streams is what the real SDKs understand, and each fault is what it says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from support.kernel_client import until
from support.model_server import Answer, Call, Fault, Flow, ModelServer, ScriptBrain

TEXT = "Thirty-two characters of output."
CALL = Call("write_documents", {"requirements": "# Requisitos é\n", "tasks": None})


class Came:
    """What came, in one form for both SDKs."""

    def __init__(self) -> None:
        self.text = ""
        self.arguments = ""
        self.stop: str | None = None
        self.usage: tuple[Any, Any] | None = None


def read_openai(server: ModelServer, into: Came) -> None:
    client = openai.OpenAI(api_key="k", base_url=server.openai_base_url, max_retries=0, timeout=5)
    with (
        client,
        client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "Say."}],
            stream=True,
            stream_options={"include_usage": True},
        ) as stream,
    ):
        for chunk in stream:
            for choice in chunk.choices:
                into.text += choice.delta.content or ""
                for call in choice.delta.tool_calls or ():
                    into.arguments += (call.function and call.function.arguments) or ""
                into.stop = choice.finish_reason or into.stop
            if chunk.usage:
                into.usage = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)


def read_anthropic(server: ModelServer, into: Came) -> None:
    client = anthropic.Anthropic(api_key="k", base_url=server.url, max_retries=0, timeout=5)
    with (
        client,
        client.messages.create(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "Say."}], stream=True
        ) as stream,
    ):
        for event in stream:
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                into.text += event.delta.text
            elif event.type == "content_block_delta" and event.delta.type == "input_json_delta":
                into.arguments += event.delta.partial_json
            elif event.type == "message_start" and event.message.usage:
                into.usage = (event.message.usage.input_tokens, event.message.usage.output_tokens)
            elif event.type == "message_delta":
                into.stop = event.delta.stop_reason
                if event.usage:
                    into.usage = ((into.usage or (None,))[0], event.usage.output_tokens)


READERS = {"openai": read_openai, "anthropic": read_anthropic}
STOPS = {"openai": ("stop", "tool_calls"), "anthropic": ("end_turn", "tool_use")}
ERRORS = (httpx2.HTTPError, openai.APIError, anthropic.APIError, json.JSONDecodeError)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(ScriptBrain([Answer(TEXT)])) as made:
        yield made


@pytest.mark.parametrize("protocol", READERS)
def test_text_with_its_usage_at_the_end(server: ModelServer, protocol: str) -> None:
    server.brain = ScriptBrain([Answer(TEXT, usage=(70, 8), flow=Flow(piece=5))])
    came = Came()
    READERS[protocol](server, came)
    assert (came.text, came.stop, came.usage) == (TEXT, STOPS[protocol][0], (70, 8))
    assert len(server.sent) == 7
    assert server.sent == sorted(server.sent)


@pytest.mark.parametrize("protocol", READERS)
def test_tool_input_comes_in_pieces_of_json(server: ModelServer, protocol: str) -> None:
    server.brain = ScriptBrain([Answer("First. ", calls=[CALL], flow=Flow(piece=7))])
    came = Came()
    READERS[protocol](server, came)
    assert (came.text, json.loads(came.arguments)) == ("First. ", CALL.arguments)
    assert came.stop == STOPS[protocol][1]


@pytest.mark.parametrize("usage", [None, (-1, 10**15)])
@pytest.mark.parametrize("protocol", READERS)
def test_usage_missing_and_absurd(server: ModelServer, protocol: str, usage: tuple[int, int] | None) -> None:
    server.brain = ScriptBrain([Answer(TEXT, usage=usage)])
    came = Came()
    READERS[protocol](server, came)
    assert (came.text, came.usage) == (TEXT, usage)


@pytest.mark.parametrize("then", ["cut", "reset", "garbage", "error"])
@pytest.mark.parametrize("protocol", READERS)
def test_broken_in_the_middle(server: ModelServer, protocol: str, then: Any) -> None:
    server.brain = ScriptBrain([Answer(TEXT, flow=Flow(piece=4, after=2, then=then))])
    came = Came()
    with pytest.raises(ERRORS):
        READERS[protocol](server, came)
    assert came.stop is None
    # A reset may take with it what the client has not read yet.
    assert came.text == TEXT[:8] or (then == "reset" and TEXT[:8].startswith(came.text))


@pytest.mark.parametrize("protocol", READERS)
def test_ended_without_the_protocols_end(server: ModelServer, protocol: str) -> None:
    server.brain = ScriptBrain([Answer(TEXT, flow=Flow(piece=4, after=2, then="end"))])
    came = Came()
    READERS[protocol](server, came)
    assert (came.text, came.stop) == (TEXT[:8], None)


@pytest.mark.parametrize("protocol", READERS)
def test_held_back_until_released(server: ModelServer, protocol: str) -> None:
    flow = Flow(piece=4, after=1, then="hold")
    server.brain = ScriptBrain([Answer(TEXT, flow=flow)])
    came = Came()
    reader = threading.Thread(target=READERS[protocol], args=(server, came))
    reader.start()
    until(lambda: server.sent, "the first piece")
    reader.join(0.1)
    assert reader.is_alive()
    assert len(server.sent) == 1
    flow.release.set()
    reader.join(10)
    assert came.text == TEXT


@pytest.mark.parametrize("then", ["endless", "silent", "hold"])
@pytest.mark.parametrize("protocol", READERS)
def test_a_client_that_leaves_is_noticed(server: ModelServer, protocol: str, then: Any) -> None:
    server.brain = ScriptBrain([Answer(TEXT, flow=Flow(piece=4, after=3, then=then))])
    path = "/v1/chat/completions" if protocol == "openai" else "/v1/messages"
    headers = {"authorization": "Bearer k", "x-api-key": "k", "anthropic-version": "2023-06-01"}
    body = {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "Say."}]}
    with httpx2.stream("POST", server.url + path, json=body, headers=headers, trust_env=False) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        pieces = (line for line in response.iter_lines() if TEXT[:4] in line)
        assert next(pieces)
    assert server.left.acquire(timeout=10)


@pytest.mark.parametrize("status", [429, 500, 529])
@pytest.mark.parametrize("protocol", READERS)
def test_refused_before_the_stream(server: ModelServer, protocol: str, status: int) -> None:
    server.brain = ScriptBrain([Fault(status, {"retry-after": "3"})])
    with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)) as raised:
        READERS[protocol](server, Came())
    assert raised.value.status_code == status
    assert raised.value.response.headers["retry-after"] == "3"


@pytest.mark.parametrize("protocol", READERS)
def test_reset_before_any_answer(server: ModelServer, protocol: str) -> None:
    server.brain = ScriptBrain([Fault(reset=True)])
    with pytest.raises((openai.APIConnectionError, anthropic.APIConnectionError)):
        READERS[protocol](server, Came())


def test_wrong_content_type(server: ModelServer) -> None:
    server.brain = ScriptBrain([Answer(TEXT, flow=Flow(content_type="text/html"))])
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Say."}]}
    headers = {"authorization": "Bearer k"}
    response = httpx2.post(f"{server.openai_base_url}/chat/completions", json=body, headers=headers, trust_env=False)
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html")
    assert "data: [DONE]" in response.text
