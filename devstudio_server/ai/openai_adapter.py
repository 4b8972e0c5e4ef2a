"""OpenAI's Chat Completions through its SDK: every compatible server speaks them too."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

import openai
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam, ChatCompletionToolParam
from openai.types.chat.chat_completion_chunk import ChoiceDelta

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

# What some compatible servers call it; OpenAI keeps its models' reasoning to itself here.
_REASONING = "reasoning_content"
_STOPS: dict[str, Stop] = {"tool_calls": "tool_calls", "length": "length", "content_filter": "refusal"}


class OpenAIAdapter(StreamedAdapter[openai.OpenAI]):
    """Speaks Chat Completions with its endpoint."""

    sdk_error = openai.OpenAIError

    def open_client(self, hooks: Hooks) -> openai.OpenAI:
        """Open a client that repeats nothing by itself."""
        timeout = openai.Timeout(self.settings.timeout_s, connect=self.settings.connect_timeout_s)
        return openai.OpenAI(
            api_key=self.endpoint.api_key,
            base_url=self.endpoint.base_url,
            timeout=timeout,
            max_retries=0,
            http_client=openai.DefaultHttpxClient(timeout=timeout, verify=trusted(), **self.http(hooks)),
        )

    def open_stream(
        self, client: openai.OpenAI, request: ModelRequest
    ) -> AbstractContextManager[Iterator[ChatCompletionChunk]]:
        """Send the request."""
        return client.chat.completions.create(
            model=request.model,
            messages=list(_messages(request)),
            tools=[_tool(tool) for tool in request.tools] or openai.omit,
            temperature=openai.omit if request.temperature is None else request.temperature,
            stream=True,
            stream_options={"include_usage": True},
            extra_body={self.endpoint.token_parameter: request.max_tokens},
        )

    def gather(self) -> _Gathered:
        """Return an empty reply."""
        return _Gathered()

    def explain(self, error: Exception, request: ModelRequest) -> ProviderError:
        """Return what an exception of the SDK means."""
        if isinstance(error, openai.APITimeoutError):
            return error_for_timeout(self.endpoint, self.settings.timeout_s)
        if isinstance(error, openai.APIConnectionError):
            return error_for_connection(self.endpoint, error.__cause__)
        if isinstance(error, openai.APIStatusError):
            headers = error.response.headers
            return error_for_status(self.endpoint, request.model, error.status_code, headers, error.code, error.message)
        if isinstance(error, openai.APIError) and isinstance(error.body, dict):
            status = _status_of(error.code)
            return error_for_status(self.endpoint, request.model, status, {}, error.code)
        return error_for_malformed(self.endpoint)


def _status_of(code: object) -> int:
    """Return the HTTP status that an error would have had if it had not come in the middle of a stream."""
    if code in {"rate_limit_exceeded", "insufficient_quota"}:
        return HTTPStatus.TOO_MANY_REQUESTS
    status = int(code) if isinstance(code, str | int) and str(code).isdecimal() else 0
    is_error = HTTPStatus.BAD_REQUEST <= status < 600  # noqa: PLR2004 - where the statuses end
    return status if is_error else HTTPStatus.INTERNAL_SERVER_ERROR


def _tool(tool: ToolSpec) -> ChatCompletionToolParam:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.schema)}
    return cast("ChatCompletionToolParam", {"type": "function", "function": function})


def _messages(request: ModelRequest) -> Iterator[ChatCompletionMessageParam]:
    if request.system:
        yield {"role": "system", "content": request.system}
    for message in request.messages:
        yield from _message(message)


def _message(message: Message) -> Iterator[ChatCompletionMessageParam]:
    if isinstance(message, UserMessage):
        yield {"role": "user", "content": message.text}
    elif isinstance(message, ToolMessage):
        for result in message.results:
            content = f"Error: {result.content}" if result.is_error else result.content
            yield {"role": "tool", "tool_call_id": result.call_id, "content": content}
    else:
        reasoning = {name: value for name, value in (message.native or {}).items() if name == _REASONING}
        yield cast("ChatCompletionMessageParam", {**reasoning, **_assistant(message)})


def _assistant(message: AssistantMessage) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": "assistant", "content": message.text}
    if message.tool_calls:
        turn["tool_calls"] = [
            # Arguments that are no JSON go back empty: some servers refuse the whole conversation otherwise.
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.raw if call.arguments is not None else "{}"},
            }
            for call in message.tool_calls
        ]
    return turn


@dataclass
class _ToolCall:
    """A tool call as far as it has come."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class _Gathered:
    """A reply as far as it has come."""

    def __init__(self) -> None:
        self.complete = False
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, _ToolCall] = {}
        self._refused = False
        self._finish = ""
        self._usage = TokenUsage()
        self._size = 0

    def add(self, chunk: ChatCompletionChunk) -> Iterator[Delta]:
        if chunk.usage is not None:
            self._usage = _usage(chunk)
        for choice in chunk.choices or ():
            yield from self._add_delta(choice.delta)
            if choice.finish_reason:
                self._finish = choice.finish_reason
                self.complete = True

    def begun(self) -> bool:
        return bool(self._text or self._calls or self._reasoning or self.complete)

    def size(self) -> int:
        return self._size

    def reply(self, stop: Stop | None = None) -> ModelReply:
        calls = tuple(_tool_call(call) for _, call in sorted(self._calls.items()))
        reason: Stop = "refusal" if self._refused else "tool_calls" if calls else "end"
        return ModelReply(
            text="".join(self._text),
            tool_calls=calls,
            stop=stop or _STOPS.get(self._finish, reason),
            usage=self._usage,
            native=_native("".join(self._reasoning)),
        )

    def _add_delta(self, delta: ChoiceDelta | None) -> Iterator[Delta]:
        if delta is None:
            return
        self._refused = self._refused or bool(delta.refusal)
        self._keep(self._reasoning, (delta.model_extra or {}).get(_REASONING))
        if self._keep(self._text, delta.content):
            yield Delta("text", self._text[-1])
        for part in delta.tool_calls or ():
            call = self._call(part.index, part.id)
            function = part.function
            call.id = call.id or part.id or ""
            call.name = call.name or (function.name if function else None) or ""
            if self._keep(call.arguments, function.arguments if function else None):
                yield Delta("tool", call.arguments[-1], call.name)

    def _call(self, index: int | None, identity: str | None) -> _ToolCall:
        """Return the call that a piece belongs to; some servers give no index, and a new id with each call."""
        if not isinstance(index, int):
            last = len(self._calls) - 1
            known = last >= 0 and identity in {None, "", self._calls[last].id}
            index = last if known else last + 1
        return self._calls.setdefault(index, _ToolCall())

    def _keep(self, parts: list[str], piece: object) -> bool:
        if not piece:
            return False
        if not isinstance(piece, str):
            raise TypeError
        parts.append(piece)
        self._size += len(piece)
        return True


_call_numbers = itertools.count(1)


def _tool_call(call: _ToolCall) -> ToolCall:
    raw = "".join(call.arguments)
    return ToolCall(call.id or f"call_{next(_call_numbers)}", call.name, arguments_of(raw), raw)


def _native(reasoning: str) -> dict[str, Any] | None:
    """Keep the reasoning that some compatible servers want back in the turns of a tool loop."""
    return {_REASONING: reasoning} if reasoning else None


def _usage(chunk: ChatCompletionChunk) -> TokenUsage:
    usage = chunk.usage
    details = getattr(usage, "prompt_tokens_details", None)
    return TokenUsage(
        tokens_input=whole_number(getattr(usage, "prompt_tokens", None)),
        tokens_output=whole_number(getattr(usage, "completion_tokens", None)),
        cache_read=whole_number(getattr(details, "cached_tokens", None)),
        cache_write=whole_number(getattr(details, "cache_write_tokens", None)),
    )
