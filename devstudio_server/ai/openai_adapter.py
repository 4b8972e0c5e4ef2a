"""OpenAI's Chat Completions through its SDK: every compatible server speaks them too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import openai
from openai.types.chat import ChatCompletion, ChatCompletionMessage, ChatCompletionMessageParam, ChatCompletionToolParam

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
from devstudio_server.ai.settings import GatewaySettings

_PROVIDER = "openai"
_STOPS: dict[str, Stop] = {"tool_calls": "tool_calls", "length": "length", "content_filter": "refusal"}


class OpenAIAdapter:
    """Speaks to ``settings.openai_base_url``, or to OpenAI."""

    def __init__(self, settings: GatewaySettings) -> None:
        """Open no connection yet."""
        self._timeout_s = settings.timeout_s
        self._token_parameter = settings.openai_token_parameter
        self._client = openai.OpenAI(
            api_key=settings.openai_api_key,
            base_url=settings.openai_base_url,
            timeout=openai.Timeout(settings.timeout_s, connect=settings.connect_timeout_s),
            max_retries=settings.retries,
        )

    def reply(self, request: ModelRequest) -> ModelReply:
        """Call the model once; raises a `ProviderError`."""
        try:
            completion = self._client.chat.completions.create(
                model=request.model,
                messages=list(_messages(request)),
                tools=[_tool(tool) for tool in request.tools],
                extra_body={self._token_parameter: request.max_tokens},
            )
            return _reply(completion)
        except openai.APIError as error:
            raise self._explained(error, request.model) from None  # the SDK's error carries the provider's raw body
        except (ValueError, AttributeError, TypeError, IndexError):
            raise error_for_malformed(_PROVIDER) from None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _explained(self, error: openai.APIError, model: str) -> ProviderError:
        if isinstance(error, openai.APITimeoutError):
            return error_for_timeout(_PROVIDER, self._timeout_s)
        if isinstance(error, openai.APIConnectionError):
            return error_for_connection(_PROVIDER, error.__cause__)
        if isinstance(error, openai.APIStatusError):
            retry_after = error.response.headers.get("retry-after")
            return error_for_status(_PROVIDER, model, error.status_code, retry_after, error.code)
        return error_for_malformed(_PROVIDER)


def _tool(tool: ToolSpec) -> ChatCompletionToolParam:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.schema)}
    return cast("ChatCompletionToolParam", {"type": "function", "function": function})


def _messages(request: ModelRequest) -> Iterator[ChatCompletionMessageParam]:
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
        yield cast("ChatCompletionMessageParam", {**(message.native or {}), **_assistant(message)})


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


def _reply(completion: ChatCompletion) -> ModelReply:
    choice = completion.choices[0]
    calls = tuple(_tool_calls(choice.message))
    stop: Stop = "tool_calls" if calls else "end"
    if choice.message.refusal:
        stop = "refusal"
    return ModelReply(
        text=choice.message.content or "",
        tool_calls=calls,
        stop=_STOPS.get(choice.finish_reason, stop),
        usage=_usage(completion),
        native=_native(choice.message),
    )


def _tool_calls(message: ChatCompletionMessage) -> Iterator[ToolCall]:
    for call in message.tool_calls or ():
        if call.type == "function":
            raw = call.function.arguments
            yield ToolCall(call.id, call.function.name, _json_object(raw), raw)


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _native(message: ChatCompletionMessage) -> dict[str, Any] | None:
    """Keep the reasoning that some compatible servers want back in the turns of a tool loop."""
    reasoning = (message.model_extra or {}).get("reasoning_content")
    return {"reasoning_content": reasoning} if reasoning else None


def _usage(completion: ChatCompletion) -> TokenUsage:
    usage = completion.usage
    if usage is None:
        return TokenUsage()
    details = usage.prompt_tokens_details
    return TokenUsage(
        tokens_input=whole_number(usage.prompt_tokens),
        tokens_output=whole_number(usage.completion_tokens),
        cache_read=whole_number(getattr(details, "cached_tokens", None)),
        cache_write=whole_number(getattr(details, "cache_write_tokens", None)),
    )
