"""The port to every model: a whole conversation goes in, one reply comes out. No word of any provider in here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from devstudio_server.ai.subjects import Subject
from devstudio_server.kit.stopping import StopSignal

Stop = Literal["tool_calls", "end", "length", "refusal", "stopped"]


@dataclass(frozen=True)
class ToolSpec:
    """A tool as it is offered: ``schema`` is the JSON schema of its arguments, an object."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class ToolCall:
    """A model's wish to use a tool. ``arguments`` is ``None`` when ``raw``, what it wrote, is no JSON object."""

    id: str
    name: str
    arguments: dict[str, Any] | None
    raw: str


@dataclass(frozen=True)
class ToolResult:
    """What a tool answered to the call ``call_id``."""

    call_id: str
    content: str
    is_error: bool = False


@dataclass(frozen=True)
class UserMessage:
    """Text from this side."""

    text: str


@dataclass(frozen=True)
class AssistantMessage:
    """A turn of the model. ``native`` is what its adapter needs to hand it back unchanged, opaque to all others."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    native: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class ToolMessage:
    """The results of all tool calls of the turn before; every call needs one."""

    results: tuple[ToolResult, ...]


Message = UserMessage | AssistantMessage | ToolMessage


@dataclass(frozen=True)
class TokenUsage:
    """Tokens of one call as the provider counts them; ``None`` when it did not say.

    ``tokens_input`` includes what came from and went into the provider's cache.
    """

    tokens_input: int | None = None
    tokens_output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None


class RepositoryReader(Protocol):
    """Reads the tree that a task starts from. Paths are relative to the repository, with ``/``."""

    def list_files(self) -> Sequence[str]:
        """Return the path of every file."""
        ...

    def read_file(self, path: str) -> str | None:
        """Return a file's text; ``None`` when there is none, or it is no text."""
        ...


@dataclass(frozen=True)
class ModelRequest:
    """One call of a model: the whole conversation so far, and the tools on offer.

    ``max_tokens`` bounds the reply; ``temperature`` is ``None`` where the model's own shall hold. ``subject`` and
    ``reader`` are for a provider that works on this server by rules; an adapter of an outside model never sends them.
    """

    model: str
    system: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]
    max_tokens: int
    subject: Subject = field(repr=False)
    reader: RepositoryReader | None = field(default=None, repr=False)
    temperature: float | None = None


@dataclass(frozen=True)
class Delta:
    """A piece of a reply as it arrives: text, or a part of the arguments of the tool ``name``."""

    kind: Literal["text", "tool"]
    text: str
    name: str = ""


def _no_delta(_delta: Delta) -> None:
    """Drop a piece when nobody listens."""


@dataclass(frozen=True)
class Listener:
    """Who follows a call: ``delta`` gets each piece as it arrives, ``stop`` ends the call at once, even while it reads.

    ``delta`` runs in the thread of the call, between two pieces; what it raises ends the call.
    """

    delta: Callable[[Delta], None] = _no_delta
    stop: StopSignal = field(default_factory=StopSignal)


@dataclass(frozen=True)
class ModelReply:
    """One turn of the model, why it stopped, and what it used.

    A reply that was ``stopped`` holds what had come until then.
    """

    text: str
    tool_calls: tuple[ToolCall, ...]
    stop: Stop
    usage: TokenUsage
    native: Any = field(default=None, repr=False, compare=False)

    def as_message(self) -> AssistantMessage:
        """Return this turn as part of the conversation that follows."""
        return AssistantMessage(self.text, self.tool_calls, self.native)


class ModelAdapter(Protocol):
    """One provider. Shared by all threads, so it keeps no state of a conversation."""

    def reply(self, request: ModelRequest, listener: Listener) -> ModelReply:
        """Call the model once, and tell ``listener`` each piece.

        Raises a `ProviderError` of `errors` when no usable reply came; its ``partial`` holds what had come.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
