"""What is asked and answered, in one form for both protocols, and what may go wrong."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Call:
    """A tool call. ``arguments`` as text is sent as it is by the OpenAI protocol; the other one knows only objects."""

    name: str
    arguments: Mapping[str, Any] | str
    id: str = ""


@dataclass(frozen=True)
class Turn:
    """One message of a conversation; ``call_id`` and ``is_error`` belong to the results of tools."""

    role: Literal["user", "assistant", "tool"]
    text: str
    calls: tuple[Call, ...] = ()
    call_id: str = ""
    is_error: bool = False


@dataclass(frozen=True)
class SeenRequest:
    """A request in one form for both protocols; ``body`` and ``headers`` (lower case) are as they came."""

    protocol: Literal["openai", "anthropic"]
    model: str
    system: str
    turns: tuple[Turn, ...]
    tools: tuple[str, ...]
    max_tokens: int | None
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def streams(self) -> bool:
        """Tell whether the answer shall come in pieces."""
        return bool(self.body.get("stream"))


@dataclass(frozen=True)
class Flow:
    """How an answer is streamed: in pieces of ``piece`` characters; after ``after`` of them, what ``then`` says.

    ``hold`` waits until ``release`` is set and goes on; ``silent`` says nothing more, with the connection open; ``end``
    ends the body properly, without the protocol's own end; ``cut`` closes in the middle of the body; ``reset`` resets
    the connection; ``garbage`` sends an event that is no JSON; ``error`` sends the protocol's error event; ``endless``
    repeats text for ever. None of them but ``hold`` sends the rest. ``content_type`` may be a wrong one.
    """

    piece: int = 16
    after: int | None = None
    then: Literal["hold", "silent", "end", "cut", "reset", "garbage", "error", "endless"] = "hold"
    release: threading.Event = field(default_factory=threading.Event, compare=False)
    content_type: str = "text/event-stream; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """What the model says. ``usage`` is (input, output) as sent, absurd or not; ``None`` leaves it out.

    ``cached`` is (read, written) of the provider's prompt cache, both part of the input. ``flow`` matters to a request
    that streams.
    """

    text: str = ""
    calls: Sequence[Call] = ()
    stop: Literal["tool_calls", "end", "length", "refusal"] | None = None
    usage: tuple[Any, Any] | None = (1000, 100)
    cached: tuple[int, int] = (0, 0)
    flow: Flow = field(default_factory=Flow)


@dataclass(frozen=True)
class Fault:
    """What goes wrong instead: an HTTP error, silence until the server closes, a cut, a reset, or a body of its own."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "made to fail"
    code: str | None = None
    silent: bool = False
    cut: bool = False
    reset: bool = False
    body: bytes | None = None
