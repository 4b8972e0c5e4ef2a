"""One question to a model, and its text: no tools, no documents, nothing that is kept but what it cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from devstudio_server.ai.calls import Calls, Line
from devstudio_server.ai.errors import ClientLeft
from devstudio_server.ai.ports import ModelRequest, UserMessage
from devstudio_server.ai.schemas import Model, UsageRead
from devstudio_server.ai.subjects import TextSubject
from devstudio_server.ai.use import ModelUse

WhyEnded = Literal["end", "length", "refusal"]


@dataclass(frozen=True)
class Question:
    """What is asked of a model. ``settings`` are the project's, with what this question wants otherwise."""

    prompt: str
    system: str = ""
    model: str | None = None
    project_id: UUID | None = None
    session_id: UUID | None = None
    task_id: UUID | None = None
    settings: ModelUse = field(default_factory=ModelUse)


@dataclass(frozen=True)
class Written:
    """What the model wrote, why it ended, what it used, and which model it was."""

    text: str
    stop: WhyEnded
    usage: UsageRead
    model: Model


def write(question: Question, line: Line) -> Written:
    """Ask; raises what `Calls.call` raises, and `ClientLeft` when nobody waits any more."""
    calls = Calls(line)
    calls.report(f"Asking {calls.model.id}")
    called = calls.call(
        ModelRequest(
            model=calls.model.name,
            system=question.system,
            messages=(UserMessage(question.prompt),),
            tools=(),
            max_tokens=line.max_tokens,
            subject=TextSubject(question.prompt),
            temperature=line.temperature,
        )
    )
    reply = called.reply
    calls.settle(called, success=reply.stop in {"end", "length"}, diff_size=len(reply.text))
    if reply.stop == "stopped":
        raise ClientLeft
    # A model may call a tool that nobody offered; there is nothing to answer it with.
    stop: WhyEnded = "end" if reply.stop == "tool_calls" else reply.stop
    return Written(reply.text, stop, calls.usage(), calls.model)
