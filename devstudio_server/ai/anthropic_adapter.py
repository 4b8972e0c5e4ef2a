"""Anthropic's Messages through its SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import Any, cast

import anthropic
from anthropic import omit
from anthropic.types import CacheControlEphemeralParam, MessageParam, RawMessageStreamEvent, ToolParam

from devstudio_server.ai.contract import arguments_of
from devstudio_server.ai.errors import (
    ProviderError,
    error_for_connection,
    error_for_malformed,
    error_for_status,
    error_for_timeout,
)
from devstudio_server.ai.metering import whole_number
from devstudio_server.ai.ports import (
    AssistantMessage,
    Delta,
    Message,
    ModelReply,
    ModelRequest,
    Stop,
    TokenUsage,
    ToolCall,
    ToolMessage,
    ToolSpec,
    UserMessage,
)
from devstudio_server.ai.streamed import StreamedAdapter
from devstudio_server.ai.wires import Hooks, trusted

_STOPS: dict[str, Stop] = {
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}
_HOTTEST = 1.0
_CACHED: CacheControlEphemeralParam = {"type": "ephemeral"}
# An empty turn is refused by the API, and happens when the limit cuts at once.
_NOTHING = [{"type": "text", "text": "(nothing)"}]
# The statuses of https://docs.claude.com/en/api/errors, for errors that come in the middle of a stream.
_STATUSES = {
    "invalid_request_error": HTTPStatus.BAD_REQUEST,
    "authentication_error": HTTPStatus.UNAUTHORIZED,
    "billing_error": HTTPStatus.PAYMENT_REQUIRED,
    "permission_error": HTTPStatus.FORBIDDEN,
    "not_found_error": HTTPStatus.NOT_FOUND,
    "request_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "rate_limit_error": HTTPStatus.TOO_MANY_REQUESTS,
    "timeout_error": HTTPStatus.GATEWAY_TIMEOUT,
    "overloaded_error": 529,
}
# A piece of a block, by its type: where it stands in the piece, and in the block.
_PIECES = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
    "input_json_delta": ("partial_json", "input"),
}


class AnthropicAdapter(StreamedAdapter[anthropic.Anthropic]):
    """Speaks Messages with its endpoint."""

    sdk_error = anthropic.AnthropicError

    def open_client(self, hooks: Hooks) -> anthropic.Anthropic:
        """Open a client that repeats nothing by itself."""
        timeout = anthropic.Timeout(self.settings.timeout_s, connect=self.settings.connect_timeout_s)
        return anthropic.Anthropic(
            api_key=self.endpoint.api_key,
            base_url=self.endpoint.base_url,
            timeout=timeout,
            max_retries=0,
            http_client=anthropic.DefaultHttpxClient(timeout=timeout, verify=trusted(), **self.http(hooks)),
        )

    def open_stream(
        self, client: anthropic.Anthropic, request: ModelRequest
    ) -> AbstractContextManager[Iterator[RawMessageStreamEvent]]:
        """Send the request."""
        return client.messages.create(
            model=request.model,
            system=[{"type": "text", "text": request.system, "cache_control": _CACHED}] if request.system else omit,
            messages=_messages(request),
            tools=[_tool(tool) for tool in request.tools] or omit,
            max_tokens=request.max_tokens,
            # The SDK has no name for it any more, though many models and compatible servers take it.
            extra_body=None if request.temperature is None else {"temperature": min(request.temperature, _HOTTEST)},
            stream=True,
        )

    def gather(self) -> _Gathered:
        """Return an empty reply."""
        return _Gathered()

    def explain(self, error: Exception, request: ModelRequest) -> ProviderError:
        """Return what an exception of the SDK means."""
        if isinstance(error, anthropic.APITimeoutError):
            return error_for_timeout(self.endpoint, self.settings.timeout_s)
        if isinstance(error, anthropic.APIConnectionError):
            return error_for_connection(self.endpoint, error.__cause__)
        if isinstance(error, anthropic.APIStatusError):
            headers = error.response.headers
            return error_for_status(self.endpoint, request.model, _status_of(error), headers, None, error.message)
        return error_for_malformed(self.endpoint)


def _status_of(error: anthropic.APIStatusError) -> int:
    if error.status_code >= HTTPStatus.BAD_REQUEST:
        return error.status_code
    body = error.body if isinstance(error.body, dict) else {}
    inner = body.get("error")
    kind = inner.get("type") if isinstance(inner, dict) else None
    return _STATUSES.get(str(kind), HTTPStatus.INTERNAL_SERVER_ERROR)


def _tool(tool: ToolSpec) -> ToolParam:
    return {"name": tool.name, "description": tool.description, "input_schema": dict(tool.schema)}


def _messages(request: ModelRequest) -> list[MessageParam]:
    """Return the messages, marked for the provider's cache where they are sent again.

    The marks are at the ends of what stays the same: the tools and the system text always, the prompt and the turns so
    far where the model has tools that make it come again. What is written into the cache costs more than what is not,
    so nothing is marked that no second call would read.
    """
    messages = [_message(message) for message in request.messages]
    if len(request.tools) > 1 or len(messages) > 1:
        _mark(messages[0])
        _mark(messages[-1])
    return messages


def _mark(message: MessageParam) -> None:
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(cast("list[Any]", content))
    if blocks:
        message["content"] = cast("Any", [*blocks[:-1], {**blocks[-1], "cache_control": _CACHED}])


def _message(message: Message) -> MessageParam:
    if isinstance(message, UserMessage):
        return {"role": "user", "content": message.text}
    if isinstance(message, ToolMessage):
        return {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": result.call_id,
                    "content": result.content,
                    "is_error": result.is_error,
                }
                for result in message.results
            ],
        }
    return cast("MessageParam", {**message.native}) if _is_native(message.native) else _rebuilt(message)


def _is_native(native: object) -> bool:
    return isinstance(native, dict) and "content" in native


def _rebuilt(message: AssistantMessage) -> MessageParam:
    """Say in this protocol what a model said in another one, before this one took over."""
    text = [{"type": "text", "text": message.text}] if message.text else []
    calls = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments or {}}
        for call in message.tool_calls
    ]
    return cast("MessageParam", {"role": "assistant", "content": [*text, *calls] or _NOTHING})


class _Gathered:
    """A reply as far as it has come: its blocks as they were begun, and the pieces that belong into each."""

    def __init__(self) -> None:
        self.complete = False
        self._blocks: dict[int, dict[str, Any]] = {}
        self._pieces: dict[tuple[int, str], list[str]] = {}
        self._stop_reason = ""
        self._usage: dict[str, int] = {}
        self._size = 0

    def add(self, event: RawMessageStreamEvent) -> Iterator[Delta]:
        if event.type == "message_start":
            self._count(event.message.usage)
        elif event.type == "content_block_start":
            self._blocks[event.index] = event.content_block.model_dump(mode="json", exclude_unset=True)
            if event.content_block.type == "text" and event.content_block.text:
                yield Delta("text", event.content_block.text)
        elif event.type == "content_block_delta":
            yield from self._add_piece(event.index, event.delta)
        elif event.type == "message_delta":
            self._stop_reason = event.delta.stop_reason or self._stop_reason
            self._count(event.usage)
        elif event.type == "message_stop":
            self.complete = True

    def begun(self) -> bool:
        return bool(self._blocks or self._usage or self.complete)

    def size(self) -> int:
        return self._size

    def reply(self, stop: Stop | None = None) -> ModelReply:
        blocks = [self._block(index) for index in sorted(self._blocks)]
        calls = tuple(call for _, call in blocks if call)
        return ModelReply(
            text="".join(block["text"] for block, _ in blocks if block["type"] == "text"),
            tool_calls=calls,
            stop=stop or _STOPS.get(self._stop_reason, "tool_calls" if calls else "end"),
            usage=self._token_usage(),
            native=_native([block for block, _ in blocks]),
        )

    def _add_piece(self, index: int, piece: Any) -> Iterator[Delta]:
        block = self._blocks[index]
        if piece.type == "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), piece.citation.model_dump(mode="json")]
        if piece.type not in _PIECES:
            return
        source, target = _PIECES[piece.type]
        text = getattr(piece, source)
        if not isinstance(text, str):
            raise TypeError
        self._pieces.setdefault((index, target), []).append(text)
        self._size += len(text)
        if text and piece.type == "text_delta":
            yield Delta("text", text)
        elif text and piece.type == "input_json_delta":
            yield Delta("tool", text, block.get("name", ""))

    def _block(self, index: int) -> tuple[dict[str, Any], ToolCall | None]:
        """Return a block with its pieces put in, and the tool call that it is."""
        block = dict(self._blocks[index])
        pieces = {target: "".join(parts) for (at, target), parts in self._pieces.items() if at == index}
        raw = pieces.pop("input", None)
        block |= {target: block.get(target, "") + text for target, text in pieces.items()}
        if block["type"] != "tool_use":
            return block, None
        raw = json.dumps(block.get("input") or {}) if raw is None else raw
        arguments = arguments_of(raw)
        block["input"] = arguments or {}
        return block, ToolCall(block["id"], block["name"], arguments, raw)

    def _count(self, usage: Any) -> None:
        """Take the counts of an event; each is a total, and one that is left out holds as it was."""
        for name in ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"):
            value = getattr(usage, name, None)
            if value is not None:
                self._usage[name] = value

    def _token_usage(self) -> TokenUsage:
        read = whole_number(self._usage.get("cache_read_input_tokens"))
        written = whole_number(self._usage.get("cache_creation_input_tokens"))
        fresh = whole_number(self._usage.get("input_tokens"))
        # The count at the start of a message is of what little was written by then.
        written_text = self._usage.get("output_tokens") if self._stop_reason else None
        return TokenUsage(
            tokens_input=None if fresh is None else fresh + (read or 0) + (written or 0),
            tokens_output=whole_number(written_text),
            cache_read=read,
            cache_write=written,
        )


def _native(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """Keep the turn as it came, with its thinking blocks, which the next request must carry unchanged."""
    content = [block for block in blocks if block["type"] != "text" or block["text"]]
    return {"role": "assistant", "content": content or _NOTHING}
