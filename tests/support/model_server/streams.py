"""Answers in pieces, as each protocol streams them. One item is one event of ``text/event-stream``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from support.model_server.dialects import IDS, Anthropic, OpenAI, arguments_text
from support.model_server.forms import Answer, Call, Fault, SeenRequest


@dataclass(frozen=True)
class Event:
    """One event. A ``piece`` carries a part of what the model says; only pieces are counted by `Flow.after`."""

    data: bytes
    piece: bool = False


class Stream(Protocol):
    """Streams in one protocol. ``garbage`` is an event that is no JSON."""

    garbage: bytes

    def events(self, request: SeenRequest, answer: Answer) -> Iterator[Event]:
        """Yield every event of an answer."""
        ...

    def error(self, fault: Fault) -> bytes:
        """Return the event that tells of an error in mid-stream."""
        ...


class OpenAIStream:
    """Chunks; one with the usage at the end when it is asked for; then ``[DONE]``."""

    garbage = b'data: {"id": "\n\n'

    def __init__(self) -> None:
        """Stream what this dialect says."""
        self._dialect = OpenAI()

    def events(self, request: SeenRequest, answer: Answer) -> Iterator[Event]:
        """Yield every event of an answer."""
        head = self._dialect.head(request, "chat.completion.chunk")

        def chunk(delta: Mapping[str, Any], finish: str | None = None, *, piece: bool = False) -> Event:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return Event(_data({**head, "choices": [choice]}), piece)

        yield chunk({"role": "assistant", "content": "" if answer.text else None, "refusal": None})
        for part in _pieces(answer.text, answer.flow.piece):
            yield chunk({"content": part}, piece=True)
        for index, call in enumerate(answer.calls):
            opening = {"id": f"call_{next(IDS):08d}", "type": "function"}
            yield chunk({"tool_calls": [{"index": index, **opening, "function": {"name": call.name, "arguments": ""}}]})
            for part in _pieces(arguments_text(call), answer.flow.piece):
                yield chunk({"tool_calls": [{"index": index, "function": {"arguments": part}}]}, piece=True)
        yield chunk({}, self._dialect.finish(answer))
        if (request.body.get("stream_options") or {}).get("include_usage") and answer.usage is not None:
            yield Event(_data({**head, "choices": [], **self._dialect.usage(answer)}))
        yield Event(b"data: [DONE]\n\n")

    def error(self, fault: Fault) -> bytes:
        """Return the event that tells of an error in mid-stream."""
        return _data(self._dialect.error(fault))


class AnthropicStream:
    """Named events: the message, its blocks with their deltas, and what it used, counted up."""

    garbage = b'event: content_block_delta\ndata: {"type": "\n\n'

    def __init__(self) -> None:
        """Stream what this dialect says."""
        self._dialect = Anthropic()

    def events(self, request: SeenRequest, answer: Answer) -> Iterator[Event]:
        """Yield every event of an answer."""
        used = None if answer.usage is None else self._dialect.usage(answer)
        started = {} if used is None else {"usage": used | {"output_tokens": 1}}
        yield self._event("message_start", message=self._dialect.head(request) | started)
        yield self._event("ping")
        blocks: list[Call | str] = [*([answer.text] if answer.text else []), *answer.calls]
        for index, block in enumerate(blocks):
            yield from self._block(index, block, answer.flow.piece)
        ended = {} if used is None else {"usage": {"output_tokens": used["output_tokens"]}}
        yield self._event(
            "message_delta", delta={"stop_reason": self._dialect.finish(answer), "stop_sequence": None}, **ended
        )
        yield self._event("message_stop")

    def _block(self, index: int, block: Call | str, size: int) -> Iterator[Event]:
        if isinstance(block, str):
            content, text, kind, field = {"type": "text", "text": ""}, block, "text_delta", "text"
        else:
            content, text = self._dialect.tool_use(block), arguments_text(block)
            kind, field = "input_json_delta", "partial_json"
        yield self._event("content_block_start", index=index, content_block=content)
        for part in _pieces(text, size):
            yield self._event("content_block_delta", piece=True, index=index, delta={"type": kind, field: part})
        yield self._event("content_block_stop", index=index)

    def _event(self, kind: str, *, piece: bool = False, **fields: Any) -> Event:
        return Event(f"event: {kind}\n".encode() + _data({"type": kind, **fields}), piece)

    def error(self, fault: Fault) -> bytes:
        """Return the event that tells of an error in mid-stream."""
        return b"event: error\n" + _data(self._dialect.error(fault))


def _data(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _pieces(text: str, size: int) -> Iterator[str]:
    for start in range(0, len(text), size):
        yield text[start : start + size]
