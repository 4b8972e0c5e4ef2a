"""Anthropic's Messages through its SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import anthropic
from anthropic.types import Message as AnthropicMessage
from anthropic.types import MessageParam, ToolParam, Usage

from devstudio_server.ai.errors import (
    ProviderError,
    error_for_connection,
    error_for_malformed,
    error_for_status,
    error_for_timeout,
)
from devstudio_server.ai.metering import whole_number
from devstudio_server.ai.ports import (
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

_PROVIDER = "anthropic"
_STOPS: dict[str, Stop] = {
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}


class AnthropicAdapter:
    """Speaks to ``settings.anthropic_base_url``, or to Anthropic."""

    def __init__(self, settings: GatewaySettings) -> None:
        """Open no connection yet."""
        self._timeout_s = settings.timeout_s
        self._client = anthropic.Anthropic(
            api_key=settings.anthropic_api_key,
            base_url=settings.anthropic_base_url,
            timeout=anthropic.Timeout(settings.timeout_s, connect=settings.connect_timeout_s),
            max_retries=settings.retries,
        )

    def reply(self, request: ModelRequest) -> ModelReply:
        """Call the model once; raises a `ProviderError`."""
        try:
            message = self._client.messages.create(
                model=request.model,
                system=request.system,
                messages=[_message(message) for message in request.messages],
                tools=[_tool(tool) for tool in request.tools],
                max_tokens=request.max_tokens,
                # Said again: without it the SDK refuses long answers that it would rather stream.
                timeout=self._client.timeout,
            )
            return _reply(message)
        except anthropic.APIError as error:
            raise self._explained(error, request.model) from None  # the SDK's error carries the provider's raw body
        except (ValueError, AttributeError, TypeError):
            raise error_for_malformed(_PROVIDER) from None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _explained(self, error: anthropic.APIError, model: str) -> ProviderError:
        if isinstance(error, anthropic.APITimeoutError):
            return error_for_timeout(_PROVIDER, self._timeout_s)
        if isinstance(error, anthropic.APIConnectionError):
            return error_for_connection(_PROVIDER, error.__cause__)
        if isinstance(error, anthropic.APIStatusError):
            retry_after = error.response.headers.get("retry-after")
            return error_for_status(_PROVIDER, model, error.status_code, retry_after, code=None)
        return error_for_malformed(_PROVIDER)


def _tool(tool: ToolSpec) -> ToolParam:
    return {"name": tool.name, "description": tool.description, "input_schema": dict(tool.schema)}


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
    return cast("MessageParam", message.native)


def _reply(message: AnthropicMessage) -> ModelReply:
    calls = tuple(_tool_calls(message))
    return ModelReply(
        text="".join(block.text for block in message.content if block.type == "text"),
        tool_calls=calls,
        stop=_STOPS.get(message.stop_reason or "", "tool_calls" if calls else "end"),
        usage=_usage(message),
        native=_native(message),
    )


def _tool_calls(message: AnthropicMessage) -> Iterator[ToolCall]:
    for block in message.content:
        if block.type == "tool_use":
            arguments = block.input if isinstance(block.input, dict) else None
            yield ToolCall(block.id, block.name, cast("dict[str, Any] | None", arguments), json.dumps(block.input))


def _native(message: AnthropicMessage) -> dict[str, Any]:
    """Keep the turn as it came, with its thinking blocks, which the next request must carry unchanged."""
    content = [block.model_dump(mode="json", exclude_unset=True) for block in message.content]
    # An empty turn is refused by the API, and happens when the limit cuts at once.
    return {"role": "assistant", "content": content or [{"type": "text", "text": "(nothing)"}]}


def _usage(message: AnthropicMessage) -> TokenUsage:
    usage = cast("Usage | None", message.usage)  # the SDK does not check that it is there
    if usage is None:
        return TokenUsage()
    read = whole_number(usage.cache_read_input_tokens)
    written = whole_number(usage.cache_creation_input_tokens)
    fresh = whole_number(usage.input_tokens)
    return TokenUsage(
        tokens_input=None if fresh is None else fresh + (read or 0) + (written or 0),
        tokens_output=whole_number(usage.output_tokens),
        cache_read=read,
        cache_write=written,
    )
