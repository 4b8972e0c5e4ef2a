"""Counts the tokens of a call, believing the provider only as far as its figures can be true."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from devstudio_server.ai.ports import (
    AssistantMessage,
    Message,
    ModelReply,
    ModelRequest,
    TokenUsage,
    ToolMessage,
    UserMessage,
)

# Four characters a token is the rule of thumb that both providers give for English text.
_CHARACTERS_PER_TOKEN = 4
# No tokenizer makes more tokens than bytes; what a provider adds for tools and its own preamble stays below this.
_OVERHEAD_TOKENS = 20_000
# What is held for that: Anthropic's own instructions for tools are 290 to 806 tokens by its pricing page, OpenAI frames
# a message with 3 and a function with about 10.
_FRAME_TOKENS = 1_024
_FRAME_TOKENS_EACH = 16


@dataclass(frozen=True)
class CountedTokens:
    """Tokens of one call, all of them 0 or more. ``estimated`` when a figure was made from the length of the text."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    estimated: bool = False


def count(request: ModelRequest, reply: ModelReply) -> CountedTokens:
    """Take the provider's counts where they can be true, and estimate the rest."""
    usage = reply.usage
    written = reply_size(reply)
    tokens_input = _plausible(usage.tokens_input, 1, size_in_bytes(request) + _OVERHEAD_TOKENS)
    # A server may ignore the limit, and hidden reasoning counts as output: twice the limit is still believed.
    tokens_output = _plausible(usage.tokens_output, 1 if written else 0, 2 * request.max_tokens + _OVERHEAD_TOKENS)
    cached = _cached(usage, tokens_input)
    return CountedTokens(
        input=_estimate(request_size(request)) if tokens_input is None else tokens_input,
        output=_estimate(written) if tokens_output is None else tokens_output,
        cache_read=cached[0],
        cache_write=cached[1],
        estimated=tokens_input is None or tokens_output is None,
    )


def worst_case(request: ModelRequest) -> CountedTokens:
    """Return the most tokens that a call of ``request`` is expected to be billed for.

    No tokenizer makes more tokens than bytes, whatever the model; the output ends at ``max_tokens``.
    """
    frames = _FRAME_TOKENS + _FRAME_TOKENS_EACH * (len(request.messages) + len(request.tools))
    return CountedTokens(input=size_in_bytes(request) + frames, output=request.max_tokens, estimated=True)


def count_unanswered(request: ModelRequest) -> CountedTokens:
    """Estimate a call whose reply never came, though the provider may have worked: its input."""
    return CountedTokens(input=_estimate(request_size(request)), estimated=True)


def request_size(request: ModelRequest) -> int:
    """Return how many characters are sent."""
    return sum(len(text) for text in _texts(request))


def size_in_bytes(request: ModelRequest) -> int:
    """Return how many bytes of UTF-8 are sent."""
    return sum(len(text.encode("utf-8", "replace")) for text in _texts(request))


def reply_size(reply: ModelReply) -> int:
    """Return how many characters came back."""
    return len(reply.text) + sum(len(call.raw) for call in reply.tool_calls)


def whole_number(value: object) -> int | None:
    """Return ``value`` if it is a whole number; the SDKs do not check what a server sends."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _plausible(value: int | None, least: int, most: int) -> int | None:
    return value if value is not None and least <= value <= most else None


def _cached(usage: TokenUsage, tokens_input: int | None) -> tuple[int, int]:
    read = _plausible(usage.cache_read, 0, tokens_input or 0) or 0
    write = _plausible(usage.cache_write, 0, (tokens_input or 0) - read) or 0
    return read, write


def _estimate(characters: int) -> int:
    return -(-characters // _CHARACTERS_PER_TOKEN)


def _texts(request: ModelRequest) -> Iterable[str]:
    yield request.system
    for tool in request.tools:
        yield f"{tool.name}{tool.description}{tool.schema}"
    for message in request.messages:
        yield from _message_texts(message)


def _message_texts(message: Message) -> Iterable[str]:
    if isinstance(message, UserMessage):
        yield message.text
    elif isinstance(message, AssistantMessage):
        yield message.text
        yield from (call.raw for call in message.tool_calls)
    elif isinstance(message, ToolMessage):
        yield from (result.content for result in message.results)
